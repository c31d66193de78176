"""The process that serves: it gets ready beside its predecessor and takes over when it is told to.

It hears ``load``, ``go`` and ``stop`` from its supervisor, and says ``ready``, ``serving``, ``released`` (nothing
listens any more) and ``failed``. A supervisor that is gone has said ``stop``: nobody is left behind.

Signals of the terminal reach supervisor and child alike, for they share a process group, so that ``breakpoint()`` can
read from the terminal. The child leaves SIGINT and SIGHUP to the supervisor.
"""

from __future__ import annotations

import asyncio
import json
import os
import queue
import signal
import socket
import threading
import traceback
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from importlib import import_module
from typing import Any, Final, Protocol

from kratos.app import App, Shutdown, Source, loop_factory
from kratos.tools.reload.addresses import bound, keep

__all__ = ["LIMITS", "Loader", "attend"]

LIMITS: Final = Shutdown(deregister=0.2, drain=0.0, finish=0.2, hook=2.0)
"""How long each step of stopping may take where somebody waits for the next version."""

_ORPHAN_SECONDS = 5.0  # to stop in good order when the supervisor is gone


class Loader(Protocol):
    """What the child serves; nothing of it is imported before it is asked for."""

    def source(self) -> Source:
        """Imports the user's code and returns the app, or what makes it."""
        ...

    async def app(self, source: Source) -> App:
        """Makes the app ready to be served, in the event loop that will serve it."""
        ...

    def blame(self, failure: BaseException) -> str:
        """Says what failed, and where in the user's code."""
        ...


def attend(handle: int, loader: Loader, *, debug: bool = False) -> int:
    """Serves as the supervisor says and returns the exit code.

    Args:
        handle: The descriptor of the socket that leads to the supervisor.
        loader: What to serve.
        debug: Whether a failure is also shown with its traceback, on stderr.
    """
    for number in ("SIGINT", "SIGHUP"):
        _leave_to_supervisor(getattr(signal, number, None))
    return _Child(_Wire(socket.socket(fileno=handle)), loader, debug=debug).run()


def _leave_to_supervisor(number: signal.Signals | None) -> None:
    # A handler, and not SIG_IGN: that would reach the programs which the app starts.
    if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
        signal.signal(number, _ignored)


def _ignored(*_: object) -> None:
    pass


class _Wire:
    """The connection to the supervisor: a JSON object a line."""

    def __init__(self, sock: socket.socket) -> None:
        sock.set_inheritable(False)
        self._socket = sock

    def tell(self, word: str, **fields: Any) -> None:
        with suppress(OSError):  # the supervisor is gone: the thread that listens knows
            self._socket.sendall(json.dumps({"word": word, **fields}).encode() + b"\n")

    def listen(self, heard: Callable[[Mapping[str, Any]], None], gone: Callable[[], None]) -> None:
        """Has a thread call ``heard`` for each message, and ``gone`` at the end: it works while imports go on."""

        def lines() -> None:
            with suppress(OSError), self._socket.makefile("rb") as stream:
                for line in stream:
                    heard(json.loads(line))
            gone()

        threading.Thread(target=lines, name="kratos supervisor", daemon=True).start()


class _Child:
    """One life: load, get ready, take over, serve, stop."""

    def __init__(self, wire: _Wire, loader: Loader, *, debug: bool) -> None:
        self._wire = wire
        self._loader = loader
        self._debug = debug
        self._load = queue.SimpleQueue[Mapping[str, int]]()
        self._go = asyncio.Event()
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._is_stopping = False

    def run(self) -> int:
        self._wire.listen(self._heard, self._orphaned)
        _warm()
        ports = self._load.get()
        try:
            source = self._loader.source()
            with asyncio.Runner(loop_factory=loop_factory()) as runner:
                runner.run(self._serve(source, ports))
        except asyncio.CancelledError:
            return 0
        except BaseException as failure:  # SystemExit too: nothing that the user's code raises may pass for success
            return self._failed(failure)
        return 0

    async def _serve(self, source: Source, ports: Mapping[str, int]) -> None:
        with self._lock:
            self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        app = await self._loader.app(source)
        keep(app.servers, ports)
        await app.serve(
            self._gate,
            shutdown=LIMITS,
            announce=lambda banner: self._wire.tell("serving", banner=banner, ports=bound(app.servers)),
        )

    @asynccontextmanager
    async def _gate(self, _: App) -> AsyncGenerator[None]:
        """The innermost hook: all is ready, nothing listens. It is left when nothing listens any more."""
        for number in ("SIGINT", "SIGHUP"):  # once more: the app has taken SIGINT
            _leave_to_supervisor(getattr(signal, number, None))
        self._wire.tell("ready")
        await self._go.wait()
        try:
            yield
        finally:
            self._wire.tell("released")

    def _heard(self, message: Mapping[str, Any]) -> None:
        match message["word"]:
            case "load":
                self._load.put(message["ports"])
            case "go":
                self._in_loop(self._go.set)
            case _:
                self._stop()

    def _stop(self) -> None:
        with self._lock:
            self._is_stopping = True
            if self._task is None:  # still loading: there is nothing to be left in good order
                os._exit(0)
            self._in_loop(self._task.cancel)

    def _in_loop(self, step: Callable[[], object]) -> None:
        if self._loop is not None:
            with suppress(RuntimeError):  # it is closed: the process is about to end anyway
                self._loop.call_soon_threadsafe(step)

    def _orphaned(self) -> None:
        if not self._is_stopping:
            self._stop()
        threading.Event().wait(_ORPHAN_SECONDS)
        os._exit(1)

    def _failed(self, failure: BaseException) -> int:
        if self._debug:
            traceback.print_exception(failure)
        self._wire.tell("failed", failure=self._loader.blame(failure) or repr(failure))
        return 1


def _warm() -> None:
    """Imports what an app is likely to need, while the supervisor may still be generating code."""
    for name in ("kratos.transport.http", "kratos.transport.grpc"):
        import_module(name)
