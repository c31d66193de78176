"""Why a program does not start: what is said of a failure, and which failures need no traceback."""

from __future__ import annotations

from pathlib import Path

import pytest

from kratos.blame import blame, is_explained
from kratos.config.base import ConfigError, Place, Problem
from kratos.errors import ServiceUnavailable
from kratos.registry.announcing import Registration


def test_blame_without_a_place(tmp_path: Path) -> None:
    """What failed elsewhere has no place of ours."""
    assert blame(ValueError("odd"), tmp_path) == "ValueError: odd"


def test_blame_in_words(tmp_path: Path) -> None:
    """A group has a line for each of its failures, and its own; of a system's error without place words suffice."""
    group = ExceptionGroup("did not stop", [ValueError("odd"), OSError(98, "cannot listen on :1: taken")])
    assert blame(group, tmp_path) == "ValueError: odd\ncannot listen on :1: taken\ndid not stop"
    assert blame(FileNotFoundError(2, "No such file", "x"), tmp_path).startswith("FileNotFoundError: ")


def test_blame_of_compiled_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A compiled module names its source as seen from where it was built, which is not here."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ZeroDivisionError) as failure:
        eval(compile("1 / 0", "loop/loop.pyx", "eval"))  # noqa: S307 - a frame with a relative file
    assert blame(failure.value, tmp_path) == "ZeroDivisionError: division by zero"


def test_all_that_was_said(tmp_path: Path) -> None:
    """A message of several lines is told whole, and so are notes."""
    failure = ValueError("both:\n  a\n  b")
    failure.add_note("and c")
    assert blame(failure, tmp_path) == "ValueError: both:\n  a\n  b\nand c"


def test_what_has_places_of_its_own() -> None:
    """A configuration that is wrong is told with the places in its files, all of them, and with no line of code."""
    problems = [Problem("is 0", "port", Place("config.yaml", 3)), Problem("is missing", "name")]
    with pytest.raises(ConfigError) as failure:
        raise ConfigError(problems)
    said = "2 problems:\n  config.yaml:3: port: is 0\n  name: is missing"
    assert blame(failure.value, Path(__file__).parent) == said


def raised(what: str) -> BaseException:
    """Returns what some code raises."""
    try:
        exec(what, {"Registration": Registration, "__name__": "shop"})  # noqa: S102 - code of somebody's
    except Exception as failure:
        return failure
    raise AssertionError(what)


@pytest.mark.parametrize(
    ("what", "explained"),
    [
        ("open('/nothing/there')", True),
        ("Registration(wait=-1)", True),
        ("int('x')", False),
        ("{}['x']", False),
        ("1 + ''", False),
    ],
)
def test_explained(what: str, explained: bool) -> None:
    """The system's refusals and ours say all; a defect does not, whatever its type."""
    assert is_explained(raised(what)) is explained


def test_explained_by_type() -> None:
    """Our own kinds of failures say all wherever they are raised; a group does if each of it does."""
    assert is_explained(ServiceUnavailable("no etcd"))
    assert is_explained(ConfigError([Problem("is missing", "name")]))
    assert is_explained(ExceptionGroup("", [OSError("no"), ServiceUnavailable("no")]))
    assert not is_explained(ExceptionGroup("", [OSError("no"), KeyError("x")]))
    assert not is_explained(ValueError("never raised"))
