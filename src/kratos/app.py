"""The app: services, servers and one chain of middleware, from the first listening socket to the last reply.

It only assembles. Servers do the serving behind a Protocol of five members; the app owns their order and the process's
signals.
"""

from __future__ import annotations

import asyncio
import re
import signal
import sys
import uuid
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, Protocol, Self

from kratos.call import AppInfo
from kratos.handler import Middleware
from kratos.service import Service
from kratos.version import __version__

__all__ = ["App", "Server"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Server(Protocol):
    """What listens: HTTP, gRPC, or a server of your own."""

    def mount(self, services: Iterable[Service], middleware: Iterable[Middleware], app: AppInfo) -> None:
        """Takes what it will serve and compiles it; called once, before ``start``.

        Raises:
            ValueError: Something cannot be served; the message names it.
        """
        ...

    @property
    def endpoint(self) -> str:
        """The URL it answers at, such as ``grpc://10.0.0.7:9000``; the port is real once it has started."""
        ...

    async def start(self) -> None:
        """Returns as soon as connections are accepted.

        Raises:
            OSError: The address cannot be had.
        """
        ...

    async def stop(self, timeout: float | None = None) -> None:
        """Stops accepting, finishes what is under way, and cancels what is not done after ``timeout`` seconds.

        Calling it again, or before ``start``, does nothing.
        """
        ...


class App:
    """A service process.

    Args:
        name: The service name.
        version: The version of the service.
        services: What every server serves.
        middleware: What every call passes on every server, the first one outermost.
        servers: What listens.
        metadata: Facts about this instance.
        stop_timeout: Seconds that calls under way have to finish when the app stops.

    Raises:
        ValueError: Something cannot be served: a clash of routes, a bad path template; the message names it.
        TypeError: A service method is not what its kind needs.

    Example:
        ``App(name="shop", services=[Orders()], servers=[HTTPServer(), GRPCServer()]).run()``
    """

    def __init__(
        self,
        *,
        name: str,
        version: str = "",
        services: Iterable[Service] = (),
        middleware: Iterable[Middleware] = (),
        servers: Iterable[Server] = (),
        metadata: Mapping[str, str] | None = None,
        stop_timeout: float = 10.0,
    ) -> None:
        self.info = AppInfo(name=name, version=version, id=uuid.uuid4().hex, metadata=dict(metadata or {}))
        self._servers = tuple(servers)
        self._started: list[Server] = []
        self._stop_timeout = stop_timeout
        self._services = tuple(services)
        middleware = tuple(middleware)
        for server in self._servers:
            server.mount(self._services, middleware, self.info)

    def run(self) -> None:
        """Serves until SIGINT or SIGTERM, drains, and returns. A second signal ends it at once.

        Raises:
            OSError: An address cannot be had.
        """
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(self.serve())

    async def serve(self) -> None:
        """Does what ``run`` does, inside a running event loop."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        with _Signals(loop, stop.set):
            async with self:
                self._greet()
                await stop.wait()

    async def __aenter__(self) -> Self:
        """Starts every server; those already started are stopped again if one fails."""
        try:
            for server in self._servers:
                self._started.append(server)
                await server.start()
        except BaseException:
            await self._stop()
            raise
        self.info.endpoints = tuple(server.endpoint for server in self._servers)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop()

    async def _stop(self) -> None:
        """Stops every server, whatever happens to another.

        Raises:
            ExceptionGroup: What went wrong.
        """
        started, self._started = self._started, []
        results = await asyncio.gather(*(server.stop(self._stop_timeout) for server in started), return_exceptions=True)
        failures = [result for result in results if isinstance(result, Exception)]
        if failures:
            raise ExceptionGroup(f"{self.info.name} did not stop cleanly", failures)

    def _greet(self) -> None:
        title = f"{self.info.name} {self.info.version}".rstrip()
        lines = [f"{title} (kratos {__version__})", *(f"  {url}" for url in self.info.endpoints), *self._try_it()]
        sys.stderr.write("\n".join([*lines, "  stop: Ctrl-C"]) + "\n")
        sys.stderr.flush()

    def _try_it(self) -> list[str]:
        """Returns a first request to make, where there is one that needs no body."""
        urls = [url for url in self.info.endpoints if url.startswith("http")]
        rules = (
            rule for service in self._services for _, operation in service.__operations__ for rule in operation.http
        )
        paths = [re.sub(r"\{[^{}]*\}", "kratos", rule.path) for rule in rules if rule.method == "GET"]
        return [f"  try:  curl {urls[0]}{paths[0]}"] if urls and paths else []


class _Signals:
    """Turns the first signal into a callback and gives the second one back to the system."""

    def __init__(self, loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
        self._loop = loop
        self._callback = callback
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        for number in _SIGNALS:
            # signal.signal and not loop.add_signal_handler: it works on Windows, and it also takes effect where SIGINT
            # arrives ignored (a background job of a shell script).
            self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, *_: object) -> None:
        for each in _SIGNALS:
            signal.signal(each, signal.SIG_DFL)
        self._loop.call_soon_threadsafe(self._callback)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Returns uvloop's factory where it is installed: requests cost two thirds of what they cost on asyncio's loop."""
    try:
        import uvloop  # noqa: PLC0415 - absent on Windows
    except ImportError:
        return None
    return uvloop.new_event_loop
