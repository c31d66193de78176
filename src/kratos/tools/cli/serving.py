"""An app about to be served: its environment, its arguments, its addresses, and whose fault it is if it cannot be.

It is also the program of the child that ``kratos run --reload`` starts; click is not needed here.
"""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import os
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kratos.app import App, Onlooker, Source, loop_factory, make
from kratos.blame import blame
from kratos.log.install import setup
from kratos.tools.cli.envfile import read_env
from kratos.tools.cli.target import Target
from kratos.tools.failure import Failure
from kratos.tools.reload.addresses import place
from kratos.tools.reload.child import attend

__all__ = ["Serving", "serve"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """What was asked for on the command line.

    Attributes:
        module: Where the app is.
        attribute: What it is called there.
        root: The folder to import from.
        arguments: What the user's code finds in ``sys.argv``, after the module.
        host: Where the servers listen, instead of what the app says.
        port: Instead of the HTTP server's.
        grpc_port: Instead of the gRPC server's.
        admin_port: Instead of the admin server's.
        env_file: A file with environment variables.
        debug: Whether failures come with their traceback.
    """

    module: str
    attribute: str
    root: str
    arguments: tuple[str, ...] = ()
    host: str = ""
    port: int | None = None
    grpc_port: int | None = None
    admin_port: int | None = None
    env_file: str = ""
    debug: bool = False

    def to_json(self) -> str:
        """Returns it as one argument of a command line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Serving:
        """Reads what ``to_json`` has written."""
        said: dict[str, Any] = json.loads(text)
        arguments = tuple[str, ...](said.pop("arguments"))
        return cls(arguments=arguments, **said)

    @property
    def target(self) -> Target:
        """Where the app is to be found."""
        return Target(self.module, self.attribute, Path(self.root))

    def source(self) -> Source:
        """Prepares environment and arguments, imports the app's module, and returns the app, or what makes it.

        Raises:
            Failure: It cannot be imported; the message has the place.
        """
        for key, value in (read_env(Path(self.env_file)) if self.env_file else {}).items():
            os.environ.setdefault(key, value)
        if sys.stderr is not None and sys.stderr.isatty():
            os.environ.setdefault("KRATOS_ENV", "development")
        sys.argv[:] = [self.module, *self.arguments]
        return self.target.source()

    async def app(self, source: Source) -> App:
        """Makes the app, moves its servers, and has a log that is for people if nobody else configures one.

        Raises:
            Failure: A server to move is not there.
        """
        app = await make(source)
        place(app.servers, host=self.host, port=self.port, grpc_port=self.grpc_port, admin_port=self.admin_port)
        if not logging.getLogger().handlers:
            setup()
        return app

    def blame(self, failure: BaseException) -> str:
        """Says what failed, and where in the user's code."""
        if isinstance(failure, Failure):
            return "\n".join(filter(None, [str(failure), failure.hint and f"  try: {failure.hint}"]))
        if isinstance(failure, SystemExit) and isinstance(failure.code, str):
            return failure.code
        return blame(failure, Path(self.root))


def serve(serving: Serving) -> None:
    """Serves in this process until SIGINT or SIGTERM.

    The user's code is imported before there is an event loop, as ``python -m`` would.

    Raises:
        Failure: It cannot; the message has the place.
    """
    source = serving.source()
    apps: list[App] = []

    async def run() -> None:
        apps.append(await serving.app(source))
        await apps[0].serve()

    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(run())
    except Failure:
        raise
    except Exception as failure:
        raise Failure(serving.blame(failure), hint=_advice(failure, apps)) from failure


def _advice(failure: Exception, apps: Iterable[App]) -> str:
    """Returns what to type where a port is taken."""
    if not isinstance(failure, OSError) or failure.errno != errno.EADDRINUSE:
        return ""
    is_shown = any(isinstance(server, Onlooker) for app in apps for server in app.servers)
    return "kratos run --port 0 --grpc-port 0" + (" --admin-port 0" if is_shown else "")


def _child(arguments: list[str]) -> int:
    """Serves under a supervisor: what to serve and the descriptor to talk to it are said by the command line."""
    serving = Serving.from_json(arguments[0])
    return attend(int(arguments[1]), serving, debug=serving.debug)


if __name__ == "__main__":
    sys.exit(_child(sys.argv[1:]))
