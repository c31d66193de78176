"""The app: services, servers and one chain of middleware, from the first listening socket to the last reply.

It only assembles. Servers do the serving behind a Protocol; the app owns their order, the registration and the
process's signals. Whatever fails on the way down, every later step is still taken, and what went wrong is told at the
end.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import signal
import sys
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, TypeAlias, cast, runtime_checkable

from kratos.blame import blame, is_explained
from kratos.call import AppInfo
from kratos.development import in_development
from kratos.handler import Middleware
from kratos.log.install import lost
from kratos.log.lost import show
from kratos.metrics.base import Measured, Meter
from kratos.metrics.lag import LoopLag
from kratos.metrics.prometheus import PrometheusMeter
from kratos.middleware.access_log import access_log
from kratos.middleware.metrics import metrics
from kratos.middleware.recovery import recovery
from kratos.registry.advertise import advertised
from kratos.registry.announcing import Announcement, Registration
from kratos.registry.base import Instance, Registrar
from kratos.service import Service
from kratos.version import __version__
from kratos.watchdog import Watchdog

__all__ = ["App", "Extending", "Hook", "Onlooker", "Server", "Shutdown", "Source", "loop_factory", "make", "run"]

logger = logging.getLogger("kratos.app")

_CANCEL_SECONDS = 0.5  # for work that was cancelled to notice
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
        """The URL it answers at, such as ``grpc://10.0.0.7:9000``; the port is real once it has started.

        Empty for one that somebody else runs: it is neither registered nor in the banner.
        """
        ...

    @property
    def summary(self) -> str:
        """The limits that may surprise, in a few words for the banner."""
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


@runtime_checkable
class Onlooker(Protocol):
    """A server that shows the app to its operators, instead of serving what it is for.

    It is started before the other servers and stopped after them. Its endpoint is in the banner, and neither in
    ``AppInfo.endpoints`` nor in a registry: nobody is to call the service there.
    """

    def look_at(self, app: App) -> None:
        """Takes the app, all servers of which are mounted; called once, before ``start``. Raises nothing."""
        ...


@runtime_checkable
class Extending(Protocol):
    """A server with middleware of its own, inside of the app's: it is measured and closed like the app's."""

    @property
    def middleware(self) -> Sequence[Middleware]:
        """What this server was given, the first one outermost."""
        ...


@runtime_checkable
class _Closing(Protocol):
    """A middleware or meter that holds something, such as lines that wait to be written."""

    async def aclose(self) -> None: ...


Hook: TypeAlias = "Callable[[App], AbstractAsyncContextManager[object]]"
"""What runs around the servers: entered before the first one starts, left after the last one has stopped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shutdown:
    """How long each step of stopping may take, in seconds.

    Attributes:
        deregister: For the registry to forget us; after that we go on, and it will forget us by itself.
        drain: Between that and the end of accepting, so that clients notice; only with a registrar.
        finish: For calls under way; then they are cancelled.
        hook: For each hook to leave.
    """

    deregister: float = 5.0
    drain: float = 1.0
    finish: float = 10.0
    hook: float = 5.0


