"""What may stand in front of us: another ``kratos`` program, folder, module or package.

Nothing unknown is run: what a program is can be told from its first bytes.
"""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from kratos.tools.doctor.checkup import Finding

__all__ = ["first_program", "imported_names", "shared_packages"]

_NATIVE: Final = (b"\x7fELF", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe", b"\xce\xfa\xed\xfe", b"MZ")
_HEAD: Final = 1024


def first_program(path: str | None = None, scripts: Path | None = None) -> Iterator[Finding]:
    """Says which ``kratos`` runs first.

    Args:
        path: Where programs are looked for; ``PATH`` if not given.
        scripts: Where ours is; this environment's folder of programs if not given.
    """
    ours = scripts or Path(sysconfig.get_path("scripts"))
    other = _alternative(path, ours)
    found = shutil.which("kratos", path=path)
    if found is None:
        yield Finding("warn", "program kratos", f"not on PATH; it is in {ours}", other)
        return
    if Path(found).resolve().parent == ours.resolve():
        yield Finding("ok", "program kratos", found)
        return
    head = _head(Path(found))
    if head is None:
        yield Finding("warn", "program kratos", f"{found} runs first and cannot be read", other)
    elif head.startswith(_NATIVE):
        yield Finding("warn", "program kratos", f"{found} runs first: a native program, not ours (Go Kratos?)", other)
    elif os.fsencode(ours.parent) in b"".join(head.splitlines()[:2]):
        yield Finding("ok", "program kratos", f"{found}, with this Python")
    elif b"python" in head.lower():
        detail = f"{found} runs first, with another Python than {sys.executable}"
        yield Finding("warn", "program kratos", detail, other)
    else:
        yield Finding("warn", "program kratos", f"{found} runs first, and is not ours", other)


def _alternative(path: str | None, ours: Path) -> str:
    """Returns what to type instead of ``kratos``."""
    found = shutil.which("kratos-py", path=path)
    if found is not None and Path(found).resolve().parent == ours.resolve():
        return "kratos-py …"
    return f"{sys.executable} -m kratos.tools.cli …"


def _head(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            return file.read(_HEAD)
    except OSError:
        return None


def imported_names(folders: Iterable[Path], package: Path) -> Iterator[Finding]:
    """Says whether a folder or module is taken for the package where Python looks first.

    Args:
        folders: Where programs are started, and where Python looks.
        package: The package that is ours.
    """
    seen = {package.resolve()}
    shadowed = False
    for folder in folders:
        for name in ("kratos", "kratos.py"):
            found = folder / name
            if found.resolve() in seen or not found.exists():
                continue
            seen.add(found.resolve())
            if name == "kratos.py" or (found.is_dir() and next(found.glob("*.py"), None) is not None):
                shadowed = True
                yield Finding("bad", "name kratos", f"{found} is imported instead of the package", f"rename {found}")
    if not shadowed:
        yield Finding("ok", "name kratos", str(package))


def shared_packages(owners: Mapping[str, Sequence[str]]) -> Iterator[Finding]:
    """Says whether another distribution has installed into our package.

    Args:
        owners: The distributions of each import name.
    """
    others = sorted({owner for owner in owners.get("kratos", ()) if owner.lower() != "kratos-py"})
    for other in others:
        detail = f"the distribution {other} installs a package of the same name: files may be mixed"
        advice = f"pip uninstall {other} && pip install --force-reinstall --no-deps kratos-py"
        yield Finding("bad", "package kratos", detail, advice)
    if not others:
        yield Finding("ok", "package kratos", "owned by kratos-py alone")
