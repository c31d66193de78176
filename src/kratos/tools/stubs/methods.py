"""Adds methods to a class at its end, without touching what is there."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Mapping

from kratos.tools.codegen.fold import fold
from kratos.tools.stubs.outline import Rpc
from kratos.tools.stubs.text import Text

__all__ = ["implemented", "method_lines", "with_methods"]

_STEP = "    "


def implemented(node: ast.ClassDef) -> set[str]:
    """Returns the names that a class body gives a meaning to."""
    return set(_names(node.body))


def _names(body: Iterable[ast.stmt]) -> Iterator[str]:
    for statement in body:
        match statement:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.Assign(targets):
                yield from (target.id for target in targets if isinstance(target, ast.Name))
            case ast.AnnAssign(ast.Name(name), value=ast.expr()):
                yield name
            case ast.If() | ast.Try():
                yield from _names([*statement.body, *statement.orelse])
            case _:
                pass


def method_lines(rpc: Rpc, called: Callable[[ast.expr], str], unimplemented: str, width: int) -> list[str]:
    """Returns the lines of a method that answers UNIMPLEMENTED, indented as in a class at the top of a file.

    Args:
        rpc: What to implement.
        called: Returns what a type is called in the file.
        unimplemented: What ``kratos.service.unimplemented`` is called in it.
        width: How long a line may be.
    """
    request, reply = called(rpc.request), called(rpc.reply)
    signature = f"async def {rpc.name}(self, {rpc.argument}: {request}, call: {called(rpc.call)}) -> {reply}:"
    lines = [*fold(f"{_STEP}{signature}", width)]
    lines += [f"{_STEP * 2}{line}" if line else "" for line in rpc.doc]
    if rpc.streams:  # what makes it a generator; the base's own one fails when it is called
        loop = f"{_STEP * 2}async for reply in super().{rpc.name}({rpc.argument}, call):"
        return [*lines, *fold(loop, width), f"{_STEP * 3}yield reply"]
    return [*lines, *fold(f"{_STEP * 2}raise {unimplemented}(call.operation, {rpc.argument})", width)]


def with_methods(source: str, node: ast.ClassDef, methods: Mapping[str, list[str]]) -> str:
    """Returns a source in which a class has more methods.

    Args:
        source: A file that parses.
        node: The class, as parsed from it.
        methods: The lines of each, indented as in a class at the top of a file.
    """
    text = Text.of(source)
    outer = text.indent(node.lineno)
    first = node.body[0]
    before = text.before(first)
    if before.strip():  # class Greeter(GreeterService): pass
        inner = outer + text.unit
        space = before[len(before.rstrip()) :]
        at = text.place(first.lineno, first.col_offset) - len(space)
        moved = inner.removesuffix(space)
        source = f"{source[:at]}{text.newline}{moved}{source[at:]}"
        return with_methods(source, _again(source, node), methods)
    inner = before
    unit = inner.removeprefix(outer) or text.unit
    added = [line for lines in methods.values() for line in ("", *lines)]
    return text.with_lines(_end(text, node, inner), [_indented(line, outer, unit) for line in added])


def _again(source: str, node: ast.ClassDef) -> ast.ClassDef:
    """Finds a class in a source in which only what follows its colon has moved."""
    for each in ast.walk(ast.parse(source)):
        if isinstance(each, ast.ClassDef) and (each.lineno, each.name) == (node.lineno, node.name):
            return each
    raise SyntaxError(f"class {node.name} is lost")


def _end(text: Text, node: ast.ClassDef, inner: str) -> int:
    """Returns the line behind a class; comments that are indented as its body belong to it."""
    end = (node.end_lineno or node.lineno) + 1
    for line in range(end, len(text.lines) + 1):
        said = text.lines[line - 1]
        if not said.strip():
            continue
        if not (said.lstrip().startswith("#") and text.indent(line).startswith(inner)):
            break
        end = line + 1
    return end


def _indented(line: str, outer: str, unit: str) -> str:
    said = line.lstrip(" ")
    levels, rest = divmod(len(line) - len(said), len(_STEP))
    return f"{outer}{unit * levels}{' ' * rest}{said}" if said else ""
