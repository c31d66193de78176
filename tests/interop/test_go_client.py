"""Kratos for Go calls us: what it says arrives, and it understands what we answer."""

from __future__ import annotations

from typing import Any

import pytest

from interop.contract import Color, Failure, File, Leaf, Seen, Target, Thing
from interop.peer import GoClient, GoServer, from_json
from interop.things import BINDINGS, QUERIES, RAW, text
from kratos.errors import grpc_code, http_code
from kratos.wire.google.api.httpbody_pb import HttpBody

pytestmark = pytest.mark.interop

TOLD = Failure(code=409, reason="TAKEN", message="zzz <&> \u4e2d", metadata={"k": "v", "l": "\u4e2d"})
PROTOJSON = ["application/protojson"]


async def echoed(client: GoClient, rpc: str, request: Thing, **more: Any) -> Seen:
    outcome = await client.call(rpc, request, **more)
    assert outcome.error is None, outcome.error
    reply: Seen
    (reply,) = from_json(Seen, outcome.replies)
    assert reply.rpc == rpc
    return reply


@pytest.mark.parametrize("name", BINDINGS)
async def test_binding(go_client: GoClient, name: str) -> None:
    """Whatever the binding, the request that arrives is the one that was sent."""
    rpc, request = BINDINGS[name]
    assert (await echoed(go_client, rpc, request)).thing == request


@pytest.mark.parametrize("name", QUERIES)
async def test_query(go_web: GoClient, name: str) -> None:
    """Every type arrives through the query as it does in a body."""
    request = Thing(name="q", **QUERIES[name])
    assert (await echoed(go_web, "Get", request)).thing == request


async def test_path_variables_of_other_types(go_client: GoClient) -> None:
    """Numbers, booleans and enums in the path.

    Row 2 of the defects: Go looks path variables up by their JSON names, so its template has to say those.
    """
    request = Thing(an_int64=-(2**63), a_uint32=2**32 - 1, a_bool=True, a_color=Color.GREEN, words=["x"])
    path = "/v1/counts/{anInt64}/{aUint32}/{aBool}/{aColor}"
    assert (await echoed(go_client, "Count", request, path=path)).thing == request


async def test_path_variable_with_presence(go_client: GoClient) -> None:
    """Go says it in the path and again in the body, which its own server refuses (row 9); we do not."""
    request = Thing(maybe="x", words=["y"])
    assert (await echoed(go_client, "Perhaps", request)).thing == request


@pytest.mark.parametrize(
    ("rule", "request_", "verb"),
    [
        (1, Thing(name="a", leaf=Leaf(title="t", tags=["x"]), an_int32=1), "GET"),
        (2, Thing(name="a", leaf=Leaf(title="t", tags=["x"]), an_int32=1), "PUT"),
    ],
)
async def test_additional_binding(go_web: GoClient, rule: int, request_: Thing, verb: str) -> None:
    """The other bindings of a method lead to it, too."""
    assert (await echoed(go_web, "Get", request_, rule=rule)).thing == request_


async def test_head(go_web: GoClient) -> None:
    """A verb of its own; the reply has no body, and its headers tell what was seen."""
    outcome = await go_web.call("Probe", Thing(name="a", an_int32=1))
    assert outcome.error is None
    assert outcome.headers["x-seen-rpc"] == ["Probe"]
    assert outcome.headers["x-seen-name"] == ["a"]


async def test_response_body(go_client: GoClient) -> None:
    """A field of the reply as its body."""
    outcome = await go_client.call("Part", Thing(name="a", leaf=Leaf(title="t", page_size=3)))
    assert outcome.error is None, outcome.error
    (reply,) = from_json(Thing, outcome.replies)
    assert reply.leaf == Leaf(title="t", page_size=3)
    assert reply.name == ("" if go_client.transport == "http" else "a")


async def test_content_type_is_the_one_asked_for(go_web: GoClient) -> None:
    """Go's client picks its codec by the reply's Content-Type, exactly; errors have the same."""
    good = await go_web.call("Get", Thing(name="a"))
    bad = await go_web.call("Fail", TOLD)
    assert good.headers["content-type"] == PROTOJSON
    assert bad.headers["content-type"] == PROTOJSON


