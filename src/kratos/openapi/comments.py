"""What the contract says in words: the comments of the ``.proto`` files, found in the docstrings of generated code.

Descriptors that are embedded in code have no comments, but the generators write each comment once, into the docstring
of the class or method that it is about. Reading it from there costs generated code nothing. What is in no docstring is
not found: comments of single members of a oneof, and everything under ``python -OO``.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from kratos.codec.messages import EnumShape, Message, full_name
from kratos.errors import Error
from kratos.operation import AnyOperation
from kratos.service import Service

__all__ = ["Comments", "base_of", "of_enum", "of_error", "of_message", "of_method", "of_service", "split"]

# protobuf-py ends the description of each declaration with the declaration itself, in a fenced block.
_FENCE = "```proto"
_MEMBER = re.compile(r"^    \w+:$", re.MULTILINE)
_DECLARED = re.compile(r"(\w+) = -?\d")
_ONEOF = re.compile(r"oneof (\w+)")
_DIRECTIVE = re.compile(r"^buf:lint:ignore\b.*\n?", re.MULTILINE)
_SENTENCE = re.compile(r"(.+?[.!?])(?=\s+\S|$)", re.DOTALL)
_SUMMARY = 120  # characters; a longer first sentence is no summary


@dataclass(frozen=True, slots=True)
class Comments:
    """The comments of one message or enum.

    Attributes:
        text: Its own.
        members: Those of its fields, oneofs or values, by proto name; without one there is no entry.
    """

    text: str = ""
    members: Mapping[str, str] = field(default_factory=dict[str, str])


def of_message(type_: type[Message], /) -> Comments:
    """Returns the comments of a message type."""
    return _generated(type_.__doc__, f"message {full_name(type_)}")


def of_enum(enum: EnumShape, /) -> Comments:
    """Returns the comments of an enum."""
    return _generated(enum.type.__doc__, f"enum {enum.name}")


def of_service(service: type[Service], /) -> str:
    """Returns the comment of a service, given its generated base."""
    text = _clean(service.__doc__)
    return "" if text.startswith("Serves ``") else text  # what the generator writes where there is no comment


def of_method(service: type[Service], name: str, operation: AnyOperation, /) -> str:
    """Returns the comment of an RPC.

    Args:
        service: The generated base.
        name: The Python method.
        operation: What it serves.
    """
    text = _clean(getattr(vars(service).get(name), "__doc__", None))
    return text.removesuffix("Deprecated.").rstrip() if operation.deprecated else text


def of_error(cls: type[Error], /) -> str:
    """Returns the comment of an enum value that has become an error class."""
    text = _clean(cls.__doc__)
    return "" if text == f"{cls.code}: {cls.reason}." else text


def base_of(service: type[Service], /) -> type[Service]:
    """Returns the generated class that a service inherits from, where its contract is written down."""
    return next((cls for cls in service.__mro__ if "__operations__" in vars(cls)), service)


def split(text: str, /) -> tuple[str, str]:
    """Returns a summary and a description: the first sentence without its full stop, and all of it if there is more.

    Example:
        >>> split("Greets. At length."), split("Greets.")
        (('Greets', 'Greets. At length.'), ('Greets', ''))
    """
    first = text.partition("\n\n")[0]
    found = _SENTENCE.match(first)
    sentence = " ".join((found[1] if found else first).split())
    if len(sentence) > _SUMMARY:
        return "", text
    return sentence.removesuffix("."), "" if sentence == " ".join(text.split()) else text


def _clean(text: str | None) -> str:
    return _DIRECTIVE.sub("", inspect.cleandoc(text or "")).strip()


def _generated(docstring: str | None, declaration: str) -> Comments:
    """Takes one of protobuf-py's docstrings apart: comment, declaration, and the same for each member."""
    text = inspect.cleandoc(docstring or "")
    own, marker, rest = text.partition(f"{_FENCE}\n{declaration}\n")
    if not marker:
        return Comments()
    listed = rest.partition("\nAttributes:\n")[2]
    members: dict[str, str] = {}
    for block in _MEMBER.split(listed)[1:]:
        said, _, declared = block.rpartition(_FENCE)
        name = _DECLARED.search(declared) or _ONEOF.search(declared)
        comment = _clean(said)
        if name is not None and comment:
            members[name[1]] = comment
    return Comments(_clean(own), members)
