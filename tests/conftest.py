"""Generates the fixture protos once per run, into a package that git ignores: ``from fixtures.gen... import ...``."""

from __future__ import annotations

from pathlib import Path

from kratos.tools.codegen.project import Project, generate

FIXTURES = Project(Path(__file__).parent, protos=("protos",), out="fixtures/gen", line_length=120)


def pytest_configure() -> None:
    """Makes the generated packages importable before any test module is."""
    generate(FIXTURES)
