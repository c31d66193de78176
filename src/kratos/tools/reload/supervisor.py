"""The parent in development: it watches, generates, and lets a new process take over from the old one.

It imports none of the user's code, so nothing that is saved there can end it. The old process goes on serving until
the new one has loaded everything and entered its hooks; what fails before that costs nothing but a message.
"""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from kratos.tools.failure import INTERRUPTED, Failure
from kratos.tools.reload.code import forget, regenerate
from kratos.tools.reload.process import Process
from kratos.tools.reload.terminal import restored
from kratos.tools.reload.watch import Change, Watch

__all__ = ["Supervisor"]

RELEASE_SECONDS: Final = 1.0
"""What an old process has to stop listening; it needs a tenth of it unless it is stuck."""

LEAVE_SECONDS: Final = 5.0
"""What an old process has to leave its hooks, beside its successor."""

DISCARD_SECONDS: Final = 2.0
"""What a new process has to undo what it began, when it failed or something newer was saved."""


class Supervisor:
    """Keeps one process serving the newest version that works.

    Args:
        command: The child's command line; the descriptor of its wire is appended.
        watch: The files to watch.
        say: Tells a person what is going on, a line a call.
        show: Prints the banner of the app.
    """

    def __init__(
        self, command: Sequence[str], watch: Watch, *, say: Callable[[str], None], show: Callable[[str], None]
    ) -> None:
        self._command = tuple(command)
        self._watch = watch
        self._root = watch.scope.root
        self._say = say
        self._show = show
        self._current: Process | None = None
        self._processes: set[Process] = set()
        self._ports: Mapping[str, int] = {}
        self._banner = ""
        self._pending: Change | None = None
        self._changed = asyncio.Event()
        self._enough = asyncio.Event()
        self._is_forced = False
        self._is_committed = False
        self._needs_code = True
        self._needs_restart = True
        self._generation: asyncio.Task[bool] | None = None

    async def run(self) -> int:
        """Serves until SIGINT, SIGTERM or SIGHUP and returns the exit code; a second signal does not wait."""
        loop = asyncio.get_running_loop()
        with restored(), _signals(loop, self._interrupt):
            thread = threading.Thread(target=self._observe, args=[loop], name="kratos watch", daemon=True)
            thread.start()
            self._say(f"watching {self._root.name or self._root}, {len(self._watch)} files")
            following = asyncio.create_task(self._follow(), name="kratos reload")
            enough = asyncio.create_task(self._enough.wait())
            try:
                await asyncio.wait([following, enough], return_when=asyncio.FIRST_COMPLETED)
            finally:
                self._watch.stop()
                enough.cancel()
                await self._end(following)
        if self._is_forced:
            return INTERRUPTED
        self._say("stopped")
        return 0

    def _interrupt(self) -> None:
        if self._enough.is_set():
            self._is_forced = True
            for process in self._processes:
                process.kill()
        self._enough.set()

    async def _end(self, following: asyncio.Task[None]) -> None:
        """Ends what is under way and all processes; raises what ended the work, if it was a fault of ours."""
        following.cancel()
        await self._end_all()
        try:
            with suppress(asyncio.CancelledError):
                await following
        finally:
            await self._end_all()

    async def _end_all(self) -> None:
        limit = RELEASE_SECONDS + LEAVE_SECONDS
        await asyncio.gather(*(process.end_within(limit) for process in list(self._processes)))

    # What is seen.

    def _observe(self, loop: asyncio.AbstractEventLoop) -> None:
        """Runs in a thread of its own."""
        with suppress(RuntimeError):  # the loop is closed: nobody wants to know any more
            try:
                for change in self._watch.changes():
                    loop.call_soon_threadsafe(self._notice, change)
            except Failure as failure:
                loop.call_soon_threadsafe(self._say, f"{failure}: changes are not noticed any more")

    def _notice(self, change: Change) -> None:
        self._say(f"{self._named(change.paths)} changed")
        self._needs_code |= any(path.suffix == ".proto" or path.name == "pyproject.toml" for path in change.paths)
        self._needs_restart |= any(path.suffix != ".proto" for path in change.paths)
        self._pending = change | self._pending if self._pending else change
        self._changed.set()

    def _named(self, paths: Iterable[Path]) -> str:
        names = sorted(self._watch.scope.label(path) for path in paths)
        return f"{names[0]} and {len(names) - 1} more" if len(names) > 1 else names[0]

    # What is done.

    async def _follow(self) -> None:
        """Renews after every change; one that comes while nothing is decided yet replaces the one before."""
        since = None
        while not self._enough.is_set():
            change, self._pending = self._pending, None
            self._changed.clear()
            since = since or (change.since if change else time.monotonic())
            forget(change.paths if change else ())
            self._is_committed = False
            renewal = asyncio.create_task(self._renew(since), name="kratos renewal")
            newer = asyncio.create_task(self._changed.wait())
            try:
                await asyncio.wait([renewal, newer], return_when=asyncio.FIRST_COMPLETED)
            finally:
                newer.cancel()
                if not self._is_committed or self._enough.is_set():
                    renewal.cancel()
                with suppress(asyncio.CancelledError):
                    await renewal
            if not renewal.cancelled():
                since = None
            await self._changed.wait()

    async def _renew(self, since: float) -> None:
        """Gets a new process ready, and has it take over."""
        fresh: Process | None = None
        try:
            fresh = await self._spawn()  # it warms up while code is generated
            if not await self._is_worth_it():
                return
            fresh.tell("load", ports=self._ports)
            await fresh.expect("ready")
            self._is_committed = True
            await self._retire()
            fresh.tell("go")
            self._succeed(fresh, await fresh.expect("serving"), since)
        except Failure as failure:
            self._regret(failure)
        finally:
            if fresh is not None and fresh is not self._current:
                await fresh.end_within(DISCARD_SECONDS)

    async def _spawn(self) -> Process:
        try:
            process = await Process.spawn(self._command)
        except OSError as failure:
            raise Failure(f"cannot start {self._command[0]}: {failure}") from failure
        self._processes.add(process)
        process.gone.add_done_callback(lambda _: self._ended(process))
        return process

    async def _is_worth_it(self) -> bool:
        """Brings the generated code up to date and tells whether what serves is behind."""
        if self._needs_code:
            self._needs_code = False
            try:
                self._needs_restart |= await self._generate()
            except BaseException:
                self._needs_code = True
                raise
        if self._current is None or self._needs_restart:
            return True
        self._say("the generated code is the same: nothing to do")
        return False

    async def _generate(self) -> bool:
        """Generates in a thread, one at a time: one that nobody waits for any more comes to its end first."""
        if self._generation is not None:
            await asyncio.wait([self._generation])
        self._generation = asyncio.create_task(self._regenerate())
        self._generation.add_done_callback(lambda task: task.cancelled() or task.exception())
        return await asyncio.shield(self._generation)

    async def _regenerate(self) -> bool:
        project, is_different = await asyncio.to_thread(regenerate, self._root)
        self._needs_restart |= is_different
        self._watch.scope = replace(self._watch.scope, without=(project.out,) if project else ())
        return is_different

    async def _retire(self) -> None:
        """Has the old process stop; it leaves its hooks beside the new one."""
        old, self._current = self._current, None
        if old is not None and not await old.release(within=RELEASE_SECONDS, leave=LEAVE_SECONDS):
            self._say(f"the old process did not stop within {RELEASE_SECONDS:g} s and was killed")

    def _succeed(self, fresh: Process, said: Mapping[str, Any], since: float) -> None:
        self._current, fresh.has_served = fresh, True
        self._needs_restart = False
        is_first, self._ports = not self._banner, said["ports"]
        if said["banner"] != self._banner:  # the first, or with other addresses
            self._banner = said["banner"]
            self._show(self._banner)
        if not is_first:
            self._say(f"serving again after {time.monotonic() - since:.2f} s")

    def _regret(self, failure: Failure) -> None:
        """Tells why the new version does not serve."""
        head = "cannot serve" if self._current is None else "kept the old version"
        first, *rest = str(failure).splitlines() or [repr(failure)]
        self._say(f"{head}: {first}")
        for line in (*rest, *([f"try: {failure.hint}"] if failure.hint else [])):
            self._say(f"  {line}")
        if self._current is None:
            self._say("waiting for a change")

    def _ended(self, process: Process) -> None:
        """Takes note that a process has ended; nobody starts it again before something has changed."""
        self._processes.discard(process)
        if process is self._current and not process.is_stopping:
            self._current = None
            self._say(f"{process.end}; waiting for a change")
        elif process.has_served and process.failure:
            self._say(f"while stopping: {process.failure}")


@contextmanager
def _signals(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> Generator[None]:
    """Turns signals into a callback; a SIGHUP that somebody had us ignore stays ignored."""
    names = [name for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    numbers = [signal.Signals[name] for name in names]
    taken = [each for each in numbers if each.name != "SIGHUP" or signal.getsignal(each) is not signal.SIG_IGN]
    for number in taken:
        loop.add_signal_handler(number, callback)
    try:
        yield
    finally:
        for number in taken:
            loop.remove_signal_handler(number)
