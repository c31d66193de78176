"""What others are told to call."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence

import pytest

from kratos.registry.advertise import advertised, is_usable, own_addresses


def ours(*addresses: str) -> object:
    return lambda _target: addresses


NIC = ours("10.0.0.7")
BOTH = ours("fe80::1", "2a00::7", "127.0.0.1", "10.0.0.7", "10.0.0.8")


@pytest.mark.parametrize(
    ("address", "usable"),
    [
        ("10.0.0.0", True),
        ("10.255.255.255", True),
        ("172.16.0.0", True),
        ("172.16.10.1", True),
        ("172.31.255.255", True),
        ("172.15.255.255", True),
        ("172.32.0.0", True),
        ("192.167.255.255", True),
        ("192.168.0.0", True),
        ("192.168.255.255", True),
        ("192.169.0.0", True),
        ("8.8.8.8", True),
        ("1.1.1.1", True),
        ("100.64.0.1", True),
        ("fc00::", True),
        ("fcff:1203:405::", True),
        ("fdff:ffff::", True),
        ("fe00::", True),
        ("2001:4860::8888", True),
        ("::ffff:10.0.0.1", True),
        ("127.0.0.1", False),
        ("127.255.0.3", False),
        ("::ffff:127.0.0.1", False),
        ("169.254.1.1", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("0.0.0.0", False),  # noqa: S104 - nobody listens there
        ("::", False),
        ("::1", False),
        ("fe80::1", False),
        ("fe80::1%eth0", False),
        ("ff02::1", False),
        ("localhost", False),
        ("test", False),
        ("", False),
    ],
)
def test_which_addresses_are_usable(address: str, usable: bool) -> None:
    """Global unicast ones, private ones included, as in Kratos for Go."""
    assert is_usable(address) is usable


@pytest.mark.parametrize(
    ("endpoint", "addresses", "told"),
    [
        ("http://0.0.0.0:8000", BOTH, "http://10.0.0.7:8000"),
        ("grpcs://[::]:9000", BOTH, "grpcs://10.0.0.7:9000"),
        ("http://:8000", BOTH, "http://10.0.0.7:8000"),
        ("grpc://[::]:9000", ours("2a00::7", "fe80::1"), "grpc://[2a00::7]:9000"),
        ("http://127.0.0.1:8000", BOTH, "http://127.0.0.1:8000"),
        ("http://localhost:9001", BOTH, "http://localhost:9001"),
        ("http://[::1]:8000", BOTH, "http://[::1]:8000"),
        ("http://10.1.1.1:8000", BOTH, "http://10.1.1.1:8000"),
        ("http+unix:/run/shop.sock", BOTH, "http+unix:/run/shop.sock"),
        ("test://a", BOTH, "test://a"),
    ],
)
def test_what_is_found_out(endpoint: str, addresses: object, told: str) -> None:
    """A host that was named stays; every interface becomes an address that others can call."""
    assert advertised([endpoint], addresses=addresses) == (told,)  # type: ignore[arg-type]


@pytest.mark.parametrize("endpoint", ["http://0.0.0.0:8000", "grpc://[::]:9000"])
@pytest.mark.parametrize("addresses", [(), ("127.0.0.1", "fe80::1", "169.254.0.3")])
def test_no_address_is_an_error(endpoint: str, addresses: Sequence[str]) -> None:
    """Nothing is registered that nobody can call; the message has the cure."""
    with pytest.raises(OSError, match="cannot be called by others") as failure:
        advertised([endpoint], addresses=lambda _: addresses)
    assert "KRATOS_ADVERTISE" in str(failure.value)
    assert (addresses[0] if addresses else "no address at all") in str(failure.value)


def test_ipv4_is_not_called_at_ipv6() -> None:
    """A socket of IPv4 cannot be reached at an address of IPv6."""
    with pytest.raises(OSError, match="cannot be called"):
        advertised(["http://0.0.0.0:8000"], addresses=lambda _: ["2a00::7"])


@pytest.mark.parametrize(
    ("advertise", "told"),
    [
        ("10.9.9.9", ("http://10.9.9.9:8000", "grpc://10.9.9.9:9000")),
        (" shop.example ", ("http://shop.example:8000", "grpc://shop.example:9000")),
        ("[2a00::1]", ("http://[2a00::1]:8000", "grpc://[2a00::1]:9000")),
        ("::1", ("http://[::1]:8000", "grpc://[::1]:9000")),
        ("grpc://lb.example:443", ("http://127.0.0.1:8000", "grpc://lb.example:443")),
        ("https://lb.example:443/, grpc://b:1", ("http://127.0.0.1:8000", "https://lb.example:443", "grpc://b:1")),
    ],
)
def test_what_was_said(advertise: str, told: tuple[str, ...]) -> None:
    """A host replaces hosts, URLs replace the endpoints of their schemes."""
    endpoints = ("http://127.0.0.1:8000", "grpc://0.0.0.0:9000")
    assert advertised(endpoints, advertise, addresses=NIC) == told  # type: ignore[arg-type]


def test_a_network() -> None:
    """A network stands for this machine's address there."""

    def addresses(target: str) -> Sequence[str]:
        assert ipaddress.ip_address(target) in ipaddress.ip_network("10.2.0.0/16")
        return ["10.0.0.7", "10.2.0.7"]

    assert advertised(["http://0.0.0.0:1"], "10.2.0.0/16", addresses=addresses) == ("http://10.2.0.7:1",)
    assert advertised(["http://0.0.0.0:1"], "10.0.0.7/32", addresses=NIC) == ("http://10.0.0.7:1",)  # type: ignore[arg-type]
    with pytest.raises(
        OSError, match=r"no address in 192\.168\.0\.0/16, which is to be advertised; it has 10\.0\.0\.7"
    ):
        advertised(["http://0.0.0.0:1"], "192.168.0.0/16", addresses=NIC)  # type: ignore[arg-type]


@pytest.mark.parametrize("advertise", ["10.0.0.7:8000", "shop:80", "10.0.0.0/99", "://a:1", "http://", "http://a/b"])
def test_what_makes_no_sense(advertise: str) -> None:
    """A port alone, half a URL, and a network that is none are refused, and named."""
    with pytest.raises(ValueError, match="KRATOS_ADVERTISE or advertise") as failure:
        advertised(["http://0.0.0.0:1"], advertise, addresses=NIC)  # type: ignore[arg-type]
    assert advertise in str(failure.value)


def test_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system is asked by a socket that sends nothing; a machine without network or name has no addresses."""
    assert own_addresses("127.0.0.1")[0] == "127.0.0.1"
    assert all(ipaddress.ip_address(each.partition("%")[0]) for each in own_addresses(""))

    def fail(*_: object, **__: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(socket.socket, "connect", fail)
    monkeypatch.setattr(socket, "getaddrinfo", fail)
    assert own_addresses("") == ()
