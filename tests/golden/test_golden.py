"""The generated modules of the fixtures, byte for byte. ``KRATOS_GOLDEN=write pytest tests/golden`` renews them."""

from __future__ import annotations

import ast
import io
import os
import shutil
import tokenize
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parent
FRESH = GOLDEN.parent / "fixtures" / "gen"

ALLOWED = {
    "__future__", "typing", "collections.abc", "contextlib",
    "kratos.call", "kratos.errors", "kratos.operation", "kratos.service",
}  # fmt: skip
SHARED = ("protobuf.wkt.", "kratos.wire.")  # messages that belong to nobody's project


def modules(root: Path) -> dict[str, Path]:
    """Returns what our generator wrote below a folder, by relative path."""
    found = [path for kind in ("kratos", "errors") for path in root.rglob(f"*_{kind}.py")]
    return {path.relative_to(root).as_posix(): path for path in sorted(found)}


if os.environ.get("KRATOS_GOLDEN") == "write":
    for path in modules(GOLDEN).values():
        path.unlink()
    for name, path in modules(FRESH).items():
        (GOLDEN / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, GOLDEN / name)

NAMES = sorted(modules(GOLDEN))


def test_golden_files_are_complete() -> None:
    """Every generated module has a golden file, and no golden file is left over."""
    assert sorted(modules(FRESH)) == NAMES
    assert NAMES


@pytest.mark.parametrize("name", NAMES)
def test_golden(name: str) -> None:
    """The generator writes what was reviewed."""
    assert (FRESH / name).read_text() == (GOLDEN / name).read_text()


@pytest.mark.parametrize("name", NAMES)
def test_imports_are_allowed(name: str) -> None:
    """Generated code stands on public modules, shared messages and its siblings, nothing else."""
    tree = ast.parse((GOLDEN / name).read_text())
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Import)]
    absolute = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and not node.level}
    assert {module for module in absolute if not module.startswith(SHARED)} <= ALLOWED


@pytest.mark.parametrize("name", NAMES)
def test_no_suppressions(name: str) -> None:
    """Generated code asks no checker to look away."""
    text = (GOLDEN / name).read_text()
    assert not [word for word in ("noqa", "type: ignore", "pyright:", "fmt:", "ruff:") if word in text]


def code_lines(text: str) -> int:
    """Counts lines of code: no docstrings, comments and blank lines, no proto options, one HTTP binding per RPC."""
    tree = ast.parse(text)
    left_out: set[int] = set()
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
            left_out |= {*range(body[0].lineno, (body[0].end_lineno or 0) + 1)}
        if isinstance(node, ast.keyword) and node.arg == "options":
            left_out |= {*range(node.lineno, (node.end_lineno or 0) + 1)}
        if isinstance(node, ast.keyword) and node.arg == "http" and node.lineno != node.end_lineno:
            left_out |= {*range(node.lineno + 1, (node.end_lineno or 0) + 1)}
    skipped = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    lines = {line for token in tokens if token.type not in skipped for line in range(token.start[0], token.end[0] + 1)}
    return len(lines - left_out)


@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith("_kratos.py")])
def test_budget(name: str) -> None:
    """A module of services has at most 14 lines and 12 for each RPC."""
    text = (GOLDEN / name).read_text()
    rpcs = text.count("raise unimplemented")
    assert code_lines(text) <= 14 + 12 * rpcs, f"{code_lines(text)} lines for {rpcs} RPCs"
