"""A receiver of OTLP of our own, on OpenTelemetry's messages: over gRPC and HTTP, in threads, with all that it got."""

from __future__ import annotations

import threading
from base64 import b64decode
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from gzip import decompress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as logs
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as traces

from telemetry.received import Log, Point, Span, facts_of, logs_of, points_of, spans_of

__all__ = ["Stub", "stub"]

_SIGNALS = {
    "traces": ("trace.v1.TraceService", traces.ExportTraceServiceRequest, traces.ExportTraceServiceResponse),
    "metrics": ("metrics.v1.MetricsService", metrics.ExportMetricsServiceRequest, metrics.ExportMetricsServiceResponse),
    "logs": ("logs.v1.LogsService", logs.ExportLogsServiceRequest, logs.ExportLogsServiceResponse),
}


class Stub:
    """What has been received, and where.

    Attributes:
        grpc: The URL for gRPC.
        http: The URL for HTTP.
        headers: Those of the last request.
        open: Whether requests are answered; those that come while it is not set wait for it.
        came: Whether there has been one.
    """

    def __init__(self) -> None:
        self.grpc = self.http = ""
        self.open = threading.Event()
        self.open.set()
        self.came = threading.Event()
        self.headers: dict[str, str] = {}
        self._got: list[tuple[str, dict[str, Any]]] = []

    @property
    def spans(self) -> list[Span]:
        return [span for signal, batch in self._got if signal == "traces" for span in spans_of(batch, _hex)]

    @property
    def logs(self) -> list[Log]:
        return [log for signal, batch in self._got if signal == "logs" for log in logs_of(batch, _hex)]

    @property
    def points(self) -> list[Point]:
        return [point for signal, batch in self._got if signal == "metrics" for point in points_of(batch)]

    @property
    def text(self) -> str:
        """All that has come, as text."""
        return str(self._got)

    @property
    def resource(self) -> Mapping[str, object]:
        """The attributes of the last resource."""
        _, batch = self._got[-1]
        (resources,) = batch.values()
        return facts_of(resources[-1]["resource"])

    def take(self, signal: str, data: bytes, headers: Iterable[tuple[str, str | bytes]]) -> bytes:
        """Takes one request and returns the reply."""
        self.headers = {name.lower(): str(value) for name, value in headers}
        self.came.set()
        assert self.open.wait(60)
        _, request, reply = _SIGNALS[signal]
        self._got.append((signal, MessageToDict(request.FromString(data))))
        answer: bytes = reply().SerializeToString()
        return answer


def _hex(text: str) -> str:
    return b64decode(text).hex()


@contextmanager
def stub() -> Iterator[Stub]:
    """Runs a receiver."""
    got = Stub()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = decompress(body)
            reply = got.take(self.path.rpartition("/")[2], body, self.headers.items())
            self.send_response(200)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

        def log_message(self, *_: object) -> None: ...

    def export(signal: str) -> Any:
        return grpc.unary_unary_rpc_method_handler(
            lambda data, call: got.take(signal, data, call.invocation_metadata())
        )

    pool = ThreadPoolExecutor(8)
    server = grpc.server(pool)
    for signal, (name, *_) in _SIGNALS.items():
        service = f"opentelemetry.proto.collector.{name}"
        handler = grpc.method_handlers_generic_handler(service, {"Export": export(signal)})
        server.add_generic_rpc_handlers((handler,))
    got.grpc = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    web = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    got.http = f"http://127.0.0.1:{web.server_port}"
    thread = threading.Thread(target=web.serve_forever, daemon=True)
    thread.start()
    try:
        yield got
    finally:
        got.open.set()
        server.stop(0).wait()
        pool.shutdown()
        web.shutdown()
        web.server_close()
        thread.join()
