"""tracing(): spans of recorded calls, ids of all others, and what travels."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any, Literal

import pytest
from fixtures.gen.fixture.kinds.v1.kinds_errors import Nope
from fixtures.gen.fixture.kinds.v1.kinds_kratos import KINDS_CHAT, KINDS_ECHO, KINDS_WATCH, KindsClient
from fixtures.gen.fixture.kinds.v1.kinds_pb import Ping, Pong
from opentelemetry import baggage, trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind, StatusCode
from roundtrip.service import Kinds

from kratos.call import AppInfo, Call, Peer
from kratos.errors import Error, InternalServer, ServiceUnavailable
from kratos.handler import chain
from kratos.live import Live
from kratos.metadata import Metadata
from kratos.middleware import metadata, recovery, tracing
from kratos.middleware.tracing.spans import peer_of, span_name, static
from kratos.operation import AnyOperation, Unary
from kratos.testing import serve

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"
SAMPLED = {"traceparent": f"00-{TRACE}-{SPAN}-01"}
UNSAMPLED = {"traceparent": f"00-{TRACE}-{SPAN}-00"}


class Recorder:
    """A provider of tracers, and the spans that were ended."""

    def __init__(self, **options: Any) -> None:
        self._exporter = InMemorySpanExporter()
        self.tracers = TracerProvider(shutdown_on_exit=False, **options)
        self.tracers.add_span_processor(SimpleSpanProcessor(self._exporter))

    @property
    def spans(self) -> list[ReadableSpan]:
        return list(self._exporter.get_finished_spans())

    def only(self) -> ReadableSpan:
        (span,) = self.spans
        return span


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    made = Recorder()
    yield made
    made.tracers.shutdown()


def call_of(
    side: Literal["server", "client"] = "server",
    headers: Any = (),
    *,
    operation: AnyOperation = KINDS_ECHO,
    kind: str = "grpc",
    parent: Call | None = None,
    app: AppInfo | None = None,
    peer: str = "10.0.0.7:52114",
) -> Call:
    return Call(operation, kind=kind, side=side, headers=Metadata(headers), peer=Peer(peer), parent=parent, app=app)


async def passed(middleware: Any, call: Call, handler: Any = None, request: Any = None) -> Any:
    async def answer(request: Any, call: Call) -> Any:
        return request

    return await chain([middleware], handler or answer, call.operation)(request, call)


async def fail(middleware: Any, call: Call, failure: BaseException) -> None:
    async def handler(request: Any, call: Call) -> Any:
        raise failure

    with pytest.raises(type(failure)):
        await passed(middleware, call, handler)


def facts(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def ids(span: ReadableSpan) -> tuple[str, str]:
    assert span.context is not None
    return f"{span.context.trace_id:032x}", f"{span.context.span_id:016x}"


async def test_a_served_call(recorder: Recorder) -> None:
    """A span below the caller's, named after the operation, with what is known of the peer; its ids are log fields."""
    app = AppInfo(name="shop", endpoints=("http://10.0.0.1:8000", "grpc://10.0.0.1:9000"))
    call = call_of(headers={**SAMPLED, "tracestate": "a=1", "x-md-service-name": "front"}, app=app)
    assert await passed(tracing(recorder.tracers), call, request="hello") == "hello"
    span = recorder.only()
    assert (span.name, span.kind, span.status.status_code) == (
        "fixture.kinds.v1.Kinds/Echo",
        SpanKind.SERVER,
        StatusCode.UNSET,
    )
    assert span.parent is not None
    assert (f"{span.parent.trace_id:032x}", f"{span.parent.span_id:016x}", span.parent.is_remote) == (TRACE, SPAN, True)
    assert span.parent.trace_state.to_header() == "a=1"
    assert facts(span) == {
        "rpc.system.name": "grpc",
        "rpc.method": "fixture.kinds.v1.Kinds/Echo",
        "rpc.service": "fixture.kinds.v1.Kinds",
        "rpc.response.status_code": "OK",
        "client.address": "10.0.0.7",
        "client.port": 52114,
        "network.peer.address": "10.0.0.7",
        "network.peer.port": 52114,
        "server.address": "10.0.0.1",
        "server.port": 9000,
        "service.peer.name": "front",
    }
    assert (call.fields["trace_id"], call.fields["span_id"]) == ids(span)
    assert ids(span)[0] == TRACE


