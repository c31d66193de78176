"""The services of a proto as its generated module has them: base classes, methods, and what their types are called.

Generated code is the truth about names in Python. It is read as text, not imported: nothing of the project runs.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from kratos.tools.codegen.project import Project
from kratos.tools.failure import Failure
from kratos.tools.stubs.contract import camel

__all__ = ["Base", "Packages", "Rpc", "bases", "canonical", "implementation_name", "imported"]

_MESSAGE = re.compile(r"^class (\w+)", re.MULTILINE)
_WELL_KNOWN = re.compile(
    r"protobuf\.wkt\.google\.protobuf\.(any|duration|empty|field_mask|struct|timestamp|wrappers)_pb"
)
_FACADE = {
    ("kratos.call", "Call"): ("kratos", "Call"),
    ("kratos.handler", "Messages"): ("kratos", "Messages"),
    ("kratos.service", "Messages"): ("kratos", "Messages"),
    ("typing", "AsyncIterator"): ("collections.abc", "AsyncIterator"),
}
"""The place that users import a name from, by another place where it is the same."""


@dataclass(frozen=True, slots=True)
class Packages:
    """What folders of a project are called in imports.

    Attributes:
        root: The folder that imports start in.
        package: The project's package: the first folder of its output.
        out: The package of generated code.
    """

    root: Path
    package: str
    out: str

    @classmethod
    def of(cls, project: Project) -> Packages:
        """Returns how a project is imported; a folder ``src`` is no package."""
        parts = project.out.split("/")
        if parts[0] == "src" and len(parts) > 1:
            return cls(project.root / "src", parts[1], ".".join(parts[1:]))
        return cls(project.root, parts[0], ".".join(parts))

    def name(self, folder: Path) -> str:
        """Returns the package that a folder is; empty if it is none."""
        try:
            return ".".join(folder.resolve().relative_to(self.root.resolve()).parts)
        except ValueError:
            return ""


@dataclass(frozen=True, slots=True)
class Rpc:
    """A method of a generated base class.

    Attributes:
        name: The method.
        argument: Its first parameter, ``request`` or ``requests``.
        request: The type of that.
        call: The type of the second one.
        reply: The type of what it returns.
        streams: Whether it is a generator of replies.
        doc: The lines of its docstring, with quotes, not indented.
        route: The path of its first HTTP binding; empty if it has none.
    """

    name: str
    argument: str
    request: ast.expr
    call: ast.expr
    reply: ast.expr
    streams: bool
    doc: tuple[str, ...]
    route: str = ""


@dataclass(frozen=True, slots=True)
class Base:
    """A generated base class.

    Attributes:
        service: The full name of the service.
        module: The module of the class.
        name: The class.
        doc: What the contract says of the service; empty if nothing.
        rpcs: Its methods.
        names: Module and name of each type that the methods mention, by what the module calls it.
        messages: What else is defined by the same proto.
    """

    service: str
    module: str
    name: str
    doc: tuple[str, ...]
    rpcs: tuple[Rpc, ...]
    names: Mapping[str, tuple[str, str]]
    messages: frozenset[str]

    @property
    def implementation(self) -> str:
        """What a class that implements the service is called: the service without a ``Service`` at its end.

        Where a message has that name, as ``Order`` beside ``OrderService`` often has, it is an ``OrderServicer``.
        """
        name = implementation_name(self.service.rpartition(".")[2])
        taken = {self.name, *self.messages, *(name for _, name in self.names.values())}
        return f"{name}Servicer" if name in taken else name


def bases(project: Project, proto: str) -> list[Base]:
    """Returns the base classes that were generated from a proto.

    Args:
        project: Whose code it is; it has to be generated.
        proto: The import path.

    Raises:
        Failure: The proto has no services.
    """
    packages = Packages.of(project)
    out = project.root / project.out
    for path in sorted(out.rglob("*_kratos.py")):
        text = path.read_text(encoding="utf-8")
        if f'"{proto}")' not in text:
            continue
        tree = ast.parse(text)
        if _source(tree) == proto:
            parts = path.relative_to(out).with_suffix("").parts
            messages = frozenset(_MESSAGE.findall(_sibling(path)))
            return list(_bases(tree, text, ".".join((packages.out, *parts)), messages))
    raise Failure(f"{proto} has no services: there is nothing to implement")


def implementation_name(service: str) -> str:
    """Returns what implements a service, by the service's short name.

    Example:
        >>> implementation_name("helloWorld"), implementation_name("hello_world_service")
        ('HelloWorld', 'HelloWorld')
    """
    said = camel(service)
    return said.removesuffix("Service") or said


def canonical(module: str, name: str) -> tuple[str, str]:
    """Returns module and name by which users know what may be imported from several places."""
    if _WELL_KNOWN.fullmatch(module):
        return "protobuf.wkt", name
    return _FACADE.get((module, name), (module, name))


def imported(statement: ast.ImportFrom, package: str) -> str:
    """Returns the absolute name of the module that a statement imports from; empty if it leads out of everything."""
    if not statement.level:
        return statement.module or ""
    parts = package.split(".") if package else []
    if statement.level > len(parts):
        return ""
    kept = parts[: len(parts) - statement.level + 1]
    return ".".join([*kept, *([statement.module] if statement.module else [])])


def _source(tree: ast.Module) -> str:
    """Returns the proto that a generated module says it is from."""
    for statement in tree.body:
        match statement:
            case ast.Expr(ast.Call(func=ast.Name(), args=[ast.Constant(), ast.Constant(value=str(proto))])):
                return proto
            case _:
                pass
    return ""


def _sibling(path: Path) -> str:
    """Returns the text of the module with the messages."""
    messages = path.with_name(path.name.replace("_kratos.py", "_pb.py"))
    return messages.read_text(encoding="utf-8") if messages.exists() else ""


def _bases(tree: ast.Module, text: str, module: str, messages: frozenset[str]) -> Iterator[Base]:
    names = {
        alias.asname or alias.name: canonical(origin, alias.name)
        for statement in tree.body
        if isinstance(statement, ast.ImportFrom) and (origin := imported(statement, module.rpartition(".")[0]))
        for alias in statement.names
    }
    services, routes = dict(_services(tree)), dict(_routes(tree))
    lines = text.splitlines()
    for node in tree.body:
        constants = _operations(node)
        if isinstance(node, ast.ClassDef) and constants:
            of_methods = {name: routes.get(constant, "") for name, constant in _operations(node)}
            rpcs = tuple(_rpcs(node, lines, of_methods))
            service = services[constants[0][1]]
            doc = _doc(node, lines)
            stock = doc and doc[0].startswith(f'"""Serves ``{service}``')
            yield Base(service, module, node.name, () if stock else doc, rpcs, names, messages)


