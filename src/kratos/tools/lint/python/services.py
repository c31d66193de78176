"""Services: whether what the contract promises is written."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from kratos.tools.lint.base import Finding, Rule
from kratos.tools.lint.python.module import Module

__all__ = ["RULES", "find", "promised"]

MISSING: Final = Rule(
    "KRY202",
    "rpc-not-implemented",
    "warning",
    "A class that serves a service lacks some of its methods.",
    "Callers get 501 UNIMPLEMENTED, though the contract says that there is an answer.",
    "kratos proto server FILE writes the methods that are missing.",
    tests=False,
)
RULES: Final = (MISSING,)
"""The rules for services."""


def promised(out: Path, package: str) -> dict[str, tuple[str, ...]]:
    """Returns the methods of each generated base class, by module and class.

    Args:
        out: The folder of generated code.
        package: By what it is imported.
    """
    found: dict[str, tuple[str, ...]] = {}
    for path in sorted(out.rglob("*_kratos.py")):
        try:
            tree = ast.parse(path.read_text(encoding="utf-8"))
        except (SyntaxError, ValueError):
            continue  # it was edited, which is told by another rule
        module = ".".join((package, *path.relative_to(out).with_suffix("").parts))
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and (names := tuple(_operations(node))):
                found[f"{module}.{node.name}"] = names
    return found


def _operations(node: ast.ClassDef) -> Iterator[str]:
    for statement in node.body:
        match statement:
            case ast.Assign([ast.Name("__operations__")], ast.Tuple(pairs)):
                for pair in pairs:
                    match pair:
                        case ast.Tuple([ast.Constant(value=str(name)), _]):
                            yield name
                        case _:
                            pass
            case _:
                pass


def find(modules: Sequence[Module], bases: Mapping[str, Sequence[str]]) -> Iterator[Finding]:
    """Yields classes that lack methods of the service that they serve.

    Args:
        modules: The code of the project.
        bases: What ``promised`` has returned.
    """
    known = {f"{module.name}.{node.name}": (module, node) for module in modules for node in module.classes}
    parents = {parent for module, node in known.values() for parent in _parents(module, node)}
    for name, (module, node) in known.items():
        lineage = _Lineage(known, bases)
        lineage.add(module, node)
        missing = [each for each in lineage.wanted if each not in lineage.written]
        if missing and lineage.complete and name not in parents and not module.is_test:
            yield module.at(MISSING, node, f"{node.name} does not implement {', '.join(missing)}")


def _parents(module: Module, node: ast.ClassDef) -> Iterator[str]:
    for base in node.bases:
        target = base.value if isinstance(base, ast.Subscript) else base
        name = module.imported_origin(target) or f"{module.name}.{module.origin(target)}"
        yield name


class _Lineage:
    """What a class inherits, as far as the project knows.

    Args:
        known: The classes of the project.
        bases: The generated ones.

    Attributes:
        wanted: The methods that the contract promises.
        written: The names that the class has.
        complete: Whether all of its parents are known.
    """

    def __init__(self, known: Mapping[str, tuple[Module, ast.ClassDef]], bases: Mapping[str, Sequence[str]]) -> None:
        self.wanted: list[str] = []
        self.written: set[str] = set()
        self.complete = True
        self._known = known
        self._bases = bases
        self._seen: set[int] = set()

    def add(self, module: Module, node: ast.ClassDef) -> None:
        """Takes a class, and all that it inherits from."""
        if id(node) in self._seen:
            return
        self._seen.add(id(node))
        self.written |= set(_names(node))
        for parent in _parents(module, node):
            if parent in self._bases:
                self.wanted += self._bases[parent]
            elif parent in self._known:
                self.add(*self._known[parent])
            elif parent.rpartition(".")[2] not in ("object", "ABC", "Protocol", "Generic"):
                self.complete = False


def _names(node: ast.ClassDef) -> Iterator[str]:
    for statement in node.body:
        match statement:
            case ast.FunctionDef(name) | ast.AsyncFunctionDef(name):
                yield name
            case ast.Assign(targets):
                yield from (target.id for target in targets if isinstance(target, ast.Name))
            case ast.AnnAssign(ast.Name(name)):
                yield name
            case _:
                pass
