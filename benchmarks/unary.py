"""Unary calls over sockets: ours beside bare FastAPI on uvicorn and bare grpc.aio.

    python benchmarks/unary.py [rounds] [seconds]

Every server is a process of its own and all are alive from beginning to end. In each round every variant is asked once,
by h2load, in an order that changes; so a machine that is busy slows down all of them, and the ratios within one run are
what counts. CPU is the time that all threads of the server's process were running, divided by the calls they answered.
The servers share the machine with h2load and are not pinned. Linux only; about three minutes.

It needs h2load (``apt-get install nghttp2-client``), ``pip install fastapi``, and the fixtures that the tests generate.
"""

from __future__ import annotations

import json
import os
import platform
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import grpc

H2LOAD = shutil.which("h2load") or ""
PEERS = Path(__file__).parent / "peers"
PATH = "/fixture.helloworld.v1.Greeter/SayHello"
MESSAGE = b"\x0a\x06kratos"
PACKAGES = (
    "kratos-py", "protobuf-py", "uvicorn", "httptools", "uvloop", "grpcio", "pygrpc-native", "fastapi", "protobuf"
)  # fmt: skip

# What browsers and proxies send along; with those of h2load it makes twelve, pseudo headers not counted.
HEADERS = {
    "accept-language": "en-GB,en;q=0.9",
    "cookie": "session=8f14e45fceea467f95751f2f6b4b5c11",
    "x-request-id": "5f1d8b1e-6a7e-4b5c-9a44-2f6b4b5c1108",
    "x-forwarded-for": "203.0.113.7, 10.0.0.1",
    "x-forwarded-proto": "https",
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
    "x-md-global-tenant": "t1",
    "x-real-ip": "203.0.113.7",
}
HTTP_HEADERS = {**HEADERS, "accept": "application/json", "cache-control": "no-cache"}
GRPC_HEADERS = {**HEADERS, "content-type": "application/grpc", "te": "trailers", "grpc-timeout": "5S"}


@dataclass
class Variant:
    """One server, asked in one way.

    Attributes:
        name: What the table calls it.
        protocol: ``http`` or ``grpc``.
        peer: Whom it is measured against; itself for a peer.
        pid: The server's process.
        port: Where it listens.
        rates: Requests per second, by round.
        cpu: Microseconds of CPU per request, by round.
        path: Of a gRPC call.
        messages: How many replies a call has; figures are per message then.
        clients: How many connections h2load opens, and streams in each.
    """

    name: str
    protocol: str
    peer: str
    pid: int
    port: int
    rates: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    path: str = PATH
    messages: int = 1
    clients: tuple[str, ...] = ("-c", "8", "-m", "16")

    def check(self) -> None:
        """Makes one call and looks at the reply: a server that fails fast must not win."""
        if self.protocol == "http":
            with urllib.request.urlopen(self.url, timeout=10) as reply:  # noqa: S310 - our own loopback URL
                assert json.load(reply) == {"message": "Hello kratos"}, self.name
            return
        with grpc.insecure_channel(f"127.0.0.1:{self.port}") as channel:
            assert channel.unary_unary(PATH)(MESSAGE, timeout=10) == b"\x0a\x0cHello kratos", self.name

    @property
    def url(self) -> str:
        path = "/helloworld/kratos" if self.protocol == "http" else self.path
        return f"http://127.0.0.1:{self.port}{path}"

    def measure(self, seconds: float, body: Path) -> None:
        """Asks for some seconds and writes down the figures of this round."""
        if self.protocol == "http":
            options, headers = ["--h1", "-c", "32"], HTTP_HEADERS
        else:
            options, headers = [*self.clients, "-d", str(body)], GRPC_HEADERS
        command = [H2LOAD, *options, "-t", "1", "-D", str(seconds)]
        command += [part for name, value in headers.items() for part in ("-H", f"{name}: {value}")]
        before = cpu_seconds(self.pid)
        said = output(*command, self.url)
        spent = cpu_seconds(self.pid) - before
        done, failed, errors = (int(found(rf"(\d+) {word}", said)) for word in ("succeeded", "failed", "errored"))
        assert done, said
        assert not failed + errors, said
        self.rates.append(float(found(r"([\d.]+) req/s", said)) * self.messages)
        self.cpu.append(spent / done * 1e6 / self.messages)


