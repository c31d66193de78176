"""TLS as grpcio takes it: the same files and the same words about them as with HTTP, by a library of its own."""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import grpc

from kratos.call import Certificate, Peer
from kratos.transport.tls import TLS, Renewal

__all__ = ["client_credentials", "identified", "server_credentials"]

_NAMES: Final = "x509_subject_alternative_name"
_COMMON_NAME: Final = "x509_common_name"


def server_credentials(tls: TLS) -> Any:
    """Returns what grpcio's server accepts connections by; a certificate that is renewed is taken by the next one.

    Raises:
        ValueError: A file cannot be used; the message names it.
    """
    taken: list[Any] = []

    def take() -> None:
        tls.server_context()  # says in words what is wrong with the files; grpcio would only refuse to serve
        roots = None if tls.ca is None else _read(tls.ca)
        taken.append(grpc.ssl_server_certificate_configuration([_pair(tls)], roots))

    renewal = Renewal(tls, take)

    def fetch() -> Any:
        # Before each handshake, in threads of grpcio.
        renewal.check()
        try:
            return taken.pop()
        except IndexError:
            return None

    return grpc.dynamic_ssl_server_credentials(taken.pop(), fetch, require_client_authentication=tls.ca is not None)


def client_credentials(tls: TLS) -> grpc.ChannelCredentials:
    """Returns what grpcio's channels connect by.

    Raises:
        ValueError: A file cannot be used; the message names it.
    """
    tls.client_context()
    roots = _system_roots() if tls.ca is None else _read(tls.ca)
    key, chain = (None, None) if tls.cert is None else _pair(tls)
    return grpc.ssl_channel_credentials(roots, key, chain)


def identified(peer: Peer, facts: Mapping[str, Iterable[bytes]]) -> Peer:
    """Returns the peer with the certificate that it has shown.

    Args:
        peer: The other end of a connection.
        facts: What grpcio knows of its identity; without a certificate the peer stays as it is.
    """
    names, common = tuple(facts.get(_NAMES, ())), tuple(facts.get(_COMMON_NAME, ()))
    return _identified(peer.address, common, names) if names or common else peer


@lru_cache(maxsize=4096)
def _identified(address: str, common: tuple[bytes, ...], names: tuple[bytes, ...]) -> Peer:
    # Never by the address alone: it may be somebody else's a moment later.
    text = [name.decode("utf-8", "replace") for name in (*common, *names)]
    return Peer(address, Certificate(text[0] if common else "", tuple(text[len(common) :])))


def _pair(tls: TLS) -> tuple[bytes, bytes]:
    """Returns key and certificate, in grpcio's order."""
    if tls.password is not None:
        raise ValueError(
            f"key {tls.key} is encrypted, which grpcio cannot read: write it without a password "
            "(openssl pkey -in KEY -out NEW), readable for the service alone"
        )
    return _read(tls.key), _read(tls.cert)


def _read(path: Any) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as failure:
        raise ValueError(f"{path} cannot be read: {failure.strerror}") from failure


def _system_roots() -> bytes | None:
    """Returns the system's authorities; None if there are none, and grpcio takes a list of its own."""
    context = ssl.create_default_context()
    found = [ssl.DER_cert_to_PEM_cert(each) for each in context.get_ca_certs(binary_form=True)]
    return "".join(found).encode() or None
