"""Which checks there are, in the order in which people want to read them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from kratos.tools.codegen.project import Project
from kratos.tools.doctor.checkup import Check, Finding, run
from kratos.tools.doctor.installation import distributions, python, requirements, temporary
from kratos.tools.doctor.project import contracts, drift, loaded_app, proto_packages, table, writable_folders
from kratos.tools.doctor.shadows import first_program, imported_names, shared_packages
from kratos.tools.failure import Failure

__all__ = ["checks", "examine"]


def examine(start: Path) -> Iterator[Finding]:
    """Makes all checks and yields what they find.

    Args:
        start: The folder to look from.
    """
    return run(checks(start))


def checks(start: Path) -> list[tuple[str, Check]]:
    """Returns the checks of this installation, and those of the project that a folder belongs to.

    Args:
        start: The folder.
    """
    found = _project(start)
    package = Path(__file__).parent.parent.parent
    places = [start, *([found.root] if found else ()), *(Path(entry or ".") for entry in sys.path)]
    general: list[tuple[str, Check]] = [
        ("Python", python),
        ("libraries", requirements),
        ("program kratos", first_program),
        ("name kratos", partial(imported_names, places, package)),
        ("package kratos", lambda: shared_packages(distributions())),
        ("temporary files", temporary),
        ("project", partial(table, start)),
    ]
    if found is None:
        return general
    return [
        *general,
        ("proto packages", partial(proto_packages, found)),
        ("generated code", partial(drift, found)),
        ("contract", partial(contracts, found)),
        ("folders", partial(writable_folders, found)),
        ("app", partial(loaded_app, found)),
    ]


def _project(start: Path) -> Project | None:
    try:
        return Project.find(start)
    except (Failure, OSError, UnicodeDecodeError):  # told by the check of the table
        return None
