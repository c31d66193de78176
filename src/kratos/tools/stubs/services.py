"""Drafts what implements the services of a proto, beside what is written already: a second time adds nothing."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from kratos.tools.codegen.folder import replace_file
from kratos.tools.codegen.names import method, snake
from kratos.tools.codegen.project import Project
from kratos.tools.failure import Failure
from kratos.tools.stubs.bindings import Bindings
from kratos.tools.stubs.imports import with_import
from kratos.tools.stubs.methods import implemented, method_lines, with_methods
from kratos.tools.stubs.outline import Base, Packages, Rpc, bases, implementation_name
from kratos.tools.stubs.text import decoded

__all__ = ["Outcome", "default_folder", "implement"]

_UNIMPLEMENTED = ("kratos.service", "unimplemented")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was done for one service.

    Attributes:
        service: Its full name.
        path: The file with its implementation.
        name: The class.
        created: Whether the file is new.
        added: The methods that were written.
        methods: How many the service has.
    """

    service: str
    path: Path
    name: str
    created: bool
    added: tuple[str, ...]
    methods: int


@dataclass(frozen=True, slots=True)
class _Source:
    """A file that is added to."""

    path: Path
    text: str
    encoding: str


def default_folder(project: Project) -> Path:
    """Returns where a project keeps its services: ``internal/service`` of its package if there is one, else that."""
    packages = Packages.of(project)
    package = packages.root / packages.package
    inner = package / "internal" / "service"
    return inner if inner.is_dir() else package


def implement(project: Project, proto: str, folder: Path) -> list[Outcome]:
    """Writes what the services of a proto lack in a folder.

    A class there that inherits from a generated base gets the methods it lacks at its end; a service that no class
    implements gets a new file. All is worked out before the first file is written.

    Args:
        project: Whose code it is; it has to be generated.
        proto: The import path.
        folder: Where implementations are, and where new ones go.

    Raises:
        Failure: The proto has no services, or a file in the folder does not parse.
    """
    if not folder.is_dir():
        raise Failure(f"there is no folder {folder}", hint=f"mkdir -p {folder}")
    work = _Work(project, folder)
    outcomes = [work.implement(base) for base in bases(project, proto)]
    work.write()
    return outcomes


class _Work:
    """The additions to one folder, in memory until all of them are known."""

    def __init__(self, project: Project, folder: Path) -> None:
        self._packages = Packages.of(project)
        self._width = project.line_length
        self._folder = folder
        self._package = self._packages.name(folder)
        self._sources = {path: _read(path) for path in sorted(folder.glob("*.py"))}
        self._changed: dict[Path, _Source] = {}

    def implement(self, base: Base) -> Outcome:
        """Works out what one service lacks."""
        found = [(path, node) for path, source in self._sources.items() for node in self._classes(source, base)]
        if not found:
            return self._create(base)
        # A test double may inherit from the base as well: the real one has the most methods.
        names = {rpc.name for rpc in base.rpcs}
        path, node = max(found, key=lambda each: len(implemented(each[1]) & names))
        missing = tuple(rpc for rpc in base.rpcs if rpc.name not in implemented(node))
        if missing:
            self._put(_completed(self._sources[path], node, base, missing, self._file()))
        added = tuple(rpc.name for rpc in missing)
        return Outcome(base.service, path, node.name, False, added, len(base.rpcs))

    def write(self) -> None:
        """Writes what has changed."""
        for path, source in self._changed.items():
            replace_file(path, source.text.encode(source.encoding, "backslashreplace"))

    def _file(self) -> _File:
        return _File(self._package, self._packages.package, self._width)

    def _put(self, source: _Source) -> None:
        self._sources[source.path] = self._changed[source.path] = source

    def _classes(self, source: _Source, base: Base) -> Iterator[ast.ClassDef]:
        tree = ast.parse(source.text)
        bindings = Bindings.of(tree, self._package)
        known = bindings.find(bindings.anywhere, base.module, base.name)
        classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
        for node in sorted(classes, key=lambda each: each.lineno):
            if known in [ast.unparse(each) for each in node.bases]:
                yield node

    def _create(self, base: Base) -> Outcome:
        stem = method(snake(implementation_name(base.service.rpartition(".")[2])))
        paths = [self._folder / f"{stem}.py", self._folder / f"{stem}_service.py"]
        path = next((path for path in paths if path not in self._sources and not path.exists()), None)
        if path is None:
            raise Failure(
                f"{paths[0]} and {paths[1].name} are there, and no class in them inherits from {base.name}",
                hint=f"from {base.module} import {base.name}",
            )
        name = base.implementation
        doc = base.doc or (f'"""Implements ``{base.service}``."""',)
        body = [f"    {line}" if line else "" for line in doc]
        text = "\n".join([f'"""The service ``{base.service}``."""', "", "", f"class {name}({base.name}):", *body, ""])
        file = self._file()
        text = with_import(text, base.module, base.name, width=file.width, package=file.project)
        source = _Source(path, text, "utf-8")
        (node,) = self._classes(source, base)
        self._put(_completed(source, node, base, base.rpcs, file))
        return Outcome(base.service, path, name, True, tuple(rpc.name for rpc in base.rpcs), len(base.rpcs))


