"""The pages about the app: who it is, how it is, what it serves, and what it is made of."""

from __future__ import annotations

import asyncio
import platform
import sys
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import distributions
from typing import Any, Final, Protocol

from kratos.admin.checks import Checkup
from kratos.admin.lag import Lag
from kratos.admin.routing import rows, size
from kratos.admin.sheet import Cell, Link, Sheet, Table
from kratos.app import App
from kratos.aside import Aside
from kratos.version import __version__

__all__ = ["Configured", "Entry", "show_build", "show_config", "show_health", "show_lag", "show_landing", "show_routes"]

_MOST_ROWS: Final = 1000


class Entry(Protocol):
    """A value of the configuration, as anybody may see it: secrets are masked already."""

    @property
    def key(self) -> str:
        """Its key, with dots. Raises nothing."""
        ...

    @property
    def value(self) -> Any:
        """The value, or what stands in its place. Raises nothing."""
        ...

    @property
    def place(self) -> object:
        """Where it is written, as text. Raises nothing."""
        ...


class Configured(Protocol):
    """A configuration that tells what is in it, such as ``Config``."""

    @property
    def refused(self) -> BaseException | None:
        """Why sources do not count as they are now; None if they do. Raises nothing."""
        ...

    def entries(self, key: str = "", /) -> Iterable[Entry]:
        """Returns all values below a key, without secrets; called in the event loop. Raises nothing for all of them."""
        ...


async def show_landing(app: App, up: Callable[[], float], ways: Callable[[], Sequence[tuple[Link, str]]]) -> Sheet:
    """Returns who is serving, where, and which pages there are.

    Args:
        app: The app.
        up: Returns for how many seconds it has served.
        ways: Returns the ways to other pages, each with what is there.
    """
    info = app.info
    servers = [(server.endpoint, server.summary) for server in app.servers if server.endpoint]
    facts: dict[str, Cell] = {
        "name": info.name,
        "version": info.version,
        "instance": info.id,
        "ready": info.ready,
        "up": up(),
        "kratos": __version__,
    }
    tables = {"endpoints": Table(("endpoint", "about"), servers), "pages": Table(("page", "what it shows"), ways())}
    return Sheet(facts=facts, tables=tables)


async def show_health(app: App, checkup: Checkup) -> Sheet:
    """Returns whether the app is ready, and what its checks come to."""
    outcomes = await checkup.run()
    found: list[tuple[Cell, ...]] = []
    for check in checkup.checks:
        outcome = outcomes[check.name]
        age = asyncio.get_running_loop().time() - outcome.at
        found.append((check.name, not outcome.failed, outcome.failed, outcome.seconds, age, check.ready))
    held = any(outcomes[check.name].failed for check in checkup.checks if check.ready)
    columns = ("check", "well", "failed by", "took", "looked at before", "counts for readiness")
    return Sheet(
        facts={"ready": app.info.ready and not held, "accepts calls": app.info.ready, "checks": len(found)},
        tables={"checks": Table(columns, found)},
        note="Why a check fails is in the log.",
    )


async def show_lag(of: Lag) -> Sheet:
    """Returns how late the event loop is."""
    recent = of.recent
    return Sheet(
        facts={
            "now": await of.now(),
            "last": recent[-1] if recent else None,
            "most in the last minute": max(recent, default=None),
            "mean of the last minute": sum(recent) / len(recent) if recent else None,
        },
        note="How late the event loop comes to what is due. What computes, or waits without `await`, makes it late.",
        again=5,
    )


async def show_routes(app: App) -> Sheet:
    """Returns what each server serves, and the limits that count there."""
    every = rows(app.servers)
    found = [_route(row) for row in every[:_MOST_ROWS]]
    columns = ("server", "method", "path", "operation", "kind", "time limit", "largest message")
    return Sheet(tables={"routes": Table(columns, found, len(every) - len(found))})


def _route(row: dict[str, Any]) -> tuple[Cell, ...]:
    largest = row.get("max_message", row.get("max_body"))
    verb = "WS" if row.get("websocket") else row.get("method") or ""
    return (
        row["server"],
        verb,
        row.get("path", row.get("summary", "")),
        row["operation"] or "",
        row["kind"] or "",
        row.get("timeout"),
        "" if largest is None else size(largest),
    )


async def show_config(of: Configured) -> Sheet:
    """Returns what is configured, and where that is written."""
    entries = list(of.entries())
    found = [(entry.key, _value(entry.value), str(entry.place)) for entry in entries[:_MOST_ROWS]]
    return Sheet(
        facts={"keys": len(entries), "sources count as they are": of.refused is None},
        tables={"values": Table(("key", "value", "written in"), found, len(entries) - len(found))},
        note="Secrets are masked. If sources do not count as they are, the log says why.",
    )


def _value(value: Any) -> Cell:
    return value if value is None or isinstance(value, str | int | bool) else str(value)


async def show_build(app: App, aside: Aside) -> Sheet:
    """Returns what the process is made of.

    Args:
        app: The app.
        aside: Runs what blocks.
    """
    loop = type(asyncio.get_running_loop())
    facts: dict[str, Cell] = {
        "app": f"{app.info.name} {app.info.version}".rstrip(),
        "kratos": __version__,
        "python": sys.version.split()[0],
        "implementation": platform.python_implementation(),
        "platform": f"{platform.system()} {platform.release()} {platform.machine()}",
        "event loop": f"{loop.__module__}.{loop.__qualname__}",
    }
    # In a thread: each distribution is a file to be read.
    found = await aside(_installed)
    left_out = max(0, len(found) - _MOST_ROWS)
    return Sheet(facts=facts, tables={"packages": Table(("package", "version"), found[:_MOST_ROWS], left_out)})


def _installed() -> list[tuple[str, str]]:
    found: dict[str, str] = {}
    for each in distributions():
        name: str | None = each.metadata["Name"]
        if name:
            found.setdefault(name.lower(), each.version)
    return sorted(found.items())
