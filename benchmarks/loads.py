"""What is asked of the servers: a greeting, an order of twenty lines, a stream; over HTTP and over gRPC."""

from __future__ import annotations

import json
import urllib.request
from typing import Any
from urllib.parse import quote

import grpc
from measure import Load

__all__ = ["CONNECT_GET", "CONNECT_ORDER", "GET", "ORDER", "SNAKE_ORDER", "STREAM", "UNARY", "events", "streamed"]

SAY_HELLO = "/fixture.helloworld.v1.Greeter/SayHello"
WATCH = "/fixture.kinds.v1.Kinds/Watch"
REPLIES = 100

# What browsers and proxies send along; with those of h2load it makes twelve, pseudo headers not counted.
HEADERS = {
    "accept-language": "en-GB,en;q=0.9",
    "cookie": "session=8f14e45fceea467f95751f2f6b4b5c11",
    "x-request-id": "5f1d8b1e-6a7e-4b5c-9a44-2f6b4b5c1108",
    "x-forwarded-for": "203.0.113.7, 10.0.0.1",
    "x-forwarded-proto": "https",
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
    "x-md-global-tenant": "t1",
    "x-real-ip": "203.0.113.7",
}
HTTP_HEADERS = {**HEADERS, "accept": "application/json", "cache-control": "no-cache"}
JSON_HEADERS = {**HTTP_HEADERS, "content-type": "application/json"}
GRPC_HEADERS = {**HEADERS, "content-type": "application/grpc", "te": "trailers", "grpc-timeout": "5S"}


def order(*, snake: bool) -> dict[str, Any]:
    """Returns an order, with field names as in Python or as in the JSON of protobuf."""
    lines = [
        {
            "sku": f"SKU-{n:05}", "title": f"A thing of kind {n}", "quantity": n, "unit_price_cents": 1999 + n,
            "discount": 0.05 * n,
        }
        for n in range(20)
    ]  # fmt: skip
    whole = {
        "order_id": "8f14e45f-ceea-467f-9575-1f2f6b4b5c11", "customer_id": 1234567890123, "lines": lines,
        "labels": {"channel": "web", "region": "eu-west-1", "campaign": "spring"}, "gift": True,
        "note": "please ring twice",
    }  # fmt: skip
    if snake:
        return whole
    text = json.dumps(whole)
    for name, other in (("order_id", "orderId"), ("customer_id", "customerId"), ("unit_price_cents", "unitPriceCents")):
        text = text.replace(f'"{name}"', f'"{other}"')
    return dict(json.loads(text))


def _opened(port: int, path: str, headers: dict[str, str], body: bytes | None = None) -> bytes:
    asked = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, headers)
    with urllib.request.urlopen(asked, timeout=10) as reply:  # noqa: S310 - our own loopback URL
        return bytes(reply.read())


def _get(path: str) -> Load:
    def check(name: str, port: int) -> None:
        got = json.loads(_opened(port, path, HTTP_HEADERS))
        assert got == {"message": "Hello kratos"}, (name, got)

    return Load(path, HTTP_HEADERS, check, least=len('{"message":"Hello kratos"}'))


def _order(path: str, *, snake: bool) -> Load:
    body = json.dumps(order(snake=snake)).encode()

    def check(name: str, port: int) -> None:
        got = json.loads(_opened(port, path, JSON_HEADERS, body))
        assert len(got["lines"]) == 20, (name, got)
        assert got["lines"][19]["title"] == "A thing of kind 19", (name, got)

    return Load(path, JSON_HEADERS, check, least=20 * len('{"sku":"SKU-00000","title":"A thing of kind 0"}'), body=body)


def _framed(message: bytes) -> bytes:
    return b"\0" + len(message).to_bytes(4, "big") + message


def _unary() -> Load:
    message, good = b"\x0a\x06kratos", b"\x0a\x0cHello kratos"

    def check(name: str, port: int) -> None:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(SAY_HELLO)
            got = call(message, timeout=10)
        assert got == good, (name, got)

    return Load(
        SAY_HELLO, GRPC_HEADERS, check, len(_framed(good)), _framed(message), http1=False, connections=8, streams=16
    )


def streamed(replies: int, connections: int, streams: int) -> Load:
    """Returns calls of a gRPC method that each bring some replies."""
    message = b"\x0a\x06kratos\x10" + bytes([replies])

    def check(name: str, port: int) -> None:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            call: grpc.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream(WATCH)
            got = list(call(message, timeout=10))
        assert len(got) == replies, (name, got)
        assert got[-1] == b"\x0a\x06kratos\x10" + bytes([replies - 1]), (name, got)

    return Load(
        WATCH, GRPC_HEADERS, check, replies * len(_framed(b"\x0a\x06kratos")), _framed(message),
        http1=False, connections=connections, streams=streams, replies=replies,
    )  # fmt: skip


def events(replies: int) -> Load:
    """Returns requests over HTTP that each bring some events."""
    path = f"/kinds/watch?text=kratos&count={replies}"
    headers = {**HTTP_HEADERS, "accept": "text/event-stream"}

    def check(name: str, port: int) -> None:
        got = _opened(port, path, headers)
        assert got.count(b'"text":"kratos"') == replies, (name, got)

    return Load(path, headers, check, least=replies * len('"text":"kratos"'), replies=replies)


GET = _get("/helloworld/kratos")
CONNECT_GET = _get(f"{SAY_HELLO}?connect=v1&encoding=json&message={quote(json.dumps({'name': 'kratos'}))}")
ORDER = _order("/orders", snake=False)
SNAKE_ORDER = _order("/orders", snake=True)
CONNECT_ORDER = _order("/bench.v1.Orders/Place", snake=False)
UNARY = _unary()
STREAM = streamed(REPLIES, connections=4, streams=2)
