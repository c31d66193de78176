"""What the names in a Python file stand for, as far as its imports say."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from kratos.tools.stubs.outline import canonical, imported

__all__ = ["Bindings"]


@dataclass(frozen=True, slots=True)
class Bindings:
    """The imports of a file.

    Attributes:
        names: By module and name, what it is called in the file, everywhere and at run time.
        types: The same, for annotations: where these are not evaluated, imports for type checkers count.
        anywhere: The same for all imports, those inside functions included.
        relative: The modules from which something is imported relatively.
        taken: Every name that has a meaning somewhere in the file.
    """

    names: Mapping[tuple[str, str], str]
    types: Mapping[tuple[str, str], str]
    anywhere: Mapping[tuple[str, str], str]
    relative: frozenset[str]
    taken: frozenset[str]

    @classmethod
    def of(cls, tree: ast.Module, package: str) -> Bindings:
        """Reads the imports of a file.

        Args:
            tree: The file.
            package: The package it is in, empty if in none.
        """
        everything = list(ast.walk(tree))
        relative = {imported(node, package) for node in everything if isinstance(node, ast.ImportFrom) and node.level}
        names = dict(_bound(_statements(tree.body), package))
        lazy = any(isinstance(node, ast.ImportFrom) and node.module == "__future__" for node in tree.body)
        return cls(
            names,
            dict(_bound(_statements(tree.body, typing=True), package)) if lazy else names,
            dict(_bound(everything, package)),
            frozenset(relative),
            frozenset(_taken(everything)),
        )

    @staticmethod
    def find(known: Mapping[tuple[str, str], str], module: str, name: str) -> str | None:
        """Returns what something is called, with the module before it where only that is imported.

        Args:
            known: Which of the tables counts.
            module: Its module.
            name: Its name there.
        """
        if direct := known.get(canonical(module, name)):
            return direct
        parent, _, leaf = module.rpartition(".")
        holder = known.get((module, "")) or known.get((parent, leaf))
        return f"{holder}.{name}" if holder else None

    def free(self, name: str) -> str:
        """Returns a name like this one that has no meaning in the file yet."""
        while name in self.taken:
            name += "_"
        return name


def _statements(body: Iterable[ast.stmt], *, typing: bool = False) -> Iterator[ast.stmt]:
    """Yields what runs when a file is imported; with ``typing``, what type checkers see besides. No inner scopes."""
    for statement in body:
        yield statement
        match statement:
            case ast.If(test=ast.Name("TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING")) if not typing:
                yield from _statements(statement.orelse)
            case ast.If():
                yield from _statements([*statement.body, *statement.orelse], typing=typing)
            case ast.Try():
                yield from _statements([*statement.body, *statement.orelse, *statement.finalbody], typing=typing)
            case _:
                pass


def _bound(nodes: Iterable[ast.AST], package: str) -> Iterator[tuple[tuple[str, str], str]]:
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield (alias.name, ""), alias.asname or alias.name
        elif isinstance(node, ast.ImportFrom) and (module := imported(node, package)):
            for alias in node.names:
                yield canonical(module, alias.name), alias.asname or alias.name


def _taken(nodes: Iterable[ast.AST]) -> Iterator[str]:
    for node in nodes:
        match node:
            case (
                ast.Name(name) | ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name)
            ):
                yield name
            case ast.alias(name, asname):
                yield asname or name.partition(".")[0]
            case _:
                pass
