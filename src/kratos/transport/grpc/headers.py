"""Metadata between our form and grpcio's.

gRPC is narrower than HTTP in what a header may be: keys of ``0-9 a-z _ - .``, values of printable ASCII, bytes only
under a key that ends in ``-bin``; and what it says itself (``grpc-…``, the headers of the connection) is not for users.
grpcio fails the whole call over a header that it cannot send. We send what can be sent: other characters of a value go
percent-encoded as UTF-8, and the header is left out, with a line in the log, where that does not help.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final, TypeAlias
from urllib.parse import quote

from kratos.call import Peer
from kratos.metadata import Metadata, decode_binary, encode_binary

__all__ = ["Pair", "from_grpc", "peer_address", "peer_of", "to_grpc"]

Pair: TypeAlias = "tuple[str, str | bytes]"
"""A header as grpcio has it; the values of ``-bin`` keys are bytes."""

logger = logging.getLogger("kratos.grpc")

_KEY = re.compile(r"[0-9a-z_.-]+")
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]")
_PRINTABLE: Final = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) != "%")
# RFC 9113, 8.2.2: what belongs to a connection makes an HTTP/2 message malformed. The rest is the protocol's to say.
_RESERVED: Final = frozenset(
    {
        "connection", "content-length", "content-type", "host", "keep-alive", "proxy-connection", "te",
        "transfer-encoding", "upgrade", "user-agent", "x-kratos-code",
    }
)  # fmt: skip


def from_grpc(pairs: Iterable[Pair] | None) -> Metadata:
    """Returns received headers in our form; None is none."""
    # A list and not a generator, of pairs as they came: this is done for every call, and takes a third of the time.
    received: Iterable[Any] = pairs or ()
    return Metadata.from_wire(
        [pair if isinstance(pair[1], str) else (pair[0], encode_binary(pair[1])) for pair in received]
    )


def to_grpc(pairs: Iterable[tuple[str, str]]) -> tuple[Pair, ...]:
    """Returns headers as grpcio takes them, without those that it could not send."""
    return tuple(pair for key, value in pairs if (pair := _sendable(key, value)) is not None)


def peer_address(peer: str) -> str:
    """Turns ``ipv4:10.0.0.7:52114`` and ``ipv6:%5B::1%5D:52114`` into plain addresses.

    Clients of a Unix socket have none; those that pygrpc-native numbers (``unix:7``) are like any other.
    """
    scheme, _, rest = peer.partition(":")
    if scheme == "unix" and rest.isdecimal():
        return "unix:"
    return rest.replace("%5B", "[").replace("%5D", "]") if scheme in ("ipv4", "ipv6") else peer


@lru_cache(maxsize=4096)
def peer_of(peer: str) -> Peer:
    """Returns the other end of a connection; all calls of one have the same."""
    return Peer(peer_address(peer))


def _sendable(key: str, value: str) -> Pair | None:
    if key in _RESERVED or key.startswith("grpc-"):
        return None  # Without a word: whoever passes all received headers on has these among them.
    if not _KEY.fullmatch(key):
        logger.warning("header %r is not sent: gRPC has no such keys", key)
        return None
    if key.endswith("-bin"):
        try:
            return key, decode_binary(value)
        except ValueError:
            logger.warning("header %r is not sent: its value is not base64", key)
            return None
    if _UNPRINTABLE.search(value):
        value = quote(value, safe=_PRINTABLE, errors="replace")
    return key, value
