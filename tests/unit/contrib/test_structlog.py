"""structlog and logging, both ways."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from fixtures.gen.fixture.secret.v1.secret_kratos import VaultClient, VaultService
from fixtures.gen.fixture.secret.v1.secret_pb import OpenReply, OpenRequest

from kratos.call import Call
from kratos.contrib.structlog import StructlogHandler, call_fields, masked, to_logging
from kratos.log import Log, setup
from kratos.testing import serve


class Vault(VaultService):
    async def open(self, request: OpenRequest, call: Call) -> OpenReply:
        call.fields["trace_id"] = "4bf9"
        logger = structlog.get_logger("vault").bind(user="a")
        logger.info("opened %s", request.name, request=request, token="s3cret", name="clash")  # noqa: S106
        try:
            raise ValueError("password=s3cret")
        except ValueError:
            logger.exception("failed")
        return OpenReply()


@pytest.fixture
def written() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def log(written: io.StringIO) -> Iterator[Log]:
    log = setup(to=written)
    yield log
    log.close()
    structlog.reset_defaults()


async def opened() -> None:
    async with serve(Vault()) as conn:
        await VaultClient(conn).open(OpenRequest(name="safe", pin="s3cret"))


async def test_events_come_out_as_everything_else(log: Log, written: io.StringIO) -> None:
    """With the fields of the call, masked, whatever their names are."""
    structlog.configure(
        processors=[structlog.stdlib.PositionalArgumentsFormatter(), to_logging],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
    await opened()
    log.flush()
    first, second = [json.loads(line) for line in written.getvalue().splitlines()]
    assert {"ts", "level", "msg"} < first.keys()
    assert (first["msg"], first["logger"], first["user"], first["token"]) == ("opened safe", "vault", "a", "***")
    assert (first["fields.name"], first["trace_id"]) == ("clash", "4bf9")
    assert first["operation"] == "/fixture.secret.v1.Vault/Open"
    assert first["request"] == {"name": "safe", "pin": "***"}
    assert (second["level"], second["error"]) == ("ERROR", "ValueError: password=***")
    assert "s3cret" not in written.getvalue()


async def test_by_itself(written: io.StringIO) -> None:
    """Who renders in structlog has the fields and the masks too."""
    structlog.configure(
        processors=[
            call_fields, structlog.stdlib.PositionalArgumentsFormatter(), structlog.processors.format_exc_info,
            masked(), structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.WriteLoggerFactory(written),
    )  # fmt: skip
    try:
        await opened()
        structlog.get_logger().info("outside")
    finally:
        structlog.reset_defaults()
    first, second, outside = [json.loads(line) for line in written.getvalue().splitlines()]
    assert (first["trace_id"], first["token"], first["request"]["pin"]) == ("4bf9", "***", "***")
    assert second["exception"].endswith("ValueError: password=***")
    assert outside == {"event": "outside"}
    assert "s3cret" not in written.getvalue()


def test_our_log_by_its_renderers(written: io.StringIO) -> None:
    """Records of logging look as structlog has them; what renders to bytes is text as well."""
    binary = io.StringIO()

    def as_bytes(logger: Any, method: str, event: Any) -> bytes:
        return f"{method} {event['event']}".encode()

    handlers = [
        StructlogHandler([structlog.processors.KeyValueRenderer(sort_keys=True)], to=written),
        StructlogHandler([as_bytes], to=binary),
    ]
    log = setup(to=io.StringIO(), handlers=handlers)
    try:
        logging.getLogger("shop").warning("sold %d", 3, extra={"token": "s3cret"})
        try:
            raise ValueError("password=s3cret")
        except ValueError:
            logging.getLogger("shop").exception("failed")
        log.flush()
    finally:
        log.close()
    first, second = written.getvalue().splitlines()
    assert first.startswith("event='sold 3' level='warning' logger='shop' timestamp='20")
    assert first.endswith("Z' token='***'")
    assert "ValueError: password=***" in second
    assert binary.getvalue() == "warning sold 3\nerror failed\n"


def test_what_is_lost_is_an_event(written: io.StringIO) -> None:
    """The number of what did not fit is told as structlog has it."""
    handler = StructlogHandler([structlog.processors.JSONRenderer()], to=written)
    handler._queue.lose()
    assert handler.drain(60)
    assert json.loads(written.getvalue()) == {"event": "log lines lost", "level": "error", "lost": 1}
