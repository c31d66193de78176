"""Connect's conformance suite judges our server, on each engine, and our client.

Every case that is for gRPC runs. Which fail, and whose fault that is, stands in ``known``; the suite fails if one of
them passes. Those in ``flaky`` may.
"""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from interop.connect import suite
from interop.peer import MISSING, has_go

pytestmark = pytest.mark.interop

NATIVE = pytest.mark.skipif(not importlib.util.find_spec("pygrpc_native"), reason="needs kratos-py[native]")
ENCODING = "**/unexpected-compression"
"""After one request with an unknown encoding, grpcio's core refuses others on the connection: it runs alone."""


@pytest.fixture(scope="module")
def program() -> Path:
    """What judges, built."""
    if not has_go():
        pytest.skip(MISSING)
    return suite.build()


@pytest.mark.parametrize(
    ("run", "cases"),
    [
        pytest.param(suite.Run("grpcio", suite.SERVER, skip=ENCODING), 568, id="grpcio"),
        pytest.param(suite.Run("grpcio", suite.SERVER, only=ENCODING), 2, id="grpcio-encoding"),
        pytest.param(suite.Run("native", suite.SERVER), 374, id="native", marks=NATIVE),
        pytest.param(suite.Run("client", suite.CLIENT), 646, id="client"),
    ],
)
def test_conformance(program: Path, run: suite.Run, cases: int) -> None:
    """All cases run, and all pass but those that are known to fail."""
    code, output = suite.judge(program, run)
    assert code == 0, output
    assert "could not be run" not in output, output
    assert re.findall(r"^Total cases: (\d+)", output, re.MULTILINE) == [str(cases)], output
