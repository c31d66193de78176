"""A field that its proto calls sensitive is told by nothing: no log, trace, metric, error, or page of operators."""

from __future__ import annotations

import asyncio
import gc
import io
import logging
import os
import re
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from adminport import ask
from fixtures.gen.fixture.secret.v1.secret_kratos import VaultClient, VaultService
from fixtures.gen.fixture.secret.v1.secret_pb import Card, OpenReply, OpenRequest

from kratos import AdminServer, App, Call, GRPCClient, GRPCServer, HTTPClient, HTTPServer, Shutdown
from kratos.contrib.otel import OpenTelemetry
from kratos.errors import Error
from kratos.handler import Middleware
from kratos.log import Redaction, setup
from kratos.log.entry import entry_of
from kratos.log.handler import QueuedHandler, to_stream
from kratos.metrics import PrometheusMeter
from kratos.middleware import Violation, access_log, metrics, recovery, tracing, validate
from kratos.middleware.access_log import AccessLog
from telemetry.stub import Stub, stub

WORD, NUMBER, OWN = "Perch81pike", 8147203661, "DE7300112299"
"""What is in sensitive fields. Nothing else holds either."""

ENDS = ("fine", "crash", "chained", "group", "invalid")
PAGES = ("/", "/health", "/routes", "/routes.json", "/build", "/debug/calls", "/debug/calls.json", "/debug/tasks",
         "/debug/tasks.json", "/debug/stacks", "/debug/lag", "/debug/log", "/debug/profile", "/metrics")  # fmt: skip

RULES = Redaction("iban", patterns=[r"DE\d{10}"])
"""Rules of the service's own."""

logger = logging.getLogger("vault")


def secrets(name: str) -> OpenRequest:
    """Returns a request with secrets in all kinds of fields."""
    inner = OpenRequest(pin=WORD, hints=[WORD], code=NUMBER, cards=[Card(number=WORD)])
    return OpenRequest(
        name=name, pin=WORD, card=Card(holder="eva", number=WORD), cards=[Card(number=WORD)], inner=inner,
        by_name={"eva": Card(number=WORD)}, hints=["a", WORD], code=NUMBER, seeds={WORD: 1}, access_token=WORD,
    )  # fmt: skip


@dataclass
class Order:
    """Something of the service's own that holds a request."""

    request: OpenRequest


class Refused(Exception):
    """A failure whose text is made of what it keeps."""

    def __init__(self, *, request: OpenRequest) -> None:
        self.request = request

    def __str__(self) -> str:
        return f"refused: {self.request}"


def broken(request: OpenRequest) -> None:
    raise Refused(request=request)


class Vault(VaultService):
    """Tells its requests in every way that there is, and then ends as it is told to."""

    def __init__(self) -> None:
        self.entered = asyncio.Semaphore(0)
        self.go = asyncio.Event()

    async def open(self, request: OpenRequest, call: Call) -> OpenReply:
        await self.tell(request, call)
        return OpenReply(message="open")

    async def watch(self, request: OpenRequest, call: Call) -> AsyncIterator[OpenReply]:
        yield OpenReply(message="begun")
        await self.tell(request, call)
        yield OpenReply(message="open")

    async def tell(self, request: OpenRequest, call: Call) -> None:
        call.fields["request"] = request
        call.fields["cards"] = list(request.cards)
        call.state["request"] = request
        logger.debug(request)
        logger.info("%s and %r", request, request.inner)
        logger.info("%(request)s", {"request": request})
        logger.info("in %s, %s, %s", [request], {"a": (request,)}, Order(request))
        error = Refused(request=request)
        logger.error(error)
        logger.error("%s, %r and %s", error, ValueError("no", request), deque([request]))
        logger.error("%s", {"a": request}.values(), extra={"cause": error, "those": {"a": request}.items()})
        logger.error("it costs %s", OWN, extra={"iban": OWN})
        await self.left_alone(request)
        logger.warning("with it", extra={"request": request, "order": Order(request), "by_name": request.by_name})
        match request.name:
            case "hang":
                self.entered.release()
                await self.go.wait()
            case "crash":
                raise ValueError(request)
            case "chained":
                try:
                    raise KeyError("card", request.card)
                except KeyError as error:
                    raise RuntimeError("it cannot be opened", [request], {"it": request}) from error
            case "group":
                async with asyncio.TaskGroup() as group:
                    for _ in range(2):
                        group.create_task(self.fail(request))
            case _:
                logger.info("fine")

    async def left_alone(self, request: OpenRequest) -> None:
        """Has the event loop tell of failures: of a task that nobody waited for, and of a callback."""
        task = asyncio.create_task(self.fail(request))
        await asyncio.wait([task])
        del task
        gc.collect()
        asyncio.get_running_loop().call_soon(broken, request)
        await asyncio.sleep(0)

    async def fail(self, request: OpenRequest) -> None:
        raise ValueError("no", request)


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stub]:
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)
    with stub() as got:
        yield got


