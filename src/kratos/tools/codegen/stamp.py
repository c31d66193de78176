"""What the last generation was made from and what it made: a run that finds both unchanged has nothing to do.

Contents are compared, never times: a checkout, a copy or a formatter may change times and nothing else, and an editor
may change a file within one tick of the clock. A stamp names the contents it vouches for, so one that a crash has left
behind is merely out of date.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from hashlib import blake2b
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from kratos.tools.codegen.buf import executable
from kratos.tools.codegen.folder import replace_file
from kratos.tools.codegen.protos import sources

__all__ = ["Stamp", "fingerprint", "inputs"]

_WRITERS = ("protoc-gen-py", "protobuf-py")
"""Distributions whose version may change what is generated."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a generation was made from, and what it made.

    Attributes:
        inputs: What ``inputs`` has returned for it.
        made: Fingerprint of each generated file by its path in the output; empty for a package of somebody's own.
        staged: Fingerprint of each third-party proto by its path.
    """

    inputs: str
    made: Mapping[str, str]
    staged: Mapping[str, str]

    @classmethod
    def read(cls, path: Path) -> Stamp | None:
        """Returns the stamp in a file; None if there is none that can be read."""
        try:
            return cls(**json.loads(path.read_bytes()))
        except (OSError, ValueError, TypeError):
            return None

    def write(self, path: Path) -> None:
        """Writes the stamp, in one step."""
        replace_file(path, json.dumps(asdict(self), sort_keys=True).encode())


def fingerprint(content: bytes) -> str:
    """Returns a short text that differs where contents differ."""
    return blake2b(content, digest_size=16).hexdigest()


def inputs(protos: Iterable[tuple[str, Path]], settings: Iterable[object]) -> str:
    """Returns one text for all that decides what is generated: protos, settings, and whoever writes.

    Args:
        protos: Name and file of each proto of the project.
        settings: What else the project says.
    """
    digest = blake2b(digest_size=16)
    for name, content in _facts(protos, settings):
        digest.update(f"{len(name.encode())} {len(content)} {name}".encode() + content)
    return digest.hexdigest()


def _facts(protos: Iterable[tuple[str, Path]], settings: Iterable[object]) -> Iterator[tuple[str, bytes]]:
    yield "settings", repr((*settings,)).encode()
    yield "python", f"{sys.version_info[:2]}".encode()
    for name in _WRITERS:
        yield name, _version(name).encode()
    buf = Path(executable())
    yield "buf", f"{buf} {buf.stat().st_size} {buf.stat().st_mtime_ns}".encode()
    here = Path(__file__).parent  # by content: whoever works on the generator does not change its version
    for path in sorted((*here.glob("*.py"), *here.parents[1].glob("errors.py"))):
        yield path.name, path.read_bytes()
    for name, path in (*sources(), *sorted(protos)):
        yield name, path.read_bytes()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
