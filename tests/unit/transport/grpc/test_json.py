"""``application/grpc+json``: clients that write JSON are answered in JSON, by plain grpc.aio stubs of bytes."""

from __future__ import annotations

import json
from typing import Any

import grpc
import grpc.aio
import pytest
from fixtures.gen.fixture.kinds.v1.kinds_pb import Ping, Pong
from roundtrip.service import Kinds

from kratos.errors import BadRequest
from kratos.transport.grpc.wire import Wire

TEXT = b'{"text":"g\xc3\xbcn","count":2,"unknown":[]}'
REPLY = {"text": "gün", "count": 2}


async def test_every_kind(serve: Any) -> None:
    """Replies come back in the form of the requests."""
    served = await serve()
    assert json.loads(await served.stub("Echo")(TEXT)) == REPLY
    watched = [json.loads(reply) async for reply in served.stub("Watch")(TEXT)]
    assert [reply["text"] for reply in watched] == ["gün", "gün"]
    call = served.stub("Collect")()
    await call.write(TEXT)
    await call.done_writing()
    assert json.loads(await call)["text"] == "gün"
    call = served.stub("Chat")()
    await call.write(TEXT)
    assert json.loads(await call.read())["text"] == "gün"
    await call.done_writing()


async def test_binary_beside_it(serve: Any) -> None:
    """The binary form stays what it is, whatever came before on the connection."""
    served = await serve()
    stub = served.stub("Echo")
    await stub(TEXT)
    assert Pong.from_binary(await stub(Ping(text="{}", count=1).to_binary())).text == "{}"
    assert Pong.from_binary(await stub(b"")).text == ""
    assert json.loads(await stub(b"{}")) == {"text": "", "count": 0}


@pytest.mark.parametrize(
    ("data", "words"),
    [(b'{"count":"x"}', "count: "), (b'{"count":1', "JSON"), (b"\x7b\x22", "JSON"), (b'"text"', "binary form")],
)
async def test_what_is_neither(serve: Any, data: bytes, words: str) -> None:
    """It is refused with the place of the problem, and reaches no handler."""
    served = await serve()
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await served.stub("Echo")(data)
    assert failure.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert words in (failure.value.details() or "")


def test_groups_are_binary() -> None:
    """An unknown group of number 15 begins like an object, and is none."""
    (_, operation), *_ = Kinds.__operations__
    wire = Wire(operation)
    assert wire.read(b"\x7b\x7c\x0a\x01a").text == "a"
    assert Pong.from_binary(wire.write(Pong(text="b"))).text == "b"


def readable_as_both(**fields: object) -> bytes:
    """Returns a JSON object whose text is also a group of number 15, with a field in it, and a field after it."""
    first = b'{"text":"'
    group = first + b"a" * (116 - len(first) + 3) + b"|"  # its field 4 has 116 bytes: the t of "text"; | ends it
    last = b'"' + b"".join(b',"%s":%s' % (k.encode(), json.dumps(v).encode()) for k, v in fields.items()) + b"}"
    return group + b"z" + bytes([40]) + b"b" * (40 - len(last)) + last  # z and a number of bytes are field 15


def test_both_is_json() -> None:
    """What is a JSON object is read as one, though somebody took care that it is readable in the binary form too."""
    (_, operation), *_ = Kinds.__operations__
    data = readable_as_both(count=3)
    assert Ping.from_binary(data).text == ""
    wire = Wire(operation)
    assert wire.read(data) == Ping(text=json.loads(data)["text"], count=3)
    assert json.loads(wire.write(Pong(text="b"))) == {"text": "b", "count": 0}
    with pytest.raises(BadRequest, match="count: "):
        wire.read(readable_as_both(count="x"))


def test_deep_objects_are_refused() -> None:
    """JSON of more levels than there may be is no reason to look for another form."""
    (_, operation), *_ = Kinds.__operations__
    with pytest.raises(BadRequest, match="nested deeper"):
        Wire(operation).read(b'{"unknown":' + b"[" * 200_000)
