"""The address at which others find this process, where it listens on every interface or is behind something."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeAlias

__all__ = ["advertised", "is_usable", "own_addresses"]

Addresses: TypeAlias = "Callable[[str], Sequence[str]]"

_EVERYWHERE: Final = {"", "0.0.0.0", "::"}  # noqa: S104 - what is looked for
_OUTSIDE: Final = ("192.0.2.1", "2001:db8::1")  # addresses of nobody, on the way to which nothing is sent
_PORT: Final = 9  # connecting a datagram socket sends nothing
_HOST: Final = re.compile(r"(\[[^\]]*\]|[^:/]*)(?=:\d+)")
_CURE: Final = "set KRATOS_ADVERTISE, or Registration(advertise=...), to a host or to URLs"


def advertised(endpoints: Iterable[str], advertise: str = "", *, addresses: Addresses | None = None) -> tuple[str, ...]:
    """Returns endpoints as others can call them.

    A host that was named stays. In place of ``0.0.0.0`` or ``[::]`` comes an address of this machine; Unix sockets stay
    what they are.

    Args:
        endpoints: URLs, as the servers have them.
        advertise: What to use instead. A host or an address (``10.0.0.7``, ``shop.example``) replaces every host; a
            network (``10.0.0.0/8``) stands for this machine's address there. URLs with commas between them
            (``grpc://shop.example:443``) replace the endpoints of their schemes, port included, or are further ones.
        addresses: Returns this machine's addresses on the way to an address or network; the system's if not given.

    Raises:
        ValueError: ``advertise`` is none of that.
        OSError: This machine has no address that others could call; the message says what to do.
    """
    endpoints = tuple(endpoints)
    addresses = addresses or own_addresses
    if "://" in advertise:
        urls = [_checked(url.strip()) for url in advertise.split(",")]
        schemes = {url.partition("://")[0] for url in urls}
        others = [url for url in endpoints if url.partition("://")[0] not in schemes]
        return (*advertised(others, addresses=addresses), *urls)
    host = _chosen(advertise.strip(), addresses)
    return tuple(_at(url, host, addresses) for url in endpoints)


def own_addresses(target: str) -> Sequence[str]:
    """Returns this machine's address on the way to an address, then those of its own name; nothing is sent.

    Args:
        target: An IP address; empty is the way out of here.
    """
    found: dict[str, None] = {}
    for there in (target,) if target else _OUTSIDE:
        family = socket.AF_INET6 if ":" in there else socket.AF_INET
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.connect((there, _PORT))
                found[str(probe.getsockname()[0])] = None
        except OSError:  # there is no way there, or no such protocol
            continue
    try:
        named = socket.getaddrinfo(socket.gethostname(), None, type=socket.SOCK_STREAM)
    except OSError:
        named = []
    found.update((str(address[0]), None) for _, _, _, _, address in named)
    return tuple(found)


def is_usable(address: str) -> bool:
    """Returns whether others can call an address: unicast, public or private, of more than this machine or link."""
    found = _parsed(address)
    if found is None:
        return False
    mapped = getattr(found, "ipv4_mapped", None) or found
    return not (
        mapped.is_loopback
        or mapped.is_link_local
        or mapped.is_multicast
        or mapped.is_unspecified
        or str(mapped) == "255.255.255.255"
    )


def _checked(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    where = rest.rstrip("/")
    if not scheme or not where or "/" in where:
        raise ValueError(f"KRATOS_ADVERTISE or advertise has {url!r}: it is no URL such as grpc://10.0.0.7:9000")
    return scheme + separator + where


def _chosen(advertise: str, addresses: Addresses) -> str:
    """Returns the host that was chosen; empty if there is no choice.

    Raises:
        ValueError: It is no host.
        OSError: This machine has no address in the network that was chosen.
    """
    host = advertise.strip("[]")
    if "/" in host:
        try:
            network = ipaddress.ip_network(host, strict=False)
        except ValueError as failure:
            raise ValueError(
                f"KRATOS_ADVERTISE or advertise is {advertise!r}: {failure}; a network is written as 10.0.0.0/8"
            ) from failure
        ours = addresses(str(network[1] if network.num_addresses > 1 else network[0]))
        inside = [each for each in ours if is_usable(each) and ipaddress.ip_address(each) in network]
        if not inside:
            raise OSError(
                f"this machine has no address in {host}, which is to be advertised; it has {_listed(ours)}; {_CURE}"
            )
        return inside[0]
    if ":" in host and _parsed(host) is None:
        raise ValueError(
            f"KRATOS_ADVERTISE or advertise is {advertise!r}: it has to be a host without a port, a network such as "
            "10.0.0.0/8, or URLs such as grpc://10.0.0.7:9000"
        )
    return host


def _at(url: str, host: str, addresses: Addresses) -> str:
    """Returns an endpoint with a host that others can call."""
    scheme, separator, rest = url.partition("://")
    if not separator:  # a Unix socket
        return url
    found = _HOST.match(rest)
    listens = found[1].strip("[]") if found else rest
    port = rest[found.end(1) :] if found else ""
    if not host and listens not in _EVERYWHERE:
        return url
    if not host:
        ours = addresses("")
        # A socket of IPv4 cannot be called at an address of IPv6; one of IPv6 usually answers both.
        usable = sorted((each for each in ours if is_usable(each)), key=lambda each: ":" in each)
        usable = [each for each in usable if listens == "::" or ":" not in each]
        if not usable:
            raise OSError(f"{url} cannot be called by others: this machine has {_listed(ours)}; {_CURE}")
        host = usable[0]
    return f"{scheme}://[{host}]{port}" if ":" in host else f"{scheme}://{host}{port}"


def _parsed(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None


def _listed(addresses: Sequence[str]) -> str:
    return ", ".join(addresses) or "no address at all"
