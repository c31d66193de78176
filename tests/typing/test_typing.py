"""What type checkers say about generated code and about programs that use it.

``good_*.py`` must be fine; in ``bad_*.py`` every line marked ``# E:`` must be an error, and no other. ``# R:`` marks a
``reveal_type`` and what it reveals. Each checker runs once.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

HERE = Path(__file__).parent
TESTS = HERE.parent
PROGRAMS = sorted([*HERE.glob("good_*.py"), *HERE.glob("bad_*.py")])
GENERATED = TESTS / "fixtures" / "gen"


@dataclass(frozen=True)
class Remark:
    """What a checker says about a line."""

    path: Path
    line: int
    severity: str
    text: str


def mypy() -> list[Remark]:
    command = [
        sys.executable, "-m", "mypy", "--strict", "--warn-unreachable", "--enable-error-code=redundant-expr",
        "--enable-error-code=truthy-bool", "--config-file=", f"--cache-dir={TESTS / '.kratos' / 'mypy'}",
        "--no-error-summary", "--show-absolute-path", "--hide-error-context",
        "-p", "fixtures.gen", *(part for program in PROGRAMS for part in ("-m", program.stem)),
    ]  # fmt: skip
    environment = {**os.environ, "MYPYPATH": os.pathsep.join([str(TESTS), str(HERE)])}
    done = subprocess.run(command, cwd=TESTS, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    found = re.findall(r"^(.+?):(\d+): (error|note): (.*)$", done.stdout, re.MULTILINE)
    return [Remark(Path(path), int(line), severity, text) for path, line, severity, text in found]


def basedpyright() -> list[Remark]:
    project = TESTS / ".kratos" / "pyright.json"
    settings = {"include": [str(HERE), str(GENERATED)], "extraPaths": [str(TESTS)], "typeCheckingMode": "strict"}
    # Expressions stand alone in the bad programs, and the messages are the vendor's.
    settings |= {"reportPrivateUsage": "none", "reportUnusedExpression": "none", "exclude": ["**/test_*.py"]}
    project.write_text(json.dumps(settings))
    command = [sys.executable, "-m", "basedpyright", "--outputjson", "--pythonpath", sys.executable, "-p", str(project)]
    done = subprocess.run(command, cwd=TESTS, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stdout
    return [
        Remark(Path(found["file"]), found["range"]["start"]["line"] + 1, found["severity"], found["message"])
        for found in json.loads(done.stdout)["generalDiagnostics"]
    ]


def modules() -> list[Path]:
    """Returns what our generator wrote for the fixtures."""
    return sorted([*GENERATED.rglob("*_kratos.py"), *GENERATED.rglob("*_errors.py")])


CHECKERS = {"mypy": mypy, "basedpyright": basedpyright}


@pytest.fixture(scope="module", params=CHECKERS)
def remarks(request: pytest.FixtureRequest) -> list[Remark]:
    """Everything one checker has to say."""
    return CHECKERS[str(request.param)]()


def marked(program: Path, mark: str) -> dict[int, str]:
    lines = program.read_text().splitlines()
    return {number: line.partition(mark)[2].strip() for number, line in enumerate(lines, 1) if mark in line}


def test_generated_code_is_clean(remarks: list[Remark]) -> None:
    """Neither checker has anything to say about generated services and errors, in strict mode."""
    written = set(modules())
    assert not [remark for remark in remarks if remark.path in written]


def test_programs(remarks: list[Remark]) -> None:
    """Good programs are fine, and each mistake in the bad ones is found where it is made."""
    for program in PROGRAMS:
        found = {remark.line for remark in remarks if remark.path == program and remark.severity == "error"}
        assert found == {*marked(program, "# E:")}, program.name


def test_inference(remarks: list[Remark]) -> None:
    """A call's type is its reply's."""
    for program in PROGRAMS:
        for line, expected in marked(program, "# R:").items():
            said = [remark.text for remark in remarks if (remark.path, remark.line) == (program, line)]
            assert any(re.search(rf'["\'.]{expected}["\']', text) for text in said), f"{program.name}:{line}: {said}"
