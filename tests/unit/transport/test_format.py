"""How replies look: options of JSON, envelopes, compression; and what a handler says beside its reply."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from fixtures.gen.fixture.codec.v1.everything_pb import Color, Everything, Item, Lists, Optionals, Plain
from hypothesis import given
from hypothesis import strategies as st

from kratos.call import AppInfo, Call, Peer
from kratos.codec import DEFAULT_CODECS, JsonCodec, JsonOptions, YamlCodec
from kratos.errors import Error, InternalServer, NotFound
from kratos.live import Live
from kratos.operation import Http, ServerStream, Unary
from kratos.service import Service
from kratos.transport.dispatch import Dispatcher
from kratos.transport.http import Envelope, Format
from kratos.transport.http.asgi import ASGIFront
from kratos.transport.http.compression import OFF_LOOP, inflate, preferred
from kratos.transport.http.edge import Edge, Request, Response
from kratos.transport.http.format import wrapping
from kratos.transport.http.limits import Limits

OPTION = "kratos.options.v1.envelope"
ECHO = Unary("/f.v1.S/Echo", Everything, Everything, http=(Http("POST", "/echo", body="*"),))
FIELD = Unary("/f.v1.S/Field", Lists, Lists, http=(Http("POST", "/field", body="*", response_body="colors"),))
RAW = Unary("/f.v1.S/Raw", Plain, Plain, http=(Http("GET", "/raw"),), options={OPTION: "ENVELOPE_RAW"})
ALWAYS = Unary("/f.v1.S/Always", Plain, Plain, http=(Http("GET", "/always"),), options={OPTION: "ENVELOPE_WRAPPED"})
WATCH = ServerStream("/f.v1.S/Watch", Plain, Everything, http=(Http("GET", "/watch"),))

VALUE = Everything(optionals=Optionals(an_int64=2**63 - 1, a_color=Color.RED), lists=Lists(items=[Item(sku="x")]))


class Things(Service):
    __operations__ = (("echo", ECHO), ("field", FIELD), ("raw", RAW), ("always", ALWAYS), ("watch", WATCH))

    def __init__(self, act: Callable[[Call], None] = lambda call: None) -> None:
        self.act = act

    async def echo(self, request: Everything, call: Call) -> Everything:
        self.act(call)
        return request

    async def field(self, request: Lists, call: Call) -> Lists:
        return request

    async def raw(self, request: Plain, call: Call) -> Plain:
        if request.page_size == 404:
            raise NotFound("no", reason="NO", metadata={"page_size": "404"})
        return request

    async def always(self, request: Plain, call: Call) -> Plain:
        return await self.raw(request, call)

    async def watch(self, request: Plain, call: Call) -> AsyncIterator[Everything]:
        if request.page_size == 1:
            raise NotFound("no", reason="NO")
        yield VALUE
        raise NotFound("no", reason="NO", metadata={"page_size": "404"})


def edge_of(act: Callable[[Call], None] = lambda call: None, codecs: Any = DEFAULT_CODECS, **format: Any) -> Edge:
    return Edge(
        Dispatcher([Things(act)], app=AppInfo("f")),
        codecs,
        format=Format(**format),
        limits=Live(Limits(max_body=100_000)),
    )


async def ask(edge: Edge, method: str, target: str, body: bytes = b"", **headers: str) -> Response:
    path, _, query = target.partition("?")
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    if body and "content_type" not in headers:
        pairs.append((b"content-type", b"application/json"))
    request = Request(method, path, query, pairs, Peer("10.0.0.1:5"))
    try:
        return await edge.answer(request, edge.match(request), body)
    except Error as error:
        return edge.refuse(error)


async def events(edge: Edge, target: str, accept: str) -> tuple[int, bytes]:
    """Runs a stream through the ASGI front."""
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(event: Any) -> None:
        sent.append(event)

    path, _, query = target.partition("?")
    scope = {
        "type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "query_string": query.encode(),
        "headers": [(b"accept", accept.encode())], "extensions": {"kratos.cancels": {}},
    }  # fmt: skip
    await ASGIFront(edge)(scope, receive, send)
    return sent[0]["status"], b"".join(event.get("body", b"") for event in sent)


OPTIONS = {
    "default": (JsonOptions(), {"aColor": "COLOR_RED", "anInt64": "9223372036854775807"}, {"pageSize": 0}),
    "no zeros": (JsonOptions(zero_values=False), {"aColor": "COLOR_RED", "anInt64": "9223372036854775807"}, {}),
    "proto names": (
        JsonOptions(names="proto"), {"a_color": "COLOR_RED", "an_int64": "9223372036854775807"}, {"page_size": 0},
    ),
    "numbers": (JsonOptions(enums="number"), {"aColor": 1, "anInt64": "9223372036854775807"}, {"pageSize": 0}),
}  # fmt: skip


@pytest.mark.parametrize("name", OPTIONS)
async def test_options_count_everywhere(name: str) -> None:
    """Every option of JSON, in replies, errors, envelopes and streams alike; metadata is nobody's field names."""
    options, optionals, zeros = OPTIONS[name]
    body = JsonCodec(options).encode(VALUE)
    for envelope in (None, Envelope()):
        edge = edge_of(json=options, envelope=envelope)
        reply = json.loads((await ask(edge, "POST", "/echo", body)).body)
        reply = reply if envelope is None else reply["data"]
        assert reply["optionals"] == optionals
        assert {key: reply[key] for key in ("pageSize", "page_size") if key in reply} == zeros
        error = json.loads((await ask(edge, "GET", "/always?page_size=404")).body)
        assert (error["code"], error["reason"], error["metadata"]) == (404, "NO", {"page_size": "404"})
        status, sse = await events(edge, "/watch", "text/event-stream")
        message, failure = [json.loads(part.partition(b"data: ")[2]) for part in sse.strip().split(b"\n\n")]
        assert (status, message["optionals"], failure["metadata"]) == (200, optionals, {"page_size": "404"})
        _, lines = await events(edge, "/watch", "application/x-ndjson")
        first, last = [json.loads(line) for line in lines.splitlines()]
        assert (first["optionals"], last["error"]["reason"]) == (optionals, "NO")


