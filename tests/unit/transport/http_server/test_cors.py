"""Pages of other sites: questions are answered before anything else, and every reply says what they may see."""

from __future__ import annotations

import asyncio
import shutil
from typing import Any

import aiohttp
import pytest
from unit.transport.http_server.support import Answer, Running, deny, running
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from kratos.transport.http import CORS, Limits

pytestmark = pytest.mark.usefixtures("engine")  # over both fronts, with the same answers

SHOP = "https://shop.example"
OURS = CORS(origins=[SHOP], expose=["x-room"], credentials=True)


async def preflight(it: Running, path: str, method: str, **headers: str) -> Answer:
    headers.setdefault("origin", SHOP)
    return await it.ask(path, "OPTIONS", access_control_request_method=method, **headers)


def allowed(answer: Answer) -> str | None:
    return answer.headers.get("access-control-allow-origin")


async def test_every_route_answers_questions() -> None:
    """Each route, whatever its kind, is a 204 with its methods; a path that is not there is a 404."""
    async with running(cors=OURS) as it:
        routes = {
            (route.method, route.path.replace("{room}", "blue").replace("{text}", "a")) for route in it.server.routes
        }
        assert len(routes) > 8
        for method, path in routes:
            answer = await preflight(it, path, method, access_control_request_headers="x-a, content-type")
            assert (answer.status, allowed(answer), answer.body) == (204, SHOP, b"")
            assert method in answer.headers["access-control-allow-methods"].split(", ")
            assert answer.headers["access-control-allow-headers"] == "x-a, content-type"
            assert answer.headers["access-control-allow-credentials"] == "true"
        missing = await preflight(it, "/nothing", "GET")
        assert (missing.status, missing.reason, allowed(missing)) == (404, "ROUTE_NOT_FOUND", SHOP)
        assert "access-control-allow-methods" not in missing.headers


async def test_questions_come_before_the_chain() -> None:
    """Neither middleware nor a body that is too large is in the way of a question, and no call is made."""
    async with running(deny, cors=OURS, limits=Limits(max_body=10)) as it:
        assert (await preflight(it, "/echo/a", "GET")).status == 204
        answer = await it.ask("/echo", "OPTIONS", b"x" * 11, origin=SHOP, access_control_request_method="POST")
        assert (answer.status, allowed(answer)) == (204, SHOP)
        denied = await it.ask("/echo/a", origin=SHOP)
        assert (denied.status, allowed(denied)) == (401, SHOP)
        assert it.service.calls == []


async def test_strangers() -> None:
    """A page of another site gets the answer without the permission, and caches are told why."""
    async with running(cors=OURS) as it:
        answer = await preflight(it, "/echo/a", "GET", origin="https://evil.example")
        assert (answer.status, allowed(answer), answer.headers["vary"]) == (204, None, "Origin")
        answer = await it.ask("/echo/a", origin="https://evil.example")
        assert (answer.status, allowed(answer), answer.headers["vary"]) == (200, None, "Origin")
        answer = await it.ask("/echo/a")
        assert (answer.status, answer.headers["vary"]) == (200, "Origin")
        plain = await it.ask("/echo/a", "OPTIONS", origin=SHOP)
        assert (plain.status, plain.headers["allow"], allowed(plain)) == (204, "GET, HEAD, OPTIONS", SHOP)


@pytest.mark.parametrize(
    ("path", "method", "body", "status"),
    [
        ("/echo/a", "GET", None, 200),
        ("/echo/late", "GET", None, 403),
        ("/echo/crash", "GET", None, 500),
        ("/nothing", "GET", None, 404),
        ("/echo/a", "DELETE", None, 405),
        ("/echo", "POST", b"x" * 101, 413),
        ("/echo", "POST", b"<a/>", 415),
        ("/echo", "POST", b"{", 400),
        ("/collect/blue", "GET", None, 426),
        ("/healthz", "GET", None, 200),
    ],
)
async def test_every_reply(path: str, method: str, body: bytes | None, status: int) -> None:
    """Replies and errors alike can be read by the page, errors from before any call included."""
    async with running(cors=OURS, limits=Limits(max_body=100)) as it:
        kind = "text/weird" if status == 415 else "application/json"
        answer = await it.ask(path, method, body, origin=SHOP, content_type=kind)
        assert (answer.status, allowed(answer)) == (status, SHOP)
        assert answer.headers["access-control-expose-headers"] == "x-room"
        assert answer.headers["vary"] == "Origin"


