"""Who is really calling, where proxies stand in between: ``X-Forwarded-For``, ``X-Forwarded-Proto``, ``Forwarded``.

Anybody can send these headers, so they count only if they come from an address that is trusted, and only up to the
first address, from the right, that is not. ``Forwarded`` is RFC 7239.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from typing import TypeAlias

__all__ = ["Proxies"]

Header: TypeAlias = tuple[bytes, bytes]
_Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

_FOR = re.compile(r"(?:^|[;,])\s*for\s*=\s*(\"[^\"]*\"|[^;,\s]+)", re.IGNORECASE)
_PORT = re.compile(r"^(\[[^\]]+\]|[^:]+):\d+$")


class Proxies:
    """The proxies that are trusted to say for whom they speak.

    Args:
        trusted: Addresses and networks, ``127.0.0.1`` or ``10.0.0.0/8``; ``unix:`` is whoever comes by a Unix socket.

    Raises:
        TypeError: It is one string.
        ValueError: Something is no address or network.
    """

    def __init__(self, trusted: Iterable[str]) -> None:
        if isinstance(trusted, str):
            raise TypeError(f"proxies is a list: [{trusted!r}]")
        self._networks: list[_Network] = []
        self._unix = False
        for text in trusted:
            if text == "unix:":
                self._unix = True
                continue
            try:
                self._networks.append(ipaddress.ip_network(text))
            except ValueError:
                raise ValueError(f"{text!r} is no address or network of a proxy, such as 10.0.0.0/8") from None

    def __bool__(self) -> bool:
        return self._unix or bool(self._networks)

    def client(self, peer: str, headers: Sequence[Header]) -> str:
        """Returns the address of the client: the last one that no trusted proxy vouches for.

        Args:
            peer: The address at the other end of the connection, without a port; ``unix:`` on a Unix socket.
            headers: The request headers, names in lower case.
        """
        if not self._trusts(peer):
            return peer
        client = peer
        for hop in reversed(_hops(headers)):
            if _address(hop) is None:
                break  # hidden or broken: who vouches for what stands before it?
            client = hop
            if not self._trusts(hop):
                break
        return client

    def _trusts(self, text: str) -> bool:
        if text == "unix:":
            return self._unix
        address = _address(text)
        return address is not None and any(
            address in network for network in self._networks if network.version == address.version
        )


def _hops(headers: Sequence[Header]) -> list[str]:
    """Returns the addresses that a request has passed, the client's first."""
    standard = ",".join(value.decode("latin-1") for name, value in headers if name == b"forwarded")
    if standard:
        return [_plain(found) for found in _FOR.findall(standard)]
    usual = ",".join(value.decode("latin-1") for name, value in headers if name == b"x-forwarded-for")
    return [_plain(part) for part in usual.split(",")] if usual else []


def _plain(text: str) -> str:
    """Returns an address without quotes, brackets and port."""
    text = text.strip().strip('"')
    if found := _PORT.match(text):
        text = found[1]
    return text.strip("[]")


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
