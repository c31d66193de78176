"""What the architecture tests read: the modules of the source tree, their code lines, their definitions."""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]
SRC = ROOT / "src"
GENERATED = SRC / "kratos" / "wire"

_LAYOUT = frozenset(
    {
        tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING,
        tokenize.ENDMARKER,
    }
)  # fmt: skip

Function = ast.FunctionDef | ast.AsyncFunctionDef


def code_lines(source: str) -> set[int]:
    """Returns the numbers of the lines that hold code: no docstring, comment or blank line."""
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in _LAYOUT:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            lines.difference_update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return lines


@dataclass(frozen=True)
class Module:
    """One module of the tree."""

    path: Path
    src: Path = SRC

    @cached_property
    def name(self) -> str:
        return ".".join(self.path.relative_to(self.src).with_suffix("").parts).removesuffix(".__init__")

    @cached_property
    def source(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.source)

    @cached_property
    def code(self) -> set[int]:
        return code_lines(self.source)

    @property
    def is_package(self) -> bool:
        return self.path.name == "__init__.py"

    @property
    def is_public(self) -> bool:
        return not any(part.startswith("_") for part in self.name.split("."))

    def functions(self) -> Iterator[tuple[str, Function, int]]:
        """Yields every function with its full name and its number of code lines; inner ones count in outer ones."""
        yield from self._functions(self.tree, self.name)

    def _functions(self, node: ast.AST, prefix: str) -> Iterator[tuple[str, Function, int]]:
        for child in ast.iter_child_nodes(node):
            name = prefix
            if isinstance(child, Function | ast.ClassDef):
                name = f"{prefix}.{child.name}"
            if isinstance(child, Function):
                yield name, child, len(self.code & set(range(child.lineno, (child.end_lineno or child.lineno) + 1)))
            yield from self._functions(child, name)

    def classes(self) -> Iterator[ast.ClassDef]:
        """Yields every class."""
        return (node for node in ast.walk(self.tree) if isinstance(node, ast.ClassDef))

    def imports(self) -> Iterator[str]:
        """Yields the module name of every import statement."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                package = self.name if self.is_package else self.name.rpartition(".")[0]
                for _ in range(node.level - 1):
                    package = package.rpartition(".")[0]
                yield (f"{package}.{node.module}" if node.module else package) if node.level else node.module or ""


def modules(src: Path = SRC) -> list[Module]:
    """Returns the written modules; generated ones are exempt from everything here."""
    generated = src / "kratos" / "wire"
    paths = sorted((src / "kratos").rglob("*.py"))
    return [Module(path, src) for path in paths if generated not in path.parents and "templates" not in path.parts]
