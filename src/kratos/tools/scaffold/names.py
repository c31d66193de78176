"""What a new project may be called.

A name ends up in many places: a folder, a distribution, a Python package, an image, a Kubernetes object. It is checked
once, here, so that none of them fails later.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
import unicodedata
from dataclasses import dataclass
from keyword import iskeyword, issoftkeyword
from pathlib import Path
from typing import Final

from kratos.tools.failure import USAGE, Failure

__all__ = ["Names", "slug"]

_NAME = re.compile(r"[A-Za-z](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_ODD = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST = 40

_TAKEN: Final = {
    **dict.fromkeys(("kratos", "google", "errors"), "is a package that every project imports"),
    **dict.fromkeys(
        ("aiohttp", "click", "grpc", "httptools", "jinja2", "multipart", "prometheus_client", "protobuf", "pytest",
         "uvicorn", "uvloop", "validate", "watchfiles", "websockets", "yaml"),
        "is a package that kratos imports",
    ),
    **dict.fromkeys(("api", "configs", "deploy", "tests"), "is a folder that every project has"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Names:
    """What a project is called, and where it will be.

    Attributes:
        root: Its folder, absolute.
        name: The last element of the path.
        package: The Python package: the name in lower case, with underscores.
    """

    root: Path
    name: str
    package: str

    @classmethod
    def of(cls, typed: str) -> Names:
        """Reads a name or a path as somebody typed it; ``~`` is the home folder.

        Raises:
            Failure: It cannot be the name of a project; the hint has one that can.
        """
        path = Path(typed).expanduser() if typed.strip() else Path()
        root = Path(os.path.abspath(path))  # not resolve(): a link on the way to it is no business of ours
        name = root.name if typed.strip() else ""
        wrong = _wrong(name)
        if wrong:
            suggestion = path.with_name(_better(name)) if path.name == name != "" else Path(_better(name))
            raise Failure(
                f"{name!r} cannot be a project: {wrong}", hint=f"kratos new {shlex.quote(str(suggestion))}", code=USAGE
            )
        return cls(root, name, _package(name))


def slug(name: str) -> str:
    """Returns a name as images, Kubernetes objects and host names have it: lower case, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def _package(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower())


def _wrong(name: str) -> str:
    """Returns why a name is none, or nothing."""
    package = _package(name)
    reasons = {
        "it is empty": not name,
        "a Python package does not begin with a digit": name[:1].isdigit(),
        "only letters and digits, and - . _ between them": not _NAME.fullmatch(name),
        f"a name has at most {_LONGEST} characters": len(name) > _LONGEST,
        f"{package} is a keyword of Python": iskeyword(package) or iskeyword(name) or issoftkeyword(package),
        f"{package} is a module of Python's own library": package in sys.stdlib_module_names,
        f"{package} {_TAKEN.get(package)}": package in _TAKEN,
    }
    return next((reason for reason, applies in reasons.items() if applies), "")


def _better(name: str) -> str:
    """Returns a name that can be one and looks like the one that cannot."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    plain = _ODD.sub("-", plain).strip("-._")[:_LONGEST].rstrip("-._") or "shop"
    if plain[0].isdigit():
        plain = f"app-{plain}"[:_LONGEST].rstrip("-._")
    return plain if not _wrong(plain) else f"{plain}-service"
