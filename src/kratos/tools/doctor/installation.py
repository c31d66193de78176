"""The installation: Python, the packages it should have and their versions, room for temporary files."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib import metadata
from typing import Final

from kratos.tools.doctor.checkup import Finding, State
from kratos.tools.doctor.versions import Requirement, accepts
from kratos.version import __version__

__all__ = ["distributions", "python", "requirements", "temporary"]

_OLDEST: Final = (3, 11)
_NEWEST_TESTED: Final = (3, 13)
_TOOLS: Final = "tools"
_ALL: Final = "all"  # the others once more


def python(version: tuple[int, int, int] | None = None) -> Iterator[Finding]:
    """Says whether a Python is supported, this one if none is given, and which kratos it runs."""
    version = version or sys.version_info[:3]
    text = ".".join(map(str, version))
    if version[:2] < _OLDEST:
        yield Finding("bad", "Python", text, "install Python 3.11 or newer")
    elif version[:2] > _NEWEST_TESTED:
        yield Finding("warn", "Python", f"{text}: expected to work, untested", "Python 3.11 to 3.13 are tested")
    else:
        yield Finding("ok", "Python", text)
    yield Finding("ok", "kratos-py", __version__)


def distributions() -> dict[str, list[str]]:
    """Returns the distributions of each import name."""
    return {name: list(owners) for name, owners in metadata.packages_distributions().items()}


def requirements(
    stated: Iterable[str] | None = None, version_of: Callable[[str], str] = metadata.version
) -> Iterator[Finding]:
    """Says what is missing or of a version that is not accepted.

    Args:
        stated: The requirements; those of the installed kratos-py if not given.
        version_of: Returns the installed version of a distribution, or raises ``PackageNotFoundError``.
    """
    lines = metadata.requires("kratos-py") or [] if stated is None else stated
    wanted = [each for each in map(Requirement.parse, lines) if each.here and each.name.lower() != "kratos-py"]
    for extra in sorted({each.extra for each in wanted} - {_ALL}):
        yield from _extra(extra, [each for each in wanted if each.extra == extra], version_of)


def _extra(extra: str, wanted: Sequence[Requirement], version_of: Callable[[str], str]) -> Iterator[Finding]:
    missing: list[str] = []
    fine: list[str] = []
    install = f'pip install "kratos-py[{extra}]"' if extra else 'pip install --upgrade "kratos-py"'
    for each in sorted(wanted, key=lambda each: each.name):
        try:
            version = version_of(each.name)
        except metadata.PackageNotFoundError:
            missing.append(each.name)
            continue
        if accepts(each.versions, version):
            fine.append(f"{each.name} {version}")
        else:
            yield Finding("bad", each.name, f"{version}, wanted is {each.versions}", install)
    what = f"extra {extra}" if extra else "libraries"
    if missing and (fine or extra in ("", _TOOLS)):  # an extra of which nothing is there was not asked for
        state: State = "bad" if extra in ("", _TOOLS) else "warn"
        yield Finding(state, what, f"missing: {', '.join(missing)}", install)
    elif missing:
        yield Finding("ok", what, "not installed")
    elif fine:
        yield Finding("ok", what, ", ".join(fine))


def temporary() -> Iterator[Finding]:
    """Says whether temporary files can be written: the generator works in a folder of its own."""
    try:
        with tempfile.TemporaryFile() as file:
            file.write(b"kratos")
    except OSError as failure:
        yield Finding("bad", "temporary files", failure.strerror or str(failure), "set TMPDIR to a folder with room")
    else:
        yield Finding("ok", "temporary files", tempfile.gettempdir())
