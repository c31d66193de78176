"""``ZooKeeperRegistry``: instances as nodes that end with the session of the process."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from typing import Final

from kratos.contrib.zookeeper.session import Options, Record, Session
from kratos.registry.base import Instance, InvalidInstance
from kratos.registry.pacing import apart, few_at_a_time
from kratos.registry.patience import Patience
from kratos.registry.record import Neighbours, encode
from kratos.registry.segment import segment
from kratos.registry.supervised import SupervisedRegistry

__all__ = ["ZooKeeperRegistry"]

logger = logging.getLogger("kratos.registry")

_CONNECT_SECONDS: Final = 2.0
_END_SECONDS: Final = 2.0
_IDLE_SECONDS: Final = 0.5
"""For how long a session goes on that nobody needs: who registers and leaves in turns does not begin one each time."""

_GATHER_SECONDS: Final = 0.05
"""What changes within this time is told at once: a cluster that starts is thousands of changes."""

_READERS: Final = 20
"""That many records are asked for at a time, so that few answers come at once."""

_LARGEST: Final = 1_000_000
"""Of a record. ZooKeeper closes the connection of whoever sends more than 1 MiB, and does not say why."""

# What may not stand in a path: a slash, dots alone, and letters that ZooKeeper refuses: those of no or of private
# meaning, and all above U+FFFF.
_LETTERS: Final = "\\x00-\\x1f\\x7f-\\x9f\\ud800-\\uf8ff\\ufff0-\\U0010ffff"
_UNFIT: Final = re.compile(f"^\\.{{1,2}}\\Z|[/{_LETTERS}]")


class ZooKeeperRegistry(SupervisedRegistry):
    """Registrar and discovery in ZooKeeper, with the nodes and records of Kratos for Go.

    The node of an instance is ``<root>/<name>/<id>``. A slash in a name or id is written ``%2F``.

    Args:
        endpoints: ``127.0.0.1:2181``, or several members of one ensemble, in a list or with commas between them.
        root: The node above all; what is missing on the way to it is made.
        session: For how many seconds an instance is known that is not heard of any more. The server has limits of its
            own for that, usually 4 and 40.
        digest: User and password. Nodes that are made are then for this user only.
        patience: How long ZooKeeper is waited for.

    Raises:
        ValueError: An endpoint or ``root`` cannot be read, ``session`` is not positive, or ``digest`` has no user.

    Example:
        ``App(name="shop", registrar=ZooKeeperRegistry("127.0.0.1:2181"))``
    """

    def __init__(
        self,
        endpoints: str | Sequence[str] = "127.0.0.1:2181",
        *,
        root: str = "/microservices",
        session: float = 10.0,
        digest: tuple[str, str] | None = None,
        patience: Patience | None = None,
    ) -> None:
        super().__init__("zookeeper", patience)
        if not session > 0:
            raise ValueError(f"session is {session!r}: it must be a positive number of seconds")
        if digest is not None and (not digest[0] or ":" in digest[0]):
            raise ValueError(f"the user of digest is {digest[0]!r}: it needs a name, without a colon")
        self._root = _checked_root(root)
        self._options = Options(_hosts(endpoints), session, digest)
        self._neighbours = Neighbours("zookeeper")
        self._session: Session | None = None
        self._held: set[str] = set()  # paths that we have written, or have tried to
        self._lists = 0
        self._idle: asyncio.TimerHandle | None = None
        self._taken: set[str] = set()

    def __str__(self) -> str:
        return f"ZooKeeper at {self._options.hosts}"

    async def hold(self, instance: Instance, found: Callable[[], None], /) -> None:
        """Writes the record, and looks after it for as long as the session lasts; see ``Keeper``."""
        data = encode(instance)
        if len(data) > _LARGEST:
            words = f"instance {instance.id!r} of {instance.name!r} cannot be registered in ZooKeeper"
            raise InvalidInstance(f"{words}: its record of {len(data)} bytes is larger than {_LARGEST}")
        path = self._path(instance)
        self._held.add(path)
        session = await self._connected()
        changed = asyncio.Event()
        with session.listening(path, lambda _: changed.set()):
            await _write(session, path, Record(data, session.id))
            found()
            while True:
                changed.clear()
                await session.connected(self._options.seconds)
                await self._look(session, path)
                await changed.wait()

    async def forget(self, instance: Instance, /) -> None:
        """Removes the record; see ``Keeper``. If that fails the session ends, and the record with it."""
        path = self._path(instance)
        is_ours = path in self._held
        self._held.add(path)  # for as long as this takes
        try:
            session = await self._connected()
            # What somebody else has written since is theirs; where we have written nothing, an earlier process has.
            if not is_ours or await session.owner(path) == session.id:
                await session.delete(path)
        except BaseException:
            self._end()
            raise
        finally:
            self._held.discard(path)
            self._taken.discard(path)
            self._rest()

    async def lists(self, name: str, /) -> AsyncGenerator[Iterable[Instance], None]:
        """Yields who serves; see ``Lister``."""
        self._lists += 1
        try:
            session = await self._connected()
            service = _Service(session, self._below(name), self._neighbours)
            with session.listening(service.path, service.tell):
                while True:
                    yield await service.read()
                    await service.changed.wait()
                    await asyncio.sleep(_GATHER_SECONDS)
        finally:
            self._lists -= 1
            self._rest()

    async def aclose(self) -> None:
        """Ends watches and registrations, and the session; records that are left end with it."""
        await super().aclose()
        self._held.clear()
        session = self._session
        self._end()
        if session is not None:
            await session.ended(_END_SECONDS)

    def _below(self, name: str) -> str:
        return f"{self._root}/{segment(name, _UNFIT)}"

    def _path(self, instance: Instance) -> str:
        return f"{self._below(instance.name)}/{segment(instance.id, _UNFIT)}"

    async def _connected(self) -> Session:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        if self._session is None or self._session.is_over:
            self._session = Session(self._options)
        session = self._session
        await session.connected(_CONNECT_SECONDS)
        return session

    async def _look(self, session: Session, path: str) -> None:
        """Looks whether the record is still there.

        Raises:
            OSError: It is not, or the session is over, or ZooKeeper does not say.
        """
        try:
            owner = await session.owner(path)
        except ConnectionError:
            if session.is_over:
                raise
            return  # the next look waits for the connection
        if owner is None:
            raise ConnectionError(f"{path} was deleted by somebody")
        if owner == session.id:
            self._taken.discard(path)
        elif path not in self._taken:
            self._taken.add(path)
            logger.warning("zookeeper: %s was written by somebody else; is this id used twice?", path)

    def _rest(self) -> None:
        """Ends the session soon if nobody needs it any more."""
        if not self._held and not self._lists and self._idle is None and self._session is not None:
            self._idle = asyncio.get_running_loop().call_later(_IDLE_SECONDS, self._end)

    def _end(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        session, self._session = self._session, None
        if session is not None:
            session.end()


class _Service:
    """The instances of one service, as they are read in one session.

    Attributes:
        path: Its node.
        changed: Set when something has to be read anew.
    """

    def __init__(self, session: Session, path: str, neighbours: Neighbours) -> None:
        self.path = path
        self.changed = asyncio.Event()
        self._session = session
        self._neighbours = neighbours
        self._known: dict[str, Instance | None] = {}
        self._stale: set[str] = set()
        self._is_lost = False

    def tell(self, path: str) -> None:
        """Takes an event of the node or of one below, or the end of the connection, with which all watches end."""
        self._stale.add(path)
        self._is_lost = self._is_lost or not path
        self.changed.set()

    async def read(self) -> list[Instance]:
        """Returns all there is; only what is new or has changed is asked for.

        Raises:
            ConnectionError: The connection was lost, even if it has come back meanwhile.
        """
        self.changed.clear()
        paths = [f"{self.path}/{child}" for child in await self._children()]
        for path in self._stale:
            self._known.pop(path, None)
        self._stale.clear()  # before it asks: what changes while the answer is on its way is marked again
        self._known, unknown = await apart(paths, self._known)
        await few_at_a_time(unknown, self._read, _READERS)
        if self._is_lost:
            raise ConnectionError("the connection with ZooKeeper was lost")
        return [*filter(None, self._known.values())]

    async def _children(self) -> list[str]:
        while True:
            children = await self._session.children(self.path)
            if children is not None:
                return children
            if await self._session.owner(self.path) is None:  # from now on it is told when there is one
                return []

    async def _read(self, path: str) -> None:
        """Takes what a node holds. One that has left, or is not for us, is not watched, and so it is not kept."""
        try:
            record = await self._session.read(path)
        except PermissionError as failure:
            self._neighbours.skip(path, b"", failure)
            return
        if record is not None:
            self._known[path] = self._neighbours.read(path, record.data)


async def _write(session: Session, path: str, record: Record) -> None:
    """Writes a record unless it is there. Kratos for Go sees changes of children only, so a node is never just set."""
    while not await session.create(path, record.data):
        there = await session.read(path)
        if there == record or (there is not None and await session.replace(path, record.data)):
            return


def _checked_root(root: str) -> str:
    parts = root.removesuffix("/").split("/")
    if len(parts) < 2 or parts[0] or any(not part or _UNFIT.search(part) for part in parts[1:]):
        raise ValueError(f"root is {root!r}: it must be an absolute path, such as /microservices")
    return "/".join(parts)


def _hosts(endpoints: str | Sequence[str]) -> str:
    listed = endpoints.split(",") if isinstance(endpoints, str) else endpoints
    hosts = [each.strip() for each in listed]
    for host in hosts or [""]:
        if not re.fullmatch(r"([^\s:/,\[\]]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?", host):
            raise ValueError(f"{host!r} is no endpoint of ZooKeeper: it must be host:port, such as 127.0.0.1:2181")
    return ",".join(hosts)
