"""What is in the repository, and what must never be."""

from __future__ import annotations

import re
import subprocess

import pytest

from arch.tree import ROOT

# Written so that this file does not contain what it looks for.
MACHINE = re.compile(r"(?<![\w.~-])/(?:work|root|home|Users|tmp/v[0-9]+|opt/wheels)(?![-\w])")
REGISTRY = re.compile(
    r"(?:pypi|pythonhosted|npmjs|nodejs|docker)\.(?:org|com|io)/(?:simple|packages)|index[-_]url|find[-_]links"
    r"|(?:registry|proxy|mirror|mirrors|artifactory|nexus)\.[a-z0-9-]+\.[a-z]{2,}"
)


def files() -> list[str]:
    """Returns what git tracks or would track."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    return [name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def texts() -> dict[str, str]:
    """Returns the text files by name."""
    found = {}
    for name in files():
        raw = (ROOT / name).read_bytes()
        if b"\0" not in raw:
            found[name] = raw.decode("utf-8")
    return found


@pytest.fixture(scope="module")
def repository() -> dict[str, str]:
    return texts()


@pytest.mark.parametrize("pattern", [MACHINE, REGISTRY], ids=["machine paths", "registries"])
def test_nothing_of_one_machine(repository: dict[str, str], pattern: re.Pattern[str]) -> None:
    """No tracked file holds a path of one machine or the host of a package registry."""
    found = [
        f"{name}:{number}: {line.strip()}"
        for name, text in repository.items()
        if not name.endswith("test_repository.py")
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]
    assert not found, "\n".join(found)


def test_lines_end(repository: dict[str, str]) -> None:
    """Every file ends with one newline, has no carriage returns and no conflict markers."""
    odd = [
        name
        for name, text in repository.items()
        if text and (not text.endswith("\n") or text.endswith("\n\n") or "\r" in text or "\n<<<<<<< " in text)
    ]
    assert not odd


def test_nothing_generated_is_tracked() -> None:
    """Generated code is made by the build or ``kratos generate`` and stays out of git; golden files are a record."""
    generated = [name for name in files() if name.startswith("src/kratos/wire/") or name.endswith("_pb.py")]
    assert not [name for name in generated if not name.startswith("tests/golden/")]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("see /" + "work/main", True),
        ("cd /" + "root", True),
        ("/" + "tmp/v313/bin", True),
        ("kratos/workers and /workers", False),
        ("net/work", False),
        ("POST /v1/work", False),
    ],
)
def test_paths_are_recognised(text: str, found: bool) -> None:
    """Machine paths are told from words that look like them."""
    assert bool(MACHINE.search(text)) is found
