"""A session with ZooKeeper: kazoo and its threads on one side, the event loop on the other.

All that is known of kazoo, which has no types, stands here.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, NamedTuple

try:
    from kazoo import client as clients
    from kazoo import exceptions, security
except ImportError as missing:
    raise ImportError("kratos.contrib.zookeeper needs a library: pip install 'kratos-py[zookeeper]'") from missing

__all__ = ["Options", "Record", "Session"]

_clients: Any = clients  # none of these has types
_failures: Any = exceptions
_security: Any = security

_AT_ONCE: Final = 100
"""Requests under way. Each is a byte in a pipe to kazoo's thread, and whoever writes into a full one waits."""

_RECONNECT: Final = {"max_tries": -1, "delay": 0.1, "backoff": 2, "max_delay": 1.0}


@dataclass(frozen=True, slots=True)
class Options:
    """Where ZooKeeper is, and who we are.

    Attributes:
        hosts: ``host:port``, with commas between them.
        seconds: For how long ZooKeeper keeps the session of a client that it does not hear of.
        digest: User and password.
    """

    hosts: str
    seconds: float
    digest: tuple[str, str] | None = field(default=None, repr=False)

    @property
    def tries(self) -> int:
        """How many attempts to connect fit into a session: one server that says nothing must not cost it."""
        return max(1, min(4, int(self.seconds)))


class Record(NamedTuple):
    """What a node holds, and the session it belongs to; 0 is none."""

    data: bytes
    owner: int


