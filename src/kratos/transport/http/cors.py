"""CORS: which pages of other sites may call, by the Fetch standard (https://fetch.spec.whatwg.org/#http-cors-protocol).

Decided before a call exists: a browser asks without credentials first, so neither middleware nor handler may be in the
way. A question about a path that is not served is answered like any other request for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, TypeAlias

__all__ = ["CORS", "Policy"]

Header: TypeAlias = tuple[bytes, bytes]

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(\*\.)?[a-z0-9.\[\]:_-]+", re.IGNORECASE)
_NEVER: Final[frozenset[bytes]] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class CORS:
    """Which pages of other sites may call, and what they may see.

    Attributes:
        origins: Where pages come from: ``https://shop.example``, ``https://*.shop.example`` for every site below it,
            ``*`` for everybody.
        headers: Request headers that pages may send; ``*`` is whatever they ask for.
        expose: Reply headers that pages may read, beside those that they always may.
        credentials: Whether browsers may send cookies along; not for everybody.
        max_age: How many seconds a browser may remember the answer.

    Raises:
        TypeError: The origins are one string.
        ValueError: An origin is none, or everybody is let in with their cookies.
    """

    origins: Iterable[str]
    headers: Iterable[str] = ("*",)
    expose: Iterable[str] = ()
    credentials: bool = False
    max_age: int = 600

    def __post_init__(self) -> None:
        if isinstance(self.origins, str):
            raise TypeError(f"origins is a list: origins=[{self.origins!r}]")
        for name in ("origins", "headers", "expose"):
            object.__setattr__(self, name, tuple(getattr(self, name)))  # what can be read once would be empty later
        for origin in self.origins:
            if origin != "*" and not _ORIGIN.fullmatch(origin):
                raise ValueError(f"{origin!r} is no origin: scheme and host without a path, https://shop.example")
        if self.credentials and "*" in self.origins:
            raise ValueError(
                "credentials for every origin would open the users' sessions to any page: name the origins"
            )


class Policy:
    """What the headers of CORS are, compiled when a server is built.

    Args:
        cors: The rules.
    """

    def __init__(self, cors: CORS) -> None:
        origins = [origin.lower() for origin in cors.origins]
        self._everybody = "*" in origins
        self._exact = frozenset(origin.encode() for origin in origins)
        self._below = tuple(tuple(origin.encode().split(b"*", 1)) for origin in origins if "*." in origin)
        headers = [name.lower() for name in cors.headers]
        self._headers = None if "*" in headers else ", ".join(headers).encode()
        self._max_age = str(cors.max_age).encode()
        self._fixed: list[Header] = []
        if cors.credentials:
            self._fixed.append((b"access-control-allow-credentials", b"true"))
        exposed = ", ".join(cors.expose).encode()
        self._exposed: list[Header] = [(b"access-control-expose-headers", exposed)] if exposed else []

    def allows(self, origin: bytes) -> bool:
        """Tells whether pages from an origin may call."""
        origin = origin.lower()
        return (
            self._everybody
            or origin in self._exact
            or any(
                origin.startswith(scheme) and origin.endswith(parent) and len(origin) > len(scheme) + len(parent)
                for scheme, parent in self._below
            )
        )

    def reply(self, origin: bytes | None) -> list[Header]:
        """Returns what goes on every reply, errors included; caches must know that it depends on the origin."""
        if self._everybody:
            return [(b"access-control-allow-origin", b"*"), *self._exposed]
        vary = (b"vary", b"Origin")
        if origin is None or not self.allows(origin):
            return [vary]
        return [(b"access-control-allow-origin", origin), *self._fixed, *self._exposed, vary]

    def beside(self, theirs: Iterable[Header], origin: bytes | None) -> list[Header]:
        """Returns what goes on a reply that has headers already; if it speaks for itself that counts alone.

        A browser refuses two answers.

        Args:
            theirs: The headers of the reply.
            origin: Where the page comes from.
        """
        spoken = any(name.lower() == b"access-control-allow-origin" for name, _ in theirs)
        return [] if spoken else self.reply(origin)

    def preflight(self, origin: bytes, wanted: bytes, methods: Iterable[str]) -> list[Header]:
        """Returns the headers of the answer to a browser's question (``OPTIONS`` with an origin and a method).

        Args:
            origin: Where the page comes from; it is allowed.
            wanted: Which headers it is going to send (``access-control-request-headers``).
            methods: The methods of the path.
        """
        allowed = wanted if self._headers is None else self._headers
        answer: list[Header] = [
            (b"access-control-allow-origin", b"*" if self._everybody else origin),
            *self._fixed,
            (b"access-control-allow-methods", ", ".join(methods).encode()),
            (b"access-control-max-age", self._max_age),
            (b"vary", b"Origin, Access-Control-Request-Method, Access-Control-Request-Headers"),
        ]
        if allowed:
            answer.append((b"access-control-allow-headers", allowed))
        return answer
