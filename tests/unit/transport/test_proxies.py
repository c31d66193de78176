"""Who is really calling."""

from __future__ import annotations

import pytest

from kratos.transport.http.proxies import Proxies

TRUSTED = Proxies(["10.0.0.0/8", "::1", "fd00::/8"])


def forwarded(*values: str, name: str = "x-forwarded-for") -> list[tuple[bytes, bytes]]:
    return [(b"host", b"x"), *((name.encode(), value.encode()) for value in values)]


@pytest.mark.parametrize(
    ("peer", "hops", "client"),
    [
        ("10.0.0.1", ["1.2.3.4"], "1.2.3.4"),
        ("10.0.0.1", ["6.6.6.6, 1.2.3.4"], "1.2.3.4"),  # the first one is the client's own claim
        ("10.0.0.1", ["1.2.3.4, 10.0.0.2, 10.1.1.1"], "1.2.3.4"),
        ("10.0.0.1", ["6.6.6.6", "1.2.3.4, 10.0.0.2"], "1.2.3.4"),
        ("1.2.3.4", ["6.6.6.6"], "1.2.3.4"),  # who is not trusted speaks for itself
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("10.0.0.1", ["10.0.0.9"], "10.0.0.9"),  # all are trusted: the farthest
        ("10.0.0.1", ["unknown, 10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", ["1.2.3.4, garbage"], "10.0.0.1"),
        ("10.0.0.1", ["1.2.3.4:5678"], "1.2.3.4"),
        ("10.0.0.1", ["[2001:db8::1]:5678"], "2001:db8::1"),
        ("::1", ["2001:db8::1"], "2001:db8::1"),
        ("::ffff:10.0.0.1", ["1.2.3.4"], "1.2.3.4"),
        ("", ["1.2.3.4"], ""),
    ],
)
def test_x_forwarded_for(peer: str, hops: list[str], client: str) -> None:
    """The client is the last address that no trusted proxy vouches for."""
    assert TRUSTED.client(peer, forwarded(*hops)) == client


@pytest.mark.parametrize(
    ("value", "client"),
    [
        ("for=1.2.3.4", "1.2.3.4"),
        ('For="[2001:db8::1]:4711"; proto=https', "2001:db8::1"),
        ("for=6.6.6.6;proto=http, for=1.2.3.4, for=10.0.0.3;by=10.0.0.1", "1.2.3.4"),
        ("for=_hidden, for=10.0.0.2", "10.0.0.2"),
        ("proto=https", "10.0.0.1"),
    ],
)
def test_forwarded(value: str, client: str) -> None:
    """The standard's header is read, and goes before the usual one."""
    headers = [*forwarded(value, name="forwarded"), *forwarded("9.9.9.9")]
    assert TRUSTED.client("10.0.0.1", headers) == client


def test_unix_sockets() -> None:
    """A proxy on a Unix socket is trusted if it was named; nobody else is by that."""
    assert Proxies(["unix:"]).client("unix:", forwarded("1.2.3.4, unix:")) == "unix:"
    assert Proxies(["unix:"]).client("unix:", forwarded("1.2.3.4")) == "1.2.3.4"
    assert Proxies(["unix:"]).client("10.0.0.1", forwarded("1.2.3.4")) == "10.0.0.1"
    assert TRUSTED.client("unix:", forwarded("1.2.3.4")) == "unix:"
    assert Proxies(["unix:"])
    assert not Proxies([])


def test_wrong_addresses() -> None:
    """What is no network is refused, and one string is no list."""
    with pytest.raises(ValueError, match="'proxy.local' is no address or network of a proxy"):
        Proxies(["proxy.local"])
    with pytest.raises(TypeError, match="is a list"):
        Proxies("10.0.0.0/8")