async def test_a_call_over_http(recorder: Recorder) -> None:
    """The same name, the HTTP status; a client behind a proxy has no port, and a route beside the contract no RPC."""
    call = call_of(kind="http", peer="203.0.113.7")
    call.reply.status = 201
    await passed(tracing(recorder.tracers), call)
    assert facts(recorder.only()) == {
        "rpc.system.name": "http",
        "rpc.method": "fixture.kinds.v1.Kinds/Echo",
        "rpc.service": "fixture.kinds.v1.Kinds",
        "http.response.status_code": 201,
        "client.address": "203.0.113.7",
    }
    broken = call_of(kind="http")
    broken.reply.status = 503  # an answer that a handler has made itself
    await passed(tracing(recorder.tracers), broken)
    assert recorder.spans[1].status.status_code is StatusCode.ERROR
    raw = Unary("HTTP GET /robots.txt", Ping, Pong)
    await passed(tracing(recorder.tracers), call_of(kind="http", operation=raw))
    assert recorder.spans[2].name == "GET /robots.txt"
    assert facts(recorder.spans[2])["http.route"] == "/robots.txt"
    assert facts(recorder.spans[2])["http.request.method"] == "GET"


async def test_a_call_that_goes_out(recorder: Recorder) -> None:
    """A client's span names where it went; the next hop gets it as its parent, and the name of the app."""
    parent = call_of(app=AppInfo(name="shop"))
    call = call_of("client", parent=parent, peer="[::1]:9000")
    await passed(tracing(recorder.tracers, service="nobody"), call)
    span = recorder.only()
    assert span.kind is SpanKind.CLIENT
    assert facts(span) == {
        "rpc.system.name": "grpc",
        "rpc.method": "fixture.kinds.v1.Kinds/Echo",
        "rpc.service": "fixture.kinds.v1.Kinds",
        "rpc.response.status_code": "OK",
        "server.address": "::1",
        "server.port": 9000,
        "network.peer.address": "::1",
        "network.peer.port": 9000,
    }
    trace_id, span_id = ids(span)
    assert call.headers.items() == [
        ("traceparent", f"00-{trace_id}-{span_id}-01"),
        ("x-md-service-name", "shop"),
    ]
    assert (call.fields["trace_id"], call.fields["span_id"]) == (trace_id, span_id)
    alone = call_of("client", peer="unix:/run/app.sock")
    await passed(tracing(recorder.tracers, service="cron"), alone)
    assert alone.headers.get("x-md-service-name") == "cron"
    assert facts(recorder.spans[1])["server.address"] == "/run/app.sock"


async def test_names_in_any_script(recorder: Recorder) -> None:
    """The name of an app crosses the wire whatever it is."""
    call = call_of("client", parent=call_of(app=AppInfo(name="注文 50%")))
    await passed(tracing(recorder.tracers), call)
    arrived = call_of(headers=call.headers)
    assert str(arrived.headers.get("x-md-service-name")).isascii()
    await passed(tracing(recorder.tracers), arrived)
    assert facts(recorder.spans[1])["service.peer.name"] == "注文 50%"


async def test_a_header_of_the_caller_s_own(recorder: Recorder) -> None:
    """Outside of any span, a client call goes below what its caller put in the header: ours takes its place."""
    call = call_of("client", SAMPLED)
    await passed(tracing(recorder.tracers), call)
    span = recorder.only()
    assert span.parent is not None
    assert f"{span.parent.span_id:016x}" == SPAN
    assert call.headers.values("traceparent") == [f"00-{TRACE}-{ids(span)[1]}-01"]