@dataclass(frozen=True, slots=True)
class _File:
    """What additions to a file have to know: the package it is in, the project's package, and how long lines may be."""

    package: str
    project: str
    width: int


def _read(path: Path) -> _Source:
    try:
        text, encoding = decoded(path.read_bytes())
        ast.parse(text)
    except SyntaxError as wrong:
        raise Failure(f"{path}:{wrong.lineno or 1}: {wrong.msg}; nothing was written") from wrong
    except ValueError as wrong:
        raise Failure(f"{path}:1: {wrong}; nothing was written") from wrong
    return _Source(path, text, encoding)


def _completed(source: _Source, node: ast.ClassDef, base: Base, missing: tuple[Rpc, ...], file: _File) -> _Source:
    """Returns a file in which a class has methods that it lacked, and the imports for them."""
    bindings = Bindings.of(ast.parse(source.text), file.package)
    needed: dict[tuple[str, str], str] = {}

    def name(origin: tuple[str, str], known: Mapping[tuple[str, str], str]) -> str:
        return bindings.find(known, *origin) or needed.setdefault(origin, bindings.free(origin[1]))

    def called(kind: ast.expr) -> str:
        return _renamed(kind, {local: name(base.names[local], bindings.types) for local in _mentioned(kind, base)})

    refusal = "" if all(rpc.streams for rpc in missing) else name(_UNIMPLEMENTED, bindings.names)
    methods = {rpc.name: method_lines(rpc, called, refusal, file.width) for rpc in missing}
    text = with_methods(source.text, node, methods)
    near = bindings.relative & {base.module, base.module.rpartition(".")[0]}
    for (module, original), local in needed.items():
        at = _relative(module, file.package) if near and module.split(".")[0] == file.project else module
        alias = local if local != original else ""
        text = with_import(text, at, original, alias=alias, width=file.width, package=file.project)
    _verify(text, node.name, {*methods}, source.path)
    return _Source(source.path, text, source.encoding)


def _mentioned(kind: ast.expr, base: Base) -> set[str]:
    return {each.id for each in ast.walk(kind) if isinstance(each, ast.Name) and each.id in base.names}


def _renamed(kind: ast.expr, names: Mapping[str, str]) -> str:
    class Rename(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.expr:
            return ast.parse(names.get(node.id, node.id), mode="eval").body

    return ast.unparse(Rename().visit(ast.parse(ast.unparse(kind), mode="eval")))


def _relative(module: str, package: str) -> str:
    """Returns a module as seen from a package, with a dot for each step up."""
    here, there = package.split("."), module.split(".")
    common = next((at for at, pair in enumerate(zip(here, there, strict=False)) if pair[0] != pair[1]), None)
    shared = min(len(here), len(there)) if common is None else common
    return "." * (len(here) - shared + 1) + ".".join(there[shared:])


def _verify(text: str, name: str, methods: set[str], path: Path) -> None:
    """Makes sure of the result; nobody's file is replaced by one that does not have what it should."""
    try:
        found = [
            implemented(node)
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.ClassDef) and node.name == name
        ]
    except SyntaxError:
        found = []
    if not any(methods <= names for names in found):
        raise Failure(f"{path}: class {name} is written in a way that cannot be added to; nothing was written")
