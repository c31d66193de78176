"""A service as people start it, with everything that it says as JSON: ``python serving.py``.

It serves until SIGTERM, on free ports, which the line of the log says that takes the place of the banner.
"""

from __future__ import annotations

import logging
import sys
import warnings

from fixtures.gen.fixture.secret.v1.secret_errors import VaultBroken, VaultLocked
from fixtures.gen.fixture.secret.v1.secret_kratos import VaultService
from fixtures.gen.fixture.secret.v1.secret_pb import OpenReply, OpenRequest

from kratos import AdminServer, App, GRPCServer, HTTPServer
from kratos.call import Call
from kratos.contrib.fluentd import FluentdHandler
from kratos.log import setup
from kratos.middleware import access_log, recovery

logger = logging.getLogger("vault")


class Vault(VaultService):
    async def open(self, request: OpenRequest, call: Call) -> OpenReply:
        logger.info("opening %s", request, extra={"request": request})
        match request.name:
            case "locked":
                raise VaultLocked("locked", metadata={"token": request.pin})
            case "broken":
                raise VaultBroken(f"broken, token={request.pin}")
            case "crash":
                warnings.warn(f"bad, password={request.pin}", stacklevel=1)
                raise ValueError(f"no, password={request.pin}")
            case _:
                return OpenReply(message="open\nwide")


log = setup(
    format="json", handlers=[FluentdHandler(address, limit=100, timeout=0.2) for address in sys.argv[1:]], limit=1000
)
App(
    name="vault",
    services=[Vault()],
    servers=[HTTPServer("127.0.0.1:0"), GRPCServer("127.0.0.1:0"), AdminServer("127.0.0.1:0")],
    middleware=[recovery(), access_log(format="json", args=True, limit=1000)],
    hooks=[log],
).run()
