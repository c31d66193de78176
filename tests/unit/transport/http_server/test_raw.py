"""Routes beside the contract: the law is the same for them."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from unit.transport.http_server.support import deny, running

from kratos.call import AppInfo, Call
from kratos.errors import Forbidden
from kratos.handler import Handler, only
from kratos.middleware import access_log
from kratos.transport.http import HTTPServer, handle, request_of
from kratos.wire.google.api.httpbody_pb import HttpBody

pytestmark = pytest.mark.usefixtures("engine")  # over both fronts, with the same answers


async def hook(request: HttpBody, call: Call) -> HttpBody:
    """Says what it was asked."""
    asked = request_of(call)
    said = {
        "method": asked.method,
        "path": asked.path,
        "values": dict(asked.values),
        "query": list(asked.query.items()),
        "type": request.content_type,
        "data": request.data.decode(),
        "peer": call.peer.address.partition(":")[0],
    }
    call.reply.headers.set("x-hook", "yes")
    return HttpBody(content_type="application/json", data=json.dumps(said).encode())


def blocked(request: HttpBody, call: Call) -> HttpBody:
    """A plain function: it runs in a thread."""
    call.reply.status = 201
    return HttpBody(content_type="text/plain", data=request.data[::-1])


async def away(request: HttpBody, call: Call) -> HttpBody:
    """Sends the client elsewhere."""
    call.reply.redirect(f"/there?from={request_of(call).query['from']}")
    return HttpBody()


async def broken(request: HttpBody, call: Call) -> HttpBody:
    """A defect, or no."""
    if request.data == b"no":
        raise Forbidden("not you", reason="NOT_YOU")
    raise ValueError("secret-db-password")


ROUTES = [
    handle("POST", "/hooks/{source}", hook),
    handle("GET", "/hooks/{source}/{rest=files/**}", hook),
    handle("put", "/blocked", blocked),
    handle("GET", "/away", away),
    handle("*", "/broken", broken),
]


async def test_a_raw_route_sees_the_whole_request() -> None:
    """Verb, path, variables, query, content type and body; its headers reach the client."""
    async with running(routes=ROUTES) as server:
        answer = await server.ask(
            "/hooks/git%20hub?a=1&a=2&b=%C3%A9&c", "POST", b'{"x": 1}', content_type="application/vnd.x+json"
        )
        assert (answer.status, answer.headers["x-hook"], answer.headers["content-type"]) == (
            200,
            "yes",
            "application/json",
        )
        assert answer.json == {
            "method": "POST",
            "path": "/hooks/git%20hub",
            "values": {"source": "git hub"},
            "query": [["a", "1"], ["a", "2"], ["b", "é"], ["c", ""]],
            "type": "application/vnd.x+json",
            "data": '{"x": 1}',
            "peer": "127.0.0.1",
        }
        deep = await server.ask("/hooks/x/files/a%2Fb/c")
        assert deep.json["values"] == {"source": "x", "rest": "files/a%2Fb/c"}


async def test_what_every_route_has() -> None:
    """HEAD, OPTIONS, 405, plain functions, statuses, redirects and ranges are those of any operation."""
    async with running(routes=ROUTES) as server:
        head = await server.ask("/away?from=here", "HEAD")
        assert (head.status, head.headers["location"]) == (303, "/there?from=here")
        wrong = await server.ask("/hooks/x")
        assert (wrong.status, wrong.headers["allow"]) == (405, "OPTIONS, POST")
        assert (await server.ask("/hooks/x", "OPTIONS")).headers["allow"] == "OPTIONS, POST"
        turned = await server.ask("/blocked", "PUT", b"abc")
        assert (turned.status, turned.body, turned.headers["content-type"]) == (201, b"cba", "text/plain")
        part = await server.ask("/hooks/x/files/a", range="bytes=0-9")
        assert (part.status, len(part.body)) == (206, 10)
        # Routes of the contract are still there.
        assert (await server.ask("/echo/a")).json["text"] == "a"


async def test_failures_of_a_raw_route() -> None:
    """Errors are errors; defects are concealed; too much is too much."""
    async with running(routes=ROUTES) as server:
        refused = await server.ask("/broken", "PATCH", b"no")
        assert (refused.status, refused.reason) == (403, "NOT_YOU")
        concealed = await server.ask("/broken")
        assert (concealed.status, concealed.reason) == (500, "UNKNOWN")
        assert b"secret" not in concealed.body
        many = await server.ask("/hooks/x?" + "a&" * 1001, "POST", b"")
        assert (many.status, many.reason) == (400, "CODEC")
        late = await server.ask("/hooks/x", "POST", b"", x_request_timeout="never")
        assert late.status == 400


async def test_middleware_holds_on_raw_routes() -> None:
    """A deny-all middleware denies them, and ``only`` finds them by name."""
    seen: list[str] = []

    async def watch(request: Any, call: Call, next: Handler) -> Any:
        seen.append(call.operation.name)
        return await next(request, call)

    async with running(deny, routes=ROUTES) as server:
        assert (await server.ask("/hooks/x", "POST", b"{}")).status == 401
    async with running(watch, only("HTTP PUT *", deny), routes=ROUTES) as server:
        assert (await server.ask("/hooks/x", "POST", b"{}")).status == 200
        assert (await server.ask("/blocked", "PUT", b"")).status == 401
    assert seen == ["HTTP POST /hooks/{source}", "HTTP PUT /blocked"]


async def test_raw_routes_in_the_access_log() -> None:
    """One line a request, by the route and not by the path."""
    stream = io.StringIO()
    log = access_log(to=stream, format="json")
    async with running(log, routes=ROUTES) as server:
        await server.ask("/blocked", "PUT", b"abc")
    await log.aclose()
    line = json.loads(stream.getvalue())
    assert (line["operation"], line["code"]) == ("HTTP PUT /blocked", 201)


async def test_clashes_are_told_at_start() -> None:
    """Two routes on the same paths, with the contract or among themselves, stop the start and are both named."""
    server = HTTPServer(routes=[handle("GET", "/a/{x}", hook), handle("GET", "/a/{y}", hook)])
    with pytest.raises(ValueError, match=r"GET /a/\{y\} of HTTP GET /a/\{y\} means the same paths as GET /a/\{x\}"):
        server.mount([], [], AppInfo())
    with pytest.raises(ValueError, match="must start with /"):
        handle("GET", "hooks", hook)


def test_what_is_no_raw_route() -> None:
    """Handlers of the contract have their message; the request of a raw route is none of theirs."""
    from fixtures.gen.fixture.streams.v1.streams_kratos import STREAMS_ECHO

    from kratos.metadata import Metadata

    call = Call(STREAMS_ECHO, kind="grpc", side="server", headers=Metadata())
    with pytest.raises(LookupError, match="is no raw route"):
        request_of(call)


async def test_routes_tell_of_themselves() -> None:
    """Listings have them, with limits."""
    async with running(routes=ROUTES) as server:
        told = {route.path: route for route in server.server.routes}
    assert (told["/blocked"].method, told["/blocked"].timeout, told["/blocked"].max_message) == ("PUT", 10.0, 4 << 20)
    operation = told["/blocked"].operation
    assert operation is not None
    assert (operation.service, operation.method) == ("HTTP", "PUT /blocked")
