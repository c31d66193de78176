"""Logs to Fluentd, Fluent Bit and whatever else speaks their forward protocol; extra ``fluentd``.

A thread sends what waits, in chunks that the other end acknowledges. One that it has not acknowledged is sent again,
over a new connection if need be, until it is: while Fluentd is away records wait, up to ``limit``, and nobody who logs
waits with them. What was sent and not acknowledged may arrive twice, and nothing is lost that had room to wait.

The protocol: https://github.com/fluent/fluentd/wiki/Forward-Protocol-Specification-v1 (forward mode, event time).
"""

from __future__ import annotations

import hashlib
import hmac
import os
import random
import socket
import struct
import threading
import time
from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, Final, TypeGuard
from urllib.parse import urlsplit

from kratos.log.entry import Entry, entry_of
from kratos.log.handler import QueuedHandler
from kratos.log.json import shown
from kratos.log.json import value as as_json
from kratos.log.redact import Redaction

try:
    import msgpack
except ImportError as missing:
    raise ImportError("kratos.contrib.fluentd needs a library: pip install 'kratos-py[fluentd]'") from missing

__all__ = ["FluentdHandler"]

_library: Any = msgpack  # it has no types

_CHUNK = 500
_PORT = 24224
_FIRST_WAIT, _LONGEST_WAIT = 0.1, 5.0
_RECEIVED = 65536
_LONGEST_REPLY: Final = 1 << 20


class FluentdHandler(QueuedHandler[Entry]):
    """Sends what is logged to Fluentd. Give it to ``setup``, or add it to a logger by itself.

    Records have ``level``, ``logger`` and ``msg``, the fields, and for exceptions ``error`` and ``stack``.

    Args:
        address: ``tcp://host:port``, or ``unix:///path``. The port is 24224 if there is none.
        tag: What Fluentd routes them by.
        acknowledged: Whether each chunk is sent until the other end says that it has it. Without that, what was on its
            way when a connection broke is lost and nobody knows; only for ends that acknowledge nothing.
        shared_key: The secret that both ends know, where Fluentd's ``<security>`` asks for one.
        timeout: Seconds for connecting, for sending a chunk, and for its acknowledgement.
        redact: What is masked; that of ``setup`` if not given.
        limit: How many records may wait; up to as many more may be on their way. Further ones are lost, and counted.

    Raises:
        ValueError: The address is none.

    Example:
        ``setup(handlers=[FluentdHandler("tcp://127.0.0.1:24224", tag="shop")])``
    """

    def __init__(
        self,
        address: str = "tcp://127.0.0.1:24224",
        *,
        tag: str = "kratos",
        acknowledged: bool = True,
        shared_key: str = "",
        timeout: float = 5.0,
        redact: Redaction | None = None,
        limit: int = 10_000,
    ) -> None:
        self._sending = _Sending(_Address(address), tag, acknowledged=acknowledged, key=shared_key, timeout=timeout)
        super().__init__(self._sending, entry_of, redact=redact, limit=limit)

    @property
    def failure(self) -> str:
        """Why nothing can be sent at the moment; empty if all is well."""
        return self._sending.failure

    def close(self) -> None:
        """Sends what waits, within two seconds, and hangs up for good; what is left then is lost, and counted."""
        self.drain()
        self._sending.stop()
        super().close()


class _Address:
    """Where the other end listens."""

    def __init__(self, text: str) -> None:
        parts = urlsplit(text)
        self.text = text
        self.path = parts.path if parts.scheme == "unix" else ""
        self.host = parts.hostname or ""
        try:
            self.port = parts.port or _PORT
        except ValueError:
            self.host = ""
        is_tcp = parts.scheme == "tcp" and self.host and not parts.path.strip("/")
        if not is_tcp and (not self.path or parts.netloc):
            raise ValueError(f"{text!r} is no address of Fluentd: write tcp://host:port or unix:///path/of.sock")

    def connect(self, timeout: float) -> socket.socket:
        """Returns a connection; raises an OSError if there is none to be had."""
        if not self.path:
            return socket.create_connection((self.host, self.port), timeout)
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(timeout)
            connection.connect(self.path)
        except OSError:
            connection.close()
            raise
        return connection