async def test_handmade_request(go_web: GoClient) -> None:
    """What a caller of Invoke sends without generated code: Go's JSON of structs, numbers for enums and all."""
    request = Thing(
        name="a",
        an_int64=2**53,
        a_color=Color.GREEN,
        words=["x"],
        a_bytes=RAW,
        leaf=Leaf(page_size=3),
        labels={"k": "v"},
    )
    assert (await echoed(go_web, "Create", request, handmade=True)).thing == request


@pytest.mark.parametrize(
    "code", [400, 401, 402, 403, 404, 405, 409, 412, 418, 422, 429, 451, 499, 500, 501, 502, 503, 504, 511, 599]
)
async def test_error(go_client: GoClient, code: int) -> None:
    """Code, reason, message and metadata arrive; over gRPC the code as far as gRPC has one for it."""
    told = Failure(code=code, reason=f"R{code}", message="zzz <&> \u4e2d", metadata={"k": "v", "l": "\u4e2d"})
    outcome = await go_client.call("Fail", told)
    expected = code if go_client.transport == "http" else http_code(grpc_code(code))
    assert outcome.failed() == (expected, told.reason, told.message, dict(told.metadata))


async def test_error_without_anything(go_client: GoClient) -> None:
    """No reason, no message, no metadata."""
    assert (await go_client.call("Fail", Failure(code=404))).failed() == (404, "", "", {})


@pytest.mark.parametrize(
    ("path", "request_", "code"),
    [
        ("/v1/nothing/here", Thing(), 404),
        ("/v1/counts/x/1/true/COLOR_RED", Thing(), 400),
    ],
)
async def test_error_before_the_service(go_web: GoClient, path: str, request_: Thing, code: int) -> None:
    """What the framework refuses is an error like any other."""
    outcome = await go_web.call("Count", request_, path=path)
    assert outcome.failed()[0] == code
    assert outcome.failed()[1]


async def test_metadata(go_client: GoClient) -> None:
    """What Go's middleware sends is metadata of the call."""
    reply = await echoed(
        go_client,
        "Get",
        Thing(name="a"),
        metadata={"x-md-global-tenant": "t1", "x-md-local-debug": "1", "x-other": "no"},
    )
    assert reply.metadata == {"x-md-global-tenant": "t1", "x-md-local-debug": "1"}


async def test_metadata_on_a_stream(go_client: GoClient) -> None:
    """On streams as well."""
    outcome = await go_client.call("Watch", Thing(name="a", count=1), metadata={"x-md-global-tenant": "t1"})
    (reply,) = from_json(Seen, outcome.replies)
    assert reply.metadata == {"x-md-global-tenant": "t1"}


async def test_metadata_travels_on(go_client: GoClient, go_server: GoServer, transport: str) -> None:
    """From Go through us to Go: the global part goes on, the local part does not, and ours joins."""
    outcome = await go_client.call(
        "Relay",
        Target(transport=transport, address=go_server.address(transport)),
        metadata={"x-md-global-tenant": "t1", "x-md-local-debug": "1"},
    )
    assert outcome.error is None, outcome.error
    (reply,) = from_json(Seen, outcome.replies)
    assert reply.thing == Thing(name="relayed")
    assert reply.metadata == {"x-md-global-tenant": "t1", "x-md-local-from": "relay"}


async def test_headers_and_trailers(go_client: GoClient) -> None:
    """What a handler puts on its reply; HTTP has no trailers."""
    outcome = await go_client.call("Get", Thing(name="a"))
    assert outcome.headers["x-seen-rpc"] == ["Get"]
    assert outcome.trailers.get("x-after") == (["done"] if go_client.transport == "grpc" else None)


async def test_trailers_of_a_stream(go_rpc: GoClient) -> None:
    """A stream of replies has headers before and trailers behind it."""
    outcome = await go_rpc.call("Watch", Thing(name="a", count=2))
    assert outcome.headers["x-seen-rpc"] == ["Watch"]
    assert outcome.trailers["x-after"] == ["done"]


