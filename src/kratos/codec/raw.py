"""``google.api.HttpBody``: a body that is bytes of any kind, and nothing around them."""

from __future__ import annotations

import re
from typing import Final, TypeVar, cast

from kratos.codec.messages import Field, Message, full_name
from kratos.wire.google.api.httpbody_pb import HttpBody

__all__ = ["OCTET_STREAM", "RawCodec", "is_raw"]

M = TypeVar("M")

OCTET_STREAM: Final = "application/octet-stream"
"""What bytes are that nobody has said anything of."""

_NAME: Final = "google.api.HttpBody"
_CONTENT_TYPE = re.compile(r"[\t\x20-\x7e]+")


def is_raw(type_: type[Message], field: Field | None) -> bool:
    """Tells whether a body is raw.

    Args:
        type_: The message.
        field: The field of it that is the body, None for all of it.
    """
    target = type_ if field is None else field.message
    return target is not None and full_name(target) == _NAME and (field is None or field.singular)


class RawCodec:
    """Reads and writes one raw body.

    Args:
        content_type: What came as ``Content-Type``.
    """

    __slots__ = ("_content_type",)

    name = "raw"
    content_types = (OCTET_STREAM,)

    def __init__(self, content_type: str = "") -> None:
        self._content_type = content_type

    def encode(self, message: object, /) -> bytes:
        """Returns the data of an ``HttpBody``."""
        return cast("HttpBody", message).data

    def decode(self, data: bytes, into: type[M], /) -> M:
        """Returns an ``HttpBody``; it may be of another class than ours, so its own one makes it."""
        return cast("type[M]", cast("type[HttpBody]", into)(content_type=self._content_type, data=data))  # type: ignore[return-value]  # the class that was asked for

    @staticmethod
    def content_type(body: object) -> str:
        """Returns what a body says of itself.

        Raises:
            ValueError: It cannot stand in a header.
        """
        content_type = cast("HttpBody", body).content_type or OCTET_STREAM
        if not _CONTENT_TYPE.fullmatch(content_type):
            raise ValueError(f"the content_type {content_type[:100]!r} cannot be sent")
        return content_type
