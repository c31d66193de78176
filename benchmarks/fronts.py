"""HTTP over sockets: our two fronts beside bare FastAPI on uvicorn, and Kratos for Go where there is Go.

    python benchmarks/fronts.py [rounds] [seconds]

Made and read as ``unary.py``, whose words are used here: every server is a process of its own, all are alive from
beginning to end and asked in turn, in an order that changes, and ratios are paired by round. *full* has ``recovery()``,
``access_log()`` as JSON to a file and ``metadata()``; the peers have no middleware and log nothing. A GET is a greeter
with twelve headers; a POST brings an order of twenty lines and gets it back. Latencies are taken in runs of their own,
at half of what the server did at full load in that round. About five minutes with Go.

It needs h2load, ``pip install fastapi uvloop httptools``, and the fixtures that the tests generate. The Go peer is
built by ``go`` from its module proxy, in the user's cache.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from peers.kratos_go import built
from unary import H2LOAD, HTTP_HEADERS, cpu_seconds, found, output, serving, spread, versions

CONNECTIONS = 32


def order(*, snake: bool) -> dict[str, Any]:
    """Returns an order, with field names as in Python or as in the JSON of protobuf."""
    lines = [
        {
            "sku": f"SKU-{n:05}", "title": f"A thing of kind {n}", "quantity": n, "unit_price_cents": 1999 + n,
            "discount": 0.05 * n,
        }
        for n in range(20)
    ]  # fmt: skip
    whole = {
        "order_id": "8f14e45f-ceea-467f-9575-1f2f6b4b5c11", "customer_id": 1234567890123, "lines": lines,
        "labels": {"channel": "web", "region": "eu-west-1", "campaign": "spring"}, "gift": True,
        "note": "please ring twice",
    }  # fmt: skip
    if snake:
        return whole
    text = json.dumps(whole)
    for name, other in (("order_id", "orderId"), ("customer_id", "customerId"), ("unit_price_cents", "unitPriceCents")):
        text = text.replace(f'"{name}"', f'"{other}"')
    return dict(json.loads(text))


@dataclass
class Server:
    """One server, asked for one thing.

    Attributes:
        name: What the table calls it.
        pid: The server's process.
        url: What is asked for.
        sent: The order that is posted; None for a GET.
        rates: Requests per second at full load, by round.
        cpu: Microseconds of CPU per request at full load, by round.
        latencies: Microseconds of each request at half load, all rounds.
    """

    name: str
    pid: int
    url: str
    sent: dict[str, Any] | None
    rates: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    latencies: list[int] = field(default_factory=list)

    def check(self) -> None:
        """Makes one call and looks at the reply: a server that fails fast must not win."""
        body = None if self.sent is None else json.dumps(self.sent).encode()
        asked = urllib.request.Request(self.url, body, {"content-type": "application/json"})  # noqa: S310 - loopback
        with urllib.request.urlopen(asked, timeout=10) as reply:  # noqa: S310 - our own loopback URL
            got = json.load(reply)
        if self.sent is None:
            assert got == {"message": "Hello kratos"}, (self.name, got)
        else:
            assert len(got["lines"]) == 20, (self.name, got)

    def measure(self, seconds: float, folder: Path) -> None:
        """Asks for some seconds as fast as can be, then at half of that, and writes down the figures of this round."""
        before = cpu_seconds(self.pid)
        said = self._ask(folder, "-D", str(seconds))
        spent = cpu_seconds(self.pid) - before
        done = int(found(r"(\d+) succeeded", said))
        rate = float(found(r"([\d.]+) req/s", said))
        self.rates.append(rate)
        self.cpu.append(spent / done * 1e6)
        log = folder / "requests"
        log.unlink(missing_ok=True)
        self._ask(folder, "-D", str(seconds), "--rps", str(max(1, int(rate / 2 / CONNECTIONS))), f"--log-file={log}")
        self.latencies += [int(line.split("\t")[2]) for line in log.read_text().splitlines()]

    def forget(self) -> None:
        """Drops what was measured to warm up."""
        for figures in (self.rates, self.cpu, self.latencies):
            figures.clear()

    def _ask(self, folder: Path, *options: str) -> str:
        headers = HTTP_HEADERS
        if self.sent is not None:
            body = folder / "order"
            body.write_text(json.dumps(self.sent))
            headers = {**HTTP_HEADERS, "content-type": "application/json"}
            options = (*options, "-d", str(body))
        named = [part for name, value in headers.items() for part in ("-H", f"{name}: {value}")]
        said = output(H2LOAD, "--h1", "-c", str(CONNECTIONS), "-t", "1", *options, *named, self.url)
        failed, errors, others = (
            int(found(rf"(\d+) {word}", said)) for word in ("failed", "errored", "4xx")
        )  # what h2load had not finished when time was up counts as neither
        assert not failed + errors + others, said
        return said


@contextmanager
def serving_go(program: Path) -> Iterator[tuple[int, int]]:
    """Runs the Go peer on one core, and yields its process and its port."""
    one_core = {**os.environ, "GOMAXPROCS": "1"}
    with subprocess.Popen([program], stdout=subprocess.PIPE, env=one_core, text=True) as server:  # noqa: S603 - our own
        try:
            assert server.stdout is not None
            yield server.pid, json.loads(server.stdout.readline())["http"]
        finally:
            server.kill()


def table(servers: list[Server]) -> str:
    """Returns the figures: median [lowest-highest], and the ratio to the first one, paired by round."""
    peer = servers[0]
    rows = ["| | req/s | x | CPU us | x | p50 us | p99 us |", "|---|---:|---:|---:|---:|---:|---:|"]
    for one in servers:
        rates = statistics.median(a / b for a, b in zip(one.rates, peer.rates, strict=True))
        cpu = statistics.median(a / b for a, b in zip(one.cpu, peer.cpu, strict=True))
        cuts = statistics.quantiles(one.latencies, n=100)
        figures = (
            spread(one.rates),
            f"{rates:.2f}",
            spread(one.cpu),
            f"{cpu:.2f}",
            f"{cuts[49]:.0f}",
            f"{cuts[98]:.0f}",
        )
        rows.append(f"| {one.name} | {' | '.join(figures)} |")
    return "\n".join(rows)


def main(rounds: int = 5, seconds: float = 3.0) -> None:
    if not H2LOAD:
        sys.exit("h2load is missing: apt-get install -y nghttp2-client")
    go = built()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        ports: dict[str, tuple[int, int]] = {}
        pid, listens = stack.enter_context(serving(folder, "fastapi_app.py"))
        ports["FastAPI"] = pid, listens["http"]
        for variant in ("bare", "full"):
            pid, listens = stack.enter_context(serving(folder, "kratos_web.py", variant))
            ports |= {f"ours, {engine}, {variant}": (pid, port) for engine, port in listens.items()}
        if go is not None:
            ports["Kratos for Go, one core"] = stack.enter_context(serving_go(go[0]))
        gets = [Server(n, pid, f"http://127.0.0.1:{port}/helloworld/kratos", None) for n, (pid, port) in ports.items()]
        posts = [
            Server(n, pid, f"http://127.0.0.1:{port}/orders", order(snake=n == "FastAPI"))
            for n, (pid, port) in ports.items()
        ]
        for one in (*gets, *posts):
            one.check()
            one.measure(1, folder)
            one.forget()
        busy = os.getloadavg()[0]
        turns = [*gets, *posts]
        for _ in range(rounds):
            random.shuffle(turns)
            for one in turns:
                one.measure(seconds, folder)
    print(versions() + ("" if go is None else f", {go[1]}"))
    print(f"{os.cpu_count()} cores, load before the first round {busy:.1f} (our own warm-up counts in it)")
    print(f"{rounds} rounds of {seconds:g} s each; median [lowest-highest], ratios to FastAPI paired by round\n")
    print(f"GET of a greeting\n\n{table(gets)}\n\nPOST of an order of twenty lines\n\n{table(posts)}")


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
