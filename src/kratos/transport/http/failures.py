"""What went wrong with a call over HTTP, as one of our errors: answers of a server, broken connections, time."""

from __future__ import annotations

import ssl
from http import HTTPStatus
from typing import Final

import aiohttp

from kratos.call import Call
from kratos.codec.base import CodecSet
from kratos.codec.json import JsonCodec
from kratos.errors import Error, InternalServer, ServerError, ServiceUnavailable, restore
from kratos.transport.channel import Unreached
from kratos.transport.deadline import expired
from kratos.transport.http.frames import parse_error_text
from kratos.wire.errors.errors_pb import Status

__all__ = ["BROKEN", "answered", "broken", "closed", "lost", "streamed", "told", "too_large"]

BROKEN: Final = (aiohttp.ClientError, OSError)  # a TimeoutError is an OSError
"""What aiohttp raises when an exchange fails; ``broken`` puts it into words."""

_JSON: Final = JsonCodec()
_UNSAID: Final = (aiohttp.ServerDisconnectedError, OSError)
"""How a connection ends whose server refuses our certificate: with TLS 1.3 the handshake is over by then for us, and
a reset may overtake the alert that says why."""
_ADVICE: Final = {
    18: "trust it by TLS(ca=...)",  # signed by itself
    19: "trust it by TLS(ca=...)",  # an authority signed by itself
    20: "trust its authority by TLS(ca=...)",
    62: "TLS(server_name=...) expects another name",
    64: "TLS(server_name=...) expects a name instead",
}
"""What to do about a certificate, by OpenSSL's number for what is wrong with it."""

_SHOWN = 200  # characters of a body in plain text that become a message
# How close to its deadline a call that timed out may be, in seconds, for the deadline to be the reason.
_CLOSE = 0.02


def answered(status: int, content_type: str | None, body: bytes, *, codecs: CodecSet, call: Call, peer: str) -> Error:
    """Returns the error that a response means.

    The status line decides on the code. A body that is none of ours (a proxy's page, nothing at all) leaves the class
    of the status and a message that says who answered what.

    Args:
        status: The status line's code, none of 2xx.
        content_type: What the body is said to be.
        body: The body, or as much of it as was wanted.
        codecs: What reads it.
        call: The call that failed; its known errors count.
        peer: Who answered.
    """
    found = _read(content_type, body, codecs)
    message = found.message
    if not message and not found.reason:
        message = _plain(content_type, body) or f"{peer} answered {status} {_phrase(status)}".rstrip()
    return restore(status, found.reason, message, found.metadata, known=call.known)


def streamed(data: bytes, codecs: CodecSet, call: Call) -> Error:
    """Returns the error that the data of an ``error`` event means; text of another form becomes the message."""
    found = _read("application/json", data, codecs)
    if not (found.code or found.reason or found.message):
        return told(data.decode("utf-8", "replace"), call)
    return restore(_code(found.code), found.reason, found.message, found.metadata, known=call.known)


def told(text: str, call: Call) -> Error:
    """Returns the error that a text means, see ``error_text``; text of another form becomes the message."""
    code, reason, message, metadata = parse_error_text(text) or (500, "", text, {})
    return restore(_code(code), reason, message, metadata, known=call.known)


def broken(failure: Exception, call: Call, peer: str, *, tls: bool = False) -> Error:
    """Returns the error of an exchange that failed with one of ``BROKEN``.

    Args:
        failure: What was raised.
        call: The call.
        peer: The server.
        tls: Whether it was over TLS: a server that misses a certificate of ours may not find the time to say so.
    """
    if isinstance(failure, TimeoutError) and failure.errno is None:  # a timer of ours and not the system's
        remaining = call.remaining()
        if remaining is not None and remaining < _CLOSE:
            return expired(call)
        said = f"cannot connect to {peer}: no answer in time"
        if isinstance(failure, aiohttp.ConnectionTimeoutError):
            return Unreached(said)
        return ServiceUnavailable(said, reason="CONNECTION_FAILED")  # a WebSocket's handshake may have been heard
    if isinstance(failure, aiohttp.ClientConnectorError):
        return Unreached(f"cannot connect to {peer}: {_words(failure)}")
    if isinstance(failure, aiohttp.ClientResponseError):
        return ServerError(f"{peer} does not answer in HTTP: {failure.message}", code=502, reason="BAD_REPLY")
    missing = tls and isinstance(failure, _UNSAID)
    return lost(peer, _words(failure) + ("; does it want a certificate of ours, or another one?" if missing else ""))


def lost(peer: str, why: str) -> Error:
    """Returns the error of a connection that ended too early: nobody knows whether the call was carried out."""
    return ServiceUnavailable(f"the connection to {peer} was lost: {why}", reason="CONNECTION_LOST")


def closed(peer: str) -> Error:
    """Returns the error of a call on a channel that was closed."""
    return ServiceUnavailable(f"the client has closed its connections to {peer}", reason="CONNECTION_CLOSED")


def too_large(peer: str, limit: int) -> Error:
    """Returns the error of a reply of more than ``limit`` bytes."""
    return InternalServer(f"{peer} sent a reply of more than {limit} bytes", reason="REPLY_TOO_LARGE")


def _read(content_type: str | None, body: bytes, codecs: CodecSet) -> Status:
    codec = codecs.for_request(content_type)
    if codec is None and body.lstrip()[:1] == b"{":
        codec = _JSON
    if codec is None or not body:
        return Status()
    try:
        return codec.decode(body, Status)
    except Error:
        return Status()


def _plain(content_type: str | None, body: bytes) -> str:
    if content_type is None or not content_type.lower().startswith("text/plain"):
        return ""
    return body[:_SHOWN].decode("utf-8", "replace").strip()


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _code(code: int) -> int:
    return code if 400 <= code <= 599 else 500


def _words(failure: Exception) -> str:
    """Returns why a connection failed, for a person: the operating system's words where there are any."""
    if isinstance(failure, aiohttp.ClientConnectorCertificateError):
        return f"its certificate is not accepted: {_verdict(failure.certificate_error)}"
    cause: BaseException = failure.os_error if isinstance(failure, aiohttp.ClientConnectorError) else failure
    if isinstance(cause, aiohttp.ServerDisconnectedError):
        return "the server closed it"
    if isinstance(cause, ssl.SSLError) and cause.reason == "WRONG_VERSION_NUMBER":
        return "it does not speak TLS; http:// may be what it wants"
    words = cause.strerror if isinstance(cause, OSError) else None
    return words or str(cause) or type(cause).__name__


def _verdict(failure: Exception) -> str:
    """Returns what is wrong with a certificate, and what to do about it."""
    if not isinstance(failure, ssl.SSLCertVerificationError):
        return str(failure)
    advice = _ADVICE.get(failure.verify_code, "")
    return failure.verify_message.rstrip(".") + (f"; {advice}" if advice else "")
