"""One Python file, read once for all rules: its calls, functions and handlers, and what its names stand for."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias, cast

from kratos.tools.lint.base import Edit, Finding, Rule
from kratos.tools.stubs.outline import imported
from kratos.tools.stubs.text import Text

__all__ = ["Function", "Module", "Scoped", "awaits", "inside"]

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
"""A function that has a name."""

Scope: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | None


@dataclass(frozen=True, slots=True)
class Scoped:
    """A node, and the function whose code it is.

    Attributes:
        node: A call, a handler or an expression that stands alone.
        scope: The innermost function around it; None at the top of the module, or of a class there.
        parent: The node it is a part of.
    """

    node: ast.AST
    scope: Scope
    parent: ast.AST

    @property
    def is_async(self) -> bool:
        """Whether the event loop runs it."""
        return isinstance(self.scope, ast.AsyncFunctionDef)


@dataclass(slots=True)
class Module:
    """A file.

    Attributes:
        path: The file, relative to the project, with slashes.
        name: By what it is imported.
        package: The package it is in.
        tree: What it says.
        is_test: Whether it is a test.
        origins: What names stand for, as far as imports say: ``sleep`` for ``time.sleep``.
        calls: All calls.
        tries: All ``try`` statements.
        withs: All ``with`` statements.
        functions: All functions.
        classes: All classes at any depth.
        imports: Each import: its statement and the absolute names of what it brings.
        text: The file as a text, as far as it was read from one.
    """

    path: str
    name: str
    package: str
    tree: ast.Module
    is_test: bool = False
    origins: dict[str, str] = field(default_factory=dict[str, str])
    calls: list[Scoped] = field(default_factory=list[Scoped])
    tries: list[Scoped] = field(default_factory=list[Scoped])
    withs: list[Scoped] = field(default_factory=list[Scoped])
    functions: list[Function] = field(default_factory=list[Function])
    classes: list[ast.ClassDef] = field(default_factory=list[ast.ClassDef])
    imports: list[tuple[ast.stmt, str]] = field(default_factory=list[tuple[ast.stmt, str]])
    text: str = ""

    @classmethod
    def read(cls, path: str, text: str, name: str, *, is_package: bool = False, is_test: bool = False) -> Module:
        """Reads a file.

        Raises:
            SyntaxError: It is no Python.
        """
        package = name if is_package else name.rpartition(".")[0]
        module = cls(path, name, package, ast.parse(text), is_test, text=text)
        module._walk()
        return module

    def origin(self, node: ast.expr) -> str:
        """Returns what an expression stands for, ``asyncio.create_task``; empty if that is unknown."""
        match node:
            case ast.Name(name):
                return self.origins.get(name, name)
            case ast.Attribute(value, name):
                before = self.origin(value)
                return f"{before}.{name}" if before else ""
            case _:
                return ""

    def imported_origin(self, node: ast.expr) -> str:
        """Returns what an expression stands for, if its first name is that of an import."""
        root = node
        while isinstance(root, ast.Attribute):
            root = root.value
        return self.origin(node) if isinstance(root, ast.Name) and root.id in self.origins else ""

    def constant(self, name: str) -> ast.expr | None:
        """Returns the value of a name at the top of the module; None if it has none there, or more than one."""
        found: list[ast.expr | None] = []
        for statement in self.tree.body:
            match statement:
                case ast.Assign(targets, value) if any(_is_name(each, name) for each in targets):
                    found.append(value)
                case ast.AnnAssign(ast.Name(target), value=value) if target == name:
                    found.append(value)
                case ast.AugAssign(ast.Name(target)) if target == name:
                    found += [None, None]
                case _:
                    pass
        return found[0] if len(found) == 1 else None

    def at(
        self, rule: Rule, node: ast.stmt | ast.expr | ast.ExceptHandler, message: str, edits: tuple[Edit, ...] = ()
    ) -> Finding:
        """Returns a finding at a node; its column counts characters, where that of a node counts bytes."""
        column = node.col_offset
        if not self.text.isascii():
            line = Text.of(self.text).lines[node.lineno - 1]
            column = len(line.encode()[:column].decode(errors="replace"))
        return rule.at(self.path, node.lineno, column + 1, message, edits)

    def _walk(self) -> None:
        # Most nodes are names, constants and contexts, which have no parts: they are not even put aside.
        notes = {
            ast.Call: self.calls, ast.Try: self.tries, ast.TryStar: self.tries, ast.With: self.withs,
        }  # fmt: skip
        waiting: list[tuple[ast.AST, Scope]] = [(self.tree, None)]
        while waiting:
            parent, scope = waiting.pop()
            outside = _outside(parent)
            inner = cast("Scope", parent) if outside else scope
            for name in parent._fields:
                value: object = getattr(parent, name, None)
                around = scope if name in outside else inner
                parts = cast("list[object]", value) if type(value) is list else (value,)
                for child in parts:
                    kind = type(child)
                    if kind in _LEAVES or not isinstance(child, ast.AST):
                        continue
                    if (found := notes.get(cast("Any", kind))) is not None:
                        found.append(Scoped(child, around, parent))
                    elif kind in _NAMED:
                        self._note(child)
                    waiting.append((child, around))
        for found in (self.calls, self.tries, self.withs):
            found.sort(key=_position)

    def _note(self, node: ast.AST) -> None:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                self.functions.append(node)
            case ast.ClassDef():
                self.classes.append(node)
            case ast.Import():
                for alias in node.names:
                    self.imports.append((node, alias.name))
                    top = alias.name if alias.asname else alias.name.partition(".")[0]
                    self.origins[alias.asname or top] = top
            case ast.ImportFrom():
                module = imported(node, self.package)
                for alias in node.names:
                    self.imports.append((node, f"{module}.{alias.name}" if module else alias.name))
                    self.origins[alias.asname or alias.name] = f"{module}.{alias.name}"
            case _:
                pass


_LEAVES: Final = frozenset(
    {ast.Name, ast.Constant, ast.Load, ast.Store, ast.Del, ast.alias, ast.Pass, ast.Break, ast.Continue, ast.arg,
     ast.Global, ast.Nonlocal, type(None), str, int}
)  # fmt: skip
_NAMED: Final = frozenset({ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom})
_FUNCTIONS: Final = frozenset({ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda})
_NOTHING: Final = frozenset[str]()
_AROUND: Final = frozenset({"decorator_list", "args", "returns", "type_params"})


def _outside(parent: ast.AST) -> frozenset[str]:
    """Returns the parts of a function that do not run when it is called: decorators and defaults are not its own."""
    return _AROUND if type(parent) in _FUNCTIONS else _NOTHING


def _is_name(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _position(found: Scoped) -> tuple[int, int]:
    return getattr(found.node, "lineno", 0), getattr(found.node, "col_offset", 0)


def inside(statements: Sequence[ast.AST]) -> Iterator[ast.AST]:
    """Yields all nodes in statements that run as a part of them: not those of functions and classes defined there."""
    waiting: list[ast.AST] = [*statements]
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            waiting.extend(ast.iter_child_nodes(node))


def awaits(statements: Sequence[ast.AST]) -> bool:
    """Tells whether statements wait for anything, so that a cancellation can come up in them."""
    return any(isinstance(node, ast.Await | ast.AsyncFor | ast.AsyncWith) for node in inside(statements))
