"""SARIF, judged by the standard's own schema."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft4Validator

from kratos.tools.lint.base import Finding
from kratos.tools.lint.families import RULES, check
from kratos.tools.lint.sarif import document

from .planting import plant, shop

PACKAGE = "@microsoft/jest-sarif@1.0.0-beta.0"
INSIDE = "package/lib/schemas/sarif-2.1.0-rtm.5.json"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kratos-py" / "sarif-2.1.0-rtm.5.json"


@pytest.fixture(scope="session")
def schema() -> Any:
    """The schema of SARIF 2.1.0, fetched once per machine."""
    if not CACHE.exists():
        npm = shutil.which("npm")
        if not npm:
            pytest.skip("needs npm: apt-get install nodejs npm")
        CACHE.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE.parent) as scratch:
            command = [npm, "pack", "--silent", "--ignore-scripts", PACKAGE]
            done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, timeout=300, check=False)
            assert done.returncode == 0, done.stderr
            with tarfile.open(next(Path(scratch).glob("*.tgz"))) as archive:
                content = archive.extractfile(INSIDE)
                assert content is not None
                fetched = Path(scratch) / "schema.json"
                fetched.write_bytes(content.read())
            fetched.replace(CACHE)
    return json.loads(CACHE.read_text(encoding="utf-8"))


def wrong(schema: Any, log: Any) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in Draft4Validator(schema).iter_errors(log)]


def test_planted(schema: Any, tmp_path: Path) -> None:
    """What is said of all that is planted is SARIF."""
    found = [*check(plant("contract", tmp_path / "contract")), *check(shop(tmp_path / "shop"))]
    log = document(found, RULES)
    assert len(log["runs"][0]["results"]) == len(found) > 30
    assert wrong(schema, log) == []


def test_odd(schema: Any) -> None:
    """So is what has no place, a strange path, a rule of others, or nothing at all."""
    odd = [
        Finding("a b/\u00fc#1.py", 0, 0, "KRY201", "missing"),
        Finding("a.py", 3, 0, "RUFF_F401", "unused \U0001f389", "warning"),
        Finding("a.proto", 1, 1, "MESSAGE_PASCAL_CASE", ""),
    ]
    assert wrong(schema, document(odd, RULES)) == []
    assert wrong(schema, document([], RULES)) == []


def test_the_judge_judges(schema: Any) -> None:
    """What is no SARIF is refused."""
    log = document([Finding("a.py", 1, 1, "KRY201", "edited")], RULES)
    log["runs"][0]["results"][0]["level"] = "fatal"
    assert wrong(schema, log)
    assert wrong(schema, {**log, "version": "2.0.0"})
