"""TLS for servers and clients: certificates, whom to trust, and nothing older than TLS 1.2."""

from __future__ import annotations

import logging
import os
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

__all__ = ["TLS", "Renewal", "RenewedContext"]

logger = logging.getLogger("kratos.tls")

StrPath: TypeAlias = "str | os.PathLike[str]"


@dataclass(frozen=True, slots=True, kw_only=True)
class TLS:
    """The certificates of one end of a connection, in PEM files.

    Attributes:
        cert: Our certificate, followed by those that lead to its authority. Servers need one.
        key: Its private key.
        ca: Whom to trust, one or more certificates. A server that has it asks every client for a certificate (mutual
            TLS); a client that has none trusts the system's authorities.
        password: What the key is encrypted with.
        server_name: Clients: the name to expect in the server's certificate, where it is not the target's host.

    Raises:
        ValueError: A certificate comes without its key, or the other way round.
    """

    cert: StrPath | None = None
    key: StrPath | None = None
    ca: StrPath | None = None
    password: str | None = field(default=None, repr=False)
    server_name: str | None = None

    def __post_init__(self) -> None:
        if (self.cert is None) != (self.key is None):
            raise ValueError("TLS takes a certificate and its key together: TLS(cert=..., key=...)")

    def server_context(self) -> ssl.SSLContext:
        """Returns what a server needs to accept connections.

        Raises:
            ValueError: There is no certificate, or a file cannot be used; the message names it.
        """
        if self.cert is None:
            raise ValueError("a server needs a certificate: TLS(cert=..., key=...)")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if self.ca is not None:
            context.verify_mode = ssl.CERT_REQUIRED
        return self._loaded(context)

    def client_context(self) -> ssl.SSLContext:
        """Returns what a client needs to connect.

        Raises:
            ValueError: A file cannot be used; the message names it.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if self.ca is None:
            context.load_default_certs()
        return self._loaded(context)

    def load(self, context: ssl.SSLContext) -> None:
        """Reads certificate and key again into a context: connections to come use what is in the files now.

        Raises:
            ValueError: They cannot be used; the context keeps what it has.
        """
        if self.cert is None or self.key is None:
            return
        _readable(self.cert, self.key)
        # Without a password OpenSSL would ask for one on the terminal. Only encrypted keys look at it.
        password = self.password or ""
        try:
            # Tried on a context of no importance: one that has taken a certificate and no key for it serves nobody.
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self.cert, self.key, password)
            context.load_cert_chain(self.cert, self.key, password)
        except ssl.SSLError as failure:
            reason = failure.reason or "is it all of a PEM file, and the password right?"
            raise ValueError(f"certificate {self.cert} and key {self.key} cannot be used: {reason}") from failure

    def _loaded(self, context: ssl.SSLContext) -> ssl.SSLContext:
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.load(context)
        if self.ca is not None:
            _readable(self.ca)
            try:
                context.load_verify_locations(self.ca)
            except ssl.SSLError as failure:
                reason = failure.reason or str(failure)
                raise ValueError(f"{self.ca} holds no certificate to trust: {reason}") from failure
        return context


class Renewal:
    """The certificate of a server that runs, which is taken anew when its files change.

    Args:
        tls: The files.
        take: Takes what is in them, now and after each change; a ValueError says that it is of no use.

    Raises:
        ValueError: As ``take``, the first time.
    """

    def __init__(self, tls: TLS, take: Callable[[], None]) -> None:
        self._tls = tls
        self._take = take
        self._seen = self._stamps()
        take()

    def check(self) -> None:
        """Takes what is in the files now, if that is something else and of use; who is connected stays connected."""
        seen = self._stamps()
        if seen == self._seen:
            return
        self._seen = seen  # from before they are read: what changes meanwhile is seen the next time
        try:
            self._take()
        except ValueError as failure:
            logger.error("the certificate of before is served on: %s", failure)  # noqa: TRY400 - words, no traceback
        else:
            logger.info("a new certificate is served: %s", self._tls.cert)

    def _stamps(self) -> list[tuple[int, ...]]:
        return [_stamp(path) for path in (self._tls.cert, self._tls.key) if path is not None]


class RenewedContext(Renewal):
    """The TLS of a server that runs on ``ssl``.

    Args:
        tls: The files.
        protocols: What is spoken, for ALPN.

    Attributes:
        context: What connections are accepted by.

    Raises:
        ValueError: As ``TLS.server_context``.
    """

    def __init__(self, tls: TLS, protocols: list[str]) -> None:
        self.context = tls.server_context()
        self.context.set_alpn_protocols(protocols)
        super().__init__(tls, lambda: tls.load(self.context))


def _stamp(path: StrPath) -> tuple[int, ...]:
    """Returns what differs when a file has been written or replaced, links to it included."""
    try:
        status = Path(path).stat()
    except OSError:
        return ()
    return status.st_mtime_ns, status.st_ino, status.st_size


def _readable(*paths: StrPath) -> None:
    for path in paths:
        try:
            with Path(path).open("rb"):
                pass
        except OSError as failure:
            raise ValueError(f"{path} cannot be read: {failure.strerror}") from failure