async def test_a_call_that_is_not_recorded(recorder: Recorder) -> None:
    """It has ids all the same, the next hop gets them with flag 00, and whatever asks sees the same span."""
    seen: list[trace.SpanContext] = []
    outer = call_of(headers={**UNSAMPLED, "tracestate": "a=1,b=2"})
    inner = call_of("client", parent=outer)
    middleware = tracing(recorder.tracers)

    async def handler(request: Any, call: Call) -> Any:
        seen.extend(trace.get_current_span().get_span_context() for _ in range(2))
        with recorder.tracers.get_tracer("own").start_as_current_span("own work"):
            await passed(middleware, inner)

    await passed(middleware, outer, handler)
    assert recorder.spans == []
    assert outer.fields["trace_id"] == inner.fields["trace_id"] == TRACE
    assert len({SPAN, outer.fields["span_id"], inner.fields["span_id"]}) == 3
    assert inner.headers.get("traceparent") == f"00-{TRACE}-{inner.fields['span_id']}-00"
    assert inner.headers.get("tracestate") == "a=1,b=2"
    assert seen[0] is seen[1]
    assert (f"{seen[0].trace_id:032x}", f"{seen[0].span_id:016x}") == (TRACE, outer.fields["span_id"])
    assert not seen[0].trace_flags.sampled
    assert trace.get_current_span() is trace.INVALID_SPAN


async def test_a_user_s_own_spans_nest(recorder: Recorder) -> None:
    """A span made by hand stands between ours: below the server's, above the client's, which keeps its baggage."""
    middleware = tracing(recorder.tracers)
    outer = call_of(headers={**SAMPLED, "baggage": "tenant=t1,who=%C3%A4"})
    inner = call_of("client", parent=outer)

    async def handler(request: Any, call: Call) -> Any:
        assert baggage.get_baggage("who") == "ä"
        with recorder.tracers.get_tracer("own").start_as_current_span("own"):
            await passed(middleware, inner)

    await passed(middleware, outer, handler)
    client, own, server = recorder.spans
    assert client.parent is not None
    assert own.parent is not None
    assert (client.parent.span_id, own.parent.span_id) == (own.context.span_id, server.context.span_id)  # type: ignore[union-attr]  # they are real
    assert not client.parent.is_remote
    assert {span.context.trace_id for span in recorder.spans if span.context} == {int(TRACE, 16)}
    assert inner.headers.get("baggage") == "tenant=t1,who=%C3%A4"
    assert baggage.get_all() == {}


async def test_strangers(recorder: Recorder) -> None:
    """Who is not trusted decides nothing: a new trace begins, and their baggage is gone."""
    headers = {**SAMPLED, "baggage": "a=1"}
    seen: list[object] = []

    async def handler(request: Any, call: Call) -> Any:
        seen.append(dict(baggage.get_all()))

    await passed(tracing(recorder.tracers, trusted=False), call_of(headers=headers), handler)
    near = tracing(recorder.tracers, trusted=lambda call: call.peer.address.startswith("10."))
    await passed(near, call_of(headers=headers), handler)
    await passed(near, call_of(headers=headers, peer="203.0.113.7:1"), handler)
    await passed(near, call_of(headers={"baggage": "b=2"}), handler)
    assert [span.parent is not None for span in recorder.spans] == [False, True, False, False]
    assert seen == [{}, {"a": "1"}, {}, {"b": "2"}]


async def test_sampling(recorder: Recorder) -> None:
    """Roots by ratio, which may change; some operations by their own; what has a parent by that."""
    ratio = Live(0.0)
    middleware = tracing(
        recorder.tracers,
        sample=ratio,
        operations={"fixture.kinds.v1.Kinds/Watch": 1.0, "/fixture.kinds.v1.Kinds/Ch*": Live(1.0), "/fixture*": ratio},
    )

    async def recorded(operation: AnyOperation, headers: Any = ()) -> bool:
        before = len(recorder.spans)
        await passed(middleware, call_of(headers=headers, operation=operation))
        return len(recorder.spans) > before

    assert not await recorded(KINDS_ECHO)
    assert await recorded(KINDS_ECHO, SAMPLED)
    assert await recorded(KINDS_WATCH)
    assert await recorded(KINDS_CHAT)
    assert not await recorded(KINDS_CHAT, UNSAMPLED)
    ratio.set(1.0)
    assert await recorded(KINDS_ECHO)
    for wrong in (7.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="from 0.0"):
            ratio.set(wrong)
    assert await recorded(KINDS_ECHO)
    ratio.set(0.5)
    some = [await recorded(KINDS_ECHO) for _ in range(400)]
    assert 100 < sum(some) < 300


