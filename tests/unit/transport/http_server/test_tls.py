"""HTTP over TLS: who is let in, who is told so, and certificates that change while the server runs."""

from __future__ import annotations

import asyncio
import logging
import shutil
import ssl
import warnings
from pathlib import Path

import pytest
import trustme
from unit.transport.certificates import Certificates
from unit.transport.http_server.support import Raw, Running, running, until
from websockets.asyncio.client import connect

from kratos.call import AppInfo, Certificate
from kratos.transport.http import TLS, HTTPServer, Limits


@pytest.fixture
def made(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path)


def serial(raw: Raw) -> str:
    """Returns which certificate the server has shown."""
    shown = raw.writer.get_extra_info("peercert")
    return str(shown["serialNumber"])


async def ends(raw: Raw) -> bool:
    """Tells whether the server closes the connection without a word."""
    try:
        return await raw.ended()
    except ssl.SSLError:
        return True


@pytest.mark.usefixtures("engine")
async def test_answers(made: Certificates) -> None:
    """Requests and WebSockets, by HTTP/1.1; the endpoint says how to come; no certificate is asked for."""
    trusting = made.trusting()
    trusting.set_alpn_protocols(["h2", "http/1.1"])
    async with running(tls=made.issue("server")) as it:
        assert it.server.endpoint == f"https://127.0.0.1:{it.port}"
        async with await it.raw(tls=trusting) as raw:
            assert raw.writer.get_extra_info("ssl_object").selected_alpn_protocol() == "http/1.1"
            for _ in range(2):
                await raw.request("/echo/a")
                assert (await raw.answer()).json["text"] == "a"
        async with connect(f"wss://localhost:{it.port}/chat/blue", ssl=made.trusting(), host="127.0.0.1") as socket:
            await socket.send('{"text": "b"}')
            assert '"b"' in str(await socket.recv())
        assert {call.peer.certificate for call in it.service.calls} == {None}
        assert it.service.calls[0].peer.address.startswith("127.0.0.1:")


async def test_a_large_body_and_a_stream(made: Certificates) -> None:
    """More than fits into one record, both ways."""
    async with running(tls=made.issue("server")) as it:
        text = "x" * 1_000_000
        body = b'{"text": "%s"}' % text.encode()
        answer = await it.ask("/echo", "POST", body, tls=made.trusting(), content_type="application/json")
        assert answer.json["text"] == text
        answer = await it.ask("/watch/flood?count=100&text=flood", tls=made.trusting())
        assert answer.body.count(b"event: message") == 100


@pytest.mark.usefixtures("engine")
async def test_who_is_there(made: Certificates) -> None:
    """With mutual TLS a call knows whose certificate it was, on requests and on WebSockets."""
    client = made.issue("client", "orders.shop", "10.0.0.7", common_name="orders")
    async with running(tls=made.mutual(made.issue("server"))) as it:
        assert (await it.ask("/echo/a", tls=made.trusting(client))).status == 200
        tls = made.trusting(client)
        async with connect(f"wss://localhost:{it.port}/chat/blue", ssl=tls, host="127.0.0.1") as socket:
            await socket.send('{"text": "b"}')
            await socket.recv()
        known = [call.peer.certificate for call in it.service.calls]
        assert known == [Certificate("orders", ("orders.shop", "10.0.0.7"))] * 2


@pytest.mark.usefixtures("engine")
async def test_a_proxy_lends_its_certificate_to_nobody(made: Certificates) -> None:
    """Whoever came by a proxy has not shown the certificate that the proxy has shown."""
    tls = made.trusting(made.issue("proxy"))
    async with running(tls=made.mutual(made.issue("server")), proxies=["127.0.0.1"]) as it:
        await it.ask("/echo/a", tls=tls, x_forwarded_for="1.2.3.4")
        await it.ask("/echo/a", tls=tls)
        seen, direct = (call.peer for call in it.service.calls)
        assert (seen.address, seen.certificate) == ("1.2.3.4", None)
        assert direct.certificate is not None


async def test_who_is_refused(made: Certificates, caplog: pytest.LogCaptureFixture) -> None:
    """No certificate, that of another authority, none of TLS or an old one: refused, with no fuss in the log."""
    stranger = made.issue("stranger", by=trustme.CA())
    own = made.issue("client")
    old = made.trusting(own)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about what this test is about
        old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
        old.set_ciphers("ALL:@SECLEVEL=0")
    with caplog.at_level(logging.INFO):
        async with running(tls=made.mutual(made.issue("server"))) as it:
            for tls in (made.trusting(), made.trusting(stranger), old):
                with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
                    await it.ask("/echo/a", tls=tls)
            async with await it.raw() as raw:
                await raw.request("/echo/a")
                assert await ends(raw)
            assert it.service.calls == []
            assert (await it.ask("/echo/a", tls=made.trusting(own))).status == 200
    assert [record for record in caplog.records if record.exc_info or record.levelno >= logging.WARNING] == []


