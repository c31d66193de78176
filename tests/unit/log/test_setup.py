"""setup(): what is logged inside of calls, where it goes, and that nobody waits for it."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from fixtures.gen.fixture.secret.v1.secret_kratos import VaultClient, VaultService
from fixtures.gen.fixture.secret.v1.secret_pb import OpenReply, OpenRequest

from kratos.call import Call, current_call
from kratos.errors import InternalServer
from kratos.handler import Handler
from kratos.live import Live
from kratos.log import Log, QueuedHandler, Redaction, setup
from kratos.log.entry import entry_of
from kratos.middleware import access_log
from kratos.testing import serve

logger = logging.getLogger("vault")


class Written(io.StringIO):
    """What was logged, as the JSON objects of its lines."""

    def lines(self, name: str = "vault") -> list[dict[str, Any]]:
        found = [json.loads(line, object_pairs_hook=once) for line in self.getvalue().splitlines()]
        return [line for line in found if line.get("logger") == name]


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Makes an object of members that are all there once."""
    assert len(dict(pairs)) == len(pairs), pairs
    return dict(pairs)


class Vault(VaultService):
    """Logs as people do."""

    async def open(self, request: OpenRequest, call: Call) -> OpenReply:
        call.fields["visitor"] = request.name
        logger.info("opening for %s", request.name)
        await asyncio.sleep(0)
        await asyncio.gather(*(asyncio.to_thread(logger.info, "beside") for _ in range(2)))
        if request.name == "crash":
            raise ValueError(f"no password={request.pin}")
        logger.info("opened", extra={"visitor": f"{request.name}!", "request": request})
        return OpenReply(message=request.name)

    async def watch(self, request: OpenRequest, call: Call) -> AsyncIterator[OpenReply]:
        logger.info("watched")
        yield OpenReply()


class InThreads(VaultService):
    def open(self, request: OpenRequest, call: Call) -> OpenReply:  # type: ignore[override]
        logger.info("opening")
        return OpenReply()


async def traced(request: Any, call: Call, next: Handler) -> Any:
    """Writes what tracing writes."""
    call.fields |= {"trace_id": f"trace of {getattr(request, 'name', '')}", "span_id": "b7ad6b71"}
    return await next(request, call)


@pytest.fixture
def written() -> Written:
    return Written()


@pytest.fixture
def log(written: Written) -> Iterator[Log]:
    log = setup(to=written, level="DEBUG")
    yield log
    log.close()


TRANSPORTS: dict[str, dict[str, Any]] = {
    "memory": {"transport": "memory"},
    "http": {"transport": "http"},
    "grpc": {"transport": "grpc"},
    "native": {"transport": "grpc", "engine": "native"},
}


@pytest.fixture(params=TRANSPORTS)
def transport(request: pytest.FixtureRequest) -> dict[str, Any]:
    if request.param == "native":
        pytest.importorskip("pygrpc_native")
    return TRANSPORTS[request.param]


async def test_every_line_has_the_fields_of_its_call(log: Log, written: Written, transport: dict[str, Any]) -> None:
    """Calls at the same time never have each other's fields, in any thread, and each field is there once."""
    names = [f"n{number}" for number in range(20)]
    async with serve(Vault(), middleware=[traced], **transport) as conn:
        await asyncio.gather(*(VaultClient(conn).open(OpenRequest(name=name, pin="s3cret")) for name in names))
    logger.info("outside")
    log.flush()
    *lines, outside = written.lines()
    assert len(lines) == 4 * len(names)
    assert not {"operation", "trace_id", "visitor"} & outside.keys()
    for name in names:
        own = [line for line in lines if line["trace_id"] == f"trace of {name}"]
        assert sorted(line["msg"] for line in own) == ["beside", "beside", "opened", f"opening for {name}"]
        assert {line["operation"] for line in own} == {"/fixture.secret.v1.Vault/Open"}
        assert {line["span_id"] for line in own} == {"b7ad6b71"}
        # what is said last counts
        assert {line["msg"]: line["visitor"] for line in own}["opened"] == f"{name}!"
        assert sum(line["visitor"] == name for line in own) == 3
    assert "s3cret" not in written.getvalue()


async def test_streams_and_threads(log: Log, written: Written, transport: dict[str, Any]) -> None:
    """Streams and plain def methods are calls like any other."""
    async with (
        serve(Vault(), middleware=[traced], **transport) as conn,
        VaultClient(conn).watch(OpenRequest(name="w")) as replies,
    ):
        assert len([reply async for reply in replies]) == 1
    async with serve(InThreads(), middleware=[traced], **transport) as conn:
        await VaultClient(conn).open(OpenRequest(name="t"))
    log.flush()
    assert [(line["msg"], line["trace_id"]) for line in written.lines()] == [
        ("watched", "trace of w"),
        ("opening", "trace of t"),
    ]


