"""The page about rules has all of them, as they are; ``python tests/docs/test_lint.py`` writes it anew."""

from __future__ import annotations

import re
from pathlib import Path

from kratos.tools.lint.families import RULES
from kratos.tools.lint.listing import table

PAGE = Path(__file__).parents[2] / "docs" / "lint.md"
_MARK = re.compile(r"<!-- rules: ([A-Z ]+) -->\n(?:\n(?:\|.*\n)+)?")


def written(text: str) -> str:
    """Returns the page with its tables as they should be."""

    def filled(mark: re.Match[str]) -> str:
        rules = [rule for name, rule in RULES.items() if name.startswith(tuple(mark[1].split()))]
        return f"<!-- rules: {mark[1]} -->\n\n{table(rules)}\n"

    return _MARK.sub(filled, text)


def test_page() -> None:
    """Nothing of it is out of date."""
    text = PAGE.read_text(encoding="utf-8")
    assert written(text) == text
    assert all(f"| `{name}` " in text for name in RULES)


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
