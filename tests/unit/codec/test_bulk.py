"""Large bodies are read while the garbage collector waits."""

from __future__ import annotations

import gc

import pytest
from protobuf.wkt import StringValue

from kratos.codec.bulk import LARGE, read
from kratos.errors import BadRequest


class Watching:
    """A codec that tells whether the collector works."""

    name = "watching"
    content_types = ("application/watching",)

    def __init__(self) -> None:
        self.collecting: list[bool] = []

    def encode(self, message: object, /) -> bytes:
        raise NotImplementedError

    def decode(self, data: bytes, into: type[StringValue], /) -> StringValue:
        self.collecting.append(gc.isenabled())
        if data.startswith(b"bad"):
            raise BadRequest("bad")
        return into(value=data.decode())


def test_collector() -> None:
    """It waits for large bodies alone, and works again whatever comes of them."""
    codec = Watching()
    assert read(codec, b"small", StringValue).value == "small"
    read(codec, b"x" * LARGE, StringValue)
    with pytest.raises(BadRequest):
        read(codec, b"bad" * LARGE, StringValue)
    assert codec.collecting == [True, False, False]
    assert gc.isenabled()


def test_collector_that_was_off() -> None:
    """Who has turned it off finds it off."""
    gc.disable()
    try:
        read(Watching(), b"x" * LARGE, StringValue)
        assert not gc.isenabled()
    finally:
        gc.enable()
