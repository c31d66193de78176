"""What Sentry's own client sends, to a stub that takes envelopes."""

from __future__ import annotations

import asyncio
import gzip
import http.server
import json
import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import sentry_sdk
from fixtures.gen.fixture.secret.v1.secret_errors import VaultBroken, VaultLocked
from fixtures.gen.fixture.secret.v1.secret_kratos import VaultClient, VaultService
from fixtures.gen.fixture.secret.v1.secret_pb import OpenReply, OpenRequest

from kratos.call import Call
from kratos.contrib.sentry import init, sentry
from kratos.errors import Error
from kratos.handler import Handler
from kratos.middleware import access_log, recovery
from kratos.testing import serve

FAILURES: dict[str, Exception] = {
    "locked": VaultLocked("locked"),
    "broken": VaultBroken("broken"),
    "pipe": BrokenPipeError("gone"),
    "reset": ConnectionResetError("gone"),
}


class Stub(http.server.BaseHTTPRequestHandler):
    """Takes envelopes as Sentry does."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        _, *items = body.splitlines()
        for head, payload in zip(items[::2], items[1::2], strict=False):
            if json.loads(head)["type"] == "event":
                self.server.events.append(json.loads(payload))  # type: ignore[attr-defined]
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *arguments: Any) -> None:
        """Says nothing."""


@pytest.fixture
def events() -> Iterator[list[dict[str, Any]]]:
    """What has arrived, once it was flushed; Sentry is started and ended."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Stub)
    server.events = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    init(f"http://key@127.0.0.1:{server.server_address[1]}/1", environment="unit")
    sentry_sdk.get_isolation_scope().clear()  # tests before may have left crumbs of their HTTP calls
    yield server.events  # type: ignore[attr-defined]
    sentry_sdk.get_client().close(timeout=10)
    init("")  # not sentry_sdk.init(), which would have its hands on aiohttp for good
    server.shutdown()
    thread.join()
    server.server_close()


class Vault(VaultService):
    async def open(self, request: OpenRequest, call: Call) -> OpenReply:
        password = request.pin
        sentry_sdk.set_tag("visitor", request.name)
        sentry_sdk.add_breadcrumb(message=f"knocked, token={password}", data={"token": password})
        await asyncio.sleep(0)
        if request.name in FAILURES:
            raise FAILURES[request.name]
        if request.name.startswith("crash"):
            raise ValueError(f"no password={password}", request)
        return OpenReply()


async def traced(request: Any, call: Call, next: Handler) -> Any:
    call.fields |= {"trace_id": "0af7651916cd43dd8448eb211c80319c", "span_id": "b7ad6b7169203331", "shard": 7}
    return await next(request, call)


async def knock(*names: str, **options: Any) -> None:
    """Opens the vault by each name at once, and has all be sent that waits."""
    watching = sentry(**options)
    chain = [recovery(), access_log(records=True), traced, watching]
    headers = {"authorization": "Bearer s3cret", "cookie": "s3cret", "x-shop": "a"}
    async with serve(Vault(), transport="http", middleware=chain) as conn:
        calls = (VaultClient(conn).open(OpenRequest(name=name, pin="s3cret"), headers=headers) for name in names)
        for failure in await asyncio.gather(*calls, return_exceptions=True):
            assert failure is None or isinstance(failure, Error | OpenReply), failure
    await watching.aclose()


@pytest.mark.parametrize("count", [1, 10])
async def test_a_crash_is_reported_once(events: list[dict[str, Any]], count: int) -> None:
    """With its call, its trace and what was said in it, and without secrets; calls at the same time do not mix."""
    await knock(*(f"crash {number}" for number in range(count)), "fine", tags={"team": "blue"})
    assert len(events) == count
    for event in events:
        tags = event["tags"]
        assert (tags["operation"], tags["transport"], tags["kind"]) == (
            "/fixture.secret.v1.Vault/Open",
            "http",
            "server",
        )
        assert (tags["team"], tags["shard"]) == ("blue", "7")
        assert tags["peer"].startswith("127.0.0.1:")
        trace = event["contexts"]["trace"]
        assert (trace["trace_id"], trace["span_id"]) == ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331")
        assert event["transaction"] == "/fixture.secret.v1.Vault/Open"
        headers = event["contexts"]["call"]["headers"]
        assert (headers["authorization"], headers["cookie"], headers["x-shop"]) == ("***", "***", "a")
        (failure,) = event["exception"]["values"]
        assert failure["type"] == "ValueError"
        assert "no password=***" in failure["value"]
        assert f"OpenRequest(name={event['tags']['visitor']!r}, pin='***')" in failure["value"]
        crumbs = [crumb.get("message", "") for crumb in event["breadcrumbs"]["values"]]  # those of HTTP have none
        assert sum("knocked" in crumb for crumb in crumbs) == 1
    assert {event["tags"]["visitor"] for event in events} == {f"crash {number}" for number in range(count)}
    assert "s3cret" not in json.dumps(events)


@pytest.mark.parametrize("asked", [False, True])
async def test_what_is_reported(events: list[dict[str, Any]], asked: bool) -> None:
    """Errors of the server only if asked for; those of clients, and clients that hung up, never."""
    await knock(*FAILURES, server_errors=asked)
    assert [event["exception"]["values"][-1]["type"] for event in events] == ["VaultBroken"] * asked


async def test_local_variables_are_masked(events: list[dict[str, Any]]) -> None:
    """Whoever wants them has them without secrets."""
    sentry_sdk.get_client().options["include_local_variables"] = True
    await knock("crash")
    frames = events[0]["exception"]["values"][0]["stacktrace"]["frames"]
    assert frames[-1]["vars"]["password"] == "***"  # noqa: S105


async def test_what_is_set_on_a_scope_is_masked(events: list[dict[str, Any]]) -> None:
    """Contexts, tags, extras and the user, by key and by look; so are transactions and their spans."""
    options = sentry_sdk.get_client().options
    with sentry_sdk.isolation_scope() as scope:
        scope.set_context("order", {"password": "s3cret", "at": "redis://u:s3cret@h", "n": 1})
        scope.set_tag("password", "s3cret")
        scope.set_tag("at", "token=s3cret")
        scope.set_extra("password", "s3cret")
        scope.set_user({"id": "1", "token": "s3cret"})
        sentry_sdk.capture_message("hello")
    sentry_sdk.flush(10)
    (event,) = events
    assert "s3cret" not in json.dumps(event)
    assert event["contexts"]["order"] == {"password": "***", "at": "redis://u:***@h", "n": 1}
    assert event["tags"] == {"password": "***", "at": "token=***"}
    assert event["user"] == {"id": "1", "token": "***"}
    span = {"description": "GET /?token=s3cret", "data": {"password": "s3cret"}, "op": "http"}
    done = options["before_send_transaction"]({"type": "transaction", "spans": [span]}, {})
    assert done["spans"] == [{"description": "GET /?token=***", "data": {"password": "***"}, "op": "http"}]


async def test_what_else_is_told(events: list[dict[str, Any]]) -> None:
    """Messages and errors that are logged outside of calls are masked as well."""
    sentry_sdk.capture_message("token=s3cret")
    logging.getLogger("unit").error("token=%s", "s3cret", extra={"password": "s3cret"})
    sentry_sdk.flush(10)
    assert len(events) == 2
    assert "s3cret" not in json.dumps(events)
