"""The law of additions: whatever a file looks like, its bytes stay, and the class has all methods afterwards."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kratos.tools.codegen.project import Project
from kratos.tools.stubs.methods import implemented
from kratos.tools.stubs.services import implement

from .conftest import METHODS

KINDS = "shop/v1/kinds.proto"

MEMBERS = [
    "pass",
    "...",
    '"""A text."""',
    '"""A text\n    over lines,\n  badly indented.\n"""',
    "x = 1; y = 2",
    "x = [\n    1,\n]  # a list",
    "text = '''\nnot: a member\n'''",
    "# a comment",
    "@decorated(\n    1\n)\nasync def extra(self):\n    return 1  # done",
    "class Inner:\n    # empty\n    pass",
    "if True:\n    z = 1\nelse:\n    z = 2",
    "def old(self): return 1",
    "",
    "async def chat(self, requests, call):\n    yield 1",
    "one = None",
    "watch: object = None",
    "if True:\n    def ping(self, request, call): ...",
]
STATEMENTS = ["pass", "...", '"""Text"""', "x = 1; y = 2", "pass  # nothing yet", "one = None", "x = '''\n'''"]
IMPORTS = [
    "from app.gen.shop.v1.kinds_kratos import KindsService as Base",
    "from ...gen.shop.v1.kinds_kratos import KindsService as Base",
    "import app.gen.shop.v1.kinds_kratos as k; Base = k.KindsService",
]
OTHERS = [
    "import os",
    "from kratos import App",
    "from kratos import (\n    App,\n    Call,  # the call\n)",
    "from collections.abc import Iterator, AsyncIterator",
    "# about what follows",
    "",
    "from app.gen.shop.v1.things_pb import Thing as T",
    "import logging as log, sys",
    "from protobuf.wkt import (Empty)",
    "try:\n    import x\nexcept ImportError: x = None",
]
TAILS = ["", "app = 1", "\n\nclass Other(Base): pass", "# the end", "\n# the end", "def f():\n    pass", "if app: 1"]


def indented(lines: str, indent: str, unit: str) -> str:
    inside = False
    done: list[str] = []
    for line in lines.split("\n"):
        said = line.lstrip(" ")
        levels, rest = divmod(len(line) - len(said), 4)
        # Inside of a text the beginning of a line is part of it.
        done.append(line if inside or not line else f"{indent}{unit * levels}{' ' * rest}{said}")
        inside ^= (line.count("'''") + line.count('"""')) % 2 == 1
    return "\n".join(done)


@st.composite
def sources(draw: st.DrawFn) -> str:
    unit = draw(st.sampled_from(["    ", "  ", "\t"]))
    outer = draw(st.sampled_from(["", "if True:", "def make():"]))
    indent = unit if outer else ""
    imports = draw(st.lists(st.sampled_from(OTHERS), max_size=4, unique=True))
    imports.insert(draw(st.integers(0, len(imports))), draw(st.sampled_from(IMPORTS[:2])))
    head = draw(st.sampled_from(["", '"""A module."""\n', "#!/usr/bin/env python\n# Licence.\n\n"]))
    if draw(st.booleans()):
        body = " " * draw(st.integers(0, 2)) + draw(st.sampled_from(STATEMENTS))
    else:
        members = draw(st.lists(st.sampled_from(MEMBERS), max_size=5))
        members.append(draw(st.sampled_from([each for each in MEMBERS if each and not each.startswith("#")])))
        members += draw(st.lists(st.sampled_from(["", "# at the end"]), max_size=2))
        body = "\n" + "\n".join(indented(each, indent + unit, unit) for each in members)
    tail = draw(st.sampled_from(TAILS))
    lines = [*imports, outer, f"{indent}class Mine(Base):{body}", tail]
    text = head + "\n".join(lines) + draw(st.sampled_from(["", "\n", "\n\n"]))
    return text.replace("\n", draw(st.sampled_from(["\n", "\r\n"])))


def parses(text: str) -> bool:
    try:
        ast.parse(text)
    except SyntaxError:
        return False
    return True


def is_subsequence(part: bytes, whole: Iterable[int]) -> bool:
    rest = iter(whole)
    return all(byte in rest for byte in part)


@given(source=sources().filter(parses), width=st.sampled_from([88, 120]))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_additions(generated: Project, folder: Path, source: str, width: int) -> None:
    """Existing bytes stay, in order; what comes is whole; a second time nothing comes."""
    project = Project(generated.root, out=generated.out, line_length=width)
    for path in folder.iterdir():
        path.unlink()
    mine = folder / "mine.py"
    before = source.encode()
    mine.write_bytes(before)
    implement(project, KINDS, folder)
    after = mine.read_bytes()
    tree = ast.parse(after)
    assert is_subsequence(before, after)
    found = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and node.name == "Mine"]
    assert {*METHODS} <= implemented(found[0])
    assert len(found) == 1
    # What stood around the class stands around it still: the code before and behind has the same meaning.
    assert unchanged(ast.parse(before)) == unchanged(tree)
    if b"\r\n" in before:
        assert b"\n" not in after.replace(b"\r\n", b"")
    implement(project, KINDS, folder)
    assert mine.read_bytes() == after


def unchanged(tree: ast.Module) -> list[str]:
    """Returns the code without imports and without what was to be added."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and node.name == "Mine":
            node.body = [each for each in node.body if not is_draft(each)]
    return [ast.unparse(each) for each in tree.body if not isinstance(each, ast.Import | ast.ImportFrom)]


def is_draft(node: ast.stmt) -> bool:
    return isinstance(node, ast.AsyncFunctionDef) and bool(node.args.args[1:]) and "call: " in ast.unparse(node.args)
