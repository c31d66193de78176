"""``kratos doctor``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commandline import Kratos

from kratos.tools.codegen.project import Project
from kratos.tools.doctor import checks
from kratos.tools.doctor.checkup import Finding


def find(monkeypatch: pytest.MonkeyPatch, *findings: Finding) -> None:
    """Makes the doctor find something."""
    monkeypatch.setattr(checks, "examine", lambda start: iter(findings))


def test_well(kratos: Kratos, demo: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A project that is well has nothing bad."""
    monkeypatch.chdir(demo.root)
    ran = kratos("doctor")
    assert (ran.code, ran.err) == (0, "")
    found = {line[6:].partition("  ")[0]: line[:4].rstrip() for line in ran.out.splitlines() if line[0] != " "}
    assert set(found.values()) <= {"ok", "warn"}
    assert {"project", "generated code", "contract", "app", "http://127.0.0.1:0"} <= found.keys()


def test_outside(kratos: Kratos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside of a project the installation alone is looked at."""
    monkeypatch.chdir(tmp_path)
    ran = kratos("doctor", "--json")
    assert ran.code == 0
    assert json.loads(ran.out)[-1]["what"] == "project"


def test_bad(kratos: Kratos, monkeypatch: pytest.MonkeyPatch) -> None:
    """Something bad is exit code 1, something doubtful is not; each says what to do."""
    find(monkeypatch, Finding("ok", "a"), Finding("warn", "b", "odd", "look"))
    assert kratos("doctor") == (0, "ok    a\nwarn  b  (odd)\n      try: look\n", "")
    find(monkeypatch, Finding("bad", "c", "broken", "mend"))
    assert kratos("doctor") == (1, "bad   c  (broken)\n      try: mend\n", "")
    ran = kratos("doctor", "--json")
    assert ran.code == 1
    assert json.loads(ran.out) == [{"state": "bad", "what": "c", "detail": "broken", "advice": "mend"}]
