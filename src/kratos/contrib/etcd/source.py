"""``EtcdSource``: configuration in a key of etcd, or in all keys below a prefix."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Final

from kratos.config.base import EMPTY, ConfigError, Layer, Node, Place, Problem, State
from kratos.config.document import FORMATS, read
from kratos.config.merge import merge
from kratos.contrib.etcd.connection import Connection
from kratos.contrib.etcd.span import Span, follow, load
from kratos.errors import Error
from kratos.transport.tls import TLS
from kratos.wire.etcd.mvccpb.kv_pb import KeyValue

__all__ = ["EtcdSource"]

_FORMATS: Final = ", ".join(FORMATS)


class EtcdSource:
    """What a key holds, or all keys below a prefix in their order, later ones over earlier ones.

    Keys that end in ``.yaml``, ``.yml``, ``.json`` or ``.toml`` hold documents. Any other key below a prefix holds the
    text of one value: ``/configs/shop/db/password`` is ``db.password`` of the prefix ``/configs/shop/``.

    Args:
        endpoints: As for ``EtcdRegistry``.
        path: The key; with a slash at its end, the prefix of keys.
        optional: Whether there may be nothing.
        user: Who we are, where etcd has authentication.
        password: The user's password.
        tls: Whom to trust, and who we are; as for ``GRPCClient``.
        timeout: Seconds for one attempt of one request to one member.

    Raises:
        ValueError: An endpoint cannot be read, a file of ``tls`` cannot be used, or the path is none.

    Example:
        ``await Config.load(EtcdSource("127.0.0.1:2379", "/configs/shop/"), Env("SHOP_"))``
    """

    def __init__(
        self,
        endpoints: str | Sequence[str],
        path: str,
        *,
        optional: bool = False,
        user: str = "",
        password: str = "",
        tls: TLS | None = None,
        timeout: float = 5.0,
    ) -> None:
        self._below = path.endswith("/")
        if not path or (not self._below and _suffix(path) not in FORMATS):
            raise ValueError(f"{path!r}: a key has to end in one of {_FORMATS}, and a prefix of keys in a slash")
        # One for each use: configuration is often read in one event loop and followed in another.
        self._connect = partial(Connection, endpoints, user=user, password=password, tls=tls, timeout=timeout)
        self._where = self._connect().name
        self._path = path
        self._span = Span(path.encode(), below=self._below)
        self._optional = optional

    @property
    def name(self) -> str:
        """The path, after the word ``etcd``."""
        return f"etcd:{self._path}"

    async def load(self) -> Layer:
        """Reads all there is; see ``Source``."""
        try:
            async with self._connect() as etcd:
                found, _ = await load(etcd, self._span)
        except Error as error:
            what = f"cannot be read from {self._where}: {error.message}"
            raise ConfigError([Problem(what, place=Place(self.name))]) from error
        state = self._state({kv.key: kv.value for kv in found})
        if isinstance(state, ConfigError):
            raise state
        return state

    async def watch(self) -> AsyncIterator[State]:
        """Yields what there is, and what it becomes; see ``WatchedSource``."""
        told: dict[bytes, bytes] | None = None
        try:
            async with self._connect() as etcd, aclosing(follow(etcd, self._span, _value)) as states:
                async for held in states:
                    if held != told:
                        told = held
                        yield self._state(held)
        except Error as error:
            raise ConnectionError(f"{self._where}: {error.message}") from error

    def _state(self, held: Mapping[bytes, bytes]) -> State:
        root = EMPTY
        problems: list[Problem] = []
        for key in sorted(held):
            try:
                root = merge(root, self._node(key, held[key]))
            except ConfigError as error:
                problems += error.problems
        if not held and not self._optional:
            what = "there is no key below this prefix" if self._below else "there is no such key"
            problems.append(Problem(f"{what} in etcd ({self._where})", place=Place(self.name)))
        return ConfigError(problems) if problems else Layer(root)

    def _node(self, key: bytes, value: bytes) -> Node:
        path = key.decode("utf-8", "backslashreplace")
        place = Place(f"etcd:{path}")
        known = FORMATS.get(_suffix(path))
        if known is not None:
            return read(value, known, place.name)
        parts = path.removeprefix(self._path).split("/")
        if not all(parts):
            return Node(EMPTY.value, place)  # what browsers of keys make to show a folder
        try:
            nested = Node(value.decode("utf-8-sig"), place, literal=True)
        except UnicodeDecodeError:
            raise ConfigError([Problem("not UTF-8", place=place)]) from None
        for part in reversed(parts):
            nested = Node(MappingProxyType({part: nested}), place)
        return nested


def _suffix(path: str) -> str:
    return PurePosixPath(path).suffix.lower()


def _value(kv: KeyValue) -> bytes:
    return kv.value
