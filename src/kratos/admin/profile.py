"""A CPU profile on demand: one at a time, for some seconds, and the last one stays to be looked at."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping
from typing import Final

from kratos.admin.flame import collapsed, picture, speedscope, top
from kratos.admin.sampler import EVERY_SECONDS, Sampler
from kratos.admin.sheet import Cell, Field, Form, Link, Sheet, Table
from kratos.errors import BadRequest, Conflict
from kratos.transport.http.edge import Response

__all__ = ["PROFILE_PATH", "Profiler"]

logger = logging.getLogger("kratos.admin")

PROFILE_PATH: Final = "/debug/profile"
"""Where the page is."""
LONGEST_SECONDS: Final = 30.0

_STACKS: Final = f"{PROFILE_PATH}/stacks.txt"
_SPEEDSCOPE: Final = f"{PROFILE_PATH}/speedscope.json"
_MOST_FUNCTIONS: Final = 40


class Profiler:
    """Makes profiles."""

    def __init__(self) -> None:
        self._running: Sampler | None = None
        self._until = 0.0
        self._last: Sampler | None = None

    def begin(self, form: Mapping[str, str]) -> None:
        """Begins one, for as many seconds as a form asks for.

        Raises:
            BadRequest: That is no number, or too many.
            Conflict: Another one is under way.
        """
        try:
            seconds = float(form.get("seconds", "5"))
        except ValueError:
            seconds = math.nan
        if not 0 < seconds <= LONGEST_SECONDS:
            raise BadRequest(f"seconds: a number up to {LONGEST_SECONDS:g}", reason="BAD_SECONDS")
        if self._running is not None:
            raise Conflict("a profile is being taken; come back when it is done", reason="PROFILE_RUNNING")
        self._running = Sampler(seconds, self._done)
        self._until = time.monotonic() + seconds
        logger.warning("a CPU profile of %g s was asked for on the admin port", seconds)
        self._running.start()

    async def show(self) -> Sheet:
        """Returns the last profile, or how long the one under way takes."""
        if self._running is not None:
            left = max(0.0, self._until - time.monotonic())
            return Sheet(facts={"running": True, "seconds left": left}, again=1)
        form = Form("take a profile", (Field("seconds", "5"),))
        last = self._last
        if last is None:
            return Sheet(facts={"running": False}, form=form, note="Takes a profile of all threads; one at a time.")
        facts: dict[str, Cell] = {
            "running": False,
            "looks": last.looks,
            "samples on the CPU": last.stacks.total(),
            "told by the system": last.exact,
            "stacks": Link("collapsed", _STACKS),
            "for speedscope.app": Link("speedscope.json", _SPEEDSCOPE),
        }
        rows = top(last.stacks, _MOST_FUNCTIONS)
        return Sheet(
            facts=facts,
            form=form,
            picture=picture(last.stacks),
            tables={"functions": Table(("function", "itself", "with what it calls"), rows)},
            note=f"Every {EVERY_SECONDS * 1000:g} ms each thread that has used the CPU since counts as one sample.",
        )

    def file(self, path: str) -> Response | None:
        """Returns the last profile as a file; None for another path, and where there is none."""
        last = self._last
        if last is None or path not in (_STACKS, _SPEEDSCOPE):
            return None
        if path == _STACKS:
            return Response(200, [(b"content-type", b"text/plain; charset=utf-8")], collapsed(last.stacks).encode())
        body = speedscope(last.stacks, name="kratos", every=EVERY_SECONDS)
        return Response(200, [(b"content-type", b"application/json")], body)

    def stop(self) -> None:
        """Ends the one under way."""
        running = self._running
        if running is not None:
            running.stop()

    def _done(self) -> None:
        self._last, self._running = self._running, None
