"""Addresses to listen on, and sockets that are bound before anybody is told of them."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import socket
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from kratos.transport.tls import TLS

__all__ = ["Address", "Addressed", "claim", "listen", "permit", "release"]

_LISTENING = "0A"  # TCP_LISTEN in /proc/net/tcp
_ACCEPTS = 0x10000  # __SO_ACCEPTCON in /proc/net/unix
_UNIX = re.compile(r"unix:(?://)?([^?\0]+[^?\0/])(?:\?mode=0?([0-7]{3}))?")


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen.

    Attributes:
        host: A name or IP address; IPv6 without brackets.
        port: 0 is "any free one".
        path: The file of a Unix socket, from the root; host and port mean nothing then.
        mode: Its permissions; None leaves them to the umask.
    """

    host: str = ""
    port: int = 0
    path: str = ""
    mode: int | None = None

    @classmethod
    def parse(cls, text: str) -> Address:
        """Reads ``host:port``, ``[::1]:port``, ``:port`` (all interfaces) or ``unix:/path?mode=660``.

        Raises:
            ValueError: It is something else.
        """
        if text.startswith("unix:"):
            found = _UNIX.fullmatch(text)
            if found is None:
                raise ValueError(f"address {text!r} is not unix:/path, such as unix:/run/shop.sock?mode=660")
            return cls(path=os.path.abspath(found[1]), mode=None if found[2] is None else int(found[2], 8))
        host, colon, port = text.rpartition(":")
        if not colon or not port.isdecimal() or int(port) > 65535 or (":" in host and not host.startswith("[")):
            raise ValueError(f"address {text!r} is not host:port, such as 127.0.0.1:8000 or [::1]:0")
        return cls(host.strip("[]") or "0.0.0.0", int(port))  # noqa: S104 - asked for by an empty host

    def __str__(self) -> str:
        if self.path:
            return f"unix:{self.path}" + ("" if self.mode is None else f"?mode={self.mode:03o}")
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    def url(self, scheme: str) -> str:
        """Returns the URL of what is there: ``http://10.0.0.7:8000``, ``http+unix:/run/shop.sock``."""
        return f"{scheme}+unix:{self.path}" if self.path else f"{scheme}://{self}"

    def bound(self, sock: socket.socket | None) -> Address:
        """Returns the address with the port that a listening socket really has."""
        if sock is None or self.port != 0 or self.path:
            return self
        return Address(self.host, sock.getsockname()[1])


class Addressed:
    """A server that listens on one address.

    Args:
        address: ``host:port``, where port 0 takes a free one; or ``unix:/path``.
        tls: Its certificate, for a server that has one.

    Raises:
        ValueError: It is something else, or a Unix socket with TLS.
    """

    def __init__(self, address: str, tls: TLS | None = None) -> None:
        self._address = Address.parse(address)
        if tls is not None and self._address.path:
            raise ValueError(f"{address} needs no TLS: what it carries stays on this machine")

    @property
    def address(self) -> str:
        """Where it listens, ``host:port`` or ``unix:/path``; may be set before ``start``.

        Raises:
            ValueError: It is set to something else.
        """
        return str(self._address)

    @address.setter
    def address(self, address: str) -> None:
        self._address = Address.parse(address)


def listen(address: Address) -> socket.socket:
    """Returns a bound socket: of TCP and not yet listening, or a Unix socket that listens.

    Raises:
        OSError: The address cannot be had: taken, not ours, or not permitted; the message says what to do.
    """
    if address.path:
        return _listen_unix(address)
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
    if address.path:
        return _explain_unix(failure, address)
    owner = _owner(address.port) if failure.errno == errno.EADDRINUSE else None
    advice = {
        errno.EADDRINUSE: f"{owner or 'another program'} listens there; stop it, or choose another port "
        f'such as "{Address(address.host, 0)}", which takes a free one',
        errno.EACCES: "ports below 1024 need privileges; choose a higher one",
        errno.EADDRNOTAVAIL: "this machine has no such address; 127.0.0.1 is local, 0.0.0.0 is every interface",
    }
    reason = advice.get(failure.errno or 0, failure.strerror or str(failure))
    return OSError(failure.errno, f"cannot listen on {address}: {reason}")


def claim(address: Address) -> None:
    """Makes way for a Unix socket: the file that a dead server has left there is removed. TCP needs no such thing.

    Raises:
        OSError: Somebody listens there, the file is none of a socket, or this system has no such sockets.
    """
    if not address.path:
        return
    if not hasattr(socket, "AF_UNIX"):
        raise OSError(errno.EAFNOSUPPORT, f"cannot listen on {address}: there are no Unix sockets on this system")
    try:
        found = Path(address.path).lstat()
    except OSError:
        return  # nothing is there; or else binding says it better
    if not stat.S_ISSOCK(found.st_mode):
        raise OSError(
            errno.EEXIST, f"cannot listen on {address}: a file is there that is no socket; choose another path"
        )
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(address.path)
        except ConnectionRefusedError:
            Path(address.path).unlink(missing_ok=True)
        except OSError as failure:  # a busy one, or one that we may not ask
            raise _explain_unix(OSError(errno.EADDRINUSE, str(failure)), address) from failure
        else:
            raise _explain_unix(OSError(errno.EADDRINUSE, "in use"), address)


def permit(address: Address) -> None:
    """Gives the file of a Unix socket the permissions that were asked for."""
    if address.mode is not None:
        Path(address.path).chmod(address.mode)


def release(address: Address) -> None:
    """Removes the file of a Unix socket that is closed, unless another server has taken its place."""
    with contextlib.suppress(OSError):
        claim(address)


def _listen_unix(address: Address) -> socket.socket:
    claim(address)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(address.path)
        permit(address)  # nobody can connect before it listens
        sock.listen(socket.SOMAXCONN)  # at once: one that does not listen looks like one that was left behind
        sock.setblocking(False)
    except OSError as failure:
        sock.close()
        raise explain(failure, address) from failure
    return sock


def _explain_unix(failure: OSError, address: Address) -> OSError:
    advice = {
        errno.EADDRINUSE: f"{_unix_owner(address.path) or 'another program'} listens there; stop it, or choose another "
        "path",
        errno.ENOENT: "there is no such folder",
        errno.EACCES: "we may not write to that folder",
    }
    reason = advice.get(failure.errno or 0, failure.strerror or str(failure))
    return OSError(failure.errno, f"cannot listen on {address}: {reason}")


def _owner(port: int) -> str | None:
    """Names the process that listens on a TCP port, where Linux tells us; only our own user's processes are seen."""
    return _holder(
        fields[9]
        for table in ("/proc/net/tcp", "/proc/net/tcp6")
        for fields in map(str.split, _lines(table)[1:])
        if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port
    )


def _unix_owner(path: str) -> str | None:
    """Names the process that listens on a Unix socket, as ``_owner``."""
    rows = (line.split(maxsplit=7) for line in _lines("/proc/net/unix")[1:])
    return _holder(row[6] for row in rows if row[7:] == [path] and int(row[3], 16) & _ACCEPTS)


def _holder(inodes: Iterable[str]) -> str | None:
    wanted = {f"socket:[{inode}]" for inode in inodes}
    for process in Path("/proc").glob("[0-9]*") if wanted else ():
        if not wanted.isdisjoint(_sockets(process)):
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