@pytest.mark.parametrize("wrong", [-0.1, 1.1, float("nan"), 10])
def test_wrong_ratios(wrong: float) -> None:
    """A ratio that is none is told at once, with its name."""
    with pytest.raises(ValueError, match=r"tracing\(sample="):
        tracing(sample=wrong)
    with pytest.raises(ValueError, match=r"/a\.B/\*"):
        tracing(operations={"/a.B/*": wrong})


@pytest.mark.parametrize(
    ("failure", "code", "status"),
    [
        (Nope("not here"), "NOT_FOUND", StatusCode.UNSET),
        (Error("x", code=422, reason="ODD"), "INVALID_ARGUMENT", StatusCode.UNSET),
        (Error("there", grpc_code=6, reason="ODD"), "ALREADY_EXISTS", StatusCode.UNSET),
        (ServiceUnavailable("later", reason="BUSY"), "UNAVAILABLE", StatusCode.ERROR),
        (InternalServer("own words"), "INTERNAL", StatusCode.ERROR),
        (Error("y", code=10001, reason="OWN"), "INTERNAL", StatusCode.ERROR),
    ],
)
async def test_errors(recorder: Recorder, failure: Error, code: str, status: StatusCode) -> None:
    """An error is named by its reason. On the server 5xx are errors of the span, on a client all are."""
    await fail(tracing(recorder.tracers), call_of(), failure)
    await fail(tracing(recorder.tracers), call_of("client"), failure)
    for span, expected in zip(recorder.spans, (status, StatusCode.ERROR), strict=True):
        assert span.status.status_code is expected
        assert facts(span)["error.type"] == (failure.reason or str(failure.status))
        assert facts(span)["rpc.response.status_code"] == code
        assert span.events == ()
        assert span.status.description == (failure.message if expected is StatusCode.ERROR else None)


async def test_credentials_in_a_message_are_masked(recorder: Recorder) -> None:
    """What an error says is in the span as it is in the log: without passwords."""
    await fail(tracing(recorder.tracers), call_of("client"), ServiceUnavailable("no redis://u:s3cret@h, token=s3cret"))
    assert recorder.only().status.description == "no redis://u:***@h, token=***"


@pytest.mark.parametrize("inside", [True, False])
async def test_crashes_keep_their_text(recorder: Recorder, inside: bool) -> None:
    """Of an unexpected failure a span has type and place, on either side of recovery(), and never its text."""

    secret = "secret-" + "password"

    async def crash() -> None:
        raise KeyError(secret)

    async def handler(request: Any, call: Call) -> Any:
        async with asyncio.TaskGroup() as group:
            group.create_task(crash())

    call = call_of(kind="http")
    chained = [recovery(), tracing(recorder.tracers)] if inside else [tracing(recorder.tracers), recovery()]
    with pytest.raises(InternalServer):
        await chain(chained, handler, KINDS_ECHO)(None, call)
    span = recorder.only()
    (event,) = span.events
    assert event.name == "exception"
    assert dict(event.attributes or {})["exception.type"] == "builtins.KeyError"
    assert "test_tracing.py" in str(dict(event.attributes or {})["exception.stacktrace"])
    assert facts(span)["error.type"] == "UNKNOWN"
    assert facts(span)["http.response.status_code"] == 500
    assert span.status.status_code is StatusCode.ERROR
    assert (facts(span).get("kratos.error_id") == call.fields["error_id"]) is not inside
    assert "secret-password" not in span.to_json()


async def test_who_left_and_whose_time_is_up(recorder: Recorder) -> None:
    """A caller that left is no error; a time limit that struck is one of the server."""
    left, late = call_of(), call_of()
    await fail(tracing(recorder.tracers), left, asyncio.CancelledError())
    late.deadline, late.limit = asyncio.get_running_loop().time() - 1, "server"
    await fail(tracing(recorder.tracers), late, asyncio.CancelledError())
    await fail(tracing(recorder.tracers), call_of("client"), asyncio.CancelledError())
    first, second, third = recorder.spans
    assert [facts(span)["rpc.response.status_code"] for span in recorder.spans] == [
        "CANCELLED", "DEADLINE_EXCEEDED", "CANCELLED",
    ]  # fmt: skip
    assert first.status.status_code is third.status.status_code is StatusCode.UNSET
    assert second.status.status_code is StatusCode.ERROR
    assert second.status.description == "took longer than the server allows"