@pytest.mark.parametrize("accept", ["text/event-stream", "application/x-ndjson"])
async def test_streams(accept: str) -> None:
    """The head of a stream has the permission, once."""
    async with running(cors=CORS(origins=["*"])) as it:
        answer = await it.ask("/watch/blue?count=2", origin=SHOP, accept=accept)
        assert (answer.status, answer.headers["content-type"], allowed(answer)) == (200, accept, "*")
        assert sum(line.lower().startswith("access-control-allow-origin") for line in answer.lines) == 1


async def test_what_the_application_says_counts() -> None:
    """A reply that answers for itself is left alone: browsers refuse two answers."""

    async def itself(request: Any, call: Any, next: Any) -> Any:
        call.reply.headers.set("access-control-allow-origin", "null")
        return await next(request, call)

    async with running(itself, cors=OURS) as it:
        answer = await it.ask("/echo/a", origin=SHOP)
        assert [line for line in answer.lines if "allow-origin" in line] == ["access-control-allow-origin: null"]


async def test_websockets() -> None:
    """Pages of this host and of allowed origins open WebSockets, others are refused with a 403 that says why."""
    async with running(cors=OURS) as it:
        for origin in (SHOP, it.url):
            async with connect(f"{it.ws}/chat/blue", additional_headers={"origin": origin}) as socket:
                await socket.send('{"text": "a"}')
                assert '"a"' in str(await socket.recv())
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"{it.ws}/chat/blue", additional_headers={"origin": "https://evil.example"})
        response = refused.value.response
        assert response.status_code == 403
        assert b"ORIGIN_NOT_ALLOWED" in (response.body or b"")
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"{it.ws}/nothing", additional_headers={"origin": SHOP})
        assert refused.value.response.headers["access-control-allow-origin"] == SHOP


async def test_nothing_without() -> None:
    """A server without CORS has nothing in the way of its front, and says nothing of origins."""
    async with running() as it:
        assert type(it.server._app).__name__ == "ASGIFront"
        answer = await it.ask("/echo/a", origin=SHOP)
        assert not [name for name in answer.headers if name.startswith("access-control") or name == "vary"]


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is the judge here")
async def test_curl() -> None:
    """What a browser would send, sent by curl."""
    async with running(cors=CORS(origins=["https://*.shop.example"], max_age=60)) as it:
        process = await asyncio.create_subprocess_exec(
            "curl", "-si", "-X", "OPTIONS", "-H", "Origin: https://a.shop.example",
            "-H", "Access-Control-Request-Method: POST", "-H", "Access-Control-Request-Headers: content-type",
            f"{it.url}/echo", stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        text = (await process.communicate())[0].decode().lower()
    assert text.startswith("http/1.1 204")
    for line in ("allow-origin: https://a.shop.example", "allow-headers: content-type", "max-age: 60"):
        assert f"access-control-{line}\r\n" in text


async def test_aiohttp() -> None:
    """A keep-alive connection goes on after a question, its body read or not."""
    async with running(cors=OURS) as it, aiohttp.ClientSession(it.url, connector=aiohttp.TCPConnector(limit=1)) as http:
        headers = {"Origin": SHOP, "Access-Control-Request-Method": "POST"}
        for _ in range(3):
            async with http.options("/echo", headers=headers, data=b"x" * 1000) as response:
                assert response.status == 204
            async with http.get("/echo/a", headers={"Origin": SHOP}) as response:
                assert (response.status, response.headers["Access-Control-Allow-Origin"]) == (200, SHOP)
