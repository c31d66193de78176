"""Generates the fixture protos once per run, into a package that git ignores: ``from fixtures.gen... import ...``."""

from __future__ import annotations

from pathlib import Path

from kratos.tools.codegen.buf import Plugin, generate
from kratos.tools.codegen.protos import MAPPED, stage

TESTS = Path(__file__).parent


def pytest_configure() -> None:
    """Makes the generated packages importable before any test module is."""
    stage(TESTS / ".kratos" / "third_party")
    options = tuple(f"map_imports={folder}/:kratos.wire" for folder in MAPPED)
    plugins = [Plugin("protoc_gen_py:main", TESTS / "fixtures" / "gen", options)]
    generate(TESTS, ["protos", ".kratos/third_party"], plugins, paths=["protos/fixture"])
