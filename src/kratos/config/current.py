"""``Current``: the layers of all sources, the snapshot of them that counts, and who has to hear when it changes.

A change of one source renders all of it anew, reads every value that somebody has asked for, and only then takes the
place of what was there, by one assignment. If anything stands in its way, nothing changes and one line says why.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final

from kratos.config.base import ConfigError, Layer, Node, Problem, State
from kratos.config.bind import Unknown
from kratos.config.keys import shown
from kratos.config.listing import alike, differing
from kratos.config.snapshot import REQUIRED, Snapshot
from kratos.live import Live, Swap, apply

__all__ = ["Change", "Current"]

logger = logging.getLogger("kratos.config")

MAX_ASKED: Final = 10_000
"""So many values that were asked for are read ahead of a change; keys that a program makes up have no end."""
_NAMED = 10  # keys in a line of the log


@dataclass(frozen=True, slots=True)
class Change:
    """What has become of a key, or of anything below it.

    Attributes:
        key: The key.
        before: What it held, as plain data; None if it was not there.
        after: What it holds now; None if it is not there.
        added: Whether it was not there.
        removed: Whether it is not there any more.
    """

    key: str
    before: Any = field(repr=False)  # may be a secret
    after: Any = field(repr=False)
    added: bool = False
    removed: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class _Followed:
    """A value that somebody follows."""

    type_: Any
    key: str
    default: Any
    unknown: Unknown
    live: Live[Any]

    def answers(self, type_: Any, key: str, default: Any, unknown: Unknown) -> bool:
        """Tells whether it is what somebody asks for."""
        same = (self.type_, self.key, self.unknown) == (type_, key, unknown)
        return same and type(self.default) is type(default) and bool(self.default == default)


class Current:
    """What a configuration is at present. Written in one thread; its values may be read in any.

    Args:
        layers: What the sources say, in their order.

    Attributes:
        snapshot: What counts.
        refused: Why a source does not count as it is now, by its position.

    Raises:
        ConfigError: The layers do not fit together.
    """

    def __init__(self, layers: Sequence[Layer]) -> None:
        self.snapshot = Snapshot(layers)
        self.refused: dict[int, ConfigError] = {}
        self._layers = tuple(layers)
        self._newest = self._layers  # with those that were understood, and did not fit
        self._asked: dict[tuple[Any, str, Unknown], bool] = {}  # whether it has to be there
        self._followed: list[_Followed] = []
        self._observed: dict[object, tuple[str, Live[Change | None]]] = {}

    def read(self, type_: Any, key: str, default: Any, unknown: Unknown) -> Any:
        """Reads a value, and remembers that it was asked for."""
        snapshot, required = self.snapshot, default is REQUIRED
        value = snapshot.kept(type_, key, unknown)
        if value is REQUIRED:
            value = snapshot.read(type_, key, default, unknown)
        elif not required:
            return value
        with suppress(TypeError):  # there are types without a hash: Annotated[int, []]
            known = self._asked.get((type_, key, unknown))
            if not known and (required or (known is None and len(self._asked) < MAX_ASKED)):
                self._asked[type_, key, unknown] = required
        return value

    def live(self, type_: Any, key: str, default: Any, unknown: Unknown) -> Live[Any]:
        """Returns a value that follows the configuration; the same one to whoever asks for the same."""
        for each in list(self._followed):
            if each.answers(type_, key, default, unknown):
                return each.live
        followed: Live[Any] = Live(self.snapshot.read(type_, key, default, unknown))
        self._followed.append(_Followed(type_, key, default, unknown, followed))
        return followed

    def observe(self, key: str, observer: Callable[[Change], object]) -> Callable[[], None]:
        """Calls an observer with each change of a key; returns the function that ends this."""
        self.snapshot.find(key)  # if it is a key at all
        token = object()
        changes: Live[Any] = Live(None)
        stop = changes.observe(observer)
        self._observed[token] = (key, changes)

        def end() -> None:
            stop()
            self._observed.pop(token, None)

        return end

    @property
    def tasks(self) -> tuple[asyncio.Task[None], ...]:
        """The tasks of observers that are at work."""
        lives = [*(each.live for each in self._followed), *(changes for _, changes in self._observed.values())]
        return tuple(task for each in lives for task in each.tasks)

    def take(self, at: int, state: State) -> bool:
        """Takes what has become of a source, or refuses it with a line in the log.

        A layer that was refused because of what another source says, or does not say yet, is tried again when that one
        changes.

        Args:
            at: The position of the source.
            state: What it is now.

        Returns:
            Whether it was taken.
        """
        if isinstance(state, ConfigError):
            self._newest = _with(self._newest, at, self._layers[at])
            return self._refuse(at, state)
        self._newest = _with(self._newest, at, state)
        alone = _with(self._layers, at, state)
        together = any(each is not other for each, other in zip(self._newest, alone, strict=True))
        try:
            return self._try(self._newest)
        except ConfigError as error:
            failure = error
        if together:
            try:
                return self._try(alone)
            except ConfigError as error:  # which is about this source, and no other
                failure = error
        return self._refuse(at, failure)

    def _try(self, layers: tuple[Layer, ...]) -> bool:
        """Puts layers in the place of those that were.

        Raises:
            ConfigError: They do not fit together, or are not what somebody needs; nothing has changed.
        """
        snapshot = Snapshot(layers)
        swaps = self._prepared(snapshot)
        before, self.snapshot = self.snapshot, snapshot
        changed = [at for at, (old, new) in enumerate(zip(self._layers, layers, strict=True)) if old is not new]
        self._layers = layers
        keys = list(differing(before.root, snapshot.root))
        if any(self.refused.pop(at, None) is not None for at in changed) and not keys:
            logger.info("the configuration can be used again, and is as it was")
        if keys:
            more = f" and {len(keys) - _NAMED} more" if len(keys) > _NAMED else ""
            logger.info("the configuration has changed: %s%s", ", ".join(keys[:_NAMED]), more)
        for failure in (*apply(swaps), *self._tell(before)):
            logger.error("an observer of the configuration failed; the change stands", exc_info=failure)
        return True

    def _prepared(self, snapshot: Snapshot) -> list[Swap]:
        """Reads all that was asked for, and returns what has to be swapped.

        Raises:
            ConfigError: Something cannot be read, or its user refuses it.
        """
        problems: list[Problem] = []
        swaps: list[Swap] = []
        for (type_, key, unknown), required in list(self._asked.items()):
            with _noted(problems, key, snapshot):
                snapshot.read(type_, key, REQUIRED if required else None, unknown)
        for each in list(self._followed):
            with _noted(problems, each.key, snapshot):
                value = snapshot.read(each.type_, each.key, each.default, each.unknown)
                if not alike(self.snapshot.find(each.key), snapshot.find(each.key)):
                    swaps += each.live.changes(value)
        if problems:
            raise ConfigError(list(dict.fromkeys(problems)))
        return swaps

    def _tell(self, before: Snapshot) -> Iterator[Exception]:
        """Tells those who observe keys, and yields what they raise."""
        after = self.snapshot
        for key, changes in list(self._observed.values()):
            old, new = before.find(key), after.find(key)
            if not alike(old, new):
                change = Change(key, _plain(old), _plain(new), added=old is None, removed=new is None)
                yield from apply([(changes, change)])

    def _refuse(self, at: int, error: ConfigError) -> bool:
        self.refused[at] = error
        said = "; ".join(map(str, error.problems))
        logger.error("a change of the configuration cannot be used, what was read before stays: %s", said)
        return False


def _with(layers: tuple[Layer, ...], at: int, layer: Layer) -> tuple[Layer, ...]:
    return (*layers[:at], layer, *layers[at + 1 :])


def _plain(node: Node | None) -> Any:
    return None if node is None else node.plain()


@contextmanager
def _noted(problems: list[Problem], key: str, snapshot: Snapshot) -> Generator[None]:
    """Notes what stands in the way of a value."""
    try:
        yield
    except ConfigError as error:
        problems += error.problems
    except Exception as error:
        # What a function of ``Live.map`` says to its user; of other exceptions nobody knows what they tell.
        why = str(error) if isinstance(error, TypeError | ValueError) else type(error).__name__
        found = snapshot.find(key)
        what = "the default" if found is None else shown(found, key)
        problems.append(Problem(f"{what} is refused: {why}", key, None if found is None else found.place))
