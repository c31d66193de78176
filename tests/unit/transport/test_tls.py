"""TLS: contexts from files, and words for files that do not fit."""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import suppress
from pathlib import Path

import pytest
import trustme

from kratos.transport.tls import TLS


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def files(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates of a server and a client, and of their authority."""
    folder = tmp_path_factory.mktemp("certificates")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    for name in ("localhost", "client"):
        issued = authority.issue_cert(name)
        issued.private_key_pem.write_to_path(folder / f"{name}.key")
        for pem in issued.cert_chain_pems:
            pem.write_to_path(folder / f"{name}.pem", append=True)
    (folder / "empty.pem").touch()
    return folder


def handshake(server: ssl.SSLContext, client: ssl.SSLContext) -> tuple[str | None, dict[str, object]]:
    """Connects the two; returns the protocol, and the client's certificate as the server saw it."""
    left, right = socket.socketpair()
    seen: list[dict[str, object]] = []

    def serve() -> None:
        with suppress(OSError), left, server.wrap_socket(left, server_side=True) as accepted:
            seen.append(dict(accepted.getpeercert() or {}))
            accepted.send(b"x")

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with right, client.wrap_socket(right, server_hostname="localhost") as connected:
            connected.recv(1)
            return connected.version(), (seen or [{}])[0]
    finally:
        thread.join()


def test_handshake(files: Path) -> None:
    """A client that trusts the authority connects, by TLS 1.3."""
    server = TLS(cert=files / "localhost.pem", key=files / "localhost.key").server_context()
    version, certificate = handshake(server, TLS(ca=files / "ca.pem").client_context())
    assert version == "TLSv1.3"
    assert not certificate


def test_mutual(files: Path) -> None:
    """A server with an authority wants a certificate from everybody."""
    server = TLS(cert=files / "localhost.pem", key=files / "localhost.key", ca=files / "ca.pem").server_context()
    client = TLS(cert=files / "client.pem", key=files / "client.key", ca=files / "ca.pem").client_context()
    _, certificate = handshake(server, client)
    assert ("DNS", "client") in certificate["subjectAltName"]  # type: ignore[operator]  # a tuple of pairs
    with pytest.raises(ssl.SSLError):
        handshake(server, TLS(ca=files / "ca.pem").client_context())


def test_strangers(files: Path) -> None:
    """A client does not believe an authority it does not know, nor speak what is older than TLS 1.2."""
    server = TLS(cert=files / "localhost.pem", key=files / "localhost.key").server_context()
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(server, TLS().client_context())
    assert server.minimum_version == TLS().client_context().minimum_version == ssl.TLSVersion.TLSv1_2


def test_renewal(files: Path, tmp_path: Path) -> None:
    """New files are taken by a context in use; broken ones change nothing."""
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    tls = TLS(cert=cert, key=key)
    cert.write_bytes((files / "localhost.pem").read_bytes())
    key.write_bytes((files / "localhost.key").read_bytes())
    server, client = tls.server_context(), TLS(ca=files / "ca.pem").client_context()
    key.write_bytes(b"half a key")
    with pytest.raises(ValueError, match=r"cert\.pem and key .*key\.pem cannot be used"):
        tls.load(server)
    assert handshake(server, client)[0] == "TLSv1.3"
    another = trustme.CA().issue_cert("localhost")
    another.private_key_pem.write_to_path(key)
    another.cert_chain_pems[0].write_to_path(cert)
    tls.load(server)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(server, client)


def test_wrong_files(files: Path) -> None:
    """What is wrong with which file is said."""
    with pytest.raises(ValueError, match="together"):
        TLS(cert=files / "localhost.pem")
    with pytest.raises(ValueError, match="a server needs a certificate"):
        TLS(ca=files / "ca.pem").server_context()
    with pytest.raises(ValueError, match=r"nothing\.pem cannot be read: No such file"):
        TLS(cert=files / "nothing.pem", key=files / "localhost.key").server_context()
    with pytest.raises(ValueError, match=r"client\.key cannot be used: KEY_VALUES_MISMATCH"):
        TLS(cert=files / "localhost.pem", key=files / "client.key").server_context()
    with pytest.raises(ValueError, match=r"empty\.pem holds no certificate to trust"):
        TLS(ca=files / "empty.pem").client_context()
    TLS(ca=files / "ca.pem").load(ssl.create_default_context())  # nothing to load is no failure
