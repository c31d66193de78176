"""All families of rules, and the judgement of all of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from kratos.tools.codegen.project import Project
from kratos.tools.lint.base import Family, Finding
from kratos.tools.lint.protos import check as check_protos

__all__ = ["FAMILIES", "check"]

FAMILIES: Final[Mapping[str, Family]] = {"proto": check_protos}
"""What is judged, by name."""


def check(project: Project) -> list[Finding]:
    """Returns what breaks rules, by file and place.

    Raises:
        Failure: The project cannot be judged; for protos that do not compile it carries the places.
    """
    return sorted(finding for family in FAMILIES.values() for finding in family(project))
