"""Adds an import to a file where its import sorting would have it."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from kratos.tools.codegen.fold import fold
from kratos.tools.codegen.layout import import_group, member_key, statement_key
from kratos.tools.stubs.text import Text

__all__ = ["with_import"]


def with_import(source: str, module: str, name: str, *, alias: str = "", width: int, package: str) -> str:
    """Returns a source with ``from module import name`` in it.

    It joins an import of the same module if that is possible without touching comments; else it gets a line of its own.

    Args:
        source: A file that parses.
        module: The module, with dots before it if it is relative.
        name: What to import.
        alias: What to call it, if not by its name.
        width: How long a line may be.
        package: The project's own package, whose imports come after those of others.
    """
    text, tree = Text.of(source), ast.parse(source)
    if not alias:
        for statement in tree.body:
            if isinstance(statement, ast.ImportFrom) and _module(statement) == module:
                joined = _joined(text, statement, name, width)
                if joined is not None:
                    return joined
    said = f"{name} as {alias}" if alias else name
    lines = list(fold(f"from {module} import {said}", width))
    key = _from_key(statement_key(module, [said], (package,)))
    return _with_statement(text, tree, key, lines, package)


def _module(statement: ast.ImportFrom) -> str:
    return "." * statement.level + (statement.module or "")


def _joined(text: Text, statement: ast.ImportFrom, name: str, width: int) -> str | None:
    """Returns the source with another name in an import; None if there is no room for it."""
    names = statement.names
    if any(each.asname or each.name == "*" for each in names):
        return None
    following = next((each for each in names if member_key(each.name) > member_key(name)), None)
    anchor = following or names[-1]
    own_line = not text.source[text.start(anchor.lineno) : text.place(anchor.lineno, anchor.col_offset)].strip()
    gap = f",{text.newline}{text.indent(anchor.lineno)}" if own_line else ", "
    if following:
        at = text.place(following.lineno, following.col_offset)
        added = f"{name}{gap}"
    else:
        at = text.place(anchor.end_lineno or anchor.lineno, anchor.end_col_offset or 0)
        added = f"{gap}{name}"
    line = text.lines[anchor.lineno - 1].rstrip("\r\n")
    if own_line or len(line) + len(added) <= width:
        return text.source[:at] + added + text.source[at:]
    start = text.place(statement.lineno, statement.col_offset)
    end = text.place(statement.end_lineno or statement.lineno, statement.end_col_offset or 0)
    if "#" in text.source[start:end] or text.before(statement):
        return None
    members = sorted([*(each.name for each in names), name], key=member_key)
    folded = fold(f"from {_module(statement)} import {', '.join(members)}", width)
    return text.source[:start] + text.newline.join(folded) + text.source[end:]


def _with_statement(text: Text, tree: ast.Module, key: tuple[object, ...], lines: list[str], package: str) -> str:
    before: ast.Import | ast.ImportFrom | None = None
    after: ast.Import | ast.ImportFrom | None = None
    for statement in _head(tree):
        if _key(statement, package) < key:
            before = statement
        elif after is None:
            after = statement
    group = key[0]
    if before is not None and (after is None or _key(before, package)[0] == group or _key(after, package)[0] != group):
        gap = [] if _key(before, package)[0] == group else [""]
        return text.with_lines((before.end_lineno or before.lineno) + 1, [*gap, *lines])
    if after is not None:
        gap = [] if _key(after, package)[0] == group else [""]
        return text.with_lines(after.lineno, [*lines, *gap])
    first = tree.body[0] if tree.body else None
    if first is not None and ast.get_docstring(tree) is not None:
        return text.with_lines((first.end_lineno or first.lineno) + 1, ["", *lines])
    if first is None:
        return text.with_lines(len(text.lines) + 1, lines)
    line = min([first.lineno, *(each.lineno for each in getattr(first, "decorator_list", ()))])
    return text.with_lines(line, [*lines, "", ""])


def _head(tree: ast.Module) -> Iterator[ast.Import | ast.ImportFrom]:
    """Yields the imports before the first definition."""
    for statement in tree.body:
        if isinstance(statement, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            return
        if isinstance(statement, ast.Import | ast.ImportFrom):
            yield statement


def _key(statement: ast.Import | ast.ImportFrom, package: str) -> tuple[object, ...]:
    """Returns by what an import is sorted; plain ones stand before those of the same block with ``from``."""
    if isinstance(statement, ast.ImportFrom):
        names = sorted((each.name for each in statement.names), key=member_key)
        return _from_key(statement_key(_module(statement), names, (package,)))
    name = statement.names[0].name
    return import_group(name, (package,)), 0, (name.lower(),)


def _from_key(key: tuple[object, ...]) -> tuple[object, ...]:
    return key[0], 1, key[1:]