async def test_renewal(made: Certificates, caplog: pytest.LogCaptureFixture) -> None:
    """New files are served to who comes next; who is there stays; files that do not fit change nothing."""
    async with running(tls=made.issue("server")) as it, await it.raw(tls=made.trusting()) as early:

        async def shown() -> str:
            async with await it.raw(tls=made.trusting()) as raw:
                return serial(raw)

        first = serial(early)
        assert await shown() == first
        made.issue("server")
        async with asyncio.timeout(30):
            while (second := await shown()) == first:
                await asyncio.sleep(0.1)
        fitting = (made.folder / "server.key").read_bytes()
        made.issue("server")
        third = (made.folder / "server.pem").read_bytes()
        (made.folder / "server.key").write_bytes(fitting)  # of the certificate before: half of a renewal
        await until(lambda: "KEY_VALUES_MISMATCH" in caplog.text, 30)
        assert await shown() == second
        (made.folder / "server.pem").write_bytes(third[:100])
        await until(lambda: caplog.text.count("served on") == 2, 30)
        assert await shown() == second
        assert "Traceback" not in caplog.text
        await early.request("/echo/a")
        assert (await early.answer()).status == 200


async def test_no_certificate(made: Certificates) -> None:
    """A file that is missing or does not fit stops the start, in words."""
    server = HTTPServer("127.0.0.1:0", tls=TLS(cert=made.folder / "no.pem", key=made.folder / "no.key"))
    server.mount([], [], AppInfo())
    with pytest.raises(OSError, match=r"cannot listen on 127\.0\.0\.1:0: .*no\.pem cannot be read: No such file"):
        await server.start()
    with pytest.raises(ValueError, match="needs no TLS"):
        HTTPServer("unix:/tmp/x.sock", tls=made.issue("server"))


async def slow(it: Running, tls: ssl.SSLContext) -> list[int]:
    """Returns what becomes of requests that take too long: in their headers, in their body."""
    found: list[int] = []
    for begun in (
        "GET /echo/a HTTP/1.1\r\nHost: x\r\n",
        "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{",
    ):
        async with await it.raw(tls=tls) as raw:
            await raw.send(begun)
            found.append((await raw.answer()).status)
            assert await ends(raw)
    return found


async def test_slow_clients(made: Certificates) -> None:
    """The limits on time hold: in the handshake, in headers and bodies, and between requests."""
    limits = Limits(header_seconds=2, body_seconds=0.5, idle_seconds=0.5)
    async with running(tls=made.issue("server"), limits=limits) as it:
        async with await it.raw() as silent:
            assert await ends(silent)
        async with await it.raw() as half:
            await half.send(b"\x16\x03\x01\x02\x00\x01")
            assert await ends(half)
        assert await slow(it, made.trusting()) == [408, 408]
        async with await it.raw(tls=made.trusting()) as idle:
            await idle.request("/echo/a")
            assert (await idle.answer()).status == 200
            assert await ends(idle)
        await until(lambda: not it.server._server.server_state.connections, 10)  # type: ignore[union-attr]


@pytest.mark.usefixtures("engine")
async def test_limits_on_bytes(made: Certificates) -> None:
    """Sizes and numbers are limited as without TLS."""
    async with running(tls=made.issue("server"), limits=Limits(max_headers=5, max_body=10, max_connections=1)) as it:
        tls = made.trusting()
        async with await it.raw(tls=tls) as raw:
            await raw.request("/echo/a")
            assert (await raw.answer()).status == 200
            assert (await it.ask("/echo/a", tls=tls)).status == 503
            await raw.request("/echo", "POST", b"x" * 11)
            answer = await raw.answer()
            assert (answer.status, answer.headers["connection"]) == (413, "close")
        await until(lambda: not it.server._server.server_state.connections, 10)  # type: ignore[union-attr]
        many = {f"x_{number}": "1" for number in range(6)}
        assert (await it.ask("/echo/a", tls=tls, **many)).status == 431


@pytest.mark.usefixtures("engine")
async def test_stop(made: Certificates) -> None:
    """Idle connections end with the server; a handshake that comes too late finds nobody."""
    async with running(tls=made.issue("server")) as it:
        idle = await it.raw(tls=made.trusting())
        await idle.request("/echo/a")
        assert (await idle.answer()).status == 200
        late = await it.raw()
    assert await ends(idle)
    idle.writer.close()
    with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
        await late.writer.start_tls(made.trusting(), server_hostname="localhost", ssl_handshake_timeout=10)
        await late.request("/echo/a")
        await late.answer()
    late.writer.close()
    assert len(it.service.calls) == 1


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is the judge here")
async def test_curl(made: Certificates) -> None:
    """curl, with a certificate and without."""
    client = made.issue("client")
    async with running(tls=made.mutual(made.issue("server"))) as it:
        url = ["--resolve", f"localhost:{it.port}:127.0.0.1", f"https://localhost:{it.port}/echo/a"]
        found: list[tuple[int | None, bytes]] = []
        for own in (["--cert", client.cert, "--key", client.key], []):
            process = await asyncio.create_subprocess_exec(
                "curl", "-sS", "--cacert", made.ca, *own, *url,
                stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
            )  # fmt: skip
            found.append(((await process.communicate())[0], process.returncode)[::-1])
        assert found[0][0] == 0
        assert b'"a"' in found[0][1]
        assert found[1][0] != 0
