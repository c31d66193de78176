"""Certificates for tests, made on the spot."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import trustme

from kratos.transport.tls import TLS


class Certificates:
    """An authority and what it issues, as PEM files in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = trustme.CA()
        self.ca = folder / "ca.pem"
        self.authority.cert_pem.write_to_path(self.ca)

    def issue(self, name: str, *hosts: str, by: trustme.CA | None = None, **options: Any) -> TLS:
        """Writes ``name.pem`` and ``name.key``; a second time replaces them."""
        issued = (by or self.authority).issue_cert(*(hosts or ("localhost",)), **options)
        cert, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        cert.write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
        key.write_bytes(issued.private_key_pem.bytes())
        return TLS(cert=cert, key=key)

    def expired(self) -> TLS:
        past = datetime(2020, 1, 1, tzinfo=UTC), datetime(2021, 1, 1, tzinfo=UTC)
        return self.issue("expired", not_before=past[0], not_after=past[1])

    def mutual(self, own: TLS) -> TLS:
        """Adds the authority: whom to trust, at either end."""
        return TLS(cert=own.cert, key=own.key, ca=self.ca)

    def trusting(self, own: TLS | None = None) -> ssl.SSLContext:
        """Returns the context of a client."""
        context = ssl.create_default_context(cafile=str(self.ca))
        if own is not None and own.cert is not None:
            context.load_cert_chain(own.cert, own.key)
        return context
