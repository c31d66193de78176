"""A real Prometheus reads what we show, and promtool has nothing to say against it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Literal

import pytest
from fixtures.gen.fixture.kinds.v1.kinds_errors import Nope
from fixtures.gen.fixture.kinds.v1.kinds_kratos import KindsClient
from fixtures.gen.fixture.kinds.v1.kinds_pb import Ping
from metrics.scraping import NEEDED, lint, prometheus
from roundtrip.service import Kinds

from kratos import App, GRPCClient, GRPCServer, HTTPClient, HTTPServer, Shutdown
from kratos.call import RECORDED, Call
from kratos.handler import Handler
from kratos.metrics import PrometheusMeter
from kratos.middleware import metrics, recovery
from kratos.transport.http import handle
from kratos.wire.google.api.httpbody_pb import HttpBody

pytestmark = NEEDED

ECHO = 'operation="/fixture.kinds.v1.Kinds/Echo"'
TRACE = {"trace_id": "0af7651916cd43dd8448eb211c80319c", "span_id": "b7ad6b7169203331"}


async def traced(request: object, call: Call, next: Handler) -> object:
    call.fields.update(TRACE)
    call.state[RECORDED] = True
    return await next(request, call)


class Rig:
    """An app that shows its metrics on the port that it serves on."""

    def __init__(self, engine: Literal["grpcio", "native"] = "grpcio") -> None:
        self.meter = PrometheusMeter()
        self.http = HTTPServer("127.0.0.1:0", routes=[handle("GET", "/metrics", self.show)])
        self.grpc = GRPCServer("127.0.0.1:0", engine=engine)
        self.app = App(
            name="shop",
            version="1.2",
            services=[Kinds()],
            servers=[self.http, self.grpc],
            middleware=[traced, metrics(), recovery()],
            meter=self.meter,
            shutdown=Shutdown(finish=1, drain=0),
        )

    def show(self, _: HttpBody, call: Call) -> HttpBody:
        content_type, data = self.meter.render(call.headers.get("accept", ""))
        return HttpBody(content_type=content_type, data=data)


async def test_prometheus(tmp_path: Path) -> None:
    """It scrapes a server under way and finds every call, with its labels, and the way to a trace."""
    rig = Rig()
    async with (
        rig.app,
        prometheus(tmp_path, rig.http.endpoint) as server,
        HTTPClient(rig.http.endpoint) as http,
        GRPCClient(rig.grpc.endpoint) as grpc,
    ):
        for conn, calls in ((http, 300), (grpc, 200)):
            api = KindsClient(conn)
            for _ in range(calls // 50):
                await asyncio.gather(*(api.echo(Ping(text="a")) for _ in range(50)))
            with pytest.raises(Nope):
                await api.echo(Ping(text="nope"))
        ok = f'server_requests_code_total{{{ECHO},code="200",reason="",kind="%s"}}'
        await server.until(ok % "http", 300)
        await server.until(ok % "grpc", 200)
        await server.until(f'server_requests_code_total{{{ECHO},code="404",reason="NOPE",kind="grpc"}}', 1)
        await server.until(f'server_requests_seconds_count{{{ECHO},kind="http"}}', 301)
        await server.until(f'server_requests_seconds_bucket{{{ECHO},kind="http",le="+Inf"}}', 301)
        await server.until(f'server_requests_in_flight{{{ECHO},kind="http"}}', 0)
        await server.until('kratos_build_info{name="shop",app_version="1.2"}', 1)
        assert await server.value('process_resident_memory_bytes{job="ours"}')
        assert await server.value(f"histogram_quantile(0.5, server_requests_seconds_bucket{{{ECHO},kind='http'}})")
        found = await server.ask(
            "query_exemplars", query=f"server_requests_seconds_bucket{{{ECHO}}}", start="0", end="9999999999"
        )
        assert TRACE in [exemplar["labels"] for series in found for exemplar in series["exemplars"]]
        (target,) = (await server.ask("targets"))["activeTargets"]
        assert (target["health"], target["lastError"]) == ("up", "")


async def test_promtool() -> None:
    """Names, help and labels are as Prometheus' own linter wants them, in a process that has counted all there is."""
    rig = Rig()
    async with rig.app, GRPCClient(rig.grpc.endpoint, middleware=[metrics(rig.meter)]) as conn:
        api = KindsClient(conn)
        await api.echo(Ping(text="a"))
        async with api.watch(Ping(text="a", count=3)) as replies:
            assert len([each async for each in replies]) == 3
    text = rig.meter.render()[1]
    for name in (b"client_requests_code_total", b"server_messages_sent_total", b"python_gc", b"kratos_log_lines_lost"):
        assert name in text
    assert lint(text) == ""


async def test_promtool_would_object() -> None:
    """The linter does find what is wrong: Kratos' older name, whose unit is abbreviated."""
    meter = PrometheusMeter()
    meter.histogram("server_requests_duration_sec", "Old.").observe(1)
    assert "abbreviated units" in lint(meter.render()[1])
