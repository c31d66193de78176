"""Forms: ``application/x-www-form-urlencoded``, what browsers send and what queries are written in."""

from __future__ import annotations

from typing import Final, Literal, TypeVar, cast
from urllib.parse import quote_plus

from kratos.codec.formwalk import Form, split
from kratos.codec.messages import Message, blank, is_message

__all__ = ["FormCodec"]

M = TypeVar("M")

_MAX_FIELDS: Final = 10_000
"""More fields than any honest form has; each costs a little, whatever it says."""


class FormCodec:
    """HTML forms, as Go Kratos' ``x-www-form-urlencoded`` codec.

    Names are written in JSON spelling and sorted; both spellings are read. Times are in UTC, bytes in standard base64,
    durations in seconds. A form has no lists or maps of messages, and no message that is set and empty.

    It is not among the codecs that servers speak by default: a form is what any page on the web can make a browser
    send without asking. Give it to a server that wants forms: ``HTTPServer(codecs=DEFAULT_CODECS.with_(FormCodec()))``.

    Args:
        unknown: What to do with names that the message does not have.
    """

    __slots__ = ("_forms", "_unknown")

    name = "form"
    content_types = ("application/x-www-form-urlencoded",)

    def __init__(self, *, unknown: Literal["ignore", "reject"] = "ignore") -> None:
        self._unknown: Literal["ignore", "reject"] = unknown
        # Filled as types come by, so it holds as many as the program has.
        self._forms: dict[type[object], Form] = {}

    def encode(self, message: object, /) -> bytes:
        """Writes a message; see ``Codec.encode``. What a form cannot say is a ``ValueError``."""
        if not is_message(message):
            raise TypeError(f"the form codec writes protobuf-py messages, not {type(message).__name__}")
        pairs = self._form(type(message)).write(message)
        return "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in pairs).encode("ascii")

    def decode(self, data: bytes, into: type[M], /) -> M:
        """Reads a message; see ``Codec.decode``. The error's metadata holds ``field``, the name as it came."""
        message = into() if data else blank(into)()
        if not is_message(message):
            raise TypeError(f"the form codec reads protobuf-py messages, not {into.__name__}")
        pairs = split(data.decode("latin-1"), _MAX_FIELDS, "the body")
        self._form(type(message)).read(message, pairs, "form field")
        return cast("M", message)

    def _form(self, type_: type[Message]) -> Form:
        form = self._forms.get(type_)
        if form is None:
            form = self._forms[type_] = Form(type_, unknown=self._unknown)
        return form