@pytest.mark.parametrize("options", [{}, {"sample": 0.0}])
async def test_without_an_sdk(options: dict[str, Any]) -> None:
    """Nobody records: ids, and the parent's flag, go on as if somebody did."""
    middleware = tracing(trace.NoOpTracerProvider(), **options)
    for headers, flag in ((SAMPLED, "01"), (UNSAMPLED, "00"), ({}, "00" if options else "01")):
        outer = call_of(headers=headers)
        inner = call_of("client", parent=outer)

        async def handler(request: Any, call: Call, inner: Call = inner) -> Any:
            await passed(middleware, inner)

        await passed(middleware, outer, handler)
        assert outer.fields["trace_id"] == inner.fields["trace_id"]
        assert (outer.fields["trace_id"] == TRACE) is bool(headers)
        assert len({SPAN, outer.fields["span_id"], inner.fields["span_id"]}) == 3
        sent = f"00-{inner.fields['trace_id']}-{inner.fields['span_id']}-{flag}"
        assert inner.headers.get("traceparent") == sent


async def test_a_sampler_of_the_provider_s_own() -> None:
    """Where the SDK's own sampler says no, that counts: ids are the SDK's, and the flag is 00."""
    recorder = Recorder(sampler=ALWAYS_OFF)
    call = call_of("client")
    await passed(tracing(recorder.tracers), call)
    assert recorder.spans == []
    assert call.headers.get("traceparent") == f"00-{call.fields['trace_id']}-{call.fields['span_id']}-00"


@pytest.mark.parametrize("transport", ["memory", "http", "grpc"])
async def test_all_kinds_over_sockets(recorder: Recorder, transport: Any) -> None:
    """Each call of each kind is one span on each side, the server's below the client's."""
    middleware = tracing(recorder.tracers)

    async def pings() -> AsyncIterator[Ping]:
        yield Ping(text="a")
        yield Ping(text="b")

    async with serve(Kinds(), transport=transport, middleware=[middleware], client_middleware=[middleware]) as conn:
        api = KindsClient(conn)
        await api.echo(Ping(text="a"))
        with pytest.raises(Nope):
            await api.echo(Ping(text="nope"))
        async with api.watch(Ping(count=3)) as replies:
            assert len([reply async for reply in replies]) == 3
        async with api.collect() as stream:
            async for ping in pings():
                await stream.send(ping)
            assert (await stream.reply()).count == 2
        async with api.chat() as chat:
            async for ping in pings():
                await chat.send(ping)
            await chat.done()
            assert len([reply async for reply in chat]) == 2
    sides: dict[SpanKind, list[ReadableSpan]] = {SpanKind.CLIENT: [], SpanKind.SERVER: []}
    for span in recorder.spans:
        sides[span.kind].append(span)
    clients, servers = sides.values()
    names = [f"fixture.kinds.v1.Kinds/{method}" for method in ("Echo", "Echo", "Watch", "Collect", "Chat")]
    assert [span.name for span in clients] == names
    assert sorted(span.name for span in servers) == sorted(names)
    made = {ids(span)[1]: ids(span)[0] for span in clients}
    for span in servers:
        assert span.parent is not None
        assert made.pop(f"{span.parent.span_id:016x}") == ids(span)[0]
        assert facts(span)["rpc.system.name"] == transport


async def test_messages_as_events(recorder: Recorder) -> None:
    """Asked for, each message of a stream is an event: its direction and its number."""
    middleware = tracing(recorder.tracers, messages=True)
    async with serve(Kinds(), middleware=[middleware], client_middleware=[middleware]) as conn:
        api = KindsClient(conn)
        async with api.chat() as chat:
            await chat.send(Ping(text="a"))
            await chat.send(Ping(text="b"))
            await chat.done()
            assert len([reply async for reply in chat]) == 2
        async with api.watch(Ping(count=1)) as replies:
            assert len([reply async for reply in replies]) == 1
        await api.echo(Ping())
    seen = {
        (span.name.rpartition("/")[2], span.kind.name): sorted(
            (str(event.attributes["rpc.message.type"]), event.attributes["rpc.message.id"])  # type: ignore[index]  # has
            for event in span.events
        )
        for span in recorder.spans
    }
    both = [("RECEIVED", 1), ("RECEIVED", 2), ("SENT", 1), ("SENT", 2)]
    assert seen == {
        ("Chat", "SERVER"): both, ("Chat", "CLIENT"): both, ("Watch", "SERVER"): [("SENT", 1)],
        ("Watch", "CLIENT"): [("RECEIVED", 1)], ("Echo", "SERVER"): [], ("Echo", "CLIENT"): [],
    }  # fmt: skip


