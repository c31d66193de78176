"""Drafts tests of services: one for each RPC, through the generated client, in memory, over HTTP and over gRPC."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kratos.tools.codegen.fold import fold
from kratos.tools.codegen.names import client_class, snake
from kratos.tools.codegen.project import Project
from kratos.tools.failure import USAGE, Failure
from kratos.tools.stubs.bindings import Bindings
from kratos.tools.stubs.imports import with_import
from kratos.tools.stubs.outline import Base, Packages, Rpc, bases
from kratos.tools.stubs.requests import Requests
from kratos.tools.stubs.text import decoded

__all__ = ["Drafted", "draft_tests"]


@dataclass(frozen=True, slots=True)
class Drafted:
    """A file of tests.

    Attributes:
        service: The full name of the service.
        path: The file.
        created: Whether it was written; one that was there is left alone.
        tests: How many tests are in it.
    """

    service: str
    path: Path
    created: bool
    tests: int


@dataclass(frozen=True, slots=True)
class _Implementation:
    module: str
    name: str
    needs: tuple[str, ...]


def draft_tests(project: Project, wanted: str, folder: Path) -> list[Drafted]:
    """Writes a file of tests for each service that a class of the project implements. None is ever overwritten.

    Args:
        project: Whose services; its code has to be generated.
        wanted: A service, by its full or its short name, or a proto; all if empty.
        folder: Where tests are.

    Raises:
        Failure: There is no such service, or no class implements one.
    """
    found = [base for proto in _protos(project) for base in _bases(project, proto) if _meant(base, proto, wanted)]
    if not found:
        said = f"there is no service {wanted!r}" if wanted else "there are no services"
        raise Failure(f"{said} in {project.root}", hint="kratos generate", code=USAGE if wanted else 1)
    drafted = [one for base in found if (one := _draft(project, base, folder)) is not None]
    if not drafted:
        names = ", ".join(base.name for base in found)
        raise Failure(f"no class of {project.root} inherits from {names}", hint="kratos proto server FILE")
    return drafted


def _protos(project: Project) -> Iterator[str]:
    for folder in project.protos:
        root = project.root / folder
        yield from sorted(path.relative_to(root).as_posix() for path in root.rglob("*.proto"))


def _bases(project: Project, proto: str) -> list[Base]:
    try:
        return bases(project, proto)
    except Failure:  # no services
        return []


def _meant(base: Base, proto: str, wanted: str) -> bool:
    return wanted in ("", base.service, base.service.rpartition(".")[2], proto) or bool(
        wanted.endswith(".proto") and wanted.endswith(f"/{proto}")
    )


def _draft(project: Project, base: Base, folder: Path) -> Drafted | None:
    packages = Packages.of(project)
    implementation = next(_implementations(project, packages, base), None)
    if implementation is None:
        return None
    path = folder / f"test_{snake(base.service.rpartition('.')[2])}_rpcs.py"
    text = _text(Requests(project, base), implementation, project.line_length, packages.package)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except FileExistsError:
        return Drafted(base.service, path, False, len(base.rpcs))
    except OSError as error:
        raise Failure(f"cannot write {path}: {error.strerror}") from error
    return Drafted(base.service, path, True, len(base.rpcs))


def _implementations(project: Project, packages: Packages, base: Base) -> Iterator[_Implementation]:
    """Yields the classes that inherit from a generated base."""
    out = project.root / project.out
    for path in sorted((packages.root / packages.package).rglob("*.py")):
        if path.is_relative_to(out):
            continue
        try:
            tree = ast.parse(decoded(path.read_bytes())[0])
        except (SyntaxError, ValueError):
            continue  # for whoever runs it to tell
        module = packages.name(path.parent) if path.stem == "__init__" else f"{packages.name(path.parent)}.{path.stem}"
        bindings = Bindings.of(tree, packages.name(path.parent))
        known = bindings.find(bindings.anywhere, base.module, base.name)
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and known in [ast.unparse(each) for each in node.bases]:
                yield _Implementation(module, node.name, tuple(_needs(node)))


def _needs(node: ast.ClassDef) -> Iterator[str]:
    """Yields what the constructor has to be given."""
    for method in node.body:
        if isinstance(method, ast.FunctionDef) and method.name == "__init__":
            arguments = method.args
            positional = [*arguments.posonlyargs, *arguments.args][1:]
            yield from (each.arg for each in positional[: len(positional) - len(arguments.defaults)])
            pairs = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
            yield from (each.arg for each, default in pairs if default is None)


def _text(requests: Requests, implementation: _Implementation, width: int, package: str) -> str:
    base = requests.base
    short = base.service.rpartition(".")[2]
    client = client_class(short)
    name = implementation.name
    sent = {rpc.name: requests.sendable(rpc, _message(rpc.request)) for rpc in base.rpcs}
    transports = ["memory", *(["http"] if any(sent.values()) else []), "grpc"]
    lines = [
        f'"""``{base.service}``, RPC by RPC. Drafted by ``kratos test gen``; yours from then on."""',
        "",
        f"Transport = Literal[{_listed(transports)}]",
        "",
        "",
        "@pytest.fixture",
        f"def service() -> {name}:",
        '    """The service that is tested."""',
        *_made(implementation),
    ]
    imports = {("typing", "Literal"), ("kratos.testing", "serve"), (base.module, client), (implementation.module, name)}
    for rpc in base.rpcs:
        request, reply = _message(rpc.request), _message(rpc.reply)
        imports |= {base.names[each] for each in (request, reply) if each in base.names}
        tried = transports if sent[rpc.name] else ["memory", "grpc"]
        draft = _Draft(name, client, sent[rpc.name] or f"{request}()", reply, _listed(tried))
        lines += ["", "", *_test(rpc, draft, width)]
    text = "\n".join([*lines, ""])
    for module, imported in sorted(imports):
        text = with_import(text, module, imported, width=width, package=package)
    return _with_pytest(text)


def _with_pytest(text: str) -> str:
    """Puts the one plain import where sorting has it: before those of other packages."""
    lines = text.split("\n")
    at = next(at for at, line in enumerate(lines) if line.startswith("from kratos"))
    return "\n".join([*lines[:at], "import pytest", *lines[at:]])


def _made(implementation: _Implementation) -> list[str]:
    if not implementation.needs:
        return [f"    return {implementation.name}()"]
    needed = ", ".join(f"{name}=..." for name in implementation.needs)
    return [f'    pytest.fail("say here how it is made: {implementation.name}({needed})")']


def _message(kind: ast.expr) -> str:
    """Returns the name of a message, be it in a stream."""
    return ast.unparse(kind.slice if isinstance(kind, ast.Subscript) else kind)


@dataclass(frozen=True, slots=True)
class _Draft:
    service: str
    client: str
    request: str
    reply: str
    transports: str


def _listed(transports: list[str]) -> str:
    return ", ".join(f'"{each}"' for each in transports)


def _test(rpc: Rpc, draft: _Draft, width: int) -> Iterator[str]:
    """Yields the lines of a test of one RPC."""
    many = rpc.argument == "requests"
    opened = f"{draft.client}(conn).{rpc.name}({'' if many else draft.request})"
    yield f'@pytest.mark.parametrize("transport", [{draft.transports}])'
    signature = f"async def test_{rpc.name.strip('_')}(service: {draft.service}, transport: Transport) -> None:"
    yield from fold(signature, width)
    yield f'    """``{rpc.name}`` answers: say here what it has to answer."""'
    if many or rpc.streams:
        yield from _with(["serve(service, transport=transport) as conn", f"{opened} as stream"], width)
    else:
        yield "    async with serve(service, transport=transport) as conn:"
        yield from fold(f"        reply = await {opened}", width)
    if many:
        yield f"        await stream.send({draft.request})"
    if many and not rpc.streams:
        yield "        reply = await stream.reply()"
    if rpc.streams:
        yield from ["        await stream.done()"] if many else []
        yield "        replies = [each async for each in stream]"
        yield from fold(f"    assert all(isinstance(each, {draft.reply}) for each in replies)", width)
    else:
        yield from fold(f"    assert isinstance(reply, {draft.reply})", width)


def _with(items: list[str], width: int) -> list[str]:
    line = f"    async with {', '.join(items)}:"
    if len(line) <= width:
        return [line]
    return ["    async with (", *(f"        {item}," for item in items), "    ):"]