async def test_a_crash_has_the_fields_too(log: Log, written: Written, transport: dict[str, Any]) -> None:
    """The traceback stands beside the trace id and the id that the client has; no secret is in it."""
    access = access_log(to=written)
    async with serve(Vault(), middleware=[traced, access], **transport) as conn:
        with pytest.raises(InternalServer) as failure:
            await VaultClient(conn).open(OpenRequest(name="crash", pin="s3cret"))
    await access.aclose()
    log.flush()
    (line,) = written.lines("kratos.handler")
    assert (line["trace_id"], line["error_id"]) == ("trace of crash", failure.value.metadata["error_id"])
    assert line["error"] == "ValueError: no password=***"
    assert "s3cret" not in written.getvalue()
    (told,) = [json.loads(each) for each in written.getvalue().splitlines() if '"kind"' in each]
    assert (told["error"], told["trace_id"]) == ("ValueError: no password=***", "trace of crash")


async def test_access_records_are_of_their_own_call(log: Log, written: Written) -> None:
    """A line that is handed to logging while another call is served has the fields of its own call only."""
    access = access_log(records=True, args=True)

    async def flushing(request: Any, call: Call, next: Handler) -> Any:
        access.flush()
        return await next(request, call)

    async with serve(Vault(), middleware=[access, traced, flushing]) as conn:
        for name in ("a", "b"):
            await VaultClient(conn).open(OpenRequest(name=name, pin="s3cret"))
    await access.aclose()
    log.flush()
    assert [(line["trace_id"], line["request"]) for line in written.lines("kratos.access")] == [
        ("trace of a", {"name": "a", "pin": "***"}),
        ("trace of b", {"name": "b", "pin": "***"}),
    ]


async def test_after_the_call(log: Log, written: Written) -> None:
    """A failure that comes to light outside of the call has its fields, and changes nothing for anybody else."""
    from kratos.handler import conceal

    calls: list[Call] = []

    async def keeping(request: Any, call: Call, next: Handler) -> Any:
        calls.append(call)
        return await next(request, call)

    async with serve(Vault(), middleware=[traced, keeping], client_middleware=[keeping]) as conn:
        await VaultClient(conn).open(OpenRequest(name="a"))
    for call in calls:
        conceal(ValueError("late"), call)
    assert current_call() is None
    log.flush()
    client, server = written.lines("kratos.handler")
    assert "trace_id" not in client
    assert server["trace_id"] == "trace of a"


def test_what_messages_say(log: Log, written: Written) -> None:
    """Arguments are looked into; what does not fit, is no text or no string is a line all the same."""
    request = OpenRequest(name="a", pin="s3cret")
    logger = logging.getLogger("vault.own")
    logger.handlers, logger.propagate = [log._handler], False  # pytest's handler would raise
    logger.info("%s and %r", request, [request])
    logger.info("%(name)s has %(password)s", {"name": "a", "password": "s3cret"})
    logger.info(request)
    logger.info({"token": "s3cret"})
    logger.info("%d", request)
    logger.info("no place", 1)  # noqa: PLE1205
    logger.info("x", extra={"a b": 1, "logger": 2, "fields.logger": 3})
    logger.info("in the url of %s", "postgres://me:s3cret@db")
    log.flush()
    assert "s3cret" not in written.getvalue()
    lines = written.lines("vault.own")
    shown = "OpenRequest(name='a', pin='***')"
    assert [line["msg"] for line in lines] == [
        f"{shown} and [{{'name': 'a', 'pin': '***'}}]", "a has ***", shown, "{'token': '***'}",
        f"%d ({shown},)", "no place (1,)", "x", "in the url of postgres://me:***@db",
    ]  # fmt: skip
    assert (lines[6]["a b"], lines[6]["fields.logger"]) == (1, 3)


def test_a_record_that_formats_itself(log: Log, written: Written) -> None:
    """Records of classes of somebody's own say what they say."""

    class Braces(logging.LogRecord):
        def getMessage(self) -> str:
            return self.msg.format(*self.args) if self.args else self.msg

    logger.handle(Braces("vault", logging.INFO, "", 0, "{} token=x", ("a",), None))
    log.flush()
    assert written.lines()[0]["msg"] == "a token=***"


