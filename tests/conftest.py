"""Generates the fixture protos once per run, into a package that git ignores: ``from fixtures.gen... import ...``."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import journal
import pytest
from demoproject import demo
from hypothesis import HealthCheck, settings

from kratos.tools.codegen.project import Project, generate

__all__ = ["demo", "engine"]

FIXTURES = Project(Path(__file__).parent, protos=("protos",), out="fixtures/gen", line_length=120)

# How long an example takes says how busy the machine is, and nothing about the code. Examples are the same each time,
# so that a run says something about a change and not about its luck; KRATOS_EXPLORE=1 looks for new ones.
settings.register_profile(
    "kratos",
    deadline=None,
    derandomize=not os.environ.get("KRATOS_EXPLORE"),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("kratos")


def pytest_configure() -> None:
    """Makes the generated packages importable before any test module is."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in the background of a script; programs would inherit it
        signal.signal(signal.SIGINT, signal.default_int_handler)
    generate(FIXTURES)
    journal.begin()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One more than there are CPUs: many tests wait, for leases that run out and servers that come back."""
    return (os.cpu_count() or 1) + 1


@pytest.fixture(params=["fast", "asgi"])
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Runs a test over both fronts of the HTTP server: the engine of servers that name none.

    Modules ask for it: ``pytestmark = pytest.mark.usefixtures("engine")``.
    """
    from kratos.transport.http import HTTPServer  # here, because most tests need no server

    name = str(request.param)
    monkeypatch.setitem(HTTPServer.__init__.__kwdefaults__, "engine", name)
    return name
