"""Forms with files: ``multipart/form-data``, RFC 7578, as browsers and curl send them.

The ``multipart`` library takes bodies apart; what parts mean is said in ``parts``, what their names mean in
``formwalk``.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Any, Final, Literal, TypeVar, cast
from urllib.parse import unquote

from kratos.codec.base import Codec
from kratos.codec.formwalk import Form
from kratos.codec.json import JsonCodec
from kratos.codec.jsontext import refusal
from kratos.codec.messages import Message, blank, is_message
from kratos.codec.negotiate import parameter
from kratos.codec.parts import Part, reader
from kratos.errors import BadRequest

try:
    from multipart import MultipartError, PushMultipartParser
except ImportError as missing:
    raise ImportError(
        "kratos.codec.multipart needs the library multipart: pip install 'multipart>=2.0.1'; if that is there already, "
        "an old python-multipart is in its way: pip install --upgrade python-multipart"
    ) from missing

__all__ = ["MultipartCodec"]

M = TypeVar("M")

_SHOWN: Final = 100  # characters of a name in an error message
_MAX_HEADERS: Final = 8  # of a part; RFC 7578 has three
_MAX_HEADER_BYTES: Final = 4096 + 128  # a long name, percent-encoded, and what is around it
_BOUNDARY: Final = re.compile(r"[\x20-\x7e]{0,199}[\x21-\x7e]")  # RFC 2046 has 70, and fewer kinds of characters
_QUOTED: Final = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_EXTENDED: Final = re.compile(r";[ \t]*filename\*[ \t]*=[ \t]*(utf-8|iso-8859-1)'[^';]*'([^\s;\"]*)", re.IGNORECASE)
_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f]")
_AS_IT_IS: Final = frozenset(("7bit", "8bit", "binary", "identity"))
_WORDS: Final = {
    "Boundary not found in first chunk": "the boundary of its Content-Type is not in it",
    "Maximum segment count exceeded": "it has too many parts",
    "Unexpected end of multipart stream (parser closed)": "it ends before its last boundary",
}


class MultipartCodec:
    """Forms with files, read into messages. It writes none: replies are in another encoding.

    The name of a part is that of a field, as in other forms. A file fills ``bytes``, a ``google.api.HttpBody``, or any
    message with ``bytes data``, ``string content_type`` and, if it likes, ``string filename``; a text is read as in
    forms; a part that says it is ``application/json`` is what its field is in JSON. A form may be as large as any body,
    since it is held in memory; larger files are for streamed ``google.api.HttpBody``.

    It is not among the codecs that servers speak by default: a form is what any page on the web can make a browser
    send without asking. Give it to a server that wants forms:
    ``HTTPServer(codecs=DEFAULT_CODECS.with_(MultipartCodec()))``.

    Args:
        unknown: What to do with parts whose names the message does not have.
        json: What reads parts in JSON.
        max_parts: The most parts a form may have.

    Raises:
        ValueError: ``max_parts`` is not positive.
    """

    __slots__ = ("_forms", "_max_parts", "_readers", "_unknown")

    name = "multipart"
    content_types = ("multipart/form-data",)

    def __init__(
        self,
        *,
        unknown: Literal["ignore", "reject"] = "ignore",
        json: Codec | None = None,
        max_parts: int = 1000,
    ) -> None:
        if max_parts < 1:
            raise ValueError(f"max_parts is {max_parts}: a limit is a positive number")
        self._unknown: Literal["ignore", "reject"] = unknown
        self._readers = partial(reader, json or JsonCodec())
        self._max_parts = max_parts
        # Filled as types come by, so it holds as many as the program has.
        self._forms: dict[type[object], Form] = {}

    def for_body(self, content_type: str, /) -> Codec:
        """Returns what reads one body; see ``BodyCodec.for_body``."""
        return _Body(self, parameter(content_type, "boundary"))

    def encode(self, message: object, /) -> bytes:
        """Writes nothing.

        Raises:
            TypeError: Always.
        """
        raise TypeError(f"the multipart codec writes no messages, not even a {type(message).__name__}; JSON does")

    def decode(self, data: bytes, into: type[M], /) -> M:
        """Reads an empty message of an empty body; any other one needs ``for_body``, which knows its boundary."""
        return self.read(data, into, None)

    def read(self, data: bytes, into: type[M], boundary: str | None) -> M:
        """Reads a message; see ``Codec.decode``. The error's metadata holds ``field``, the name of the part as it came.

        Args:
            data: The body.
            into: The message class to read.
            boundary: What stands between parts; None if nobody has said.
        """
        message = into() if data else blank(into)()
        if not is_message(message):
            raise TypeError(f"the multipart codec reads protobuf-py messages, not {into.__name__}")
        if data:
            parts = _split(data, boundary, self._max_parts)
            # A message comes before its fields, whatever their order: what is said of a field by its own name counts.
            parts.sort(key=_depth)
            self._form(type(message)).read(message, parts, "part")
        return cast("M", message)

    def _form(self, type_: type[Message]) -> Form:
        form = self._forms.get(type_)
        if form is None:
            form = self._forms[type_] = Form(type_, unknown=self._unknown, readers=self._readers)
        return form


class _Body:
    """Reads one body."""

    __slots__ = ("_boundary", "_codec")

    name = MultipartCodec.name
    content_types = MultipartCodec.content_types

    def __init__(self, codec: MultipartCodec, boundary: str | None) -> None:
        self._codec = codec
        self._boundary = boundary

    def encode(self, message: object, /) -> bytes:
        return self._codec.encode(message)

    def decode(self, data: bytes, into: type[M], /) -> M:
        return self._codec.read(data, into, self._boundary)


def _depth(pair: tuple[str, Part]) -> int:
    return pair[0].partition("[")[0].count(".")


def _split(data: bytes, boundary: str | None, limit: int) -> list[tuple[str, Part]]:
    """Takes a body apart. All of it is at hand, so each part is one piece."""
    if boundary is None or not _BOUNDARY.fullmatch(boundary):
        raise refusal("the body is multipart/form-data, and its Content-Type has no boundary that can be one")
    parser = PushMultipartParser(
        boundary,
        max_segment_count=limit,
        max_header_count=_MAX_HEADERS,
        max_header_size=_MAX_HEADER_BYTES,
        strict=True,
    )
    found: list[tuple[str, Part]] = []
    head: Any = None
    content: list[bytes] = []
    seen = 0
    try:
        with parser:
            for event in parser.parse(data):
                if isinstance(event, bytes):
                    content.append(event)
                elif event is not None:
                    head = event
                    seen += 1
                else:
                    part = _part(head, b"".join(content))
                    if part is not None:
                        found.append((head.name, part))
                    content.clear()
    except MultipartError as error:
        said = str(error.args[0]) if error.args else type(error).__name__
        where = f", in or after part {seen}" if seen else ""
        raise refusal(f"the body is not multipart/form-data: {_WORDS.get(said, said)[:_SHOWN]}{where}") from None
    return found


def _part(head: Any, data: bytes) -> Part | None:
    """Returns a part; None for a file that nobody has chosen, which browsers send as one without name and content."""
    headers: dict[str, str] = {}
    for name, value in head.headerlist:
        if name in headers:
            raise _refused(head.name, f"has the header {name[:_SHOWN]} twice")
        headers[name] = value
    for name in ("Content-Transfer-Encoding", "Content-Encoding"):
        encoding = headers.get(name, "binary")
        if encoding.lower() not in _AS_IT_IS:
            raise _refused(head.name, f"is in the {name} {encoding[:_SHOWN]!r}, send it as it is")
    filename: str | None = _extended(headers["Content-Disposition"])
    filename = head.filename if filename is None else filename
    if filename == "" and not data:
        return None
    return Part(data, headers.get("Content-Type", ""), _base(filename or ""))


def _extended(disposition: str) -> str | None:
    """Returns the ``filename*`` of RFC 5987, which RFC 7578 does without and some clients send nevertheless."""
    found = _EXTENDED.search(_QUOTED.sub('""', disposition)) if "*" in disposition else None
    if found is None:
        return None
    try:
        return unquote(found[2], found[1], "strict")
    except UnicodeError:
        return None


def _base(filename: str) -> str:
    """Returns the last component of a path, of whichever system."""
    name = _CONTROLS.sub("", re.split(r"[\\/]", filename)[-1])
    return "" if name in (".", "..") else name


def _refused(name: str, what: str) -> BadRequest:
    return refusal(f"part {name[:_SHOWN]}: {what}", {"field": name[:_SHOWN]})