def test_own_rules(written: Written) -> None:
    """What is given to setup holds for every handler that has no rules of its own."""
    other, own = Written(), Written()
    from kratos.log.handler import to_stream

    handlers = [
        QueuedHandler(to_stream(other), entry_of),
        QueuedHandler(to_stream(own), entry_of, redact=Redaction(defaults=False)),
    ]
    log = setup(to=written, redact=Redaction("iban"), handlers=handlers)
    try:
        logger.info("x", extra={"iban": 1, "password": 2})
        log.flush()
    finally:
        log.close()
    assert [(line["iban"], line["password"]) for w in (written, other, own) for line in w.lines()] == [
        ("***", "***"), ("***", "***"), (1, 2),
    ]  # fmt: skip


def test_handlers_of_logging(written: Written) -> None:
    """Any handler gets clean copies in another thread, by its level and filters; the record itself is left alone."""
    plain, raw = io.StringIO(), []
    handler = logging.StreamHandler(plain)
    handler.setFormatter(logging.Formatter("%(levelname)s %(filename)s %(message)s %(user)s"))
    handler.setLevel("WARNING")
    handler.addFilter(lambda record: raw.append(threading.current_thread().name) or True)
    log = setup(to=written, handlers=[handler])
    try:
        logger.info("not this")
        try:
            raise ValueError("token=s3cret")
        except ValueError:
            logger.exception("%s", {"token": "s3cret"}, extra={"user": {"token": "s3cret"}})
        log.flush()
    finally:
        log.close()
    first, *_, last = plain.getvalue().splitlines()
    assert first == "ERROR test_setup.py {'token': '***'} {'token': '***'}"
    assert last == "ValueError: token=***"
    assert raw == ["kratos log"]


def test_live_level(written: Written) -> None:
    """The level follows; a wrong one is told to whoever sets it, and nothing changes."""
    level = Live("WARNING")
    log = setup(to=written, level=level, levels={"vault.loud": "DEBUG"})
    root = logging.getLogger()
    try:
        logger.info("no")
        level.set("info")
        logger.info("yes")
        logging.getLogger("vault.loud").debug("always")
        with pytest.raises(ValueError, match="no level"):
            level.set("loud")
        assert (level.value, root.level) == ("info", logging.INFO)
    finally:
        log.close()
    before = root.level
    level.set("CRITICAL")
    assert root.level == before
    assert logging.getLogger("vault.loud").level == logging.NOTSET
    assert [line["msg"] for line in written.lines()] == ["yes"]


def test_a_sink_that_stalls_keeps_nobody() -> None:
    """Whoever logs goes on; what does not fit is counted, and told once there is room again."""
    going, taken = threading.Event(), Written()

    class Stalled(Written):
        def write(self, text: str) -> int:
            going.wait()
            return taken.write(text)

    log = setup(to=Stalled(), limit=10)
    try:
        for number in range(200):
            logger.info("%d", number)
        assert not log.flush(0.01)
        assert log.dropped >= 200 - 2 * 10
        dropped = log.dropped
        going.set()
        assert log.flush(60)
    finally:
        going.set()
        log.close()
    lines = [json.loads(line) for line in taken.getvalue().splitlines()]
    assert sum(line.get("lost", 0) for line in lines) == dropped
    assert len(lines) - sum("lost" in line for line in lines) == 200 - dropped


def test_a_record_that_cannot_be_made_is_counted() -> None:
    """Nothing that is logged raises in whoever logs it."""

    def fail(record: logging.LogRecord, rules: Redaction) -> Any:
        raise RuntimeError

    handler = QueuedHandler(lambda batch, lost: None, fail)
    handler.handle(logging.makeLogRecord({"msg": "x"}))
    assert handler.dropped == 1


async def test_as_a_hook(log: Log, written: Written) -> None:
    """Leaving it writes what waits, and it goes on working."""
    async with log(object()):
        logger.info("inside")
    assert [line["msg"] for line in written.lines()] == ["inside"]
    logger.info("after")
    log.flush()
    assert len(written.lines()) == 2


STALLED = """
import logging, sys
from kratos.log import setup
setup(limit=100)
for number in range(30_000):
    logging.getLogger("x").warning("%d %s", number, "x" * 100)
print("done", flush=True)
"""


@pytest.mark.skipif(os.name == "nt", reason="pipes of POSIX")
def test_a_pipe_that_nobody_reads_does_not_keep_the_process() -> None:
    """It logs more than any pipe holds, and ends by itself."""
    with subprocess.Popen(
        [sys.executable, "-c", STALLED], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "done\n"
        assert process.wait(60) == 0
        assert process.stderr is not None
        process.stderr.close()
