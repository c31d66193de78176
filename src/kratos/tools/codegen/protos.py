"""Where the protos come from that nobody should have to copy: google's from their wheel, ours from this one.

The build hook uses this module before the package is installed, so it stands on the standard library alone.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from kratos.tools.failure import Failure

__all__ = ["DRIVERS", "MAPPED", "VALIDATE", "drivers", "sources", "stage"]

MAPPED = (
    "google/api", "google/longrunning", "google/rpc", "google/type", "errors", "kratos/options/v1", "buf/validate",
    "grpc/health/v1", "grpc/reflection/v1", "grpc/reflection/v1alpha",
)  # fmt: skip
"""Folders whose messages live in ``kratos.wire``: generated code imports them from there, one class per message."""

DRIVERS = ("etcd",)
"""Folders of what drivers speak: ours alone, so that a project may have such protos, and such packages, of its own."""

VALIDATE = "buf/validate/validate.proto"
"""The rules of protovalidate; the build writes their source into ``kratos.wire``, since no wheel has it."""

_GOOGLE = "googleapis-common-protos"
_WIRE = Path(__file__).parents[2] / "wire"


def stage(folder: Path, *, besides: Iterable[Path] = ()) -> None:
    """Makes ``folder`` hold the third-party protos, and nothing else; files that are right already stay untouched.

    Args:
        folder: Where to; it becomes an import root.
        besides: Other import roots. A file that one of them has is left to it.

    Raises:
        Failure: The wheel with google's protos is not installed.
    """
    roots = tuple(besides)
    wanted = {name: source for name, source in sources() if not any((root / name).is_file() for root in roots)}
    if folder.is_dir():
        for path in [path for path in folder.rglob("*.proto") if path.relative_to(folder).as_posix() not in wanted]:
            path.unlink()
    for name, source in wanted.items():
        target = folder / name
        if not target.is_file() or target.read_bytes() != source.read_bytes():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)


def sources() -> Iterator[tuple[str, Path]]:
    """Yields name and file of each third-party proto.

    Raises:
        Failure: The wheel with google's protos is not installed.
    """
    own = _own_protos()
    for path in sorted(own.rglob("*.proto")):
        if path.relative_to(own).parts[0] not in DRIVERS:
            yield path.relative_to(own).as_posix(), path
    if (_WIRE / VALIDATE).is_file():  # not before the package is built
        yield VALIDATE, _WIRE / VALIDATE
    try:
        google = distribution(_GOOGLE)
    except PackageNotFoundError:
        raise Failure(f"google's protos are missing ({_GOOGLE})", hint='pip install "kratos-py[tools]"') from None
    for file in google.files or ():
        # protobuf's own well-known types are built into buf.
        if file.suffix == ".proto" and file.parts[:2] != ("google", "protobuf"):
            yield file.as_posix(), Path(str(google.locate_file(file)))


def drivers() -> Iterator[tuple[str, Path]]:
    """Yields name and file of each proto that a driver of ours speaks."""
    own = _own_protos()
    for folder in DRIVERS:
        for path in sorted((own / folder).rglob("*.proto")):
            yield path.relative_to(own).as_posix(), path


def _own_protos() -> Path:
    installed = Path(__file__).parent / "proto"
    return installed if installed.is_dir() else Path(__file__).parents[4] / "proto"  # a checkout