@pytest.mark.parametrize("subtype", ["proto", "json"])
async def test_subtype(go_rpc: GoClient, subtype: str) -> None:
    """``application/grpc+proto`` is what ``application/grpc`` is; JSON by Kratos' codec is answered in JSON."""
    request = BINDINGS["body-full"][1]
    assert (await echoed(go_rpc, "Create", request, subtype=subtype)).thing == request
    assert (await echoed(go_rpc, "Get", Thing(), subtype=subtype)).thing == Thing()
    for rpc in ("Watch", "Collect", "Chat"):
        outcome = await go_rpc.call(rpc, Thing(name="a", count=1), subtype=subtype)
        assert outcome.error is None, outcome.error
        assert [reply.rpc for reply in from_json(Seen, outcome.replies)] == [rpc]
    outcome = await go_rpc.call("Fail", TOLD, subtype=subtype)
    assert outcome.failed() == (409, "TAKEN", TOLD.message, dict(TOLD.metadata))


@pytest.mark.parametrize("rpc", ["Watch", "Follow"])
async def test_replies(go_client: GoClient, rpc: str) -> None:
    """Replies in order: over HTTP as events, whether the request has a body or not."""
    request = Thing(name="a", count=3, words=["two\nlines", "\u4e2d"], leaf=Leaf(title="t"))
    outcome = await go_client.call(rpc, request)
    assert outcome.error is None, outcome.error
    replies = from_json(Seen, outcome.replies)
    assert [(reply.rpc, reply.thing, reply.number) for reply in replies] == [(rpc, request, n) for n in range(3)]


@pytest.mark.parametrize("count", [0, 2])
async def test_replies_that_fail(go_client: GoClient, count: int) -> None:
    """What was sent before the failure arrives before it."""
    outcome = await go_client.call("Follow", Thing(name="a", count=count, failure=TOLD))
    assert len(outcome.replies) == count
    assert outcome.failed() == (409, "TAKEN", TOLD.message, dict(TOLD.metadata))


async def test_no_replies(go_client: GoClient) -> None:
    """A stream of nothing is a stream."""
    outcome = await go_client.call("Watch", Thing(name="a"))
    assert outcome.error is None, outcome.error
    assert outcome.replies == []


async def test_failure_in_the_query(go_web: GoClient) -> None:
    """Messages inside of messages in a query, to the map in there."""
    outcome = await go_web.call("Watch", Thing(name="a", failure=TOLD))
    assert outcome.failed() == (409, "TAKEN", TOLD.message, dict(TOLD.metadata))


@pytest.mark.parametrize("count", [1, 3])
async def test_requests(go_client: GoClient, count: int) -> None:
    """Requests in order, and one reply."""
    requests = [Thing(name=f"n{number}", an_int32=number, words=["x"]) for number in range(count)]
    outcome = await go_client.call("Collect", *requests)
    assert outcome.error is None, outcome.error
    (reply,) = from_json(Seen, outcome.replies)
    assert reply.rpc == "Collect"
    assert reply.things == requests


async def test_no_requests(go_client: GoClient) -> None:
    """A stream of nothing has a reply."""
    outcome = await go_client.call("Collect")
    assert outcome.error is None, outcome.error
    (reply,) = from_json(Seen, outcome.replies)
    assert reply.things == []


async def test_frames_of_one_field(go_web: GoClient) -> None:
    """Each frame is the body field; Go says the rest in the address, where the first request says it for all.

    What is in the path belongs to every request; what is in the query to the first, see ``websocket``.
    """
    requests = [Thing(name="a", an_int32=1, leaf=Leaf(title=title)) for title in ("x", "y")]
    outcome = await go_web.call("Gather", *requests)
    assert outcome.error is None, outcome.error
    (reply,) = from_json(Seen, outcome.replies)
    assert reply.things == [requests[0], Thing(name="a", leaf=Leaf(title="y"))]


