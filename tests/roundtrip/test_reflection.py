"""``buf curl`` calls our servers without a single ``.proto`` file."""

from __future__ import annotations

import asyncio
import importlib.util
import json
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fixtures.gen.fixture.apart.v1.apart_kratos import ApartService
from fixtures.gen.fixture.apart.v1.shelf_pb import Shelf

from kratos.app import App
from kratos.call import Call
from kratos.handler import Messages
from kratos.tools.codegen.buf import executable
from kratos.transport.grpc.server import GRPCServer

APART = "fixture.apart.v1.Apart"
SHELF = {
    "name": "shelves/1",
    "size": "SIZE_SMALL",
    "books": {"a": {"title": "The Dispossessed", "author": {"name": "Ursula"}}},
    "room": "ROOM_HALL",
    "built": "2020-01-01T00:00:00Z",
    "extra": {"@type": f"type.googleapis.com/{APART.rpartition('.')[0]}.Shelf", "name": "inside"},
    "boards": 0,
    "origin": {"name": "attic", "[fixture.legacy.v1.nick]": "ned"},
}


class Apart(ApartService):
    """Gives back what it is given."""

    async def get_shelf(self, request: Shelf, call: Call) -> Shelf:
        return request

    async def chat(self, requests: Messages[Shelf], call: Call) -> AsyncIterator[Shelf]:
        async for request in requests:
            yield request


@pytest.fixture(params=["grpcio", "native"])
async def address(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """The address of a server in development, on each engine."""
    if request.param == "native" and not importlib.util.find_spec("pygrpc_native"):
        pytest.skip("needs kratos-py[native]")
    monkeypatch.setenv("KRATOS_ENV", "development")
    server = GRPCServer("127.0.0.1:0", engine=request.param)
    async with App(name="apart", services=[Apart()], servers=[server]) as app:
        yield app.info.endpoints[0].removeprefix("grpc://")


async def curl(address: str, path: str, *arguments: str) -> str:
    """Runs ``buf curl`` and returns what it prints."""
    command = [executable(), "curl", "--protocol", "grpc", "--http2-prior-knowledge", *arguments]
    program = await asyncio.create_subprocess_exec(*command, f"http://{address}{path}", stdout=PIPE, stderr=PIPE)
    printed, complaints = await program.communicate()
    assert program.returncode == 0, complaints.decode()
    return printed.decode()


@pytest.mark.parametrize("version", ["grpc-v1", "grpc-v1alpha"])
async def test_buf_lists_and_calls(address: str, version: str) -> None:
    """By either version it lists what is there, and calls with nested types, maps, enums, extensions and an Any."""
    reflect = ("--reflect-protocol", version)
    assert (await curl(address, "", *reflect, "--list-services")).splitlines() == [
        APART,
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    ]
    methods = (await curl(address, "", *reflect, "--list-methods")).splitlines()
    assert {f"{APART}/Chat", f"{APART}/GetShelf", "grpc.health.v1.Health/Check"} < set(methods)
    reply: Any = json.loads(await curl(address, f"/{APART}/GetShelf", *reflect, "-d", json.dumps(SHELF)))
    assert reply == SHELF


async def test_buf_streams(address: str) -> None:
    """Streams work, and so do the server's own services."""
    replies = await curl(address, f"/{APART}/Chat", "-d", '{"name": "a"} {"name": "b"}')
    assert "".join(replies.split()) == '{"name":"a"}{"name":"b"}'
    assert json.loads(await curl(address, "/grpc.health.v1.Health/Check")) == {"status": "SERVING"}
