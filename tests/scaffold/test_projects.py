"""Whole projects, as somebody makes them: generated, checked, tested, served and stopped, without a network."""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, build_opener

import pytest
import yaml
from telemetry.stub import stub

from kratos.tools.scaffold.template import LAYOUTS

pytestmark = pytest.mark.slow

NAME, PACKAGE = "my-shop", "my_shop"
# Neither a shortest nor a longest name may change how its files have to be formatted.
ODD_NAMES = ["a", "x" * 40]


def run(*command: str, cwd: Path, **settings: str) -> str:
    """Runs something in this interpreter; nothing but the project and what is installed can be imported."""
    return ran([sys.executable, *command], cwd, **settings)


def ran(command: list[str], cwd: Path, **settings: str) -> str:
    environment = clean(**settings)
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def clean(**settings: str) -> dict[str, str]:
    """Returns an environment without settings of whoever runs the tests, and without a way out of this machine."""
    proxies = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:1")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "PYTHON", "COV"))}
    return {**kept, **proxies, "no_proxy": "127.0.0.1", "NO_COLOR": "1", **settings}


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files if "__pycache__" not in path.parts}


def make(desk: Path, layout: str, name: str) -> Path:
    run("-m", "kratos.tools.cli", "new", name, "--layout", layout, cwd=desk)
    return desk / name


def check(project: Path) -> None:
    """Runs what the project's own ``make lint`` runs."""
    run("-m", "ruff", "check", "--no-cache", ".", cwd=project)
    run("-m", "ruff", "format", "--no-cache", "--check", ".", cwd=project)
    run("-m", "mypy", cwd=project)


