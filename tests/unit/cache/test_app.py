"""A cache as a hook of an app: it counts with the app's meter, closes with the app, and is seen in traces."""

from __future__ import annotations

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from unit.cache.counting import counted
from unit.cache.repositories import User, Users
from unit.cache.stores import FarStore

from kratos import App
from kratos.cache import Cache
from kratos.metrics import PrometheusMeter
from kratos.middleware.tracing import CacheSpans


async def test_it_is_a_hook() -> None:
    meter = PrometheusMeter()
    cache = Cache(store := FarStore(turns=5))
    users = Users(cache)
    await users.user(1)
    async with App(name="shop", hooks=[cache], meter=meter):
        await users.user(2)
        await users.user(2)
        assert store.closed == 0
    assert (store.closed, len(store.inner)) == (1, 2)
    assert counted(meter)['misses_total{name="Users.user"}'] == 1  # the first was before there was an app


async def test_spans() -> None:
    """Of recorded traces only, and without anything of a failure but its type."""
    kept = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    cache = Cache(store := FarStore(), spans=CacheSpans(provider))
    users = Users(cache)
    await users.user(1)
    await cache.aclose()
    assert kept.get_finished_spans() == ()
    with provider.get_tracer("test").start_as_current_span("call") as call:
        await users.users([1, 2])
        await cache.aclose()
        await users.user.invalidate(1)
        store.down = OSError("secret")
        assert await users.user(1) == User(1, "u1")
    await cache.aclose()
    spans = {span.name: span for span in kept.get_finished_spans() if span.name != "call"}
    assert [*spans] == [
        "cache get Users.users", "cache load Users.users", "cache fill Users.users", "cache invalidate Users.user",
        "cache get Users.user", "cache load Users.user",
    ]  # fmt: skip
    assert {span.context.trace_id for span in spans.values()} == {call.get_span_context().trace_id}
    assert spans["cache get Users.users"].attributes == {"cache.name": "Users.users", "cache.keys": 2, "cache.hits": 1}
    failed = spans["cache get Users.user"]
    assert failed.attributes == {"cache.name": "Users.user", "error.type": "kratos.cache.base.CacheError"}
    assert (failed.status.is_ok, failed.events) == (False, ())
    assert not any("secret" in str(span.to_json()) for span in spans.values())
