"""More connections than there may be: the rest is told so or waits, and the server is there for the next one."""

from __future__ import annotations

import asyncio

import pytest
from catalogue.process import ServerProcess
from catalogue.process import running as process
from unit.transport.http_server.support import running, until

from kratos.transport.http.limits import Limits
from security.wire import exchange

pytestmark = pytest.mark.usefixtures("engine")  # over both fronts, with the same answers

NOW = b"GET /v1/now HTTP/1.1\r\nHost: x\r\n\r\n"
GOOD = b"GET /echo/last HTTP/1.1\r\nHost: x\r\n\r\n"


async def test_far_too_many() -> None:
    """Those beyond the limit get a 503 each; when the others have gone, there is room again."""
    async with running(limits=Limits(max_connections=50)) as it:
        held = [await it.raw() for _ in range(50)]
        for raw in held:
            await raw.request("/echo/a")
        for raw in held:
            assert (await raw.answer()).status == 200
        for _ in range(3):
            refused = await asyncio.gather(*(exchange(it.port, GOOD) for _ in range(100)))
            assert {(tuple(each.statuses), each.closed) for each in refused} <= {((503,), True), ((), True)}
            assert any(each.statuses for each in refused)
        for raw in held:
            raw.reset()
        server = it.server._server
        assert server is not None
        await until(lambda: not server.server_state.connections, 20)
        assert (await exchange(it.port, GOOD)).statuses == [200]


async def test_more_than_there_are_files() -> None:
    """Where the system has no room for a connection, it waits or is closed; nothing breaks."""
    with process("--files", "100") as server:
        held = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(200)]
        for _, writer in held:
            writer.write(NOW)
        first = held[0][0]
        assert (await asyncio.wait_for(first.readline(), 20)).startswith(b"HTTP/1.1 200")
        for _, writer in held:
            writer.transport.abort()
        async with asyncio.timeout(20):
            while (await exchange(server.port, NOW, until=b'Z"')).statuses != [200]:
                pass  # some of those that have gone are still being noticed
        server.check()


async def test_a_stream_with_requests_behind_it_is_left(server: ServerProcess) -> None:
    """A client that leaves in the middle of a stream is missed, also where it has sent further requests already."""
    before = server.files()
    for _ in range(20):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET /v1/count/1000000 HTTP/1.1\r\nHost: x\r\n\r\n" + NOW)
        assert (await asyncio.wait_for(reader.readline(), 20)).startswith(b"HTTP/1.1 200")
        writer.transport.abort()
    await until(lambda: server.files() <= before, 20)
    server.check()
