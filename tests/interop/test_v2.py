"""What Kratos v2 for Go sends and expects, by hand: ``application/json`` in protobuf's form, and no Accept."""

from __future__ import annotations

import json

import pytest

from interop.conftest import OurServer
from interop.contract import Color, Leaf, Thing
from interop.plain import said, seen_in
from interop.things import FULL

pytestmark = pytest.mark.interop


async def test_request_and_reply(our_server: OurServer) -> None:
    """Every field there is, zeros and nulls among them, in protobuf's JSON under the plain name."""
    body = FULL.to_json(always_emit_implicit=True)
    status, headers, answer = await said(our_server.http, "POST", "/v1/things", body, Content_Type="application/json")
    assert (status, headers["content-type"]) == (200, "application/json")
    assert seen_in(answer) == FULL
    shown = json.loads(answer)["thing"]
    assert (shown["aUint64"], shown["aColor"], shown["aTime"][:4]) == (str(2**64 - 1), "COLOR_GREEN", "0001")


async def test_nulls_and_unknown_fields(our_server: OurServer) -> None:
    """v2 writes null for messages that are not set, and newer peers know fields that we do not."""
    body = (
        '{"name":"a","leaf":null,"aTime":null,"boolValue":null,"words":null,"newField":{"x":[1]},"a_color":"COLOR_RED"}'
    )
    _, _, answer = await said(
        our_server.http, "POST", "/v1/things", body, Content_Type="application/json; charset=utf-8"
    )
    assert seen_in(answer) == Thing(name="a", a_color=Color.RED)


async def test_query_without_accept(our_server: OurServer) -> None:
    """A GET of v2 names nothing at all."""
    status, headers, answer = await said(our_server.http, "GET", "/v1/things/a?leaf.pageSize=3&leaf.tags=x&leaf.tags=y")
    assert (status, headers["content-type"]) == (200, "application/json")
    assert seen_in(answer) == Thing(name="a", leaf=Leaf(page_size=3, tags=["x", "y"]))


async def test_error(our_server: OurServer) -> None:
    """v2 decodes errors by protobuf's JSON rules; metadata may be empty."""
    body = '{"code":451,"reason":"WITHHELD","message":"m","metadata":{"k":"v"}}'
    status, headers, answer = await said(our_server.http, "POST", "/v1/fail", body, Content_Type="application/json")
    assert (status, headers["content-type"]) == (451, "application/json")
    assert json.loads(answer) == {"code": 451, "reason": "WITHHELD", "message": "m", "metadata": {"k": "v"}}
