"""The admin server: a second port, for operators and for what watches over the process."""

from __future__ import annotations

import time
from collections.abc import Iterable
from functools import partial
from typing import Final, Protocol, runtime_checkable

from kratos.admin.access import Access
from kratos.admin.checks import Check, Checkup
from kratos.admin.documents import DOCS_PATH, OPENAPI_PATH, Documents
from kratos.admin.lag import Lag
from kratos.admin.levels import show_levels, switch_level
from kratos.admin.pages import (
    Configured,
    show_build,
    show_config,
    show_health,
    show_lag,
    show_landing,
    show_routes,
)
from kratos.admin.profile import PROFILE_PATH, Profiler
from kratos.admin.sheet import Act, Link, Page, Show
from kratos.admin.tasks import show_calls, show_stacks, show_tasks
from kratos.admin.web import JSON, Web, nothing
from kratos.app import App
from kratos.aside import Aside
from kratos.call import AppInfo
from kratos.handler import Middleware
from kratos.service import Service
from kratos.transport.http.edge import Response
from kratos.transport.http.limits import Limits
from kratos.transport.http.mounts import mount
from kratos.transport.http.server import HTTPServer
from kratos.transport.routes import Route
from kratos.transport.tls import TLS

__all__ = ["HEALTH_PATH", "METRICS_PATH", "READY_PATH", "AdminServer"]

HEALTH_PATH: Final = "/healthz"
"""Answers 200 while the process runs."""
READY_PATH: Final = "/readyz"
"""Answers 200 while calls are welcome, else 503."""
METRICS_PATH: Final = "/metrics"
"""What was counted and measured."""

_REGISTRY: Final = "registry"  # the check of an app that is to be found in one
_OK: Final = Response(200, [JSON], b'{"status":"ok"}')
_NOT_READY: Final = Response(503, [JSON], b'{"status":"not ready"}')
_LIMITS: Final = Limits(
    max_body=8 * 1024,
    max_upload=8 * 1024,
    max_headers=50,
    max_header_bytes=16 * 1024,
    max_url_bytes=1024,
    header_seconds=5.0,
    body_seconds=5.0,
    send_seconds=10.0,
    idle_seconds=20.0,
    max_connections=500,
)
_STOP_SECONDS: Final = 0.2
"""How long a page may take that is under way when everything else has stopped."""


@runtime_checkable
class _Rendering(Protocol):
    """A meter that can be read here."""

    def render(self, accept: str = "") -> tuple[str, bytes]: ...  # in any thread


