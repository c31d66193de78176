"""What a client is told to connect to."""

from __future__ import annotations

import os
from dataclasses import dataclass
from urllib.parse import urlsplit

from kratos.transport.tls import TLS

__all__ = ["Target"]

_PORTS = {"http": 80, "https": 443, "grpc": None, "grpcs": None}
_UNIX = ("unix", "http+unix", "grpc+unix")
_FORMS = (
    "host:port, http://host:port, https://host:port, grpc://host:port, grpcs://host:port, unix:/path, "
    "direct:///host:port,host:port or discovery:///name"
)


@dataclass(frozen=True, slots=True)
class Target:
    """Where calls go: fixed addresses, or a service to look up.

    Attributes:
        addresses: ``host:port`` or ``unix:/path`` of each node; empty for a service.
        service: The name to look up, empty for fixed addresses.
        secure: Whether the scheme asks for TLS; None where it does not say.
    """

    addresses: tuple[str, ...] = ()
    service: str = ""
    secure: bool | None = None

    @classmethod
    def parse(cls, text: str) -> Target:
        """Reads ``host:port``, a URL, ``unix:/path``, ``direct:///a:1,b:2`` or ``discovery:///name``.

        Raises:
            ValueError: It is something else; the message shows the forms.
        """
        kind, _, path = text.partition("?mode=")[0].partition(":")
        if kind in _UNIX:
            if not path.strip("/"):
                raise ValueError(f"target {text!r} has no path; use {_FORMS}")
            return cls((f"unix:{os.path.abspath(path.removeprefix('//'))}",), secure=False)
        scheme, separator, rest = text.partition("://")
        if not separator:
            return cls((_address(text, text, None),))
        if scheme == "direct":
            return cls(tuple(_address(part.strip(), text, None) for part in _path(rest, text).split(",")))
        if scheme == "discovery":
            return cls(service=_path(rest, text))
        if scheme in _PORTS:
            if urlsplit(text).path not in ("", "/"):
                raise ValueError(f"target {text!r} has a path: a client's paths come from the contract")
            return cls((_address(rest.rstrip("/"), text, _PORTS[scheme]),), secure=scheme.endswith("s"))
        raise ValueError(f"target {text!r} has an unknown scheme; use {_FORMS}")

    def secured(self, tls: TLS | None, text: str, scheme: str) -> TLS | None:
        """Returns the TLS to connect with, None for none.

        Args:
            tls: What was asked for beside the target.
            text: The target as it was written.
            scheme: What it would have to begin with.

        Raises:
            ValueError: The target has no TLS, and it was asked for.
        """
        if tls is not None and self.secure is False:
            raise ValueError(f"{text} has no TLS: take tls= away, or say {scheme}://")
        return TLS() if tls is None and self.secure else tls


def _path(rest: str, text: str) -> str:
    authority, _, path = rest.partition("/")
    if authority or not path:
        raise ValueError(f"target {text!r} needs three slashes, as in discovery:///name; use {_FORMS}")
    return path


def _address(part: str, text: str, port: int | None) -> str:
    try:
        split = urlsplit(f"//{part}")
        found = split.port if split.port is not None else port
    except ValueError:
        split, found = urlsplit(""), None
    if not split.hostname or not found or split.path or "@" in part:
        raise ValueError(f"target {text!r}: {part!r} is not host:port; use {_FORMS}")
    host = f"[{split.hostname}]" if ":" in split.hostname else split.hostname
    return f"{host}:{found}"
