"""A server that resets a call when time is up by its own clock, which may be a moment before ours says so."""

from __future__ import annotations

import asyncio

import h2.config
import h2.connection
import h2.events
import pytest
from fixtures.gen.fixture.kinds.v1.kinds_kratos import KindsClient
from fixtures.gen.fixture.kinds.v1.kinds_pb import Ping

from kratos import GRPCClient
from kratos.errors import ClientClosed, GatewayTimeout

CANCEL = 8  # RFC 9113, 7


@pytest.mark.parametrize(("timeout", "error"), [(0.09, GatewayTimeout), (20.0, ClientClosed)])
async def test_a_reset_at_the_deadline(timeout: float, error: type[Exception]) -> None:
    """It means that time is up; at any other time it means that the call was cancelled there."""

    ended = asyncio.Event()

    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        connection.initiate_connection()
        writer.write(connection.data_to_send())
        try:
            while chunk := await reader.read(65536):
                for event in connection.receive_data(chunk):
                    if isinstance(event, h2.events.StreamEnded):
                        connection.reset_stream(event.stream_id, CANCEL)
                writer.write(connection.data_to_send())
        finally:
            writer.close()
            ended.set()

    async with await asyncio.start_server(reset, "127.0.0.1", 0) as server:
        address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with GRPCClient(address) as client:
            with pytest.raises(error):
                await KindsClient(client).echo(Ping(), timeout=timeout)
        await ended.wait()
