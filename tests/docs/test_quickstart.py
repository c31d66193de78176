"""docs/quickstart.md is a session, and what it promises is what a newcomer sees."""

from __future__ import annotations

from pathlib import Path

import pytest
from docs.session import Block, Session, blocks, matches

PAGE = Path(__file__).parents[2] / "docs" / "quickstart.md"


@pytest.mark.slow
def test_quickstart(tmp_path: Path) -> None:
    """Every command of the page is run in order, from an empty folder."""
    session = Session(tmp_path)
    try:
        for block in blocks(PAGE.read_text()):
            session.play(block)
    finally:
        session.close()


@pytest.mark.parametrize(
    ("expected", "seen", "same"),
    [
        (["a", "b"], ["a", "b"], True),
        (["a"], ["a", "b"], False),
        (["a", "…"], ["a", "b", "c"], True),
        (["…", "c"], ["a", "b", "c"], True),
        (["…", "c"], ["c"], True),
        (["took … s"], ["took 0.4 s"], True),
        (["took … s"], ["took 0.4 ms"], False),
        ([], ["a"], False),
        (["(a.b)*"], ["(a.b)*"], True),
    ],
)
def test_comparison(expected: list[str], seen: list[str], same: bool) -> None:
    """The comparison can fail."""
    assert matches(expected, seen) is same


def test_edits(tmp_path: Path) -> None:
    """A diff is applied, once, or fails."""
    (tmp_path / "a.txt").write_text("one\ntwo\nthree\n")
    session = Session(tmp_path)
    edit = Block(1, "diff", "", "--- a.txt\n+++ a.txt\n one\n-two\n+2\n+2.5\n three\n")
    session.play(edit)
    assert (tmp_path / "a.txt").read_text() == "one\n2\n2.5\nthree\n"
    with pytest.raises(AssertionError, match=r"a\.txt holds this 0 times"):
        session.play(edit)


def test_a_session(tmp_path: Path) -> None:
    """Commands are run where the reader is; what they print is compared."""
    session = Session(tmp_path)
    (tmp_path / "shop").mkdir()
    page = "```console\n$ cd shop\n$ touch x && ls\nx\n```\n\n<!-- session: skip -->\n\n```console\n$ false\nno\n```\n"
    for block in blocks(page):
        session.play(block)
    with pytest.raises(AssertionError, match="expected"):
        session.play(next(blocks("```console\n$ ls\ny\n```\n")))
