"""metadata(): what arrives, what is sent, what goes on to the next hop."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from fixtures.gen.fixture.kinds.v1.kinds_kratos import KINDS_ECHO, KindsClient
from fixtures.gen.fixture.kinds.v1.kinds_pb import Ping, Pong
from hypothesis import given
from hypothesis import strategies as st
from roundtrip.service import Kinds

from kratos.call import Call, Peer
from kratos.errors import ClientError
from kratos.handler import Handler
from kratos.metadata import Metadata
from kratos.middleware import metadata
from kratos.middleware.metadata import decoded, encoded
from kratos.testing import serve


def call_of(side: Literal["server", "client"] = "server", headers: Any = (), parent: Call | None = None) -> Call:
    return Call(KINDS_ECHO, kind="test", side=side, headers=Metadata(headers), parent=parent, peer=Peer("10.0.0.7:1"))


async def passed(middleware: Any, call: Call) -> Call:
    """Returns the call as it is after the middleware."""

    async def handler(request: Any, call: Call) -> Any:
        return request

    assert await middleware("request", call, handler) == "request"
    return call


async def arrived(headers: Any, *args: Any, **options: Any) -> list[tuple[str, str]]:
    return (await passed(metadata(*args, **options), call_of("server", headers))).metadata.items()


async def test_headers_with_the_prefix_arrive() -> None:
    """Every value of every x-md- header, whatever its case, and nothing else."""
    headers = [("X-Md-Global-Tenant", "t1"), ("accept", "*/*"), ("x-md-local-a", "1"), ("X-MD-Local-A", "2")]
    assert await arrived(headers) == [("x-md-global-tenant", "t1"), ("x-md-local-a", "1"), ("x-md-local-a", "2")]
    assert await arrived([("not-x-md-a", "1")]) == []


async def test_undecoded_headers_arrive() -> None:
    """Headers as a server has them, in bytes, are read too."""
    call = call_of()
    call.headers = Metadata.from_raw([(b"accept", b"*/*"), (b"x-md-a", b"%E4%BD%A0"), (b"x-md-b", "ü".encode())])
    assert (await passed(metadata(), call)).metadata.items() == [("x-md-a", "你"), ("x-md-b", "ü")]


async def test_constants_on_the_server() -> None:
    """Constants are there, and a caller cannot replace them."""
    constants = {"x-md-local-zone": "a"}
    assert await arrived([], constants) == [("x-md-local-zone", "a")]
    headers = [("x-md-local-zone", "evil"), ("x-md-b", "2")]
    assert await arrived(headers, constants) == [("x-md-local-zone", "a"), ("x-md-b", "2")]


async def test_constants_are_not_shared_between_calls() -> None:
    """What one call adds to its metadata is not seen by the next."""
    middleware = metadata({"x-md-a": "1"})
    first = await passed(middleware, call_of())
    first.metadata.set("x-md-a", "2")
    second = await passed(middleware, call_of())
    assert second.metadata.get("x-md-a") == "1"


@pytest.mark.parametrize(
    ("trusted", "expected"),
    [
        (True, ["t1"]),
        (False, []),
        (lambda call: call.peer.address.startswith("10."), ["t1"]),
        (lambda call: False, []),
    ],
)
async def test_trust(trusted: Any, expected: list[str]) -> None:
    """Metadata of a caller who is not trusted does not count, constants do."""
    middleware = metadata({"x-md-a": "1"}, trusted=trusted)
    call = await passed(middleware, call_of("server", {"x-md-global-tenant": "t1"}))
    assert call.metadata.values("x-md-global-tenant") == expected
    assert call.metadata.get("x-md-a") == "1"
    bare = await passed(metadata(trusted=trusted), call_of("server", {"x-md-global-tenant": "t1"}))
    assert bare.metadata.values("x-md-global-tenant") == expected


async def sent(call: Call, *args: Any, **options: Any) -> list[tuple[str, str]]:
    return (await passed(metadata(*args, **options), call)).headers.items()


async def test_what_a_client_sends() -> None:
    """Constants, the call's own metadata, and of the surrounding call only what is global."""
    parent = call_of()
    parent.metadata.update({"x-md-global-tenant": "t1", "x-md-local-secret": "s"})
    call = call_of("client", parent=parent)
    call.metadata.set("x-md-mine", "m")
    assert await sent(call, {"x-md-const": "c"}) == [
        ("x-md-const", "c"), ("x-md-mine", "m"), ("x-md-global-tenant", "t1"),
    ]  # fmt: skip