@pytest.mark.parametrize("rpc", ["Chat", "Talk"])
async def test_both_ways(go_client: GoClient, rpc: str) -> None:
    """A reply to each request; without a body Go repeats the first in the query, and the others stay what they are."""
    requests = [
        Thing(name=name, words=[name], maybe=name, choice=text(name), leaf=Leaf(title=name))
        for name in ("one", "two", "three")
    ]
    outcome = await go_client.call(rpc, *requests)
    assert outcome.error is None, outcome.error
    replies = from_json(Seen, outcome.replies)
    assert [(reply.rpc, reply.number) for reply in replies] == [(rpc, 0), (rpc, 1), (rpc, 2)]
    assert [reply.thing for reply in replies] == requests


@pytest.mark.parametrize("rpc", ["Collect", "Chat"])
async def test_requests_that_fail(go_client: GoClient, rpc: str) -> None:
    """Over a WebSocket Go gets the error's text and makes nothing of it (row 3); over gRPC it is whole."""
    outcome = await go_client.call(rpc, Thing(name="a"), Thing(failure=TOLD))
    assert len(outcome.replies) == (1 if rpc == "Chat" else 0)
    if go_client.transport == "grpc":
        assert outcome.failed() == (409, "TAKEN", TOLD.message, dict(TOLD.metadata))
    else:
        assert outcome.error is not None
        expected = (
            "error: code = 409 reason = TAKEN message = zzz <&> \u4e2d metadata = map[k:v l:\u4e2d] cause = <nil>"
        )
        assert outcome.error["text"] == expected


@pytest.mark.parametrize(
    ("content_type", "data"),
    [("image/png", RAW), ("text/plain; charset=utf-8", b"hello"), ("application/json", b"[1,2"), ("text/plain", b"")],
)
async def test_raw_bodies(go_client: GoClient, content_type: str, data: bytes) -> None:
    """Bytes of any kind go in, out, and both ways."""
    body = HttpBody(content_type=content_type, data=data)
    upload = await go_client.call("Upload", File(name="a", content=body))
    assert upload.error is None, upload.error
    assert from_json(File, upload.replies) == [File(name="a", content=body)]

    asked = Thing(name="a", a_bytes=data, choice=text(content_type))
    download = await go_client.call("Download", asked)
    assert download.error is None, download.error
    assert from_json(HttpBody, download.replies) == [body]

    extract = await go_client.call("Extract", asked)
    assert extract.error is None, extract.error
    (found,) = from_json(File, extract.replies)
    assert found.content == body

    swap = await go_client.call("Swap", body)
    assert swap.error is None, swap.error
    assert from_json(HttpBody, swap.replies) == [body]


async def test_raw_body_of_no_type(go_web: GoClient) -> None:
    """Bytes that nobody has said anything of are an octet stream, to both."""
    outcome = await go_web.call("Swap", HttpBody(data=RAW))
    assert from_json(HttpBody, outcome.replies) == [HttpBody(content_type="application/octet-stream", data=RAW)]
    outcome = await go_web.call("Download", Thing(name="a", a_bytes=RAW))
    assert from_json(HttpBody, outcome.replies) == [HttpBody(content_type="application/octet-stream", data=RAW)]


async def test_raw_body_that_fails(go_web: GoClient) -> None:
    """The error of a raw method is an error."""
    outcome = await go_web.call("Download", Thing(), path="/v1/nothing")
    assert outcome.failed()[0] == 404


async def test_raw_bodies_in_pieces(go_client: GoClient) -> None:
    """Bytes of any kind as a stream: events and frames of them to Go over HTTP, which knows no other way."""
    pour = await go_client.call("Pour", Thing(name="a", words=["one", "two"]))
    assert pour.error is None, pour.error
    assert [body.data for body in from_json(HttpBody, pour.replies)] == [b"one", b"two"]

    fill = await go_client.call("Fill", *[HttpBody(data=data) for data in (b"one", b"two")])
    assert fill.error is None, fill.error
    (reply,) = from_json(Seen, fill.replies)
    assert reply.thing == Thing(words=["one", "two"])
