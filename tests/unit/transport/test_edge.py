"""The edge of HTTP, as fronts see it: a request in, a response out, no socket."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fixtures.gen.fixture.codec.v1.everything_pb import Everything

from kratos.call import AppInfo, Call, Peer
from kratos.codec import DEFAULT_CODECS, FormCodec
from kratos.errors import Error, NotFound
from kratos.handler import Handler
from kratos.operation import Http, Unary
from kratos.service import Service
from kratos.transport.dispatch import Dispatcher
from kratos.transport.http.edge import Edge, Request, Response

ECHO = Unary(
    "/test.v1.Things/Echo",
    Everything,
    Everything,
    http=(
        Http("GET", "/things"),
        Http("GET", "/things/{optionals.a_string}"),
        Http("GET", "/pages/{pageSize}"),
        Http("POST", "/things", body="*"),
        Http("PUT", "/things/{page_size}", body="*"),
    ),
)


class Things(Service):
    __operations__ = (("echo", ECHO),)

    async def echo(self, request: Everything, call: Call) -> Everything:
        if request.page_size == 404:
            raise NotFound("no such page", reason="PAGE_NOT_FOUND", metadata={"page": "404"})
        if request.page_size == 500:
            raise ValueError("secret")
        if request.page_size == 201:
            call.reply.status = 201
            call.reply.headers.set("location", "/things/201")
            call.reply.headers.add("x-name", "caf\u00e9 \u20ac")
        return request


def edge_of(*middleware: Any) -> Edge:
    return Edge(Dispatcher([Things()], middleware, app=AppInfo("test")), DEFAULT_CODECS)


async def ask(
    method: str, target: str, body: bytes = b"", *, edge: Edge | None = None, **headers: str
) -> tuple[Response, Any]:
    edge = edge or edge_of()
    path, _, query = target.partition("?")
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    request = Request(method, path, query, pairs, Peer("10.0.0.1:5"))
    try:
        response = await edge.answer(request, edge.match(request), body)
    except Error as error:
        response = edge.refuse(error)
    is_json = dict(response.headers)[b"content-type"] in (b"application/json", b"application/protojson")
    return response, json.loads(response.body) if is_json else None


@pytest.mark.parametrize(
    ("target", "field", "value"),
    [
        ("/things?page_size=3", "pageSize", 3),
        ("/things?pageSize=3", "pageSize", 3),
        ("/things?optionals.a_bool=true", "optionals", {"aBool": True}),
        ("/things?optionals.aInt64=1&optionals.anInt64=-5", "optionals", {"anInt64": "-5"}),
        ("/things?optionals.aColor=COLOR_RED", "optionals", {"aColor": "COLOR_RED"}),
        ("/things?optionals.a_bytes=_-8%3D", "optionals", {"aBytes": "/+8="}),
        ("/things?optionals.a_string=", "optionals", {"aString": ""}),
        ("/things?optionals.a_string=a+b%26c", "optionals", {"aString": "a b&c"}),
        ("/things/a%20b", "optionals", {"aString": "a b"}),
        ("/pages/7", "pageSize", 7),
        ("/things/path?optionals.a_string=query", "optionals", {"aString": "path"}),
    ],
)
async def test_path_and_query(target: str, field: str, value: Any) -> None:
    """Path variables and query parameters fill fields, by proto and by JSON names; the path wins."""
    response, reply = await ask("GET", target)
    assert response.status == 200
    assert reply[field] == value


async def test_repeated_query() -> None:
    """A repeated parameter fills a repeated field; unknown ones are ignored."""
    _, reply = await ask("GET", "/things?lists.strings=a&lists.strings=b&lists.colors=1&nope=1&page_size.x=1&maps=1&=2")
    assert reply["lists"]["strings"] == ["a", "b"]
    assert reply["lists"]["colors"] == ["COLOR_RED"]


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("/things?page_size=abc", "query parameter page_size: expected an integer, not 'abc'"),
        ("/things?pageSize=1&pageSize=2", "query parameter pageSize: stands there more than once"),
        ("/things?optionals.a_color=PINK", "query parameter optionals.a_color: expected one of COLOR_UNSPECIFIED"),
        ("/pages/x", "path variable pageSize: expected an integer"),
        ("/things?page_size=%ff", "the query is not UTF-8"),
        ("/things?" + "&".join(["a=1"] * 2000), "more than 1000 parameters"),
    ],
)
async def test_bad_parameters(target: str, message: str) -> None:
    """A parameter that cannot be read is a 400 that names it and says what was expected."""
    response, reply = await ask("GET", target)
    assert response.status == 400
    assert reply["reason"] == "CODEC"
    assert message in reply["message"]


async def test_body() -> None:
    """The body fills the message in any encoding that Content-Type names; the path wins over it."""
    _, reply = await ask("POST", "/things", b'{"pageSize": 3}', content_type="application/json; charset=utf-8")
    assert reply["pageSize"] == 3
    _, reply = await ask("PUT", "/things/8", b'{"pageSize": 3}', content_type="application/json")
    assert reply["pageSize"] == 8
    wire = Everything(page_size=4).to_binary()
    response, _ = await ask("POST", "/things", wire, content_type="application/x-protobuf", accept="application/proto")
    assert Everything.from_binary(response.body).page_size == 4
    assert (b"content-type", b"application/proto") in response.headers


async def test_empty_body_needs_no_content_type() -> None:
    """No body is an empty message."""
    response, reply = await ask("POST", "/things")
    assert response.status == 200
    assert reply["pageSize"] == 0


async def test_body_is_not_read_where_the_rule_has_none() -> None:
    """A GET with a body is answered as without."""
    response, _ = await ask("GET", "/things", b"\xff\xff", content_type="text/nonsense")
    assert response.status == 200


@pytest.mark.parametrize(("content_type", "named"), [(None, "no Content-Type"), ("text/nonsense", "text/nonsense")])
async def test_unknown_content_type(content_type: str | None, named: str) -> None:
    """A body in an unknown encoding is a 415 that names the known ones."""
    headers = {} if content_type is None else {"content_type": content_type}
    response, reply = await ask("POST", "/things", b"{}", **headers)
    assert response.status == 415
    assert named in reply["message"]
    assert "application/json" in reply["message"]


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("application/protojson", b"application/protojson"),
        ("text/html, application/json;q=0.9, */*;q=0.1", b"application/json"),
        ("image/png", b"application/json"),
        ("", b"application/json"),
    ],
)
async def test_negotiation(accept: str, content_type: bytes) -> None:
    """Replies and errors come in the encoding that was asked for; where none fits, in the default one."""
    for target in ("/things", "/things?page_size=404", "/things?page_size=x"):
        response, _ = await ask("GET", target, accept=accept)
        assert response.headers[0] == (b"content-type", content_type)


async def test_errors_keep_everything() -> None:
    """An error carries its status, code, reason, message and metadata."""
    response, reply = await ask("GET", "/things?page_size=404")
    assert response.status == 404
    assert reply == {"code": 404, "reason": "PAGE_NOT_FOUND", "message": "no such page", "metadata": {"page": "404"}}


async def test_crash_is_concealed() -> None:
    """A crash is a 500 with an id and no text."""
    response, reply = await ask("GET", "/things?page_size=500")
    assert response.status == 500
    assert reply["reason"] == "UNKNOWN"
    assert b"secret" not in response.body
    assert len(reply["metadata"]["error_id"]) == 16


async def test_status_and_headers_from_the_handler() -> None:
    """The handler decides on status and headers; what does not fit into a header is replaced, never a crash."""
    response, _ = await ask("GET", "/things?page_size=201")
    assert response.status == 201
    assert (b"location", b"/things/201") in response.headers
    assert (b"x-name", b"caf\xe9 ?") in response.headers


async def test_routing_errors() -> None:
    """Unknown paths are our own 404, wrong methods a 405 with Allow."""
    response, reply = await ask("GET", "/nope")
    assert (response.status, reply["reason"]) == (404, "ROUTE_NOT_FOUND")
    response, reply = await ask("DELETE", "/things")
    assert (response.status, reply["reason"]) == (405, "METHOD_NOT_ALLOWED")
    assert (b"allow", b"GET, HEAD, OPTIONS, POST") in response.headers


async def test_rejected_requests_pass_the_chain() -> None:
    """Middleware sees a request that cannot be read, with the reason, before it fails."""
    seen: list[Any] = []

    async def watching(request: Any, call: Call, next: Handler) -> Any:
        seen.append(call.rejected)
        return await next(request, call)

    response, _ = await ask("GET", "/things?page_size=x", edge=edge_of(watching))
    assert response.status == 400
    assert seen[0].reason == "CODEC"


async def test_call_knows_the_request() -> None:
    """The call carries peer, headers, kind and the client's deadline."""
    calls: list[Call] = []

    async def noting(request: Any, call: Call, next: Handler) -> Any:
        calls.append(call)
        return await next(request, call)

    await ask("GET", "/things", edge=edge_of(noting), x_request_timeout="250m", x_md_global_tenant="t1")
    (call,) = calls
    assert (call.kind, call.side, call.peer.address) == ("http", "server", "10.0.0.1:5")
    assert call.headers.get("x-md-global-tenant") == "t1"
    assert call.limit == "client"
    assert call.app is not None
    assert call.app.name == "test"
    response, reply = await ask("GET", "/things", x_request_timeout="soon")
    assert (response.status, reply["reason"]) == (400, "BAD_TIMEOUT")