def _services(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yields constant and service of each operation."""
    for node in tree.body:
        match node:
            case ast.Assign([ast.Name(constant)], ast.Call(args=[ast.Constant(value=str(path)), *_])):
                yield constant, path.split("/")[1]
            case _:
                pass


def _routes(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yields constant and path of each operation that has an HTTP binding."""
    for node in tree.body:
        match node:
            case ast.Assign([ast.Name(constant)], ast.Call(keywords=keywords)):
                for each in keywords:
                    match each:
                        case ast.keyword(
                            "http", ast.Tuple([ast.Call(args=[_, ast.Constant(value=str(path)), *_]), *_])
                        ):
                            yield constant, path
                        case _:
                            pass
            case _:
                pass


def _operations(node: ast.stmt) -> list[tuple[str, str]]:
    """Returns methods and constants in the ``__operations__`` of a class; nothing else has any."""
    if not isinstance(node, ast.ClassDef):
        return []
    for statement in node.body:
        match statement:
            case ast.Assign([ast.Name("__operations__")], ast.Tuple(pairs)):
                return [
                    (str(ast.literal_eval(pair.elts[0])), ast.unparse(pair.elts[1]))
                    for pair in pairs
                    if isinstance(pair, ast.Tuple)
                ]
            case _:
                pass
    return []


def _rpcs(node: ast.ClassDef, lines: list[str], routes: Mapping[str, str]) -> Iterator[Rpc]:
    for method in node.body:
        if not isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        _, argument, call = method.args.args
        if argument.annotation is None or call.annotation is None or method.returns is None:
            continue
        yield Rpc(
            method.name,
            argument.arg,
            argument.annotation,
            call.annotation,
            method.returns,
            isinstance(method, ast.FunctionDef),
            _doc(method, lines),
            routes.get(method.name, ""),
        )


def _doc(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef, lines: list[str]) -> tuple[str, ...]:
    if ast.get_docstring(node) is None:
        return ()
    said = node.body[0]
    indent = " " * said.col_offset
    return tuple(line.removeprefix(indent) for line in lines[said.lineno - 1 : said.end_lineno])
