"""A node that can be made to suffer: ``python chaos_app.py '{"work": 0.005, "limited": true}'``.

What it may be told at the start: ``work``, the seconds of CPU that a call takes; ``limited``, whether ``ratelimit()``
stands in front; ``failing``, the share of calls that fail, and ``slow``, after how many seconds they do; ``etcd``,
where it registers; ``http`` and ``grpc``, the ports to listen at. ``POST /tell`` with ``{"message": "0.3"}`` says
another share.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from typing import Any
from urllib.parse import urlsplit

from kratos import AdminServer, App, Call, GRPCServer, HTTPServer, Shutdown
from kratos.contrib.etcd import EtcdRegistry
from kratos.errors import ServiceUnavailable
from kratos.middleware import metrics, ratelimit, recovery
from kratos.operation import Http, Unary
from kratos.service import Service
from kratos.wire.errors.errors_pb import Status

WORK = Unary("/chaos.v1.Chaos/Work", Status, Status, http=(Http("POST", "/burn", body="*"),))
TELL = Unary("/chaos.v1.Chaos/Tell", Status, Status, http=(Http("POST", "/tell", body="*"),))


class Chaos(Service):
    """Burns CPU, fails, and counts."""

    __operations__ = (("work", WORK), ("tell", TELL))

    def __init__(self, work: float, failing: float, slow: float) -> None:
        self._work = work
        self._failing = failing
        self._slow = slow
        self._dice = random.Random(1)  # noqa: S311 - no secret

    async def work(self, request: Status, call: Call) -> Status:
        """Answers, or fails."""
        if self._dice.random() < self._failing:
            await asyncio.sleep(self._slow)
            raise ServiceUnavailable("sick", reason="SICK")
        # Seconds of CPU, not of time: what others take of the machine is not work that is done.
        end = time.thread_time() + self._work
        while time.thread_time() < end:
            pass
        return request

    async def tell(self, request: Status, call: Call) -> Status:
        """Fails from now on as often as it is told."""
        self._failing = float(request.message)
        return request


async def main(wanted: dict[str, Any]) -> None:
    http, grpc = (f"127.0.0.1:{wanted.get(kind, 0)}" for kind in ("http", "grpc"))
    servers = [HTTPServer(http), GRPCServer(grpc)]
    admin = AdminServer("127.0.0.1:0")
    app = App(
        name="chaos",
        services=[Chaos(wanted.get("work", 0.0), wanted.get("failing", 0.0), wanted.get("slow", 0.0))],
        servers=[*servers, admin],
        middleware=[recovery(), metrics(), *([ratelimit()] if wanted.get("limited") else [])],
        registrar=EtcdRegistry(wanted["etcd"]) if wanted.get("etcd") else None,
        shutdown=Shutdown(finish=0, drain=0),
    )
    async with app:
        ports = {urlsplit(each.endpoint).scheme: urlsplit(each.endpoint).port for each in servers}
        print(json.dumps({**ports, "admin": urlsplit(admin.endpoint).port, "id": app.info.id}), flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
