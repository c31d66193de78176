"""Long statements and comments, folded as a formatter would."""

from __future__ import annotations

import ast
import random
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kratos.tools.codegen.fold import fold
from kratos.tools.codegen.layout import tidy
from kratos.tools.codegen.literals import literal
from kratos.tools.codegen.prose import docstring

SCALARS = st.text() | st.integers() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False)
DATA = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=12)


@given(DATA)
def test_literals_mean_what_they_say(data: object) -> None:
    """Data written as source and read again is the same."""
    assert ast.literal_eval(literal(data)) == data  # type: ignore[arg-type]  # the strategy makes exactly such data


@given(DATA, st.integers(40, 120))
def test_folding_keeps_the_meaning(data: object, width: int) -> None:
    """A folded statement is the same statement."""
    line = f"X = f({literal(data)}, options={literal([data])})"  # type: ignore[list-item, arg-type]  # as above
    folded = "\n".join(fold(line, width))
    assert ast.dump(ast.parse(folded)) == ast.dump(ast.parse(line))


STATEMENTS = [
    "NAME = Unary({args})",
    "    raise unimplemented({args})",
    "    return await self._invoker.unary({args})",
    "    async def method(self, request: {name}, call: Call) -> {name}:\n        pass",
    "    def method(self, **options: Unpack[Options]) -> Manager[Stream[{name}, {name}]]:\n        pass",
    '    __operations__ = (("{name}", {name}), ("b", B))',
    '    __operations__ = (("{name}", {name}),)',
    'NAME = Unary("a", http=(Http("GET", "{name}"), Http("POST", "/{name}", body="*")), options={{"a": ["{name}"]}})',
    'NAME = Unary("a", http=(Http("GET", "{name}"),), deprecated=True)',
    'NAME = Unary("a", options={{"note": "{words}", "more": ["{words}"]}})',
]


def test_folding_is_what_ruff_does() -> None:
    """Statements of every length around the limit leave the formatter unchanged."""
    parts: list[str] = []
    for size in range(4, 90, 3):
        for statement in STATEMENTS:
            name = "n" * size
            text = statement.format(name=name, args=f"a, {name}, b", words="word " * size + "end")
            nested = text.startswith("    ")
            parts += ["class A:"] if nested else []
            parts += [line for long in text.split("\n") for line in fold(long, 88)]
            parts += ["", ""] if nested else [""]
    source = "\n".join(parts)
    command = [sys.executable, "-m", "ruff", "format", "--isolated", "--line-length", "88", "--diff", "-"]
    done = subprocess.run(command, input=source, capture_output=True, text=True, check=False)
    # Blank lines between these snippets are nobody's concern.
    changed = [line for line in done.stdout.splitlines() if line[:1] in "+-" and line[1:2] not in ("", "+", "-")]
    assert not changed, "\n".join(changed)


def test_imports_are_sorted() -> None:
    """Imports stand as isort has them: by origin, constants before classes before functions, aliases apart."""
    source = """\
from __future__ import annotations

from kratos.service import Stub, require, CALL, Service as Service_, Http, HTTPCall, Item10, Item2
from typing import Unpack
from .b_pb import B
from ...a_pb import A
from . import c_errors

x = 1
"""
    assert tidy(source, "# Header.", 120).splitlines() == [
        "# Header.", "",
        "from __future__ import annotations", "",
        "from typing import Unpack", "",
        "from kratos.service import CALL, Http, HTTPCall, Item2, Item10, Stub, require",
        "from kratos.service import Service as Service_", "",
        "from ...a_pb import A", "from . import c_errors", "from .b_pb import B", "",
        "x = 1",
    ]  # fmt: skip


@given(st.text(), st.integers(40, 120), st.booleans())
def test_docstrings_end_where_they_should(comment: str, width: int, deprecated: bool) -> None:
    """Whatever a comment says, it is one string, and no line of prose is longer than allowed."""
    lines = [f"    {line}" for line in docstring(comment, 4, width, deprecated=deprecated)]
    tree = ast.parse("def f():\n" + "\n".join([*lines, "    pass"]))
    function = tree.body[0]
    assert isinstance(function, ast.FunctionDef)
    assert len(function.body) == (2 if lines else 1)
    assert (ast.get_docstring(function) or "").endswith("Deprecated.") or not deprecated
    assert all(len(line) <= width or " " not in line.strip() or line.startswith("        ") for line in lines)


FRAGMENTS = [
    "", " ", " word", "   deeper", "     code(x)", " - an item", '"quoted"', "'", "\\", '"""', '"', "\t tab",
    " 1. first", " ```", " ends \\", f" {'many words ' * 12}", f" - {'many words ' * 12}", f" {'x' * 120}",
    " buf:lint:ignore X",
]  # fmt: skip


def test_docstrings_are_what_ruff_leaves() -> None:
    """Comments of every shape become docstrings that the formatter leaves unchanged."""
    chance = random.Random(7)
    source: list[str] = []
    for number in range(400):
        comment = "\n".join(chance.choices(FRAGMENTS, k=chance.randint(1, 5)))
        lines = [f"    {line}".rstrip() for line in docstring(comment, 4, 88, deprecated=number % 7 == 0)]
        source += [f"def f{number}():", *lines, "    pass", "", ""]
    command = [sys.executable, "-m", "ruff", "format", "--isolated", "--line-length", "88", "--diff", "-"]
    text = "\n".join(source[:-1])
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("comment", "expected"),
    [
        ("", []),
        ("\n\n", []),
        (" buf:lint:ignore SERVICE_SUFFIX\n", []),
        (" One line.\n", ['"""One line."""']),
        (' Say "hi"\n', ['"""Say "hi" """']),
        (' "Hi" is said.\n', ['""" "Hi" is said."""']),
        (' A \\ and """.\n', ['"""A \\\\ and \\"\\"\\"."""']),
        (" First.\n\n     code\n second\n", ['"""First.', "", "    code", "second", '"""']),
        ("\tTabs.\n\tMore.\n", ['"""Tabs.', "More.", '"""']),
    ],
)  # fmt: skip
def test_docstrings(comment: str, expected: list[str]) -> None:
    """Comments keep their lines; quotes and backslashes are what they were."""
    assert docstring(comment, 0, 88) == expected


def test_prose_is_wrapped_and_code_is_not() -> None:
    """Only lines that are too long change, list items hang, and code is left alone."""
    words = "word " * 30
    comment = f" {words}\n - {words}\n\n     {words}\n ```\n {words}\n ```\n"
    lines = docstring(comment, 0, 88)
    assert all(len(line) <= 88 for line in lines[:4])
    assert lines[3].startswith("  word")
    assert sum(len(line) > 88 for line in lines) == 2