class AdminServer:
    """Shows a process to its operators, on a port of its own.

    Everybody who can connect may ask for ``/healthz``, ``/readyz`` and ``/metrics``. All else is for this machine, or
    for whoever has the token; to others it is not there. It starts before the other servers, stops after them, and no
    registry hears of it.

    Args:
        address: ``host:port``, where port 0 takes a free one; or a Unix socket, ``unix:/run/admin.sock?mode=600``.
        token: What opens all pages from elsewhere too, as ``Authorization: Bearer``; 16 letters at least. Use it with
            ``tls``, or where nobody else hears.
        hosts: Names by which this machine is asked, beside ``localhost`` and loopback addresses.
        checks: What else has to work, such as a database.
        config: The configuration to show, with secrets masked; None is no such page.
        tls: Its certificate.

    Raises:
        ValueError: The address is none, the token is too short, or two checks have one name.

    Example:
        ``App(servers=[HTTPServer(), AdminServer("127.0.0.1:9100", checks=[Check(name="database", run=ping)])], ...)``
    """

    def __init__(
        self,
        address: str = "127.0.0.1:9100",
        *,
        token: str | None = None,
        hosts: Iterable[str] = (),
        checks: Iterable[Check] = (),
        config: Configured | None = None,
        tls: TLS | None = None,
    ) -> None:
        self._checkup = Checkup(checks)
        self._access = Access(token, hosts)
        self._is_open = token is not None
        self._config = config
        self._aside = Aside("kratos admin")
        self._lag = Lag()
        self._profiler = Profiler()
        self._info = AppInfo()  # of our own pages
        self._app: App | None = None
        self._documents = Documents(())
        self._started = time.monotonic()
        self._web = Web(self._access, probes={}, pages=())
        self._http = HTTPServer(address, routes=[mount("/", self._serve)], limits=_LIMITS, tls=tls, threads=1)

    @property
    def address(self) -> str:
        """Where it listens; may be set before ``start``.

        Raises:
            ValueError: It is set to something else.
        """
        return self._http.address

    @address.setter
    def address(self, address: str) -> None:
        self._http.address = address

    def mount(self, services: Iterable[Service], middleware: Iterable[Middleware], app: AppInfo) -> None:
        """Takes who is serving. Services and middleware are not ours: no page of the app is served here."""
        del services, middleware
        self._info = AppInfo(name=app.name, version=app.version, id=app.id)
        self._http.mount((), (), self._info)

    def look_at(self, app: App) -> None:
        """Takes the app that is shown. If it has a registrar, there is one check more: whether others find it."""
        self._app = app
        named = {check.name for check in self._checkup.checks}
        if app.registrar is not None and _REGISTRY not in named:
            registry = Check(name=_REGISTRY, run=partial(_find, app))
            self._checkup = Checkup((*self._checkup.checks, registry))
        self._documents = Documents(app.servers)
        self._web = Web(
            self._access,
            probes={HEALTH_PATH: self._healthz, READY_PATH: self._readyz, METRICS_PATH: self._metrics},
            pages=self._pages(app),
            files=(self._documents.file, self._profiler.file),
        )
        self._web.name = app.info.name

    @property
    def endpoint(self) -> str:
        """The URL it answers at, with the real port once it has started."""
        return self._http.endpoint

    @property
    def summary(self) -> str:
        """Who may see what, for the banner."""
        whom = "this machine, or with the token" if self._is_open else "this machine only"
        return f"health, metrics and debug: {whom}"

    @property
    def routes(self) -> tuple[Route, ...]:
        """The paths that it answers; nothing before it is mounted."""
        return tuple(Route(operation=None, method="GET", path=path) for path in self._web.paths)

    async def start(self) -> None:
        """Listens; returns as soon as connections are accepted.

        Raises:
            OSError: The address cannot be had, or a certificate cannot be used; the message says why.
            RuntimeError: It was not mounted.
        """
        if self._app is None:
            raise RuntimeError("mount() and look_at() come before start(): pass the server to an App")
        await self._http.start()
        self._started = time.monotonic()
        self._lag.start()

    async def stop(self, timeout: float | None = None) -> None:
        """Stops at once: whoever looks at a page then gets no answer. Calling it again does nothing."""
        del timeout
        self._lag.stop()
        await self._http.stop(_STOP_SECONDS)
        self._profiler.stop()
        await self._checkup.aclose()

    async def _serve(self, scope: object, receive: object, send: object) -> None:
        await self._web(scope, receive, send)

    async def _healthz(self, _accept: str) -> Response:
        return _OK

    async def _readyz(self, _accept: str) -> Response:
        is_ready = self._app is not None and self._app.info.ready and await self._checkup.ready()
        return _OK if is_ready else _NOT_READY

    async def _metrics(self, accept: str) -> Response:
        meter = self._meter()
        if meter is None:
            raise nothing()
        content_type, body = await self._aside(meter.render, accept)  # thousands of series take a while
        return Response(200, [(b"content-type", content_type.encode("latin-1"))], body)

    def _meter(self) -> _Rendering | None:
        """Returns the app's meter, if it can be read here."""
        meter: object = None if self._app is None else self._app.meter
        return meter if isinstance(meter, _Rendering) else None

    def _up(self) -> float:
        return time.monotonic() - self._started

    def _ways(self, shown: Iterable[Page]) -> list[tuple[Link, str]]:
        """Returns the ways from the first page to all that there is to see."""
        found = [(Link(page.title, page.path), page.about) for page in shown if page.path != "/"]
        if self._documents.known:
            found.append((Link("docs", DOCS_PATH), "the HTTP API, to read"))
            found.append((Link("openapi.json", OPENAPI_PATH), "the same as a document"))
        if self._meter() is not None:
            found.append((Link("metrics", METRICS_PATH), "what was counted and measured"))
        return [*found, (Link("healthz", HEALTH_PATH), "alive?"), (Link("readyz", READY_PATH), "ready for calls?")]

    def _pages(self, app: App) -> list[Page]:
        def page(path: str, title: str, about: str, show: Show, act: Act | None = None) -> None:
            found.append(Page(path=path, title=title, about=about, show=show, act=act))

        found: list[Page] = []
        page("/", "overview", "", partial(show_landing, app, self._up, lambda: self._ways(found)))
        health = partial(show_health, app, self._checkup)
        page("/health", "health", "whether it is ready, and what its checks come to", health)
        page("/routes", "routes", "what each server serves, and the limits there", partial(show_routes, app))
        if self._config is not None:
            config = partial(show_config, self._config)
            page("/config", "config", "what is configured, and where that is written", config)
        page("/build", "build", "versions of all that it is made of", partial(show_build, app, self._aside))
        page("/debug/calls", "calls", "the calls being served, the oldest first", partial(show_calls, self._info))
        page("/debug/tasks", "tasks", "the tasks of the event loop, and where they wait", show_tasks)
        page("/debug/stacks", "stacks", "where each thread is", show_stacks)
        page("/debug/lag", "loop lag", "how late the event loop is", partial(show_lag, self._lag))
        page("/debug/log", "log levels", "what is logged, to see and to switch", show_levels, switch_level)
        profiler = self._profiler
        page(PROFILE_PATH, "CPU profile", "which functions the CPU is used for", profiler.show, profiler.begin)
        return found


class NotRegistered(Exception):
    """Others cannot find the app."""


async def _find(app: App) -> None:
    if app.trouble:
        raise NotRegistered(app.trouble)
