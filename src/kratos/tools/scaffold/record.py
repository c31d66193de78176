"""What a project remembers of its template: what it was made from, and how each file looked then.

That is what makes upgrades possible: only who knows what the template had said can tell what was changed since.
"""

from __future__ import annotations

import json
import tomllib
import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from kratos.tools.failure import Failure

__all__ = ["RECORD", "Record", "contents"]

RECORD: Final = ".kratos-template.json"
"""The file in a project, committed with the others."""


@dataclass(frozen=True, slots=True)
class Record:
    """What a project was made from.

    Attributes:
        layout: The template.
        version: The version of kratos that has filled it in.
        name: The project's name.
        package: Its package.
        files: What the template had made of each file.
        known: Whether that is known: projects that are older than records have none.
    """

    layout: str
    version: str
    name: str
    package: str
    files: Mapping[str, bytes]
    known: bool = True

    @classmethod
    def read(cls, root: Path) -> Record:
        """Reads the record of a project, or what its settings say instead.

        Raises:
            Failure: Nothing says what the project was made from, or the record is broken.
        """
        path = root / RECORD
        try:
            said: dict[str, Any] = json.loads(path.read_bytes())
            files = {name: zlib.decompress(b64decode(text)) for name, text in said.pop("files").items()}
            layout, version, name, package = (str(said[key]) for key in ("layout", "version", "name", "package"))
            return cls(layout, version, name, package, files)
        except FileNotFoundError:
            return cls._guessed(root)
        except (ValueError, KeyError, AttributeError, zlib.error) as error:
            raise Failure(
                f"{path} cannot be read ({error}): take it from the history", hint=f"git log -- {RECORD}"
            ) from error

    @classmethod
    def _guessed(cls, root: Path) -> Record:
        settings: dict[str, Any] = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
        kratos = cast("dict[str, Any]", settings.get("tool", {}).get("kratos", {}))
        scaffold = kratos.get("scaffold")
        if not scaffold:
            raise Failure(
                f"{root} does not say what it was made from: pyproject.toml has no [tool.kratos.scaffold] table",
                hint="kratos upgrade --help",
            )
        name = str(settings.get("project", {}).get("name", root.name))
        package = str(kratos.get("out", "gen")).partition("/")[0]
        return cls(str(scaffold.get("layout", "")), str(scaffold.get("version", "")), name, package, {}, known=False)

    def write(self, root: Path) -> None:
        """Writes the record of a project, a line for each file."""
        files = {name: b64encode(zlib.compress(content, 9)).decode() for name, content in sorted(self.files.items())}
        said = {
            "about": "How the template's files looked when they were last taken over; kratos upgrade compares with it.",
            "layout": self.layout,
            "version": self.version,
            "name": self.name,
            "package": self.package,
            "files": files,
        }
        (root / RECORD).write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8", newline="\n")


def contents(folder: Path, names: Iterable[str]) -> dict[str, bytes]:
    """Returns the contents of files, by their names below a folder."""
    return {name: (folder / name).read_bytes() for name in names}
