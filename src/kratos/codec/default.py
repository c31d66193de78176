"""The codecs of a server or client that was not told otherwise."""

from __future__ import annotations

from typing import Final

from kratos.codec.base import CodecSet
from kratos.codec.json import JsonCodec
from kratos.codec.proto import ProtoCodec

__all__ = ["DEFAULT_CODECS"]

DEFAULT_CODECS: Final = CodecSet(JsonCodec(), ProtoCodec())
"""JSON first, then binary protobuf."""