class Session:
    """One session. It is over when ZooKeeper has forgotten it, or when we end it, and does not come back then.

    Nodes that it creates end with it. Events and answers arrive in the event loop.

    Args:
        options: Where ZooKeeper is.

    Attributes:
        id: What ZooKeeper calls it; 0 before it has begun.
        is_over: Whether another one has to be begun.
    """

    def __init__(self, options: Options) -> None:
        self.id = 0
        self.is_over = False
        self._hosts = options.hosts
        self._loop = asyncio.get_running_loop()
        self._is_connected = False
        self._settled = asyncio.Event()  # whether it is connected or over
        self._stopped = asyncio.Event()
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._waiting: set[asyncio.Future[Any]] = set()
        self._listeners: dict[str, list[Callable[[str], None]]] = {}
        self._client = _client(options)
        self._client.add_listener(self._hear)
        self._client.start_async()

    async def connected(self, limit: float) -> None:
        """Returns when there is a connection.

        Args:
            limit: How long one is waited for, in seconds.

        Raises:
            ConnectionError: There was none in that time, or the session is over.
        """
        try:
            async with asyncio.timeout(limit):
                await self._settled.wait()
        except TimeoutError:
            raise ConnectionError(f"no ZooKeeper answers at {self._hosts}") from None
        self._check()

    @contextmanager
    def listening(self, path: str, told: Callable[[str], None]) -> Generator[None]:
        """Has events told: those of a node and its children, and the end of a connection.

        Args:
            path: The node.
            told: Called in the event loop, with the path that something has happened to; empty if it is the connection.
        """
        listeners = self._listeners.setdefault(path, [])
        listeners.append(told)
        try:
            yield
        finally:
            listeners.remove(told)
            if not listeners:
                del self._listeners[path]

    async def read(self, path: str) -> Record | None:
        """Returns what a node holds, and watches it; None if there is none."""
        with self._explained(path), suppress(_failures.NoNodeError):
            data, stat = await self._ask(self._client.get_async, path, self._watch)
            return Record(data, stat.ephemeralOwner)
        return None

    async def owner(self, path: str) -> int | None:
        """Returns the session that a node belongs to, and watches it; None if there is none yet."""
        with self._explained(path):
            stat = await self._ask(self._client.exists_async, path, self._watch)
        return None if stat is None else stat.ephemeralOwner

    async def children(self, path: str) -> list[str] | None:
        """Returns the children of a node, and watches them; None if there is no such node."""
        with self._explained(path), suppress(_failures.NoNodeError):
            found: list[str] = await self._ask(self._client.get_children_async, path, self._watch)
            return found
        return None

    async def create(self, path: str, data: bytes) -> bool:
        """Makes a node that ends with the session, and whatever is above it; returns False if there is one."""
        with self._explained(path), suppress(_failures.NodeExistsError):
            await self._ask(partial(self._client.create_async, path, data, ephemeral=True, makepath=True))
            return True
        return False

    async def replace(self, path: str, data: bytes) -> bool:
        """Puts a node of this session in the place of one, so that all see one or the other; False if there is none."""
        change = self._client.transaction()
        change.delete(path)
        change.create(path, data, ephemeral=True)
        with self._explained(path), suppress(_failures.NoNodeError):
            for result in await self._ask(change.commit_async):
                if isinstance(result, Exception):  # the first one that failed; the others did because of it
                    raise result
            return True
        return False

    async def delete(self, path: str) -> None:
        """Removes a node; that there is none is fine."""
        with self._explained(path), suppress(_failures.NoNodeError):
            await self._ask(self._client.delete_async, path)

    def end(self) -> None:
        """Ends it, and what was created in it. Kazoo's threads end soon after, at once if the server answers."""
        if not self.is_over:
            self._note(over=True)
            threading.Thread(target=self._stop, name="kratos zookeeper end", daemon=True).start()

    async def ended(self, limit: float) -> None:
        """Returns when no thread is left, or after ``limit`` seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(limit):
                await self._stopped.wait()

    async def _ask(self, method: Callable[..., Any], *arguments: object) -> Any:
        async with self._slots:
            self._check()
            answer: asyncio.Future[Any] = self._loop.create_future()
            self._waiting.add(answer)
            try:
                method(*arguments).rawlink(partial(self._in_loop, _settle, answer))  # in a thread of kazoo's
                return await answer
            finally:
                self._waiting.discard(answer)

    def _check(self) -> None:
        if not self._is_connected:
            what = "session" if self.is_over else "connection"
            raise ConnectionError(f"the {what} with ZooKeeper at {self._hosts} is lost")

    @contextmanager
    def _explained(self, path: str) -> Generator[None]:
        try:
            yield
        except _failures.NoAuthError as failure:
            raise PermissionError(f"ZooKeeper does not let us at {path}: who may is told by digest=") from failure
        except (_failures.ConnectionLoss, _failures.SessionExpiredError) as failure:
            raise ConnectionError(f"the connection with ZooKeeper at {self._hosts} is lost") from failure
        except _failures.KazooException as failure:
            words = f": {failure}" if str(failure) else ""
            raise OSError(f"ZooKeeper at {self._hosts}: {path}: {type(failure).__name__}{words}") from failure

    # From here on in kazoo's threads.

    def _watch(self, event: Any) -> None:
        if event.path:
            self._in_loop(self._tell, event.path)

    def _hear(self, state: str) -> None:
        if state == "CONNECTED":
            known = self._client.client_id
            self._in_loop(partial(self._note, id=known[0] if known else 0))
        elif state == "SUSPENDED":
            # A server that has lost its memory turns away whoever has seen more than it knows, again and again.
            # All is read anew over the next connection, so what we have seen does not matter.
            self._client.last_zxid = 0
            self._in_loop(self._note)
        else:
            self._in_loop(self.end)

    def _stop(self) -> None:
        try:
            self._client.stop()
            self._client.close()
        except Exception:
            _log.log(logging.ERROR, "a client of ZooKeeper could not be stopped", exc_info=True)
        self._in_loop(self._stopped.set)

    def _in_loop(self, what: Callable[..., None], *arguments: object) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody is there any more who wants to know
            self._loop.call_soon_threadsafe(what, *arguments)

    # And from here on in the loop again.

    def _note(self, *, id: int = 0, over: bool = False) -> None:
        """Takes the new state of the connection. What was asked over the old one has no answer any more."""
        self.is_over = self.is_over or over
        self._is_connected = bool(id) and not self.is_over
        if self._is_connected:
            self.id = id
        if self._is_connected or self.is_over:
            self._settled.set()
        else:
            self._settled.clear()
        for answer in self._waiting if not self._is_connected else ():
            if not answer.done():
                answer.set_exception(ConnectionError(f"the connection with ZooKeeper at {self._hosts} is lost"))
        for listeners in [*self._listeners.values()]:
            for told in [*listeners]:
                told("")

    def _tell(self, path: str) -> None:
        for known in (path, path.rpartition("/")[0]):
            for told in [*self._listeners.get(known, ())]:
                told(path)


class _Quiet(logging.LoggerAdapter[logging.Logger]):
    """The log for kazoo, which warns of each attempt to reconnect, and whose details have passwords in them."""

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        """Logs errors, and warnings as details: the supervisor says what there is to say."""
        if level >= logging.WARNING:
            super().log(level if level >= logging.ERROR else logging.DEBUG, msg, *args, **kwargs)


_log: Final = _Quiet(logging.getLogger("kratos.registry.zookeeper"))


def _client(options: Options) -> Any:
    hosts = options.hosts.split(",")
    # Kazoo waits for the first answer of a server as long as a session lasts, divided by how many servers there are.
    client: Any = _clients.KazooClient(
        ",".join(hosts * -(-options.tries // len(hosts))),
        timeout=options.seconds,
        connection_retry=dict(_RECONNECT),
        logger=_log,
    )
    client.handler.create_connection = partial(_connect, client.handler.create_connection, options.tries)
    if options.digest is not None:
        user, password = options.digest
        client.auth_data.add(("digest", f"{user}:{password}"))
        client.default_acl = [_security.make_digest_acl(user, password, all=True)]
    return client


def _connect(connect: Callable[..., Any], tries: int, *arguments: object, timeout: float, **options: object) -> Any:
    """Opens a socket; kazoo gives it as long as a session lasts."""
    return connect(*arguments, timeout=timeout / tries, **options)


def _settle(answer: asyncio.Future[Any], result: Any) -> None:
    if answer.done():
        return
    if result.exception is None:
        answer.set_result(result.value)
    else:
        answer.set_exception(result.exception)