@pytest.mark.parametrize("headers", [SAMPLED, UNSAMPLED])
async def test_one_frame(recorder: Recorder, headers: dict[str, str]) -> None:
    """A traceback through it has one frame of it."""

    async def handler(request: Any, call: Call) -> Any:
        raise LookupError

    with pytest.raises(LookupError) as failure:
        await passed(tracing(recorder.tracers), call_of(headers=headers), handler)
    assert [entry.name for entry in failure.traceback if "kratos/middleware" in str(entry.path)] == ["__call__"]


async def test_beside_metadata(recorder: Recorder) -> None:
    """Kratos' x-md-service-name is the next hop's business, and goes no further, whatever the order of the two."""
    for order in (1, -1):
        middleware = [tracing(recorder.tracers), metadata()][::order]
        backend = Kinds()

        async with serve(backend, middleware=middleware, client_middleware=[]) as inner:
            await KindsClient(inner).echo(Ping(), headers={"x-md-service-name": "front", "x-md-global-a": "1"})
        (parent,) = backend.calls
        assert parent.metadata.get("x-md-service-name") == "front"
        call = call_of("client", parent=parent)

        async def nothing(request: Any, call: Call) -> None: ...

        await chain(middleware, nothing, KINDS_ECHO)(None, call)
        assert call.headers.values("x-md-service-name") == ["test"]
        assert call.headers.values("x-md-global-a") == ["1"]


async def test_outside_of_a_chain(recorder: Recorder) -> None:
    """It may be called without having been bound."""

    async def handler(request: Any, call: Call) -> str:
        return "done"

    assert await tracing(recorder.tracers)(None, call_of(), handler) == "done"
    assert recorder.only().name == "fixture.kinds.v1.Kinds/Echo"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("/foo.bar/hello", {"rpc.method": "foo.bar/hello", "rpc.service": "foo.bar"}),
        ("/foo.bar/hello/world", {"rpc.method": "foo.bar/hello/world", "rpc.service": "foo.bar"}),
        ("/hello", {"rpc.operation": "/hello"}),
    ],
)
def test_operations(name: str, expected: dict[str, str]) -> None:
    """Kratos' table of operations."""
    operation = Unary(name, Ping, Pong)
    assert static(operation) == expected
    assert span_name(operation) == name[1:]


@pytest.mark.parametrize(
    ("address", "host", "port"),
    [
        (":8080", "127.0.0.1", 8080),
        ("192.168.0.1", "192.168.0.1", None),
        ("192.168.0.1:8080", "192.168.0.1", 8080),
        ("foo:8080", "foo", 8080),
        ("[::1]:8080", "::1", 8080),
        ("[2001:db8::1]", "2001:db8::1", None),
        ("2001:db8::1", "2001:db8::1", None),
        ("", "", None),
    ],
)
def test_peers(address: str, host: str, port: int | None) -> None:
    """Kratos' table of peers, and IPv6."""
    assert peer_of(address) == (host, port)


def test_opentelemetry_is_loaded_when_asked_for() -> None:
    """Neither `import kratos` nor its middleware load OpenTelemetry; tracing() loads the API and no SDK."""
    script = (
        "import sys, kratos, kratos.middleware\n"
        "from kratos.middleware import recovery\n"
        "assert not any(name.startswith('opentelemetry') for name in sys.modules)\n"
        "from kratos.middleware import tracing\n"
        "assert callable(tracing), tracing\n"
        "assert 'opentelemetry.trace' in sys.modules\n"
        "assert not any(name.startswith('opentelemetry.sdk') for name in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
