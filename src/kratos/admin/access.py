"""Who may see what: probes are for everybody, all else is for this machine, or for whoever has the token.

That somebody comes from this machine is not enough: a page of another site, open in a browser here, can be given this
address under the name of its own (DNS rebinding). So the name that was asked for counts too. And a proxy on this
machine speaks for others: whatever bears its marks is not from here. Nothing that a client says makes it local. A proxy
that leaves no marks does: it must not lead to this port.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from ipaddress import ip_address
from typing import Final

from kratos.metadata import Metadata

__all__ = ["HEADER", "Access"]

HEADER: Final = "x-kratos-admin"
"""What a request that changes something has to bear if it comes from no page of ours. No other site's page can."""

_LEAST_TOKEN: Final = 16
_PROXY: Final = frozenset({"forwarded", "via", "x-real-ip"})
_PROXY_PREFIXES: Final = ("x-forwarded-", "x-envoy-")
_SIDECAR: Final = ip_address("127.0.0.6")  # Istio's hands on from there what has come from elsewhere


class Access:
    """Decides about requests.

    Args:
        token: What opens all pages to whoever has it, as ``Authorization: Bearer``; None is nothing.
        hosts: Names by which this machine is asked, beside ``localhost`` and loopback addresses.

    Raises:
        ValueError: The token is too short to be none that can be guessed, or no header could carry it.
    """

    def __init__(self, token: str | None = None, hosts: Iterable[str] = ()) -> None:
        if token is not None and (len(token) < _LEAST_TOKEN or not _plain(token)):
            raise ValueError(
                f"the token has {len(token)} letters: it needs {_LEAST_TOKEN} or more of ASCII, without spaces; "
                'python -c "import secrets; print(secrets.token_urlsafe())" makes one'
            )
        self._token = None if token is None else token.encode()
        self._hosts = frozenset({"localhost", *(_host(host).lower() for host in hosts)}) - {""}

    def admits(self, peer: str, headers: Metadata) -> bool:
        """Tells whether somebody may see what is not for everybody.

        Args:
            peer: The other end of the connection, as ``Peer.address``.
            headers: Those of the request.
        """
        return self._has_token(headers) or self._is_local(peer, headers)

    def may_change(self, headers: Metadata, scheme: str) -> bool:
        """Tells whether a request of somebody who was admitted may change something: a page of another site may not.

        Args:
            headers: Those of the request.
            scheme: ``http`` or ``https``, by which it came.
        """
        if headers.get("sec-fetch-site", "same-origin") != "same-origin":
            return False
        origin = headers.get("origin")
        if origin is not None:
            return origin.lower() == f"{scheme}://{headers.get('host', '')}".lower()
        return HEADER in headers or self._has_token(headers)

    def _has_token(self, headers: Metadata) -> bool:
        said = headers.values("authorization")
        if self._token is None or len(said) != 1:
            return False
        scheme, _, token = said[0].partition(" ")
        return hmac.compare_digest(token.strip().encode("utf-8", "replace"), self._token) and scheme.lower() == "bearer"

    def _is_local(self, peer: str, headers: Metadata) -> bool:
        if any(name in _PROXY or name.startswith(_PROXY_PREFIXES) for name, _ in headers.items()):
            return False
        asked = headers.values("host")
        if len(asked) != 1 or not (peer == "unix:" or _is_loopback(_host(peer))):
            return False
        host = _host(asked[0]).lower()
        return host in self._hosts or _is_loopback(host)


def _plain(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text


def _host(address: str) -> str:
    """Returns the host of ``host``, ``host:port``, ``[::1]`` or ``[::1]:port``; empty for what is none of these."""
    if address.startswith("["):
        host, bracket, port = address[1:].partition("]")
        if not bracket or (port and not _is_port(port)):
            return ""
        return host
    host, colon, port = address.partition(":")
    return host if not colon or _is_port(f":{port}") else ""


def _is_port(text: str) -> bool:
    return text[:1] == ":" and text[1:].isdecimal()


def _is_loopback(host: str) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)  # Python 3.11 does not look into it by itself
    return (mapped or address) != _SIDECAR and bool((mapped or address).is_loopback)
