"""Calls over TLS: accepted only where the certificate is trusted, unary and streams alike."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from pathlib import Path

import pytest
from aiohttp import WSMsgType, web
from fixtures.gen.fixture.kinds.v1.kinds_kratos import KindsClient
from fixtures.gen.fixture.kinds.v1.kinds_pb import Ping, Pong
from unit.transport.http_client.rig import client_of, foreign

from kratos.errors import ServiceUnavailable

OPENSSL = shutil.which("openssl")


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    if OPENSSL is None:
        pytest.skip("openssl makes the certificate, and is not here")
    path = tmp_path / "both.pem"
    subprocess.run(
        [OPENSSL, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", path, "-out", tmp_path / "c"],
        check=True,
        capture_output=True,
    )  # fmt: skip
    path.write_bytes(path.read_bytes() + (tmp_path / "c").read_bytes())
    return path


async def serve(request: web.Request) -> web.StreamResponse:
    if request.headers.get("Upgrade") != "websocket":
        return web.json_response({"text": request.scheme})
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    while (frame := await socket.receive()).type is WSMsgType.TEXT and frame.data[0] == "{":
        await socket.send_str(frame.data)
    await socket.close()
    return socket


async def test_trust(certificate: Path) -> None:
    """A certificate that is trusted is enough, for requests and for WebSockets."""
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(certificate)
    trusting = ssl.create_default_context(cafile=str(certificate))
    async with foreign(serve, tls=server) as url:
        async with client_of(url, tls=trusting) as client:
            api = KindsClient(client)
            assert await api.echo(Ping()) == Pong(text="https")
            async with api.chat() as stream:
                await stream.send(Ping(text="a"))
                assert await anext(aiter(stream)) == Pong(text="a")
                await stream.done()
                assert [reply async for reply in stream] == []
        async with client_of(url) as client:
            with pytest.raises(ServiceUnavailable, match="its certificate is not accepted: .*self.signed") as raised:
                await KindsClient(client).echo(Ping())
    assert raised.value.reason == "CONNECTION_FAILED"
