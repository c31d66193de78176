"""Who may see what."""

from __future__ import annotations

import pytest
from adminport import WORD

from kratos.admin.access import Access
from kratos.metadata import Metadata

HERE = "127.0.0.1:50000"


def headers(*lines: str) -> Metadata:
    pairs = (line.partition(": ") for line in lines)
    return Metadata.from_raw([(name.strip(": ").encode(), value.encode()) for name, _, value in pairs])


@pytest.mark.parametrize("peer", [HERE, "127.8.9.10:1", "[::1]:1", "[::ffff:127.0.0.1]:1", "unix:"])
@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:9100", "127.0.0.1:9100", "127.0.0.2", "[::1]:9100", "[::1]", "Ops.internal:1"]
)
def test_this_machine(peer: str, host: str) -> None:
    """Who comes from here and asks for here is let in."""
    assert Access(hosts=["ops.internal"]).admits(peer, headers(f"host: {host}"))


@pytest.mark.parametrize(
    "peer", ["", "10.0.0.7:50000", "[::2]:1", "[fe80::1]:1", "127.0.0.1.evil:1", "[::1:1", "0.0.0.0:1", "127.0.0.6:1"]
)
def test_other_machines(peer: str) -> None:
    """Who comes from elsewhere is not, whatever they ask for."""
    assert not Access().admits(peer, headers("host: localhost"))


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:9100", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.7",
     "0.0.0.0:9100", "localhost:9100@evil", "evil@localhost", "[::1", "[::1]x",
     "localhost:", ":9100", "", "[::2]:1", "ops.internal"],
)  # fmt: skip
def test_other_names(host: str) -> None:
    """DNS rebinding: a page that has got this address under a name of its own gets nothing."""
    assert not Access().admits(HERE, headers(f"host: {host}"))


@pytest.mark.parametrize(
    "lines", [[], ["host: localhost", "host: localhost"], ["host: localhost", "host: evil.example"]]
)
def test_not_one_name(lines: list[str]) -> None:
    """No name, or two of them, is none."""
    assert not Access().admits(HERE, headers(*lines))


@pytest.mark.parametrize(
    "line",
    ["x-forwarded-for: 127.0.0.1", "x-forwarded-for: 10.0.0.7", "forwarded: for=127.0.0.1", "via: 1.1 nginx",
     "x-real-ip: 127.0.0.1", "x-forwarded-host: localhost", "x-forwarded-proto: https", "x-envoy-attempt-count: 1",
     "x-forwarded-client-cert: By=x"],
)  # fmt: skip
def test_proxies(line: str) -> None:
    """What a proxy on this machine brings is not from this machine; and what it says makes nobody local."""
    raw = headers("host: localhost", line)
    assert not Access().admits(HERE, raw)
    assert not Access().admits("10.0.0.7:1", raw)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_token(scheme: str) -> None:
    """The token opens from anywhere, by any name and by proxies."""
    said = headers("host: evil.example", f"authorization: {scheme} {WORD}", "x-forwarded-for: 10.0.0.7")
    assert Access(WORD).admits("10.0.0.7:1", said)
    assert not Access().admits("10.0.0.7:1", said)


@pytest.mark.parametrize(
    "lines",
    [[], [f"authorization: Basic {WORD}"], [f"authorization: {WORD}"], ["authorization: Bearer"],
     ["authorization: Bearer "], [f"authorization: Bearer {WORD}x"], [f"authorization: Bearer {WORD[:-1]}"],
     [f"authorization: Bearer x{WORD}"], [f"authorization: Bearer {WORD}", f"authorization: Bearer {WORD}"],
     ["authorization: Bearer ünïcödé-ünïcödé"]],
)  # fmt: skip
def test_wrong_tokens(lines: list[str]) -> None:
    """Nothing else does."""
    assert not Access(WORD).admits("10.0.0.7:1", headers("host: localhost", *lines))


@pytest.mark.parametrize(
    "token", ["", "short", " " * 20, "0123456789 abcdef", "0123456789abcdé" * 2, "0123456789abcdef\n"]
)
def test_tokens_that_are_none(token: str) -> None:
    """A token that can be guessed, or not be sent, is refused at the start."""
    with pytest.raises(ValueError, match="token"):
        Access(token)


@pytest.mark.parametrize(
    ("lines", "may"),
    [
        (["x-kratos-admin: 1"], True),
        (["x-kratos-admin:"], True),
        (["origin: http://localhost:9100", "sec-fetch-site: same-origin"], True),
        (["origin: http://localhost:9100"], True),
        ([f"authorization: Bearer {WORD}"], True),
        ([], False),
        (["sec-fetch-site: same-origin"], False),
        (["origin: null"], False),
        (["origin: https://localhost:9100"], False),
        (["origin: http://localhost:8000"], False),
        (["origin: http://evil.example", "x-kratos-admin: 1"], False),
        (["origin: http://evil.example", f"authorization: Bearer {WORD}"], False),
        (["sec-fetch-site: cross-site", "x-kratos-admin: 1"], False),
        (["sec-fetch-site: same-site", "origin: http://localhost:9100"], False),
    ],
)
def test_changes(lines: list[str], may: bool) -> None:
    """A page of another site, open in the same browser, changes nothing."""
    assert Access(WORD).may_change(headers("host: localhost:9100", *lines), "http") is may
