"""Names and ids as segments of keys and paths."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kratos.registry.segment import segment

SLASH = re.compile("/")
STRICT = re.compile(r"^\.{1,2}\Z|[/\x00-\x1f\ud800-\udfff\U00010000-\U0010ffff]")


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("a", "a"), ("größe", "größe"), ("a/b", "a%2Fb"), ("a%2Fb", "a%252Fb"), ("100%", "100%"), ("%zz", "%zz"),
        ("%252F", "%25252F"), ("..", ".."), ("", ""),
    ],
)  # fmt: skip
def test_most_are_what_they_are(text: str, written: str) -> None:
    assert segment(text, SLASH) == written


def test_what_does_not_fit_is_written_in_utf8() -> None:
    assert segment("..", STRICT) == "%2E%2E"
    assert segment(".\n", STRICT) == ".%0A"
    assert segment("😀", STRICT) == "%F0%9F%98%80"
    assert segment("\ud800", STRICT) == "%ED%A0%80"


@given(st.lists(st.text(alphabet="%25F/.\nE0aé😀\ud800", max_size=6), min_size=2, max_size=2, unique=True))
def test_no_two_are_the_same(texts: list[str]) -> None:
    one, other = (segment(text, STRICT) for text in texts)
    assert one != other
    assert not STRICT.search(one)
