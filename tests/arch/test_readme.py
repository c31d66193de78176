"""What the README shows is what the example does."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "helloworld"


def blocks() -> list[str]:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    return re.findall(r"```python\n(.*?)```", readme, re.DOTALL)


def test_the_service_is_the_example() -> None:
    """The first block is the example's main module, to the letter."""
    assert blocks()[0] in (EXAMPLE / "helloworld" / "main.py").read_text(encoding="utf-8")


def test_the_test_is_the_example_s() -> None:
    """The test of the README is one of the example's, which are run."""
    shown = blocks()[1]
    tests = (EXAMPLE / "tests" / "test_greeter.py").read_text(encoding="utf-8")
    for part in shown.strip().split("\n\n\n"):
        assert part in tests, part


def test_commands_exist() -> None:
    """Every make target that README and CONTRIBUTING name is there."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for name in ("README.md", "CONTRIBUTING.md"):
        for target in re.findall(r"(?:`|^)make ([a-z-]+)", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"{name}: make {target}"