async def test_options_count_for_lone_fields_and_unknown_keys() -> None:
    """A field that is the body follows the options, also where another encoding was asked for; so does the request."""
    edge = edge_of(json=JsonOptions(enums="number", unknown="reject"))
    for accept in ("application/json", "application/proto"):
        response = await ask(edge, "POST", "/field", b'{"colors": ["COLOR_RED"]}', accept=accept)
        assert (response.body, response.headers[0][1]) == (b"[1]", b"application/json")
    response = await ask(edge, "POST", "/echo", b'{"nope": 1}')
    assert (response.status, json.loads(response.body)["reason"]) == (400, "CODEC")


async def test_envelope() -> None:
    """Replies and errors have an object around them; the status stays true, zeros and strings of integers intact."""
    edge = edge_of(envelope=Envelope(code="ret", message="msg", data="body", success=200, text="ok"))
    response = await ask(edge, "GET", "/always?page_size=3")
    whole = json.loads(response.body)
    assert (list(whole), whole["ret"], whole["msg"], whole["body"]["pageSize"]) == (
        ["ret", "msg", "body"],
        200,
        "ok",
        3,
    )
    response = await ask(edge, "GET", "/always?page_size=404")
    assert response.status == 404
    assert json.loads(response.body) == {
        "ret": 404, "msg": "no", "body": None, "reason": "NO", "metadata": {"page_size": "404"},
    }  # fmt: skip
    assert json.loads((await ask(edge, "GET", "/nope")).body)["ret"] == 404
    for target in ("/raw?page_size=3", "/raw?page_size=404"):
        assert "ret" not in json.loads((await ask(edge, "GET", target)).body)
    status, body = await events(edge, "/watch?page_size=1", "text/event-stream")
    assert (status, json.loads(body)["code"]) == (404, 404)
    proto = await ask(edge, "POST", "/echo", b"{}", accept="application/proto")
    assert Everything.from_binary(proto.body) == Everything()


async def test_a_method_may_ask_for_its_envelope() -> None:
    """The proto's option wraps where the server does not."""
    assert json.loads((await ask(edge_of(), "GET", "/always")).body)["code"] == 0
    assert "data" not in json.loads((await ask(edge_of(), "GET", "/raw")).body)
    assert json.loads((await ask(edge_of(), "GET", "/always?page_size=404")).body)["data"] is None