class Places:
    """All places where something is told, and the app that tells it.

    Attributes:
        told: What was told, by place.
        vault: The service.
    """

    def __init__(self, collector: Stub) -> None:
        self.told: dict[str, str] = {}
        self.vault = Vault()
        self._collector = collector
        self._streams = {name: io.StringIO() for name in ("log", "console", "access log", "access console", "handler")}
        self._otel = OpenTelemetry(endpoint=collector.grpc, flush=60)
        self._meter = PrometheusMeter()
        self._logs: list[AccessLog] = []
        self._admin = AdminServer("127.0.0.1:0")
        self.app = App(
            name="vault", services=[self.vault], middleware=[*self.chain(), validate(check)], meter=self._meter,
            servers=[HTTPServer("127.0.0.1:0"), GRPCServer("127.0.0.1:0"), self._admin], hooks=[self._otel],
            shutdown=Shutdown(drain=0),
        )  # fmt: skip

    def chain(self) -> list[Middleware]:
        """Returns everything that tells of calls, for a server or a client."""
        streams = self._streams
        logs = [
            access_log(to=streams["access log"], format="json", args=True),
            access_log(to=streams["access console"], format="console", args=True),
            access_log(records=True, args=True),
        ]
        self._logs += logs
        return [recovery(), tracing(self._otel.tracers, messages=True), metrics(self._meter), *logs]

    @contextmanager
    def logging(self) -> Iterator[None]:
        """Has the log told as JSON, to a terminal, and to a handler of somebody else."""
        handler = logging.StreamHandler(self._streams["handler"])
        handler.setFormatter(logging.Formatter("%(message)s %(request)s", defaults={"request": ""}))
        console = QueuedHandler(to_stream(self._streams["console"], "console"), entry_of)
        log = setup(level="DEBUG", to=self._streams["log"], format="json", handlers=[handler, console], redact=RULES)
        try:
            yield
        finally:
            for access in self._logs:
                access.flush()
            log.close()

    async def look(self) -> None:
        """Looks at all pages."""
        for page in PAGES:
            answer = await ask(self._admin.endpoint, page)
            assert answer.status == 200, page
            self.told[page] = answer.text

    def all(self) -> dict[str, str]:
        """Returns what was told, when all is over."""
        streams = {name: stream.getvalue() for name, stream in self._streams.items()}
        return {**self.told, **streams, "collector": self._collector.text, "meter": str(self._meter.render()[1])}


def check(request: Any) -> list[Violation]:
    """Finds something wrong with a secret."""
    return [Violation("pin", "is wrong")] if request.name == "invalid" else []


async def test_sensitive_fields_are_told_nowhere(collector: Stub) -> None:
    """Requests full of secrets: served, crashed, refused, under way; unary and streamed, over both transports."""
    places = Places(collector)
    errors: list[str] = []
    with places.logging():
        async with places.app as app:
            http, grpc = app.info.endpoints
            over_http, over_grpc = (
                HTTPClient(http, middleware=places.chain()),
                GRPCClient(grpc, middleware=places.chain()),
            )
            async with over_http, over_grpc:
                clients = [VaultClient(over_http), VaultClient(over_grpc)]
                errors += [
                    await ended(each, name, streamed) for each in clients for name in ENDS for streamed in (False, True)
                ]
                hanging = [asyncio.create_task(each.open(secrets("hang"), timeout=60)) for each in clients]
                for _ in hanging:
                    await places.vault.entered.acquire()
                await places.look()
                places.vault.go.set()
                await asyncio.gather(*hanging)
            errors += await refusals(http)
    places.told["errors"] = "\n".join(errors)
    told = places.all()
    assert {place: shown for place, text in told.items() if (shown := found(text))} == {}
    assert {place for place, text in told.items() if "Vault/Open" not in text} <= {
        "errors", "/", "/health", "/build", "/debug/lag", "/debug/log", "/debug/profile", "/debug/stacks"
    }  # fmt: skip
    assert all(word in told["log"] for word in ("never retrieved", "callback broken(\\u2026)", "it costs ***"))
    assert told["log"].count('"pin":"***"') > 50
    assert all(word in told["errors"] for word in ("VALIDATOR", "CODEC", "error_id"))


def found(text: str) -> list[str]:
    """Returns where secrets stand in a text."""
    return [text[max(0, each.start() - 80) : each.end()] for each in re.finditer(f"{WORD}|{NUMBER}|{OWN}", text)][:3]


async def ended(client: VaultClient, name: str, streamed: bool) -> str:
    """Makes a call, and returns what its caller is told."""
    try:
        if not streamed:
            return str(await client.open(secrets(name), timeout=60))
        async with client.watch(secrets(name), timeout=60) as replies:
            return " ".join([str(reply) async for reply in replies])
    except Error as error:
        return f"{error!r} {error.metadata}"


async def refusals(url: str) -> list[str]:
    """Sends bodies in which a secret is of another type than its field, and returns the answers."""
    wrong = {"word": WORD}
    bodies: list[dict[str, Any]] = [
        {"pin": NUMBER}, {"pin": wrong}, {"code": WORD}, {"hints": [NUMBER]}, {"hints": wrong}, {"seeds": {"a": WORD}},
        {"card": {"number": wrong}}, {"cards": [{"number": NUMBER}]}, {"byName": {"eva": {"number": NUMBER}}},
        {"inner": {"inner": {"code": WORD}}},
    ]  # fmt: skip
    answers: list[str] = []
    async with aiohttp.ClientSession(url) as session:
        for body in bodies:
            async with session.post("/vaults/x", json=body) as answer:
                assert answer.status == 400, body
                answers.append(await answer.text())
    return answers