@pytest.mark.parametrize(
    ("http", "message"),
    [
        (Http("GET", "/x/{nope}"), "'nope' is no field of fixture.codec.v1.Everything that a path variable can be"),
        (Http("GET", "/x/{optionals}"), "'optionals' is no field"),
        (Http("GET", "/x/{lists.strings}"), "'lists.strings' is no field"),
        (Http("GET", "/x/{page_size.more}"), "'page_size.more' is no field"),
        (Http("GET", "x"), "/test.v1.Bad/Rule: path template 'x' must start with /"),
        (Http("GET", "/x", "nope"), "body names 'nope', which fixture.codec.v1.Everything does not have"),
        (Http("GET", "/x", "", "nope"), "response_body names 'nope'"),
        (Http("GET", "/x/{maps.numbers.a}"), "'maps.numbers.a' is no field"),
        (Http("GET", "/x/{well_known.facts.a}"), "'well_known.facts.a' is no field"),
        (Http("GET", "/x/{well_known.value}"), "'well_known.value' is no field"),
    ],
)
def test_bad_rules_fail_at_build(http: Http, message: str) -> None:
    """A rule that cannot be served is refused when the server is built, by name."""
    operation = Unary("/test.v1.Bad/Rule", Everything, Everything, http=(http,))

    class Bad(Service):
        __operations__ = (("rule", operation),)

        async def rule(self, request: Everything, call: Call) -> Everything:
            return request

    with pytest.raises(ValueError, match=message):
        Edge(Dispatcher([Bad()]), DEFAULT_CODECS)