@pytest.fixture(scope="module", params=LAYOUTS)
def project(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of each layout."""
    return make(tmp_path_factory.mktemp("my desk"), request.param, NAME)


def test_generated(project: Path) -> None:
    """Generating again changes nothing: what is committed is what the protos say."""
    before = contents(project / PACKAGE)
    assert "gen/helloworld/v1/greeter_kratos.py" in before
    run("-m", "kratos.tools.cli", "generate", "--force", cwd=project)
    assert contents(project / PACKAGE) == before


def test_checks(project: Path) -> None:
    """Style and types are clean, as the project's own settings have them."""
    check(project)


def test_tests(project: Path) -> None:
    """The project's tests pass, warnings being errors; none is skipped."""
    assert re.search(r"^\d+ passed in ", run("-m", "pytest", "-q", cwd=project), re.MULTILINE)


@pytest.mark.parametrize("name", ODD_NAMES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_odd_names(tmp_path: Path, layout: str, name: str) -> None:
    """Whatever it is called, it is clean."""
    check(make(tmp_path, layout, name))


def test_another_app(tmp_path: Path) -> None:
    """An app that joins a project is as clean as the first one, and its tests run with the others."""
    shop = make(tmp_path, "layered", "shop")
    run("-m", "kratos.tools.cli", "new", "users", cwd=shop)
    check(shop)
    assert re.search(r"^\d+ passed in ", run("-m", "pytest", "-q", cwd=shop), re.MULTILINE)
    rows = json.loads(run("-m", "kratos.tools.cli", "routes", "users", "--json", cwd=shop))
    assert {row["server"] for row in rows} == {
        "http://127.0.0.1:8001",
        "grpc://127.0.0.1:9001",
        "http://127.0.0.1:9101",
    }


def test_make(project: Path) -> None:
    """Make works where kratos is installed already, and its help has every target."""

    def target(*names: str) -> str:
        return ran(["make", "--no-print-directory", f"PYTHON={sys.executable}", *names], project)

    assert "make docker " in target()
    assert "passed" in target("test")
    assert "kratos.tools.cli lint" in target("lint")


def free_address(ports: tuple[int, ...]) -> str:
    """Returns a loopback address on which these ports are free; on Linux there are millions of them."""
    for _ in range(50):
        host = f"127.{random.randint(1, 250)}.{random.randint(0, 250)}.{random.randint(2, 250)}"
        host = host if sys.platform == "linux" else "127.0.0.1"
        try:
            for port in ports:
                socket.create_server((host, port)).close()
        except OSError:
            continue
        return host
    raise AssertionError(f"{ports} are taken")


@asynccontextmanager
async def served(project: Path, host: str, **more: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Runs ``python -m`` the project until both servers accept."""
    prefix = f"{PACKAGE.upper()}_SERVER__"
    ports = {"HTTP": 8000, "GRPC": 9000, "ADMIN": 9100}
    settings = {**more, "HOST": host, **{f"{prefix}{kind}__ADDR": f"{host}:{port}" for kind, port in ports.items()}}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", PACKAGE, cwd=project, env=clean(**settings), stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    try:
        said = b""
        async with asyncio.timeout(60):
            while b'"endpoints"' not in said:  # what the log says where no person reads the banner
                line = await process.stderr.readline()
                assert line, said.decode()
                said += line
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


TALK = f"""
import asyncio, sys
from kratos import GRPCClient
from {PACKAGE}.gen.helloworld.v1.error_reason_errors import UserNotFound
from {PACKAGE}.gen.helloworld.v1.greeter_kratos import GreeterClient
from {PACKAGE}.gen.helloworld.v1.greeter_pb import HelloRequest

async def main():
    async with GRPCClient(sys.argv[1]) as conn:
        print((await GreeterClient(conn).say_hello(HelloRequest(name="kratos"))).message)
        try:
            await GreeterClient(conn).say_hello(HelloRequest(name="nobody"))
        except UserNotFound as error:
            print(error.code, error.metadata)

asyncio.run(main())
"""
"""Talks gRPC through the project's generated client."""


def read(url: str) -> str:
    with build_opener(ProxyHandler({})).open(url, timeout=10) as reply:
        return str(reply.read(), "utf-8")


def get(url: str) -> Any:
    return json.loads(read(url))


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGTERM there")
async def test_served(project: Path) -> None:
    """The process answers over both transports and to its probes, and ends with 0 when it is told to."""
    host = free_address((8000, 9000, 9100))
    async with served(project, host) as process:
        assert await asyncio.to_thread(get, f"http://{host}:8000/helloworld/kratos") == {"message": "Hello kratos"}
        said = await asyncio.to_thread(run, "-c", TALK, f"{host}:9000", cwd=project, no_proxy=host)
        assert said == "Hello kratos\n404 {'name': 'nobody'}\n"
        for target in (f"http://{host}:8000", f"grpc://{host}:9000"):
            call = ("-m", "kratos.tools.cli", "call", target, "SayHello", '{"name": "kratos"}')
            assert json.loads(await asyncio.to_thread(run, *call, cwd=project)) == {"message": "Hello kratos"}
        assert await asyncio.to_thread(get, f"http://{host}:9100/health.json")
        for port, path in probes(project):
            assert await asyncio.to_thread(get, f"http://{host}:{port}{path}")
        counted = await asyncio.to_thread(read, f"http://{host}:9100/metrics")
        for kind, calls in {"http": 2, "grpc": 2}.items():
            of = f'code="200",kind="{kind}",operation="/helloworld.v1.Greeter/SayHello",reason=""'
            assert f"server_requests_code_total{{{of}}} {calls}.0\n" in counted
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(30):
            assert await process.wait() == 0


async def test_traced(project: Path) -> None:
    """Calls are traced where OpenTelemetry's variable names a collector, and only then is any of that loaded."""
    host = free_address((8000, 9000, 9100))
    with stub() as collector:
        async with served(project, host, OTEL_EXPORTER_OTLP_ENDPOINT=collector.grpc) as process:
            await asyncio.to_thread(read, f"http://{host}:8000/helloworld/kratos")
            process.send_signal(signal.SIGTERM)  # what waits is sent before it ends
            async with asyncio.timeout(60):
                assert await process.wait() == 0
    assert [(span.service, span.name) for span in collector.spans] == [(NAME, "helloworld.v1.Greeter/SayHello")]
    assert collector.logs == collector.points == []
    loaded = (
        f"import sys, {PACKAGE}.main; print([name for name in sys.modules if name.startswith('opentelemetry.sdk')])"
    )
    assert run("-c", loaded, cwd=project).strip() == "[]"


def installed(project: Path, folder: Path) -> Path:
    """Formats a project, judges it, builds its wheel, and returns where that is installed, alone."""
    for command in (["format"], ["lint", "--all"], ["build", "--out", str(folder)]):
        run("-m", "kratos.tools.cli", *command, cwd=project)
    (wheel,) = folder.glob("*.whl")
    place = folder / "installed"
    run("-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", str(place), str(wheel), cwd=folder)
    assert not (place / "configs").exists()
    return place


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGTERM there")
@pytest.mark.parametrize("layout", LAYOUTS)
async def test_built(tmp_path: Path, layout: str) -> None:
    """What is formatted is clean and can be built, and its wheel serves where nothing else of the project is."""
    project = await asyncio.to_thread(make, tmp_path, layout, NAME)
    place = await asyncio.to_thread(installed, project, tmp_path)
    host = free_address((8000, 9000, 9100))
    async with served(place, host, **{f"{PACKAGE.upper()}_CONF": str(project / "configs")}) as process:
        assert await asyncio.to_thread(get, f"http://{host}:8000/helloworld/kratos") == {"message": "Hello kratos"}
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(60):
            assert await process.wait() == 0


def probes(project: Path) -> set[tuple[int, str]]:
    """Returns the ports and paths that Kubernetes asks."""
    deployment, _ = yaml.safe_load_all((project / "deploy/kubernetes.yaml").read_text())
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    asked = [container[probe]["httpGet"] for probe in container if probe.endswith("Probe")]
    found = {(ports[each["port"]], each["path"]) for each in asked}
    assert len(found) == 2
    return found


@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_folder(tmp_path: Path, layout: str) -> None:
    """It can be made from anywhere, also into a path with spaces and letters of any language."""
    target = tmp_path / "a b" / "\u00fcber" / "shop"
    run("-m", "kratos.tools.cli", "new", str(target), "--layout", layout, cwd=Path(tmp_path.anchor))
    assert (target / "shop" / "gen" / "helloworld" / "v1" / "greeter_pb.py").is_file()
