"""The usual middleware over real sockets: what it writes and carries does not depend on the transport."""

from __future__ import annotations

import io
import json
from typing import Any, Literal

import pytest
from fixtures.gen.fixture.helloworld.v1.greeter_kratos import GreeterClient, GreeterService
from fixtures.gen.fixture.helloworld.v1.greeter_pb import HelloReply, HelloRequest

from kratos.call import Call
from kratos.errors import BadRequest
from kratos.handler import Handler
from kratos.middleware import Violation, access_log, metadata, recovery, validate
from kratos.service import blocking
from kratos.testing import serve


class Greeter(GreeterService):
    @blocking
    def say_hello(self, request: HelloRequest, call: Call) -> HelloReply:
        return HelloReply(message=call.metadata.get("x-md-global-who") or "")


async def introduce(request: Any, call: Call, next: Handler) -> Any:
    call.metadata.set("x-md-global-who", "你好, 100%")
    return await next(request, call)


def named(request: HelloRequest) -> list[Violation]:
    return [Violation("name", "must be short")] if len(request.name) > 9 else []


@pytest.mark.parametrize("transport", ["http", "grpc"])
async def test_over_sockets(transport: Literal["http", "grpc"]) -> None:
    """Metadata of any language arrives, a refusal keeps its reason and metadata, each side logs each call."""
    server, client = io.StringIO(), io.StringIO()
    logs = access_log(to=server), access_log(to=client)
    async with serve(
        Greeter(),
        transport=transport,
        middleware=[recovery(), logs[0], metadata(), validate(named)],
        client_middleware=[logs[1], introduce, metadata()],
    ) as conn:
        api = GreeterClient(conn)
        assert (await api.say_hello(HelloRequest(name="a"))).message == "你好, 100%"
        with pytest.raises(BadRequest) as failure:
            await api.say_hello(HelloRequest(name="much too long"))
        assert (failure.value.reason, failure.value.metadata) == ("VALIDATOR", {"name": "must be short"})
    for log, stream, kind in zip(logs, (server, client), ("server", "client"), strict=True):
        await log.aclose()
        lines = [json.loads(line) for line in stream.getvalue().splitlines()]
        assert [(line["kind"], line["component"], line["code"]) for line in lines] == [
            (kind, transport, 200), (kind, transport, 400),
        ]  # fmt: skip
        assert all(line["peer"].startswith("127.0.0.1:") for line in lines)