class App:
    """A service process.

    Args:
        name: The service name.
        version: The version of the service.
        services: What every server serves.
        middleware: What every call passes on every server, the first one outermost; ``recovery(), metrics(),
            access_log()`` if not given.
        servers: What listens.
        registrar: Where the process makes itself known once it serves.
        registration: At which address, and what happens if the registry is away.
        hooks: Async context managers around the servers, the first one outermost: databases, clients, caches.
        metadata: Facts about this instance, for the registry.
        shutdown: How long the steps of stopping may take.
        meter: Where measurements go: a ``PrometheusMeter`` of its own if not given.

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
        middleware: Iterable[Middleware] | None = None,
        servers: Iterable[Server] = (),
        registrar: Registrar | None = None,
        registration: Registration | None = None,
        hooks: Iterable[Hook] = (),
        metadata: Mapping[str, str] | None = None,
        shutdown: Shutdown | None = None,
        meter: Meter | None = None,
    ) -> None:
        self.meter: Meter = PrometheusMeter() if meter is None else meter
        self.info = AppInfo(
            name=name, version=version, id=uuid.uuid4().hex, metadata=dict(metadata or {}), meter=self.meter
        )
        self.services = tuple(services)
        self.servers = tuple(servers)
        self.registrar = registrar
        self._registration = registration or Registration()
        self.hooks = tuple(hooks)
        self._shutdown = shutdown or Shutdown()
        self._entered: list[_Entered] = []
        self._started: list[Server] = []
        self._announcement: Announcement | None = None
        self._watchdog = Watchdog()
        self._middleware = self._usual() if middleware is None else tuple(middleware)
        servers_own = (each for server in self.servers if isinstance(server, Extending) for each in server.middleware)
        # Some may belong to several servers.
        self._parts = tuple({id(each): each for each in (*self._middleware, *servers_own)}.values())
        self._lag = LoopLag(self.meter)
        self._measure()
        for server in self.servers:
            server.mount(self.services, self._middleware, self.info)
        for server in self.servers:
            if isinstance(server, Onlooker):
                server.look_at(self)

    def _usual(self) -> tuple[Middleware, ...]:
        """Returns the chain of an app that is given none."""
        return recovery(), metrics(self.meter), access_log()

    def _measure(self) -> None:
        """Tells the meter who this is, and lets all parts show it what they have."""
        facts = {"version": __version__, "name": self.info.name, "app_version": self.info.version}
        build = self.meter.gauge("kratos_build_info", "Who this is: always 1.", labels=tuple(facts))
        build.labels(*facts.values()).set(1)
        show(self.meter, "log", lost)  # read when somebody asks: programs set up their log before or after
        parts: tuple[object, ...] = (*self._parts, *self.servers, self.registrar)
        for part in parts:
            if isinstance(part, Measured):
                part.measure(self.meter)

    def run(self) -> None:
        """Serves until SIGINT or SIGTERM, drains, and returns. A second signal ends the process at once.

        Raises:
            SystemExit: An address cannot be had, or what was configured is wrong; what and where is printed, and the
                exit code is 1.
        """
        run(self)

    async def serve(
        self,
        *hooks: Hook,
        shutdown: Shutdown | None = None,
        announce: Callable[[str], object] | None = None,
    ) -> None:
        """Does what ``run`` does, inside a running event loop.

        Args:
            hooks: Further hooks, for this time, inside of the app's: what has to happen when all is ready and nothing
                listens yet.
            shutdown: Other limits for stopping than the app's own, for this time.
            announce: Takes the banner once all servers accept. If not given, it is written to stderr; where no person
                reads that and a log is set up, a line of the log has its facts instead.
        """
        own = self.hooks, self._shutdown
        self.hooks, self._shutdown = (*self.hooks, *hooks), shutdown or self._shutdown
        stop = asyncio.Event()
        try:
            with _Signals(asyncio.get_running_loop(), stop.set):
                async with self:
                    (announce or self._announce)(self._banner())
                    await stop.wait()
        finally:
            self.hooks, self._shutdown = own

    async def __aenter__(self) -> Self:
        """Enters the hooks, starts the servers, registers; what was begun is undone if a step fails.

        In development a watchdog tells of methods that block the event loop.
        """
        try:
            for hook in self.hooks:
                entered = _Entered(hook(self))
                await entered.enter()
                self._entered.append(entered)
            onlookers, serving = _sorted_out(self.servers)
            for server in (*onlookers, *serving):
                self._started.append(server)
                await server.start()
            if in_development():
                self._watchdog.start()
            self._lag.start()
            self.info.endpoints = self._endpoints(serving)
            if self.registrar is not None:
                self._announcement = Announcement(self.registrar, _instance(self.info), self._registration)
                await self._announcement.begin()
            self.info.readiness.set(True)
        except BaseException as failure:
            try:
                await self._stop()
            except Exception as another:
                failure.add_note(f"and while stopping again: {another!r}")
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop()

    async def _stop(self) -> None:
        """Takes every step down, even if the task that asks for it is cancelled meanwhile.

        Raises:
            ExceptionGroup: What went wrong, after the last step.
        """
        descent = asyncio.create_task(self._descend(), name=f"stop {self.info.name}")
        cancelled: asyncio.CancelledError | None = None
        while not descent.done():
            try:
                await asyncio.shield(descent)
            except asyncio.CancelledError as again:
                cancelled = again
            except Exception:
                break
        failures = descent.result()
        if failures:
            raise ExceptionGroup(f"{self.info.name} did not stop cleanly", failures)
        if cancelled is not None:
            raise cancelled

    async def _descend(self) -> list[Exception]:
        """Goes down step by step and returns what failed on the way."""
        limits = self._shutdown
        failures: list[Exception] = []
        self.info.readiness.set(False)
        self._lag.stop()
        announcement, self._announcement = self._announcement, None
        if announcement is not None:
            await self._deregister(announcement)
            await asyncio.sleep(limits.drain)
        started, self._started = self._started, []
        onlookers, serving = _sorted_out(started)
        for servers in (serving, onlookers):
            # Twice the time: a server that keeps its own limit is never cut off by ours.
            stops = [_bounded(server.stop(limits.finish), limits.finish * 2 + 1, "stop", server) for server in servers]
            failures += filter(None, await asyncio.gather(*stops))
        for part in (*self._parts, self.meter):
            if isinstance(part, _Closing):
                failures += filter(None, [await _bounded(part.aclose(), limits.hook, "close", part)])
        self._watchdog.stop()
        while self._entered:
            entered = self._entered.pop()
            failures += filter(None, [await _bounded(entered.leave(), limits.hook, "leave", entered.manager)])
        return failures

    async def _deregister(self, announcement: Announcement) -> None:
        """Asks the registry to forget us; that it cannot is no reason to stay."""
        failure = await _bounded(announcement.end(), self._shutdown.deregister, "deregister from", self.registrar)
        if failure is not None:
            logger.error("%s stays registered as %s for now: %r", self.info.name, self.info.id, failure)

    @property
    def trouble(self) -> str:
        """Why others cannot find this process in the registry; empty if they can, or if it is not to be in one."""
        return "" if self._announcement is None else self._announcement.trouble

    def _endpoints(self, servers: Iterable[Server]) -> tuple[str, ...]:
        """Returns where servers can be called; by others, if they are to find us."""
        endpoints = tuple(server.endpoint for server in servers if server.endpoint)
        advertise = os.environ.get("KRATOS_ADVERTISE") or self._registration.advertise
        return advertised(endpoints, advertise) if advertise or self.registrar is not None else endpoints

    def _announce(self, banner: str) -> None:
        is_read = sys.stderr is not None and sys.stderr.isatty()
        if is_read or not logging.getLogger().handlers:
            _to_stderr(banner)
        else:
            told = [server for server in self.servers if server.endpoint]
            facts = {
                "version": self.info.version,
                "instance": self.info.id,
                "endpoints": [server.endpoint for server in told],
                "limits": [server.summary for server in told],
            }
            if self.registrar is not None:
                facts |= {"registry": _told(self.registrar), "registered": list(self.info.endpoints)}
            logger.info("%s serves", self.info.name, extra=facts)

    def _banner(self) -> str:
        title = f"{self.info.name} {self.info.version}".rstrip()
        lines = [f"{title} (kratos {__version__})"]
        lines += [f"  {server.endpoint:32}{server.summary}".rstrip() for server in self.servers if server.endpoint]
        return "\n".join([*lines, *self._found_at(), *self._try_it(), "  stop: Ctrl-C"])

    def _found_at(self) -> list[str]:
        """Returns where others look for us, and which address they find, if that is not the one we listen on."""
        lines: list[str] = []
        if self.registrar is not None:
            trouble = f"; NOT REGISTERED YET: {self.trouble}" if self.trouble else ""
            lines.append(f"  registry: {_told(self.registrar)}{trouble}")
        bound = {server.endpoint for server in self.servers}
        moved = [url for url in self.info.endpoints if url not in bound]
        if moved:
            lines.append(f"  others call {', '.join(moved)} (KRATOS_ADVERTISE chooses another address)")
        return lines

    def _try_it(self) -> list[str]:
        """Returns a first request to make, where there is one that needs no body."""
        urls = [server.endpoint for server in _sorted_out(self.servers)[1] if server.endpoint.startswith("http")]
        operations = [operation for service in self.services for _, operation in service.__operations__]
        rules = [rule for each in operations if not each.client_streams for rule in each.http]
        paths = [re.sub(r"\{[^{}]*\}", "kratos", rule.path) for rule in rules if rule.method == "GET"]
        if not urls or not paths:
            return []
        socket = urls[0].removeprefix("http+unix:")
        where = urls[0] if socket == urls[0] else f"--unix-socket {socket} http://localhost"
        return [f"  try:  curl {where}{paths[0]}"]


Source: TypeAlias = "App | Callable[[], App | Awaitable[App]]"
"""An app, or a function, plain or async, that makes one."""


async def make(source: Source) -> App:
    """Returns the app; a function is called, in the event loop that will serve.

    Raises:
        TypeError: It is something else, or the function returns something else.
    """
    made = source() if callable(source) else source
    if isinstance(made, Awaitable):
        made = await made
    if not isinstance(cast("object", made), App):  # people may return anything
        raise TypeError(f"{made!r} is not an App" + (f": {source!r} has to return one" if callable(source) else ""))
    return made


def run(source: Source) -> None:
    """Serves until SIGINT or SIGTERM, drains, and returns. A second signal ends the process at once.

    Args:
        source: An app, or a function, plain or async, that makes one: it may read a configuration first.

    Raises:
        SystemExit: An address cannot be had, or what was configured is wrong; what and where is printed, and the exit
            code is 1.
    """

    async def serve() -> None:
        await (await make(source)).serve()

    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(serve())
    except Exception as failure:
        if not is_explained(failure):
            raise
        sys.exit(blame(failure, Path.cwd()))


def _to_stderr(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _sorted_out(servers: Iterable[Server]) -> tuple[list[Server], list[Server]]:
    """Returns the servers that look at the app, and those that serve it."""
    servers = list(servers)
    looking: list[Server] = [server for server in servers if isinstance(server, Onlooker)]
    return looking, [server for server in servers if not isinstance(server, Onlooker)]


def _told(registrar: Registrar) -> str:
    """Returns what a registrar says of itself, or its name."""
    is_plain = type(registrar).__str__ is object.__str__
    return type(registrar).__name__ if is_plain else str(registrar)


def _instance(info: AppInfo) -> Instance:
    return Instance(id=info.id, name=info.name, version=info.version, metadata=info.metadata, endpoints=info.endpoints)


class _Entered:
    """A hook, entered and left in a task of its own: cancel scopes and task groups have to be left where they began.

    Args:
        manager: What the hook has made.
    """

    def __init__(self, manager: AbstractAsyncContextManager[object]) -> None:
        self.manager = manager
        self._inside = asyncio.Event()
        self._enough = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def enter(self) -> None:
        """Returns when the hook is entered; raises what it raises."""
        self._task = asyncio.create_task(self._run(), name=f"hook {type(self.manager).__name__}")
        inside = asyncio.create_task(self._inside.wait())
        try:
            await asyncio.wait([self._task, inside], return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            self._task.cancel()
            raise
        finally:
            inside.cancel()
        if not self._inside.is_set():
            await self._task

    async def leave(self) -> None:
        """Leaves the hook; raises what it raises."""
        self._enough.set()
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        async with self.manager:
            self._inside.set()
            await self._enough.wait()


async def _bounded(work: Awaitable[Any], seconds: float, verb: str, what: object) -> Exception | None:
    """Awaits ``work`` for some seconds and returns what went wrong, instead of raising it.

    Work that ignores its cancellation is left behind: the process is about to end anyway.
    """
    task = asyncio.ensure_future(work)
    await asyncio.wait([task], timeout=seconds)
    if not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=_CANCEL_SECONDS)
        return TimeoutError(f"{verb} {type(what).__name__}: not done after {seconds:g} s")
    if task.cancelled():
        return RuntimeError(f"{verb} {type(what).__name__}: was cancelled")
    failure = task.exception()
    if failure is None or isinstance(failure, Exception):
        return failure
    raise failure


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


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Returns uvloop's factory where it is installed: requests cost two thirds of what they cost on asyncio's loop."""
    try:
        import uvloop  # noqa: PLC0415 - absent on Windows
    except ImportError:
        return None
    return uvloop.new_event_loop
