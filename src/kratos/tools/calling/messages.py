"""Messages from JSON and back, for a person at a keyboard: unknown fields are mistakes, replies are readable."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator
from importlib import import_module
from typing import Any, Final

from kratos.codec.json import JsonCodec, JsonOptions
from kratos.codec.jsontext import JsonValue, parse
from kratos.codec.jsonwalk import elements, join
from kratos.codec.messages import Message, Registry, shape
from kratos.errors import BadRequest
from kratos.operation import AnyOperation
from kratos.tools.codegen.project import Project
from kratos.tools.failure import USAGE, Failure

__all__ = ["Translator"]

_ANY: Final = "google.protobuf.Any"
# JSON lets these stand in strings as they are; a terminal may take them for commands.
_STEERING: Final = {code: f"\\u{code:04x}" for code in range(0x7F, 0xA0)}


class Translator:
    """Reads the requests of one operation and writes its replies.

    Args:
        operation: The operation.
        project: Where the types are that a ``google.protobuf.Any`` may hold; imported only if there can be one.

    Attributes:
        codec: What a client over HTTP writes and reads with; unknown fields of a reply are none of our business.
    """

    def __init__(self, operation: AnyOperation, project: Project) -> None:
        self._request: type[Any] = operation.request
        registry = _registry(project) if any(map(_holds_any, (operation.request, operation.reply))) else None
        self._codec = JsonCodec(JsonOptions(unknown="reject"), registry)
        self.codec = JsonCodec(registry=registry)

    def read(self, data: bytes, *, number: int = 0) -> Any:
        """Returns a request.

        Args:
            data: Its JSON; nothing is an empty message.
            number: Which one it is, from 1, where there are several.

        Raises:
            Failure: It is not JSON, or not this message; the message has the place and the nearest name.
        """
        try:
            return self._codec.decode(data.strip(), self._request)
        except BadRequest as refused:
            which = f"request {number}" if number else "the request"
            lines = [refused.message.replace("the body", which, 1), *_suggestions(data, self._request)]
            if number and not lines[0].startswith(which):
                lines[0] = f"{which}: {lines[0]}"
            raise Failure("\n  ".join(lines), code=USAGE) from refused

    def write(self, message: Any, *, pretty: bool) -> str:
        """Returns a message as JSON: over several lines, or on one.

        Raises:
            Failure: It cannot be written: it holds an ``Any`` of a type that the project does not have.
        """
        try:
            data = self._codec.encode(message)
        except (TypeError, ValueError) as failure:
            raise Failure(f"the reply has no JSON form: {failure}") from failure
        text = json.dumps(json.loads(data), indent=2, ensure_ascii=False) if pretty else data.decode()
        return text.translate(_STEERING)


def _suggestions(data: bytes, type_: type[Message]) -> Iterator[str]:
    try:
        yield from _misspelt(parse(data), type_, "")
    except BadRequest:  # not JSON at all: that is said already
        return


def _misspelt(value: JsonValue, type_: type[Message], path: str) -> Iterator[str]:
    known = shape(type_)
    if known.well_known is not None or not isinstance(value, dict):
        return
    for key, content in value.items():
        field = known.named.get(key)
        if field is None:
            lower = {name.lower(): name for name in known.named}
            near = difflib.get_close_matches(key.lower(), lower, 1, 0.5)
            names = ", ".join(each.json_name for each in known.fields) or "no fields"
            yield f"{join(path, key)}: did you mean {lower[near[0]]}?" if near else f"{known.name} has: {names}"
        elif field.message is not None:
            for element, place in elements(field, content, join(path, key)):
                yield from _misspelt(element, field.message, place)


def _holds_any(type_: type[Any]) -> bool:
    """Tells whether a message may hold a ``google.protobuf.Any``, however deep."""
    seen: set[type[Message]] = set()
    waiting: list[type[Message]] = [type_]
    while waiting:
        current = waiting.pop()
        if shape(current).name == _ANY:
            return True
        seen.add(current)
        waiting += {each.message for each in shape(current).fields if each.message is not None} - seen
    return False


def _registry(project: Project) -> Registry:
    """Returns the message types of a project."""
    out = project.root / project.out
    modules = [
        import_module(".".join([*project.out.split("/"), *path.relative_to(out).with_suffix("").parts]))
        for path in sorted(out.rglob("*_pb.py"))
    ]
    return Registry(*(value for module in modules for value in vars(module).values() if _is_type(value)))


def _is_type(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, Message) and value is not Message
