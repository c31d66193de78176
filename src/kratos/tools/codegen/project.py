"""A project that generates code: what ``[tool.kratos]`` in its ``pyproject.toml`` says, and the generation itself."""

from __future__ import annotations

import tempfile
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from keyword import iskeyword
from pathlib import Path, PurePosixPath
from typing import Any, cast

from kratos.tools.codegen.buf import BufError, Plugin
from kratos.tools.codegen.buf import generate as run_buf
from kratos.tools.codegen.findings import explained
from kratos.tools.codegen.folder import Changes, apply, collect, compare, holds
from kratos.tools.codegen.lock import exclusive
from kratos.tools.codegen.protos import MAPPED
from kratos.tools.codegen.stamp import Stamp, fingerprint, inputs
from kratos.tools.codegen.workspace import STATE, THIRD_PARTY, Workspace, aside
from kratos.tools.failure import Failure

__all__ = ["Generated", "Project", "ProjectError", "generate"]

_STAMP = "generated.json"
_LINE_LENGTH = 88  # ruff's and Black's own
_OTHERS = ("scaffold", "lint")  # tables that others read


class ProjectError(Failure):
    """The project does not say what to generate, or does not let us."""


@dataclass(frozen=True, slots=True)
class Project:
    """What to generate and where to.

    Attributes:
        root: The folder of ``pyproject.toml``.
        protos: The folders of the project's own protos, relative to ``root``; imports start there.
        out: The package to write, relative to ``root``.
        line_length: How long lines of generated code may be: what the project's formatter is set to.
        app: What ``kratos run`` may serve, each ``module:attribute``; empty if the project does not say.
    """

    root: Path
    protos: tuple[str, ...] = ("api",)
    out: str = "gen"
    line_length: int = _LINE_LENGTH
    app: tuple[str, ...] = ()

    @classmethod
    def find(cls, start: Path) -> Project | None:
        """Reads the project that a folder belongs to: its own, or that of the nearest folder above that has one.

        Raises:
            ProjectError: The table is there and wrong.
        """
        for folder in (start, *start.resolve().parents):
            if _tools(folder / "pyproject.toml", missing={}).get("kratos") is not None:
                return cls.load(folder)
        return None

    @classmethod
    def load(cls, root: Path) -> Project:
        """Reads ``[tool.kratos]``; a line length that is not there is ruff's.

        Raises:
            ProjectError: The file or the table is missing or wrong.
        """
        path = root / "pyproject.toml"
        tools = _tools(path)
        if "kratos" not in tools:
            raise ProjectError(f'{path} has no [tool.kratos] table; for a start: protos = ["api"], out = "myapp/gen"')
        said = {key.replace("-", "_"): value for key, value in tools["kratos"].items() if key not in _OTHERS}
        length = tools.get("ruff", {}).get("line-length", _LINE_LENGTH)
        return _checked(cls(root, **_settings(path, {"line_length": length, **said})))


