"""Generated code under a user's ruff: formatter and linter have nothing to change, whatever the line length."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from kratos.tools.codegen.project import Project, generate

TESTS = Path(__file__).parents[1]
# Not judged: docstrings and names are the contract's own, and relative imports let a package lie anywhere.
LEFT_OUT = {"D", "N"}
IGNORED = ["TID252"]


@pytest.mark.parametrize("length", [88, 100, 120])
def test_ruff_is_content(tmp_path: Path, length: int) -> None:
    """``ruff format`` and ``ruff check`` with our own rules find nothing."""
    (tmp_path / "protos").symlink_to(TESTS / "protos")
    generate(Project(tmp_path, protos=("protos",), out="app/gen", line_length=length))
    rules = tomllib.loads((TESTS.parent / "pyproject.toml").read_text())["tool"]["ruff"]["lint"]
    common = ["--isolated", "--no-cache", f"--config=line-length={length}", "--config=exclude=['*_pb.py']"]
    selected = [rule for rule in rules["select"] if rule not in LEFT_OUT]
    lint = [
        "--target-version=py311",
        f"--select={','.join(selected)}",
        f"--ignore={','.join(rules['ignore'] + IGNORED)}",
    ]
    for arguments in (["format", "--diff", *common, "app"], ["check", *common, *lint, "app"]):
        command = [sys.executable, "-m", "ruff", *arguments]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
