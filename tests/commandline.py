"""Running a command in this process: what all tests of the command line share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from kratos.tools.cli.root import run


class Ran(NamedTuple):
    """What a command did."""

    code: int
    out: str
    err: str


Kratos = Callable[..., Ran]


@pytest.fixture
def kratos(capsys: pytest.CaptureFixture[str]) -> Kratos:
    """Runs a command line in this process."""

    def call(*arguments: str | Path) -> Ran:
        code = run([str(each) for each in arguments])
        return Ran(code, *capsys.readouterr())

    return call
