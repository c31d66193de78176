"""What a project says about rules: ``[tool.kratos.lint]`` in its ``pyproject.toml``."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, cast

from kratos.tools.codegen.project import ProjectError

__all__ = ["Settings", "chosen"]

_ID = re.compile(r"[A-Z][A-Z0-9_]*")
_LISTS = ("select", "ignore")
_PATHS = ("exclude", "configs")


@dataclass(frozen=True, slots=True)
class Settings:
    """Which rules count, and where.

    Attributes:
        select: The rules that count, by id or the beginning of one; all if empty.
        ignore: The rules that do not; the longer beginning wins over ``select``.
        per_file: Rules that do not count in files, by patterns such as ``tests/**``.
        exclude: Patterns of files that are not judged.
        configs: Files of configuration, and folders of them.
        schema: The full name of the message that they have to fit; the one called ``Bootstrap`` if empty.
    """

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    per_file: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, "tuple[str, ...]"])
    exclude: tuple[str, ...] = ()
    configs: tuple[str, ...] = ("configs",)
    schema: str = ""

    @classmethod
    def load(cls, root: Path) -> Settings:
        """Reads the table of a project; all defaults if there is none.

        Raises:
            ProjectError: It has a key or a value that it cannot have.
        """
        path = root / "pyproject.toml"
        if not path.is_file():
            return cls()
        table: Any = tomllib.loads(path.read_text(encoding="utf-8")).get("tool", {}).get("kratos", {}).get("lint", {})
        known = {each.name.replace("_", "-") if each.name != "per_file" else "per-file-ignores": each.name
                 for each in fields(cls)}  # fmt: skip
        said: dict[str, Any] = {}
        for key, value in table.items():
            if key not in known:
                raise ProjectError(f"{path}: [tool.kratos.lint] does not know {key}; it knows {', '.join(known)}")
            said[known[key]] = _setting(path, key, value)
        return cls(**said)

    def counts(self, rule: str, path: str) -> bool:
        """Tells whether a rule counts in a file."""
        if self.excluded(path):
            return False
        if any(_fits(path, pattern) and chosen(rule, ids) for pattern, ids in self.per_file.items()):
            return False
        for_it = max((len(each) for each in self.select if chosen(rule, [each])), default=-1 if self.select else 0)
        against = max((len(each) for each in self.ignore if chosen(rule, [each])), default=-1)
        return for_it > against

    def excluded(self, path: str) -> bool:
        """Tells whether a file is not judged."""
        return any(_fits(path, pattern) for pattern in self.exclude)


def chosen(rule: str, ids: Iterable[str]) -> bool:
    """Tells whether a rule is meant by one of several ids, or by the beginning of one."""
    return any(rule.startswith(each) for each in ids)


def _fits(path: str, pattern: str) -> bool:
    plain = pattern.rstrip("/")
    return fnmatchcase(path, plain) or fnmatchcase(path, f"{plain}/*") or (
        plain.startswith("**/") and fnmatchcase(path, plain.removeprefix("**/"))
    )  # fmt: skip


def _setting(path: Path, key: str, value: Any) -> Any:
    if key == "schema" and isinstance(value, str):
        return value
    texts = _texts(value)
    if texts is not None and (key in _PATHS or (key in _LISTS and all(map(_ID.fullmatch, texts)))):
        return texts
    if key == "per-file-ignores" and isinstance(value, dict):
        table = {pattern: _texts(ids) for pattern, ids in cast("dict[str, Any]", value).items()}
        if all(ids is not None and all(map(_ID.fullmatch, ids)) for ids in table.values()):
            return table
    wanted = {
        "schema": 'the full name of a message, "conf.Bootstrap"',
        "configs": 'a list of files and folders, ["configs"]',
        "exclude": 'a list of patterns, ["legacy/**"]',
        "per-file-ignores": 'patterns with lists of ids, {"tests/**" = ["KRY2"]}',
    }
    raise ProjectError(f"{path}: [tool.kratos.lint] {key} must be {wanted.get(key, 'a list of ids')}, not {value!r}")


def _texts(value: Any) -> tuple[str, ...] | None:
    if isinstance(value, list) and all(isinstance(each, str) for each in cast("list[object]", value)):
        return tuple(cast("list[str]", value))
    return None