def output(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)  # noqa: S603 - our own words
    return done.stdout


def found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    assert match is not None, text
    return match[1]


def cpu_seconds(pid: int) -> float:
    """Returns the CPU time of a process, over all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def serving(folder: Path, script: str, *arguments: str) -> Iterator[tuple[int, dict[str, int]]]:
    """Runs a server and yields its process and its ports by protocol; what it logs goes to a file."""
    command = [sys.executable, str(PEERS / script), *arguments]
    with (folder / f"{script}-{'-'.join(arguments)}.log").open("w") as log:
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)  # noqa: S603 - our own script
        try:
            assert server.stdout is not None
            line = server.stdout.readline()
            if not line:
                sys.exit(f"{script} did not start:\n{Path(log.name).read_text()}")
            yield server.pid, json.loads(line)
        finally:
            server.kill()
            server.communicate()


def table(variants: list[Variant]) -> str:
    """Returns the figures: median [lowest-highest], and the ratio to the peer, paired by round."""
    rows = ["| | req/s | x peer | CPU us/request | x peer |", "|---|---:|---:|---:|---:|"]
    by_name = {variant.name: variant for variant in variants}
    for one in variants:
        peer = by_name[one.peer]
        rates, cpu = (
            statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
            for ours, theirs in ((one.rates, peer.rates), (one.cpu, peer.cpu))
        )
        rows.append(f"| {one.name} | {spread(one.rates)} | {rates:.2f} | {spread(one.cpu)} | {cpu:.2f} |")
    return "\n".join(rows)


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):,.0f} [{min(values):,.0f}-{max(values):,.0f}]"


def versions() -> str:
    names = [f"CPython {platform.python_version()}", output(H2LOAD, "--version").strip()]
    for package in PACKAGES:
        try:
            names.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            names.append(f"{package} (from the source tree)")
    return ", ".join(names)


def main(rounds: int = 5, seconds: float = 3.0) -> None:
    if not H2LOAD:
        sys.exit("h2load is missing: apt-get install -y nghttp2-client")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        body = folder / "body"
        body.write_bytes(b"\0" + len(MESSAGE).to_bytes(4, "big") + MESSAGE)
        bare, bare_ports = stack.enter_context(serving(folder, "kratos_app.py", "bare"))
        full, full_ports = stack.enter_context(serving(folder, "kratos_app.py", "full"))
        fastapi, fastapi_ports = stack.enter_context(serving(folder, "fastapi_app.py"))
        aio, aio_ports = stack.enter_context(serving(folder, "grpc_aio.py"))
        variants = [
            Variant("HTTP GET: FastAPI, bare", "http", "HTTP GET: FastAPI, bare", fastapi, fastapi_ports["http"]),
            Variant("HTTP GET: ours, bare", "http", "HTTP GET: FastAPI, bare", bare, bare_ports["http"]),
            Variant("HTTP GET: ours, full", "http", "HTTP GET: FastAPI, bare", full, full_ports["http"]),
            Variant("gRPC: grpc.aio, bare", "grpc", "gRPC: grpc.aio, bare", aio, aio_ports["grpc"]),
            Variant("gRPC: ours, bare", "grpc", "gRPC: grpc.aio, bare", bare, bare_ports["grpc"]),
            Variant("gRPC: ours, full", "grpc", "gRPC: grpc.aio, bare", full, full_ports["grpc"]),
        ]
        for one in variants:
            one.check()
            one.measure(1, body)
            one.rates.clear()
            one.cpu.clear()
        busy = os.getloadavg()[0]
        order = list(variants)
        for _ in range(rounds):
            random.shuffle(order)
            for one in order:
                one.measure(seconds, body)
    print(versions())
    print(f"{os.cpu_count()} cores, load before the first round {busy:.1f} (our own warm-up counts in it)")
    print(f"{rounds} rounds of {seconds:g} s each; median [lowest-highest], ratios paired by round\n")
    print(table(variants))


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
