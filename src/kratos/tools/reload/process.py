"""A serving process as its supervisor sees it."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from kratos.tools.failure import Failure

__all__ = ["Process"]


class Process:
    """A child process and the wire to it.

    Args:
        process: The process.
        reader: What it says.
        writer: What it is told.

    Attributes:
        gone: Is done when the process has ended and all that it said is heard; its result is the exit code.
        failure: What it said about its end; empty if nothing.
        has_served: Whether it was the one that answers.
        is_stopping: Whether it was asked to stop.
    """

    def __init__(
        self, process: asyncio.subprocess.Process, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._process = process
        self._writer = writer
        self._said = asyncio.Queue[Mapping[str, Any] | None]()
        self.failure = ""
        self.has_served = False
        self.is_stopping = False
        self._listening = asyncio.create_task(self._listen(reader), name=f"child {process.pid}")
        self.gone = asyncio.create_task(self._end(), name=f"end of child {process.pid}")

    @classmethod
    async def spawn(cls, command: Sequence[str]) -> Process:
        """Starts a process; the descriptor of its end of the wire is the last argument.

        Raises:
            OSError: It cannot be started.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                process = await asyncio.create_subprocess_exec(
                    *command, str(theirs.fileno()), pass_fds=[theirs.fileno()]
                )
            except BaseException:
                ours.close()
                raise
        return cls(process, *await asyncio.open_connection(sock=ours))

    def tell(self, word: str, **fields: Any) -> None:
        """Sends a word; a process that is gone does not hear it."""
        with suppress(OSError):
            self._writer.write(json.dumps({"word": word, **fields}).encode() + b"\n")

    async def expect(self, word: str) -> Mapping[str, Any]:
        """Returns what the process says with a word, however long it takes.

        Raises:
            Failure: It failed or ended instead; the message says why.
        """
        while (said := await self._said.get()) is not None:
            if said["word"] == word:
                return said
        if not self.failure:
            await self.gone
        raise Failure(self.end)

    @property
    def end(self) -> str:
        """Why it ended: what it said itself, or else its exit code or signal."""
        if self.failure:
            return self.failure
        code = self._process.returncode or 0
        if code < 0:
            return f"the process was ended by {signal.Signals(-code).name}"
        return f"the process ended with exit code {code}"

    async def release(self, *, within: float, leave: float) -> bool:
        """Asks the process to stop and returns as soon as nothing of it listens any more.

        Args:
            within: Seconds for that; then it is killed.
            leave: Seconds for its hooks to leave after that; nobody has to wait for them.

        Returns:
            Whether it was in time.
        """
        self._ask_to_stop()
        released = asyncio.create_task(self._released())
        await asyncio.wait([released, self.gone], timeout=within, return_when=asyncio.FIRST_COMPLETED)
        in_time = released.done() or self.gone.done()
        released.cancel()
        if in_time:
            asyncio.get_running_loop().call_later(leave, self.kill)
        else:
            self.kill()
            await self.gone
        return in_time

    async def end_within(self, seconds: float) -> None:
        """Asks the process to stop and returns when it has ended; it is killed if that takes too long."""
        self._ask_to_stop()
        await asyncio.wait([self.gone], timeout=seconds)
        self.kill()
        await self.gone

    def _ask_to_stop(self) -> None:
        if not self.is_stopping and not self.failure:  # what has failed ends by itself, with all that it printed
            self.tell("stop")
        self.is_stopping = True

    def kill(self) -> None:
        """Ends the process at once."""
        with suppress(ProcessLookupError):
            if self._process.returncode is None:
                self._process.kill()

    async def _released(self) -> None:
        with suppress(Failure):
            await self.expect("released")

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        with suppress(OSError):
            while line := await reader.readline():
                said: Mapping[str, Any] = json.loads(line)
                self.failure = said.get("failure", "")
                self._said.put_nowait(None if self.failure else said)
        self._said.put_nowait(None)

    async def _end(self) -> int:
        """Returns the exit code when the process has ended and all that it said is heard."""
        code = await self._process.wait()
        await self._listening
        self._writer.close()
        return code