def test_envelopes_are_checked_and_unwrapped() -> None:
    """Names differ; what is no envelope is told from one; the schemas say what is sent."""
    with pytest.raises(ValueError, match="different names"):
        Envelope(data="code")
    with pytest.raises(ValueError, match="different names"):
        Envelope(message="reason")
    envelope = Envelope(code="ret")
    assert json.loads(envelope.unwrap(envelope.wrap(b'{"a":"9"}'))) == {"a": "9"}
    assert envelope.unwrap(b'{"ret":0,"data":null}') == b""
    for body in (b"[]", b"{", b"[" * 100_000, b'{"ret":0}'):
        with pytest.raises(InternalServer, match="no envelope"):
            envelope.unwrap(body)
        assert body == b'{"ret":0}' or envelope.unwrap_error(body) == body
    error = NotFound("no", reason="NO", metadata={"a": "b"})
    assert json.loads(envelope.unwrap_error(envelope.wrap_error(error))) == {
        "code": 404, "message": "no", "reason": "NO", "metadata": {"a": "b"},
    }  # fmt: skip
    schema = {"type": "object"}
    assert envelope.reply(schema)["properties"]["data"] == schema
    assert set(envelope.error({"properties": {"metadata": {"x": 1}}})["required"]) == {
        "ret", "message", "data", "reason", "metadata",
    }  # fmt: skip
    assert wrapping(envelope, WATCH) is None


LONG = json.dumps({"lists": {"strings": ["abc" * 10] * 100}}).encode()


@pytest.mark.parametrize(
    ("accept", "coding"),
    [
        ("gzip", "gzip"),
        ("deflate", "deflate"),
        ("gzip, deflate, br", "gzip"),
        ("br;q=1.0, gzip;q=0.5, *;q=0.1", "gzip"),
        ("deflate, gzip;q=0.5", "deflate"),
        ("*", "gzip"),
        ("gzip;q=0, *", "deflate"),
        ("identity, gzip;q=0.5", None),
        ("gzip;q=0", None),
        ("gzip;q=nonsense", None),
        ("br", None),
        ("", None),
    ],
)
async def test_compression(accept: str, coding: str | None) -> None:
    """The coding with the best quality that we have; caches are told that it depends on the request."""
    response = await ask(edge_of(), "POST", "/echo", LONG, accept_encoding=accept)
    headers = dict(response.headers)
    assert headers.get(b"content-encoding") == (None if coding is None else coding.encode())
    assert headers[b"vary"] == b"accept-encoding"
    plain = {"gzip": gzip.decompress, "deflate": zlib.decompress}.get(coding or "", bytes)(response.body)
    assert len(json.loads(plain)["lists"]["strings"]) == 100


async def test_what_is_not_compressed() -> None:
    """Small bodies, bodies that have a coding or forbid one, and servers that do not want it."""
    for edge, body in ((edge_of(), b"{}"), (edge_of(compress_over=None), LONG)):
        response = await ask(edge, "POST", "/echo", body, accept_encoding="gzip")
        assert not {b"vary", b"content-encoding"} & dict(response.headers).keys()
    for name, value in (("content-encoding", "x-own"), ("cache-control", "no-transform")):
        edge = edge_of(lambda call, name=name, value=value: call.reply.headers.set(name, value))  # type: ignore[misc]
        response = await ask(edge, "POST", "/echo", LONG, accept_encoding="gzip")
        assert json.loads(response.body)["lists"]


async def test_an_etag_is_weak_then() -> None:
    """Compressed bytes are others than those that the handler named; large ones are compressed in a thread."""
    edge = edge_of(lambda call: call.reply.headers.set("etag", '"a"'))
    response = await ask(edge, "POST", "/echo", LONG, accept_encoding="gzip")
    assert (b"etag", b'W/"a"') in response.headers
    big = json.dumps({"lists": {"strings": ["abc" * 1000] * 30}}).encode()
    edge = Edge(
        Dispatcher([Things()]),
        DEFAULT_CODECS,
        format=Format(compress_over=0),
        limits=Live(Limits(max_body=OFF_LOOP * 4)),
    )
    response = await ask(edge, "POST", "/echo", big, accept_encoding="gzip")
    assert len(gzip.decompress(response.body)) > 80_000


@pytest.mark.parametrize(
    ("coding", "pack"),
    [
        ("gzip", gzip.compress),
        ("x-gzip", lambda data: gzip.compress(data[:5]) + gzip.compress(data[5:])),
        ("deflate", zlib.compress),
        ("Deflate", lambda data: zlib.compress(data, wbits=-15)),
        ("identity", bytes),
    ],
)
async def test_compressed_requests(coding: str, pack: Callable[[bytes], bytes]) -> None:
    """Requests in every usual coding are read, several members and the bare form of deflate included."""
    response = await ask(edge_of(), "POST", "/echo", pack(b'{"pageSize": 7}'), content_encoding=coding)
    assert json.loads(response.body)["pageSize"] == 7


