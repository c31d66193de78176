"""Addresses to listen on, and sockets that are bound before anybody is told of them."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Address", "Addressed", "listen"]

_LISTENING = "0A"  # TCP_LISTEN in /proc/net/tcp


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen.

    Attributes:
        host: A name or IP address; IPv6 without brackets.
        port: 0 is "any free one".
    """

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """Reads ``host:port``, ``[::1]:port`` or ``:port`` (all interfaces).

        Raises:
            ValueError: It is something else.
        """
        host, colon, port = text.rpartition(":")
        if not colon or not port.isdecimal() or int(port) > 65535 or (":" in host and not host.startswith("[")):
            raise ValueError(f"address {text!r} is not host:port, such as 127.0.0.1:8000 or [::1]:0")
        return cls(host.strip("[]") or "0.0.0.0", int(port))  # noqa: S104 - asked for by an empty host

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    def bound(self, sock: socket.socket | None) -> Address:
        """Returns the address with the port that a listening socket really has."""
        if sock is None or self.port != 0:
            return self
        return Address(self.host, sock.getsockname()[1])


class Addressed:
    """A server that listens on one address.

    Args:
        address: ``host:port``; port 0 takes a free one.

    Raises:
        ValueError: It is something else.
    """

    def __init__(self, address: str) -> None:
        self._address = Address.parse(address)

    @property
    def address(self) -> str:
        """Where it listens, ``host:port``; may be set before ``start``.

        Raises:
            ValueError: It is set to something else.
        """
        return str(self._address)

    @address.setter
    def address(self, address: str) -> None:
        self._address = Address.parse(address)


def listen(address: Address) -> socket.socket:
    """Returns a bound TCP socket that is not yet listening.

    Raises:
        OSError: The address cannot be had: taken, not ours, or not permitted; the message says what to do.
    """
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    # Named as TCP, so that asyncio turns off Nagle's algorithm for what is accepted: it looks at the protocol number,
    # and replies of two writes would wait 40 ms for an acknowledgement.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name != "nt":  # on Windows the option lets two servers share a port
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address.host, address.port))
        sock.setblocking(False)
    except OSError as failure:
        sock.close()
        raise explain(failure, address) from failure
    return sock


def explain(failure: OSError, address: Address) -> OSError:
    """Returns the failure to bind in words that help."""
    owner = _owner(address.port) if failure.errno == errno.EADDRINUSE else None
    advice = {
        errno.EADDRINUSE: f"{owner or 'another program'} listens there; stop it, or choose another port "
        f'such as "{Address(address.host, 0)}", which takes a free one',
        errno.EACCES: "ports below 1024 need privileges; choose a higher one",
        errno.EADDRNOTAVAIL: "this machine has no such address; 127.0.0.1 is local, 0.0.0.0 is every interface",
    }
    reason = advice.get(failure.errno or 0, failure.strerror or str(failure))
    return OSError(failure.errno, f"cannot listen on {address}: {reason}")


def _owner(port: int) -> str | None:
    """Names the process that listens on a TCP port, where Linux tells us; only our own user's processes are seen."""
    inodes = {
        f"socket:[{fields[9]}]"
        for table in ("/proc/net/tcp", "/proc/net/tcp6")
        for fields in map(str.split, _lines(table)[1:])
        if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port
    }
    for process in Path("/proc").glob("[0-9]*") if inodes else ():
        if not inodes.isdisjoint(_sockets(process)):
            return f"process {process.name} ({''.join(_lines(str(process / 'comm'))).strip()})"
    return None


def _sockets(process: Path) -> set[str]:
    """Returns what a process holds open; nothing if we may not look, or it has ended."""
    held: set[str] = set()
    with contextlib.suppress(OSError):
        for handle in (process / "fd").iterdir():
            with contextlib.suppress(OSError):  # closed meanwhile, as the handle of this very listing is
                held.add(os.readlink(handle))
    return held


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