async def test_forms() -> None:
    """A server that was given the codec of forms reads them and writes them; one that was not says what it reads."""
    edge = Edge(Dispatcher([Things()], app=AppInfo("test")), DEFAULT_CODECS.with_(FormCodec()))
    form = "application/x-www-form-urlencoded"
    body = b"page_size=3&optionals.a_string=a+b&nope=1"
    _, reply = await ask("POST", "/things", body, edge=edge, content_type=form)
    assert (reply["pageSize"], reply["optionals"]) == (3, {"aString": "a b"})
    response, _ = await ask("PUT", "/things/8", body, edge=edge, content_type=form, accept=form)
    assert response.body == b"optionals.aString=a+b&pageSize=8"
    assert (b"content-type", form.encode()) in response.headers
    response, reply = await ask("POST", "/things", b"page_size=x", edge=edge, content_type=form)
    assert (response.status, reply["metadata"]) == (400, {"field": "page_size"})
    response, _ = await ask("POST", "/things", body, content_type=form)
    assert response.status == 415


def test_clashes_fail_at_build() -> None:
    """Two operations for the same requests are refused when the server is built, across services and by both names."""
    operation = Unary("/test.v1.Other/Find", Everything, Everything, http=(Http("GET", "/things/{page_size}"),))

    class Other(Service):
        __operations__ = (("find", operation),)

        async def find(self, request: Everything, call: Call) -> Everything:
            return request

    with pytest.raises(
        ValueError,
        match=r"GET /things/\{page_size\} of /test.v1.Other/Find means the same paths as "
        r"GET /things/\{optionals.a_string\} of /test.v1.Things/Echo: change one of them",
    ):
        Edge(Dispatcher([Things(), Other()]), DEFAULT_CODECS)


async def test_the_whole_reply_by_its_star() -> None:
    """``response_body: "*"`` is all of the reply, as for Go Kratos."""
    operation = Unary("/test.v1.Star/All", Everything, Everything, http=(Http("GET", "/all", "", "*"),))

    class Star(Service):
        __operations__ = (("all", operation),)

        async def all(self, request: Everything, call: Call) -> Everything:
            return request

    _, reply = await ask("GET", "/all?page_size=3", edge=Edge(Dispatcher([Star()]), DEFAULT_CODECS))
    assert reply["pageSize"] == 3


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("/things/", "; there is something at /things"),
        ("/pages", ""),
        ("/nope/", ""),
        ("/pages/7/", "; there is something"),
    ],
)
async def test_a_slash_too_many(path: str, hint: str) -> None:
    """A slash at the end makes another path; the 404 says so where that may be all that is wrong."""
    response, reply = await ask("GET", path)
    assert response.status == 404
    assert reply["message"].startswith(f"there is nothing at {path}{hint}")
    assert bool(hint) == ("something" in reply["message"])


async def test_large_integers_survive() -> None:
    """An int64 goes through JSON as a string, in and out."""
    body = b'{"optionals": {"anInt64": "9223372036854775807"}}'
    _, reply = await ask("POST", "/things", body, content_type="application/json")
    assert reply["optionals"]["anInt64"] == "9223372036854775807"