@pytest.mark.parametrize(
    ("coding", "body", "status"),
    [
        ("gzip", gzip.compress(b"\0" * 100_001, mtime=0), 413),
        ("gzip", gzip.compress(b"\0" * 60_000, mtime=0) * 2, 413),
        ("deflate", zlib.compress(b"\0" * 50_000_000), 413),
        ("gzip", gzip.compress(b"{}", mtime=0)[:-4], 400),
        ("gzip", b"nonsense", 400),
        ("gzip", gzip.compress(b"{}", mtime=0) + b"rest", 400),
        ("deflate", b"x", 400),
        ("br", b"{}", 415),
        ("gzip, gzip", b"{}", 415),
    ],
)
async def test_bad_compression(coding: str, body: bytes, status: int) -> None:
    """Bombs are refused before they go off, what is broken is a 400, unknown codings a 415 that names the known."""
    response = await ask(edge_of(), "POST", "/echo", body, content_encoding=coding)
    assert response.status == status
    assert (dict(response.headers).get(b"accept-encoding") == b"gzip, deflate") == (status == 415)


@given(st.binary(max_size=300), st.sampled_from(["gzip", "deflate"]))
def test_inflating_noise(data: bytes, coding: str) -> None:
    """Whatever comes, it is bytes or an error, and never more than the limit."""
    refused = None
    try:
        assert len(inflate(data, coding, 100)) <= 100
    except Error as error:
        refused = error.code
    assert refused in (None, 400, 413)


def test_many_codings() -> None:
    """A header of thousands of codings is read to some point."""
    assert preferred(["br, " * 10_000 + "gzip"]) is None


@pytest.mark.parametrize("status", [201, 202, 204, 205, 304, 301, 302, 303, 307, 308])
async def test_statuses(status: int) -> None:
    """The handler's status counts; where there is no body, none is sent, nor its type."""

    def act(call: Call) -> None:
        if 300 < status < 304 or status > 304:
            call.reply.redirect("../a?b=é", status)
        else:
            call.reply.status = status

    response = await ask(edge_of(act), "POST", "/echo", b"{}")
    assert response.status == status
    empty = status not in (201, 202)
    assert (response.body == b"") == empty
    assert (b"content-type" in dict(response.headers)) != empty
    assert dict(response.headers).get(b"location") == (b"../a?b=%C3%A9" if status > 300 and status != 304 else None)


async def test_headers_and_cookies() -> None:
    """Several values of one name are several lines; cookies are written and read."""
    seen: list[dict[str, str]] = []

    def act(call: Call) -> None:
        seen.append(call.cookies)
        call.reply.headers.add("X-Many", "1")
        call.reply.headers.add("x-many", "2")
        call.reply.set_cookie("a", "b;c", max_age=60)
        call.reply.set_cookie("d", "é", secure=False, http_only=False, same_site="strict", path="", domain="x.org")
        call.reply.delete_cookie("old")

    response = await ask(edge_of(act), "POST", "/echo", b"{}", cookie='a=1; b="x y"; c=%C3%A9; a=2; broken')
    assert seen == [{"a": "1", "b": "x y", "c": "é"}]
    assert [value for name, value in response.headers if name == b"x-many"] == [b"1", b"2"]
    assert [value.decode() for name, value in response.headers if name == b"set-cookie"] == [
        "a=b%3Bc; Max-Age=60; Path=/; Secure; HttpOnly; SameSite=Lax",
        "d=%C3%A9; Domain=x.org; SameSite=Strict",
        "old=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Lax",
    ]


async def test_other_codecs_are_served() -> None:
    """A codec that the server is given is spoken both ways, errors included."""
    edge = edge_of(codecs=DEFAULT_CODECS.with_(YamlCodec()))
    response = await ask(
        edge, "POST", "/echo", b"pageSize: 7", content_type="application/yaml", accept="application/yaml"
    )
    assert b"pageSize: 7\n" in response.body
    assert (
        b"code: 404\nreason: 'NO'\n" in (await ask(edge, "GET", "/raw?page_size=404", accept="application/yaml")).body
    )
