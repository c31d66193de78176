"""What went wrong with a connection, as one of our errors: grpcio tells it by nothing but its words."""

from __future__ import annotations

import re
from typing import Final

from kratos.errors import Error, ServiceUnavailable
from kratos.transport.channel import Unreached

__all__ = ["closed", "connection_error"]

_UNREACHED: Final = ("failed to connect", "errors resolving", "DNS resolution failed", "empty address list")
# From its first word to its last: a peer's own text may hold any of these, and keeps its meaning.
_LOST: Final = re.compile(
    r"(?:(?:recvmsg|sendmsg): ?)?"
    r"(?:Socket closed|Stream removed|GOAWAY received|Connection reset(?: by peer)?|Broken pipe|Connection timed out"
    r"|keepalive (?:watchdog )?timeout|ping timeout|max connection (?:age|idle)|Too many pings)"
    r"(?: \(.*\)|; .*)?",
    re.DOTALL,
)
_EXPLAINED: Final = (
    ("unable to get local issuer certificate", "; trust its authority by TLS(ca=...)"),
    ("self signed certificate", "; trust it by TLS(ca=...)"),
    ("certificate has expired", ""),
    ("certificate is not yet valid", ""),
)
"""What may be wrong with a certificate, in OpenSSL's words, and what to do about it."""


def connection_error(message: str, peer: str, *, tls: bool) -> Error | None:
    """Returns the error of a connection, None if it was the peer who said UNAVAILABLE.

    Args:
        message: grpcio's words.
        peer: The server.
        tls: Whether it was to be reached over TLS.
    """
    if message.startswith(_UNREACHED):
        return Unreached(f"cannot reach {peer}: {_why(message, tls=tls)}")
    if _LOST.fullmatch(message):
        return ServiceUnavailable(f"the connection to {peer} was lost: {message}", reason="CONNECTION_LOST")
    return None


def closed(peer: str) -> Error:
    """Returns the error of a call on a channel that was closed."""
    return ServiceUnavailable(f"the connection to {peer} is closed", reason="CONNECTION_CLOSED")


def _why(message: str, *, tls: bool) -> str:
    for words, advice in _EXPLAINED:
        if words in message:
            return f"its certificate is not accepted: {words}{advice}"
    if "Hostname Verification Check failed" in message:
        return "its certificate is not accepted: it is for another name; TLS(server_name=...) says which one to expect"
    if "WRONG_VERSION_NUMBER" in message:
        return "it does not speak TLS; grpc:// may be what it wants"
    if message.endswith("Socket closed"):
        wanted = "a certificate of ours, or another one" if tls else "TLS, by grpcs://"
        return f"it closed the connection; does it want {wanted}?"
    return message