async def test_each_key_is_sent_from_one_source() -> None:
    """A header of the caller's own comes first, then constants, the call, and what is inherited."""
    parent = call_of()
    parent.metadata.update([("x-md-global-a", "parent"), ("x-md-global-b", "p"), ("x-md-global-c", "p")])
    parent.metadata.add("x-md-global-d", "1")
    parent.metadata.add("x-md-global-d", "2")
    call = call_of("client", {"x-md-global-a": "caller"}, parent)
    call.metadata.update({"x-md-global-b": "call", "x-md-global-c": "call"})
    constants = {"x-md-global-b": "constant", "x-md-global-a": "constant"}
    expected = [
        ("x-md-global-a", "caller"), ("x-md-global-b", "constant"), ("x-md-global-c", "call"),
        ("x-md-global-d", "1"), ("x-md-global-d", "2"),
    ]  # fmt: skip
    assert await sent(call, constants) == expected
    assert await sent(call, constants) == expected, "a retry sends the same"


async def test_nothing_to_send() -> None:
    """Without metadata the headers stay as they are."""
    assert await sent(call_of("client", {"accept": "*/*"})) == [("accept", "*/*")]


async def test_other_prefixes() -> None:
    """What counts as metadata is a matter of configuration, whatever its case."""
    assert await arrived({"x-corp-a": "1", "x-md-b": "2"}, prefix="X-Corp-") == [("x-corp-a", "1")]
    parent = call_of()
    parent.metadata.update({"x-corp-a": "1", "x-md-global-b": "2"})
    assert await sent(call_of("client", parent=parent), forward="X-Corp-") == [("x-corp-a", "1")]


@pytest.mark.parametrize("side", ["server", "client"])
async def test_size(side: Literal["server", "client"]) -> None:
    """More than the limit is refused with 431, on either side."""
    fits = {"x-md-global-a": "x" * 87}
    with pytest.raises(ClientError) as failure:
        if side == "server":
            assert await arrived(fits, limit=100)
            await arrived({"x-md-global-a": "x" * 88}, limit=100)
        else:
            assert await sent(call_of("client"), fits, limit=100)
            await sent(call_of("client"), {"x-md-global-a": "x" * 88}, limit=100)
    assert (failure.value.code, failure.value.reason) == (431, "METADATA_TOO_LARGE")
    assert str(failure.value).endswith("the metadata of this call has 101 bytes, 100 are allowed")


@given(st.text())
def test_any_text_survives(text: str) -> None:
    """Whatever the value, it is printable ASCII without blanks at its ends on the wire, and arrives as it was."""
    wire = encoded(text)
    assert wire.isascii()
    assert wire.isprintable()
    assert wire == wire.strip()
    assert decoded(wire) == text


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E, exclude_characters="%")))
def test_plain_text_is_left_alone(text: str) -> None:
    """A peer that knows nothing of the encoding reads plain values as they are."""
    if text == text.strip():
        assert encoded(text) == text
    assert decoded(text) == text


@pytest.mark.parametrize(
    ("wire", "text"),
    [
        ("100%", "100%"),
        ("a%41", "a%41"),  # encoded() would not have written it like this
        ("%zz", "%zz"),
        ("%FF", "%FF"),  # no UTF-8
        ("%e4%bd%a0", "%e4%bd%a0"),
        ("\xe4\xbd\xa0", "你"),  # somebody's plain UTF-8, read as Latin-1
        ("caf\xe9", "café"),
        ("你", "你"),  # in memory nothing has made bytes of it
    ],
)
def test_values_of_other_peers(wire: str, text: str) -> None:
    """What we cannot have written is not decoded."""
    assert decoded(wire) == text


@pytest.mark.parametrize("kind", ["unary", "server", "client", "bidi"])
async def test_three_hops(kind: str) -> None:
    """On every kind global metadata reaches the third hop, local metadata the second, in any language."""
    seen: dict[str, Metadata] = {}

    def noting(hop: str) -> Any:
        async def note(request: Any, call: Call, next: Handler) -> Any:
            seen[hop] = call.metadata
            return await next(request, call)

        return note

    async with serve(Kinds(), middleware=[metadata(), noting("third")], client_middleware=[metadata()]) as back:

        class Middle(Kinds):
            async def echo(self, request: Ping, call: Call) -> Pong:
                await use(KindsClient(back), kind)
                return Pong()

        async with serve(Middle(), middleware=[metadata(), noting("second")], client_middleware=[metadata()]) as conn:
            headers = {"x-md-global-who": encoded("你好, Zoë"), "x-md-local-a": "1"}
            await KindsClient(conn).echo(Ping(), headers=headers)
    assert seen["second"].items() == [("x-md-global-who", "你好, Zoë"), ("x-md-local-a", "1")]
    assert seen["third"].items() == [("x-md-global-who", "你好, Zoë")]


async def use(api: KindsClient, kind: str) -> None:
    if kind == "unary":
        await api.echo(Ping())
    elif kind == "server":
        async with api.watch(Ping(count=1)) as replies:
            assert [reply async for reply in replies]
    elif kind == "client":
        async with api.collect() as stream:
            await stream.reply()
    else:
        async with api.chat() as chat:
            await chat.send(Ping(text="bye"))
            assert [reply async for reply in chat] == []
