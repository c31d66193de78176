"""The protobuf binary form."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from kratos.errors import BadRequest

__all__ = ["ProtoCodec"]

M = TypeVar("M")


class ProtoCodec:
    """Binary protobuf: the form of gRPC, and of HTTP peers that care for size.

    Messages are known by their shape, which costs least and lets in those of google's runtime, for services that still
    have some.
    """

    __slots__ = ()

    name = "proto"
    content_types = ("application/proto", "application/x-protobuf", "application/protobuf")

    def encode(self, message: object, /) -> bytes:
        """Writes a message; see ``Codec.encode``."""
        write: Callable[[], bytes] | None = getattr(message, "to_binary", None) or getattr(
            message, "SerializeToString", None
        )
        if write is None:
            raise TypeError(f"the proto codec writes protobuf messages, not {type(message).__name__}")
        return write()

    def decode(self, data: bytes, into: type[M], /) -> M:
        """Reads a message; see ``Codec.decode``."""
        read: Callable[[bytes], M] | None = getattr(into, "from_binary", None) or getattr(into, "FromString", None)
        if read is None:
            raise TypeError(f"the proto codec reads protobuf messages, not {into.__name__}")
        try:
            return read(data)
        except Exception as error:  # google's DecodeError is an Exception and no more, and cannot be imported here.
            what = f"the body is no {into.__name__} in protobuf's binary form: {str(error)[:100]}"
            raise BadRequest(what, reason="CODEC") from None
