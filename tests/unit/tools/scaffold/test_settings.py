"""Entries are added to ``pyproject.toml``, and nothing else of it changes."""

from __future__ import annotations

import tomllib

import pytest

from kratos.tools.scaffold.settings import extended

KEY = "tool.mypy.files"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('files = ["a"]', 'files = ["a", "b"]'),
        ('files=["a",  "c"]  # ours', 'files=["a",  "c", "b"]  # ours'),
        ("files = []", 'files = ["b"]'),
        ('files = "a" # ours', 'files = ["a", "b"] # ours'),
        ('files = [\n  "a",\n  "c",\n]', 'files = [\n  "a",\n  "c",\n  "b",\n]'),
        ('files = [\n  "a",\n  "c"\n]', 'files = [\n  "a",\n  "c",\n  "b"\n]'),
        ('files = ["a"]\n[tool.x]\nfiles = ["x"]', 'files = ["a", "b"]\n[tool.x]\nfiles = ["x"]'),
        ('[tool.mypy.x]\nfiles = ["a"]', '[tool.mypy.x]\nfiles = ["a"]'),
        ('files = ["b"]', 'files = ["b"]'),
        ('files = "b"', 'files = "b"'),
        ("strict = true", "strict = true"),
    ],
)  # fmt: skip
def test_lists(before: str, after: str) -> None:
    """An entry comes last, in the style of the list; what is there already, or has no list, changes nothing."""
    head = '# a comment\n[project]\nname = "x"\nfiles = ["no"]\n\n[tool.mypy] # strict\n'
    assert extended(f"{head}{before}\n", {KEY: "b"}) == (f"{head}{after}\n", {})


@pytest.mark.parametrize(
    "text",
    [
        '[tool]\nmypy = {files = ["a"]}\n',
        '[tool.mypy]\nfiles = [\n  "a", # first\n]\n',
        "[tool.mypy]\nfiles = 'a'\n",
        '[tool]\nmypy.files = ["a"]\n',
        '[tool.mypy]\r\nfiles = ["a"]\r\n',
        'x = """\n[tool.mypy]\nfiles = ["x"]\n"""\n[tool.mypy]\nfiles = ["a"]\n',
        '[tool.mypy]\nx = """\nfiles = ["x"]\n"""\nfiles = ["a"]\n',
    ],
)
def test_what_is_written_otherwise(text: str) -> None:
    """Where an entry cannot be added for certain, nothing is, and the caller knows."""
    assert extended(text, {KEY: "b"}) == (text, {KEY: "b"})


def test_each_for_itself() -> None:
    """One that cannot be written does not keep the others from it."""
    text = '[tool]\nx.a = ["1"]\n[tool.mypy]\nfiles = ["a"]\n'
    after, left = extended(text, {"tool.x.a": "2", KEY: "b"})
    assert left == {"tool.x.a": "2"}
    assert tomllib.loads(after) == {"tool": {"x": {"a": ["1"]}, "mypy": {"files": ["a", "b"]}}}
