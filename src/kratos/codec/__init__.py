"""How messages become bytes and back: JSON, binary protobuf and others, and which of them a peer asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kratos.codec.base import Codec, CodecSet, Negotiated
from kratos.lazy import lazy

if TYPE_CHECKING:
    from kratos.codec.default import DEFAULT_CODECS
    from kratos.codec.form import FormCodec
    from kratos.codec.json import JsonCodec
    from kratos.codec.jsonvalues import JsonOptions
    from kratos.codec.multipart import MultipartCodec
    from kratos.codec.proto import ProtoCodec
    from kratos.codec.xml import XmlCodec
    from kratos.codec.yaml import YamlCodec

__all__ = [
    "DEFAULT_CODECS",
    "Codec",
    "CodecSet",
    "FormCodec",
    "JsonCodec",
    "JsonOptions",
    "MultipartCodec",
    "Negotiated",
    "ProtoCodec",
    "XmlCodec",
    "YamlCodec",
]

# What stands on the protobuf runtime is loaded when it is asked for: `import kratos.codec.base` stays light.
__getattr__ = lazy(
    __name__,
    {
        "DEFAULT_CODECS": "default",
        "FormCodec": "form",
        "JsonCodec": "json",
        "JsonOptions": "jsonvalues",
        "MultipartCodec": "multipart",
        "ProtoCodec": "proto",
        "XmlCodec": "xml",
        "YamlCodec": "yaml",
    },
)