class _Sending:
    """Sends batches, in whatever thread it is called in, and returns when they have arrived."""

    def __init__(self, address: _Address, tag: str, *, acknowledged: bool, key: str, timeout: float) -> None:
        self.failure = ""
        self._address = address
        self._tag = tag
        self._acknowledged = acknowledged
        self._key = key
        self._timeout = timeout
        self._connection: _Connection | None = None
        self._stopped = threading.Event()

    def __call__(self, entries: Sequence[Entry], lost: int) -> None:
        """Sends entries.

        Raises:
            ConnectionError: It was told to stop before they had arrived.
        """
        if lost:
            facts = {"level": "ERROR", "logger": "kratos.log", "msg": "log lines lost", "lost": lost}
            self._deliver([_event(time.time(), facts)])
        for start in range(0, len(entries), _CHUNK):
            self._deliver([_event(entry.at, _facts(entry)) for entry in entries[start : start + _CHUNK]])

    def stop(self) -> None:
        """Hangs up; whoever is sending gives up."""
        self._stopped.set()
        self._hang_up()

    def _hang_up(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _deliver(self, events: list[bytes]) -> None:
        chunk = b64encode(os.urandom(16)).decode() if self._acknowledged else ""
        message = _message(self._tag, events, chunk)
        wait = _FIRST_WAIT
        while True:
            try:
                if self._stopped.is_set():
                    raise ConnectionError("it was closed")
                self._send(message, chunk)
            except (OSError, ValueError) as failure:
                self.failure = f"{self._address.text}: {failure}"
            else:
                self.failure = ""
                return
            self._hang_up()
            if self._stopped.wait(wait * random.uniform(0.5, 1)):  # noqa: S311 - a pause is no secret
                raise ConnectionError(self.failure)
            wait = min(wait * 2, _LONGEST_WAIT)

    def _send(self, message: bytes, chunk: str) -> None:
        connection = self._connection
        if connection is None or connection.ended():
            if connection is not None:
                connection.close()
            connection = self._connection = _Connection(self._address.connect(self._timeout))
            if self._key:
                connection.greet(self._key)
        connection.send(message)
        if chunk:
            reply = connection.receive()
            if reply != {"ack": chunk}:
                raise ValueError(f"it answered {shown(reply)[:100]} and not that it has the chunk")


class _Connection:
    """One connection, whose replies are values of MessagePack."""

    def __init__(self, peer: socket.socket) -> None:
        self._peer = peer
        self._replies = _library.Unpacker(max_buffer_size=_LONGEST_REPLY)

    def send(self, data: bytes) -> None:
        self._peer.sendall(data)

    def receive(self) -> Any:
        """Returns the next value that it says."""
        while True:
            for reply in self._replies:
                return reply
            data = self._peer.recv(_RECEIVED)
            if not data:
                raise ConnectionError("it hung up")
            try:
                self._replies.feed(data)
            except _library.BufferFull as full:
                raise ValueError("it says more than a reply can be") from full

    def ended(self) -> bool:
        """Whether the other end has hung up, or says what nobody has asked for."""
        timeout = self._peer.gettimeout()
        self._peer.setblocking(False)
        try:
            self._peer.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True
        finally:
            self._peer.settimeout(timeout)
        return True

    def greet(self, key: str) -> None:
        """Proves that we know the key, and has the other end prove it.

        Raises:
            ConnectionRefusedError: It does not take us, or does not know the key itself.
        """
        kind, facts = self._told("HELO", 2)
        name, salt = socket.gethostname(), os.urandom(16).hex()
        nonce: Any = facts.get("nonce", b"") if hasattr(facts, "get") else b""
        nonce = nonce if isinstance(nonce, bytes) else str(nonce).encode()
        self.send(_library.packb(["PING", name, salt, _digest(salt, name, nonce, key), "", ""]))
        kind, accepted, reason, server, theirs = self._told("PONG", 5)
        if not accepted:
            raise ConnectionRefusedError(f"it refused the shared key: {shown(reason)[:100]}")
        if not hmac.compare_digest(str(theirs), _digest(salt, str(server), nonce, key)):
            raise ConnectionRefusedError(f"{kind}: it does not know the shared key")

    def close(self) -> None:
        with suppress(OSError):  # wakes up a thread that waits for it
            self._peer.shutdown(socket.SHUT_RDWR)
        self._peer.close()

    def _told(self, kind: str, members: int) -> list[Any]:
        found = self.receive()
        if not _is_list(found) or len(found) < members or found[0] != kind:
            raise ValueError(f"it said {shown(found)[:100]} where {kind} was expected")
        return found[:members]


def _is_list(thing: object) -> TypeGuard[list[Any]]:
    return isinstance(thing, list)


def _digest(salt: str, name: str, nonce: bytes, key: str) -> str:
    return hashlib.sha512(b"".join((salt.encode(), name.encode(), nonce, key.encode()))).hexdigest()


def _facts(entry: Entry) -> dict[str, Any]:
    own = {"level": entry.rank, "logger": entry.logger, "msg": entry.message}
    own |= {name: text for name, text in (("error", entry.error), ("stack", entry.stack)) if text}
    return {**{f"fields.{name}" if name in own else name: fact for name, fact in entry.fields.items()}, **own}


def _event(at: float, facts: dict[str, Any]) -> bytes:
    second = int(at)
    when = _library.ExtType(0, struct.pack(">II", second & 0xFFFFFFFF, int((at - second) * 1e9)))
    try:
        return _pack([when, facts])
    except (ValueError, OverflowError):  # an integer of more than 64 bits, somewhere in it
        return _pack([when, {name: _packable(fact) for name, fact in facts.items()}])


def _packable(fact: Any) -> Any:
    try:
        _pack(fact)
    except (ValueError, OverflowError):
        return as_json(fact)
    return fact


def _message(tag: str, events: list[bytes], chunk: str) -> bytes:
    options = {"size": len(events), **({"chunk": chunk} if chunk else {})}
    return b"".join(_parts(tag, events, options))


def _parts(tag: str, events: list[bytes], options: dict[str, Any]) -> Iterator[bytes]:
    packer = _library.Packer()
    yield packer.pack_array_header(3)
    yield _pack(tag)
    yield packer.pack_array_header(len(events))
    yield from events
    yield _pack(options)


def _pack(thing: Any) -> bytes:
    packed: bytes = _library.packb(thing, unicode_errors="backslashreplace")
    return packed
