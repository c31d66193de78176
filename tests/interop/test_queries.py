"""One query, two servers: what strangers write means to us what it means to Kratos for Go, or we say why not."""

from __future__ import annotations

import json
from http.client import RemoteDisconnected
from typing import Any

import pytest
from protobuf.wkt import BytesValue, Duration, FieldMask, Int32Value

from interop.conftest import OurServer
from interop.contract import Color, Thing
from interop.peer import GoServer
from interop.plain import said, seen_in

pytestmark = pytest.mark.interop

SAME: dict[str, Thing] = {
    "an_int32=5&leaf.page_size=3&other_leaf.title=t": Thing.from_json(
        '{"anInt32": 5, "leaf": {"pageSize": 3}, "otherLeaf": {"title": "t"}}'
    ),
    "otherName=a": Thing(renamed="a"),
    "labels[a]=1&labels%5Bb%5D=2": Thing(labels={"a": "1", "b": "2"}),
    "labels.a=1": Thing(labels={"a": "1"}),
    "labels[]=1": Thing(labels={"": "1"}),
    "words[]=a&words[]=b": Thing(words=["a", "b"]),
    "words[0]=a": Thing(words=["a"]),  # of several indices Go takes the values in any order
    "words=": Thing(words=[""]),
    "aColor=2": Thing(a_color=Color.GREEN),
    "aBool=T&flags=0&flags=true": Thing(a_bool=True, flags=[False, True]),
    "aDuration=1m30.5s": Thing(a_duration=Duration(seconds=90, nanos=500_000_000)),
    "aFloat=1e3": Thing(a_float=1000.0),
    "int32Value=5": Thing(int32_value=Int32Value(value=5)),
    "bytesValue=-_8%3D": Thing(bytes_value=BytesValue(value=b"\xfb\xff")),
    "aBytes=%2B%2F8%3D": Thing(a_bytes=b"\xfb\xff"),
    "aMask=name,leaf.pageSize": Thing(a_mask=FieldMask(paths=["name", "leaf.page_size"])),
    "aMask=name,leaf.page_size": Thing(a_mask=FieldMask(paths=["name", "leaf.page_size"])),
    "nothing=1&words=a": Thing(words=["a"]),
    "choice=1": Thing(),
    "anInt32=&boolValue=&leaf=": Thing(),
    "a;b=1&words=x": Thing(words=["x"]),
}
"""What both read, and as the same."""

REFUSED = [
    "anInt32=x",
    "anInt32=5.0",
    "anInt32=+5",
    "anInt32=2147483648",
    "anInt32=1&anInt32=2",
    "maybe=a&maybe=b",
    "text=a&number=1",
    "aBool=2",
    "flags=yes",
    "numbers=",
    "aColor=MAUVE",
    "aTime=today",
    "aDuration=soon",
    "counts[a]=x",
    "byNumber[a]=x",
]
"""What both refuse, with the same status and reason."""

DIFFERENT: dict[str, tuple[int | None, Thing | int, str]] = {
    "aBytes=-_8%3D": (
        400,
        Thing(a_bytes=b"\xfb\xff"),
        "row 17: Go's own client writes this alphabet, its server refuses it",
    ),
    "blobs=YQ": (400, Thing(blobs=[b"a"]), "base64 for URLs has no padding in most libraries"),
    "words=%zz": (200, Thing(words=["%zz"]), "Go drops the parameter without a word; no text is lost here"),
    "words=%ff": (500, 400, "Go takes the bytes and fails with its reply; it is the request that is wrong"),
    "aTime=null": (None, 400, "row 4: Go's handler panics and drops the connection"),
    "leaf.nothing=2": (
        200,
        Thing(),
        "Go makes an empty leaf of an unknown parameter; unknown ones are ignored wholly here",
    ),
    "labels.a.b=1": (400, Thing(labels={"a.b": "1"}), "keys with dots are keys"),
    "leaf=1": (400, Thing(), "what leads to no value is unknown, and unknown parameters are ignored"),
    "name.x=1": (400, Thing(), "the same"),
    "labels=1": (400, Thing(), "the same"),
}
"""What Go answers, what we do, and why: every difference that is known."""


async def ask(address: str, query: str) -> tuple[int, bytes]:
    status, _, body = await said(address, "GET", f"/v1/things?{query}", Accept="application/protojson")
    return status, body


@pytest.mark.parametrize("query", SAME)
async def test_same(our_server: OurServer, go_server: GoServer, query: str) -> None:
    """Both see the same request."""
    for address in (go_server.http, our_server.http):
        status, body = await ask(address, query)
        assert status == 200, body
        assert seen_in(body) == SAME[query]


@pytest.mark.parametrize("query", REFUSED)
async def test_refused(our_server: OurServer, go_server: GoServer, query: str) -> None:
    """Both refuse it alike."""
    for address in (go_server.http, our_server.http):
        status, body = await ask(address, query)
        error: dict[str, Any] = json.loads(body)
        assert (status, error.get("code"), error.get("reason")) == (400, 400, "CODEC"), body


@pytest.mark.parametrize("query", DIFFERENT)
async def test_different(our_server: OurServer, go_server: GoServer, query: str) -> None:
    """The difference is there, and the one that was written down: once Go changes, so may we."""
    theirs, ours, why = DIFFERENT[query]
    if theirs is None:
        with pytest.raises(RemoteDisconnected):
            await ask(go_server.http, query)
    else:
        assert (await ask(go_server.http, query))[0] == theirs
    status, body = await ask(our_server.http, query)
    if isinstance(ours, int):
        assert status == ours, why
    else:
        assert status == 200, why
        assert seen_in(body) == ours, why
