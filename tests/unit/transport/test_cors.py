"""CORS: which pages may call, decided as the Fetch standard says."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from kratos.transport.http.cors import CORS, Policy

SHOP = b"https://shop.example"


@pytest.mark.parametrize(
    ("origins", "origin", "allowed"),
    [
        (["https://shop.example"], SHOP, True),
        (["https://Shop.example"], b"https://shop.EXAMPLE", True),
        (["https://shop.example"], b"http://shop.example", False),
        (["https://shop.example"], b"https://shop.example:8443", False),
        (["https://shop.example"], b"https://shop.example.evil", False),
        (["https://*.shop.example"], b"https://a.shop.example", True),
        (["https://*.shop.example"], b"https://a.b.shop.example", True),
        (["https://*.shop.example"], SHOP, False),
        (["https://*.shop.example"], b"https://.shop.example", False),
        (["https://*.shop.example"], b"https://evilshop.example", False),
        (["https://*.shop.example"], b"http://a.shop.example", False),
        (["*"], b"https://anybody.example", True),
        (["*"], b"null", True),
        (["https://shop.example"], b"null", False),
        ([], SHOP, False),
    ],
)
def test_origins(origins: Iterable[str], origin: bytes, allowed: bool) -> None:
    """An origin is scheme, host and port; only a wildcard covers more than one."""
    assert Policy(CORS(origins=origins)).allows(origin) is allowed


def test_rules_may_come_from_a_generator() -> None:
    """What can be read once is kept."""
    assert Policy(CORS(origins=(each for each in ["https://shop.example"]))).allows(SHOP)


def test_replies() -> None:
    """Replies name the origin, and tell caches that they depend on it."""
    policy = Policy(CORS(origins=["https://shop.example"], credentials=True, expose=["x-total", "x-next"]))
    assert policy.reply(SHOP) == [
        (b"access-control-allow-origin", SHOP),
        (b"access-control-allow-credentials", b"true"),
        (b"access-control-expose-headers", b"x-total, x-next"),
        (b"vary", b"Origin"),
    ]
    assert policy.reply(b"https://other.example") == policy.reply(None) == [(b"vary", b"Origin")]


def test_replies_for_everybody() -> None:
    """What everybody may see is the same for all."""
    assert Policy(CORS(origins=["*"])).reply(SHOP) == [(b"access-control-allow-origin", b"*")]
    assert Policy(CORS(origins=["*"])).reply(None) == [(b"access-control-allow-origin", b"*")]


def test_preflight() -> None:
    """The answer to a browser's question has the path's methods and the headers that it asked for."""
    answer = dict(Policy(CORS(origins=["https://shop.example"])).preflight(SHOP, b"x-a,content-type", ["GET", "PUT"]))
    assert answer == {
        b"access-control-allow-origin": SHOP,
        b"access-control-allow-methods": b"GET, PUT",
        b"access-control-allow-headers": b"x-a,content-type",
        b"access-control-max-age": b"600",
        b"vary": b"Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
    }


def test_preflight_with_a_list() -> None:
    """A list of headers is told as it is; without one nothing is told."""
    policy = Policy(CORS(origins=["*"], headers=["Content-Type", "X-A"], max_age=5))
    answer = dict(policy.preflight(SHOP, b"x-b", ["GET"]))
    assert answer[b"access-control-allow-headers"] == b"content-type, x-a"
    assert answer[b"access-control-allow-origin"] == b"*"
    assert answer[b"access-control-max-age"] == b"5"
    assert b"access-control-allow-headers" not in dict(Policy(CORS(origins=["*"])).preflight(SHOP, b"", ["GET"]))


@pytest.mark.parametrize(
    ("origins", "words"),
    [
        (["shop.example"], "'shop.example' is no origin"),
        (["https://shop.example/"], "is no origin"),
        (["https://shop.example/path"], "is no origin"),
        (["https://shop.*"], "is no origin"),
        (["https://a.*.example"], "is no origin"),
    ],
)
def test_wrong_origins(origins: list[str], words: str) -> None:
    """What would never match is refused."""
    with pytest.raises(ValueError, match=words):
        CORS(origins=origins)


def test_dangerous() -> None:
    """Sessions are not opened to everybody, and one string is no list."""
    with pytest.raises(ValueError, match="name the origins"):
        CORS(origins=["*"], credentials=True)
    with pytest.raises(TypeError, match=r"origins=\['\*'\]"):
        CORS(origins="*")
