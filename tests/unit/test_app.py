"""The life of an app: start, signal, stop."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from kratos.app import App
from kratos.call import AppInfo
from kratos.handler import Middleware
from kratos.service import Service


class Recorder:
    """A server that writes down what is asked of it."""

    def __init__(self, name: str, log: list[str], *, fail: str = "") -> None:
        self.name = name
        self.log = log
        self.fail = fail

    def mount(self, services: Iterable[Service], middleware: Iterable[Middleware], app: AppInfo) -> None:
        self.log.append(f"mount {self.name} for {app.name}")

    @property
    def endpoint(self) -> str:
        return f"test://{self.name}"

    async def start(self) -> None:
        self.log.append(f"start {self.name}")
        if self.fail == "start":
            raise OSError(f"{self.name} cannot start")

    async def stop(self, timeout: float | None = None) -> None:
        self.log.append(f"stop {self.name} within {timeout}")
        if self.fail == "stop":
            raise RuntimeError(f"{self.name} cannot stop")


async def test_order() -> None:
    """Servers are mounted when the app is made, started in order, and all stopped."""
    log: list[str] = []
    app = App(name="shop", servers=[Recorder("a", log), Recorder("b", log)], stop_timeout=3)
    assert log == ["mount a for shop", "mount b for shop"]
    assert app.info.endpoints == ()
    async with app:
        assert log[2:] == ["start a", "start b"]
        assert app.info.endpoints == ("test://a", "test://b")
    assert log[4:] == ["stop a within 3", "stop b within 3"]


async def test_failed_start_stops_the_others() -> None:
    """When one server cannot start, those that did are stopped and the reason is told."""
    log: list[str] = []
    app = App(name="shop", servers=[Recorder("a", log), Recorder("b", log, fail="start"), Recorder("c", log)])
    with pytest.raises(OSError, match="b cannot start"):
        async with app:
            pass
    assert log[3:] == ["start a", "start b", "stop a within 10.0", "stop b within 10.0"]


async def test_failed_stop_stops_the_others() -> None:
    """When one server cannot stop, the others are stopped all the same, and every reason is told."""
    log: list[str] = []
    servers = [Recorder("a", log, fail="stop"), Recorder("b", log), Recorder("c", log, fail="stop")]
    with pytest.raises(ExceptionGroup, match="shop did not stop cleanly") as failure:
        async with App(name="shop", servers=servers):
            pass
    assert [str(each) for each in failure.value.exceptions] == ["a cannot stop", "c cannot stop"]
    assert "stop b within 10.0" in log


async def test_serve_ends_on_a_signal() -> None:
    """``serve`` returns after SIGTERM and gives the signal handlers back."""
    before = signal.getsignal(signal.SIGTERM)
    log: list[str] = []
    task = asyncio.create_task(App(name="shop", servers=[Recorder("a", log)]).serve())
    while "start a" not in log:
        await asyncio.sleep(0)
    await asyncio.sleep(0.01)
    signal.raise_signal(signal.SIGTERM)
    await asyncio.wait_for(task, 5)
    assert log[-1].startswith("stop a")
    assert signal.getsignal(signal.SIGTERM) is before


SCRIPT = textwrap.dedent(
    """
    import asyncio
    from kratos import App, HTTPServer
    from kratos.service import Service
    from kratos.operation import Http, Unary
    from fixtures.gen.fixture.helloworld.v1.greeter_kratos import GreeterService

    class Stubborn(HTTPServer):
        async def stop(self, timeout=None):
            print("stopping", flush=True)
            await asyncio.sleep({linger})
            await super().stop(timeout)

    App(name="shop", version="2", services=[GreeterService()], servers=[Stubborn("127.0.0.1:0")]).run()
    print("done", flush=True)
    """
)


def start(linger: float = 0, **options: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT.format(linger=linger)],
        cwd=Path(__file__).parents[1],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def banner(process: subprocess.Popen[str]) -> list[str]:
    """Waits until the process has said where it listens."""
    assert process.stderr is not None
    lines: list[str] = []
    while not lines or "Ctrl-C" not in lines[-1]:
        line = process.stderr.readline()
        assert line, lines
        lines.append(line.rstrip())
    return lines


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_process_well(number: signal.Signals) -> None:
    """SIGINT and SIGTERM drain: exit code 0, no traceback."""
    process = start()
    assert [line.split("127")[0] for line in banner(process)[1:3]] == ["  http://", "  try:  curl http://"]
    process.send_signal(number)
    out, err = process.communicate(timeout=10)
    assert (process.returncode, out, err) == (0, "stopping\ndone\n", "")


def test_sigint_counts_where_it_arrives_ignored() -> None:
    """A shell script's background job has SIGINT ignored; the app hears it all the same."""
    process = start(preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN))
    banner(process)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=10)
    assert process.returncode == 0


def test_a_second_signal_ends_the_process_at_once() -> None:
    """Whoever asks twice does not want to wait."""
    process = start(linger=60)
    banner(process)
    process.send_signal(signal.SIGINT)
    assert process.stdout is not None
    assert process.stdout.readline() == "stopping\n"
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=10)
    assert process.returncode == -signal.SIGINT