def _tools(path: Path, *, missing: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
    """Returns the ``[tool]`` table of a ``pyproject.toml``, or ``missing`` where there is no such file."""
    try:
        tools: Mapping[str, Any] = tomllib.loads(path.read_text(encoding="utf-8")).get("tool", {})
    except (FileNotFoundError, NotADirectoryError):
        if missing is not None:
            return missing
        raise ProjectError(f"{path} is missing: run this in a project, or make one with `kratos new`") from None
    except tomllib.TOMLDecodeError as error:
        raise ProjectError(f"{path} is not TOML: {error}") from None
    return tools


def _settings(path: Path, said: Mapping[str, Any]) -> dict[str, Any]:
    known = sorted({field.name for field in fields(Project)} - {"root"})
    if unknown := sorted({*said} - {*known}):
        raise ProjectError(f"{path}: [tool.kratos] does not know {', '.join(unknown)}; it knows {', '.join(known)}")
    if "out" not in said:
        raise ProjectError(f'{path}: [tool.kratos] does not say where to generate to: out = "myapp/gen"')
    return {key: _setting(path, key, value) for key, value in said.items()}


def _setting(path: Path, key: str, value: Any) -> Any:
    if key == "protos" and isinstance(value, list):
        folders = cast("list[object]", value)
        if folders and all(isinstance(folder, str) for folder in folders):
            return tuple(folders)
    if key == "out" and isinstance(value, str):
        return value
    if key == "app" and isinstance(value, str):
        return (value,)
    if key == "app" and isinstance(value, list) and all(isinstance(each, str) for each in cast("list[object]", value)):
        return tuple(cast("list[str]", value))
    if key == "line_length" and isinstance(value, int) and value >= 60:
        return value
    wanted = {
        "protos": 'a list of folders, ["api"]',
        "out": "a folder",
        "line_length": "a number from 60",
        "app": 'a module and a name in it, "myapp.main:app", or a list of them',
    }
    raise ProjectError(f"{path}: [tool.kratos] {key} must be {wanted[key]}, not {value!r}")


def _checked(project: Project) -> Project:
    for folder in (*project.protos, project.out):
        path = PurePosixPath(folder)
        if path.is_absolute() or ".." in path.parts or not path.parts:
            raise ProjectError(f"{folder!r} must be a folder below {project.root}")
    for part in PurePosixPath(project.out).parts:
        if not part.isidentifier() or iskeyword(part):
            raise ProjectError(f"out = {project.out!r} cannot be imported: {part!r} is no Python name")
    return project


@dataclass(frozen=True, slots=True)
class Generated:
    """What a generation changed, or would change; paths are absolute.

    Attributes:
        written: New or changed files.
        removed: Files whose proto is gone.
        unchanged: How many files were right already.
    """

    written: tuple[Path, ...]
    removed: tuple[Path, ...]
    unchanged: int

    def __str__(self) -> str:
        return f"{len(self.written)} files written, {len(self.removed)} removed, {self.unchanged} unchanged"

    def __bool__(self) -> bool:
        return bool(self.written or self.removed)


def generate(project: Project, *, write: bool = True, force: bool = False) -> Generated:
    """Generates messages, services and errors, offline.

    Only files that changed are written, files whose proto is gone are removed, and what was not generated stays
    untouched. If neither protos nor generated files differ from those of the last run, nothing is compiled. Several
    processes may do this at once: one works, the others wait and find it done.

    Args:
        project: What to generate and where to.
        write: False looks only: nothing in the project changes, not even its ``.kratos`` folder.
        force: Compiles whether it seems necessary or not.

    Raises:
        BufError: The protos do not compile or break a rule; it carries the places.
        Failure: The project is wrong, a tool is missing, or a file of somebody else is in the way.
    """
    _checked(project)
    workspace = Workspace(project.root, project.protos)
    for folder in project.protos:
        if next(iter(workspace.files(folder)), None) is None:
            raise ProjectError(
                f"there are no .proto files in {project.root / folder}",
                hint=f"kratos proto add {folder}/{PurePosixPath(project.out).parts[0]}/v1/greeter.proto",
            )
    try:
        return _generated(project, workspace, force=force) if write else _looked(project, workspace, force=force)
    except OSError as failure:
        raise Failure(f"cannot generate: {failure.filename}: {failure.strerror}") from failure


def _generated(project: Project, workspace: Workspace, *, force: bool) -> Generated:
    state = project.root / STATE
    state.mkdir(exist_ok=True)
    ignored = state / ".gitignore"
    if not ignored.exists():
        ignored.write_text("*\n", encoding="utf-8")
    with exclusive(state / "lock"):
        made_from = _inputs(project, workspace)
        stamp = None if force else _valid_stamp(project, made_from)
        if stamp is not None:
            return Generated((), (), len(stamp.made))
        workspace.stage()
        changes = _compiled(project, workspace)
        apply(changes, project.root / project.out)
        _stamped(project, workspace, made_from, changes).write(state / _STAMP)
    return _result(changes)


def _looked(project: Project, workspace: Workspace, *, force: bool) -> Generated:
    stamp = None if force else _valid_stamp(project, _inputs(project, workspace))
    if stamp is not None:
        return Generated((), (), len(stamp.made))
    with aside(workspace) as copy:
        return _result(_compiled(project, copy))


def _result(changes: Changes) -> Generated:
    return Generated(tuple(changes.written), changes.removed, len(changes.unchanged))


def _inputs(project: Project, workspace: Workspace) -> str:
    named = ((name, project.root / folder / name) for folder in project.protos for name in workspace.files(folder))
    return inputs(named, (project.protos, project.out, project.line_length))


def _valid_stamp(project: Project, made_from: str) -> Stamp | None:
    """Returns the stamp of the last generation if another one would change nothing."""
    stamp = Stamp.read(project.root / STATE / _STAMP)
    if stamp is None or stamp.inputs != made_from or stamp.staged != _staged(project.root):
        return None
    return stamp if holds(project.root / project.out, stamp.made, fingerprint) else None


def _stamped(project: Project, workspace: Workspace, made_from: str, changes: Changes) -> Stamp:
    out = project.root / project.out
    made = {path.relative_to(out).as_posix(): fingerprint(content) for path, content in changes.written.items()}
    for path in changes.unchanged:
        made[path.as_posix()] = "" if path in changes.foreign else fingerprint((out / path).read_bytes())
    return Stamp(made_from, made, _staged(workspace.root))


def _staged(root: Path) -> dict[str, str]:
    others = Workspace(root / STATE, (PurePosixPath(THIRD_PARTY).name,))
    (folder,) = others.protos
    return {name: fingerprint((others.root / folder / name).read_bytes()) for name in others.files(folder)}


def _compiled(project: Project, workspace: Workspace) -> Changes:
    with tempfile.TemporaryDirectory(prefix="kratos-") as name:
        fresh = Path(name)
        try:
            run_buf(workspace.root, workspace.modules, _plugins(project, fresh), paths=workspace.tops())
        except BufError as error:
            raise explained(error, workspace) from None
        return compare(collect(fresh), project.root / project.out)


def _plugins(project: Project, out: Path) -> list[Plugin]:
    options = tuple(f"map_imports={folder}/:kratos.wire" for folder in MAPPED)
    return [
        Plugin("protoc_gen_py:main", out, options),
        Plugin("kratos.tools.codegen.plugin:main", out, (*options, f"line_length={project.line_length}")),
    ]
