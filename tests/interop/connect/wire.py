"""What the suite and our programs say to each other: messages on pipes, headers as messages, certificates as files."""

from __future__ import annotations

import struct
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self, TypeVar

from interop.connect.gen.connectrpc.conformance.v1.config_pb import TLSCreds
from interop.connect.gen.connectrpc.conformance.v1.service_pb import Header
from kratos.metadata import Metadata
from kratos.transport.tls import TLS

M = TypeVar("M")


def read(type_: type[M]) -> M | None:
    """Reads one message from standard input; None at its end. Blocks."""
    size = sys.stdin.buffer.read(4)
    if not size:
        return None
    message: Any = type_
    read: M = message.from_binary(sys.stdin.buffer.read(struct.unpack(">I", size)[0]))
    return read


def write(message: Any) -> None:
    """Writes one message to standard output."""
    data = message.to_binary()
    sys.stdout.buffer.write(struct.pack(">I", len(data)) + data)
    sys.stdout.buffer.flush()


class Files:
    """Certificates as files, as our TLS takes them. Use it in a ``with`` statement."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="kratos-")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()

    def tls(self, ours: TLSCreds | None, trusted: bytes) -> TLS:
        """Returns what one end is told: its own certificate and key, and whom to trust."""
        ca = self._file("ca", trusted) if trusted else None
        if ours is None:
            return TLS(ca=ca)
        return TLS(cert=self._file("cert", ours.cert), key=self._file("key", ours.key), ca=ca)

    def _file(self, name: str, content: bytes) -> Path:
        path = Path(self._folder.name) / name
        path.write_bytes(content)
        return path


def told(metadata: Metadata) -> list[Header]:
    """Returns headers as the suite has them: one entry for each name."""
    values: dict[str, list[str]] = {}
    for name, value in metadata.items():
        values.setdefault(name, []).append(value)
    return [Header(name=name, value=value) for name, value in values.items()]


def add(headers: Iterable[Header], metadata: Metadata) -> Metadata:
    """Adds headers of the suite to metadata; returns it."""
    for header in headers:
        for value in header.value:
            metadata.add(header.name.lower(), value)
    return metadata
