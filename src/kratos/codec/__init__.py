"""How messages become bytes and back: JSON and binary protobuf, and which of them a peer asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kratos.codec.base import Codec, CodecSet, Negotiated
from kratos.lazy import lazy

if TYPE_CHECKING:
    from kratos.codec.default import DEFAULT_CODECS
    from kratos.codec.json import JsonCodec, JsonOptions
    from kratos.codec.proto import ProtoCodec

__all__ = ["DEFAULT_CODECS", "Codec", "CodecSet", "JsonCodec", "JsonOptions", "Negotiated", "ProtoCodec"]

# What stands on the protobuf runtime is loaded when it is asked for: `import kratos.codec.base` stays light.
__getattr__ = lazy(
    __name__, {"DEFAULT_CODECS": "default", "JsonCodec": "json", "JsonOptions": "json", "ProtoCodec": "proto"}
)
