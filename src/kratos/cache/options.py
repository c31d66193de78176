"""How the values of one method are cached."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final, Literal, Required, TypedDict, TypeVar, cast

from kratos.cache.base import NOTHING, Encoder

__all__ = ["Options", "Paging", "Settings"]


@dataclass(frozen=True, slots=True)
class Paging:
    """A method returns one page of a list, and the whole list is cached.

    Attributes:
        number: The parameter that says which page.
        size: The parameter that says how many things are on a page.
        first: The number of the first page.
    """

    number: str = "pn"
    size: str = "ps"
    first: int = 1

    def page(self, whole: L, number: int, size: int) -> L:
        """Returns a page of the whole; the one behind the last is empty, and there is none of nothing."""
        if whole is None:
            return whole
        start = max(0, number - self.first) * size
        return cast("L", cast("Sequence[Any]", whole)[start : start + max(0, size)])


L = TypeVar("L")

_CHOICES: Final = {
    "on_batch_error": ("break", "continue"),
    "on_cache_error": ("continue", "raise"),
    "backfill": ("sync", "async"),
}


class Settings(TypedDict, total=False):
    """The options of ``cached``, which docs/cache.md explains one by one; only ``ttl`` has to be given."""

    ttl: Required[float]
    jitter: float
    stale: float
    null_ttl: float
    null_value: Any
    is_null: Callable[[Any], bool]
    single_flight: bool
    batch_size: int
    max_concurrency: int
    on_batch_error: Literal["break", "continue"]
    on_cache_error: Literal["continue", "raise"]
    backfill: Literal["sync", "async"]
    encoder: Encoder
    share: bool
    version: str
    invalidate_again: float
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How the values of one method are cached.

    Attributes:
        ttl: For how many seconds a value is kept.
        jitter: By how much of it that is shorter at random, so that what was loaded together does not go together.
        stale: For how many seconds more a value is still answered while one caller has it loaded anew.
        null_ttl: For how many seconds it is remembered that there is no such thing; 0 is not at all.
        null_value: What stands in the store for "no such thing", where others read it who know no better.
        is_null: Tells whether a value is ``null_value``; equality does if not given.
        single_flight: Whether those who want the same at the same time share one load.
        batch_size: How many keys are loaded at once, where a method loads several; 0 is all.
        max_concurrency: How many such loads one call has under way at the same time; 0 is all.
        on_batch_error: Whether one that fails ends those of the same call that nobody else waits for.
        on_cache_error: Whether the source answers when the cache does not, or the caller hears of it.
        backfill: Whether a caller waits until what was loaded is kept.
        encoder: How values become bytes; found by their type if not given.
        share: Promises that nobody changes a value: all callers get the same object from memory.
        version: Part of the key; another one forgets all that is there.
        invalidate_again: Seconds after an invalidation for a second one, for sources that are late; 0 is none.
        name: What metrics and spans call it.
    """

    ttl: float
    jitter: float = 0.1
    stale: float = 0
    null_ttl: float = 0
    null_value: Any = NOTHING
    is_null: Callable[[Any], bool] | None = None
    single_flight: bool = True
    batch_size: int = 0
    max_concurrency: int = 0
    on_batch_error: Literal["break", "continue"] = "break"
    on_cache_error: Literal["continue", "raise"] = "continue"
    backfill: Literal["sync", "async"] = "async"
    encoder: Encoder | None = None
    share: bool = False
    version: str = ""
    invalidate_again: float = 0
    name: str = ""

    def __post_init__(self) -> None:
        wrong = self.problem()
        if wrong:
            raise ValueError(f"{self.name or 'cached'}: {wrong}")

    @classmethod
    def of(cls, settings: Settings, name: str) -> Options:
        """Makes them from what a decorator was given.

        Raises:
            TypeError: Something is unknown or missing.
            ValueError: Something is out of range.
        """
        known = {each.name for each in fields(cls)}
        unknown = sorted(set(settings) - known)
        if unknown:
            raise TypeError(f"{name}: there is no option {unknown[0]!r}; there are {', '.join(sorted(known))}")
        if "ttl" not in settings:
            raise TypeError(f"{name}: ttl is missing: say for how many seconds a value may be kept")
        chosen: dict[str, Any] = {"name": name, **settings}
        if "null_value" in settings and "null_ttl" not in settings:
            chosen["null_ttl"] = 300.0
        return cls(**chosen)

    def problem(self) -> str:
        """Returns what is wrong with them; nothing if all is right."""
        return next(self._problems(), "")

    def _problems(self) -> Iterator[str]:
        if self.ttl <= 0:
            yield f"ttl={self.ttl} keeps nothing: give seconds above 0"
        if not 0 <= self.jitter < 1:
            yield f"jitter={self.jitter} is no part of the ttl: give 0 to less than 1"
        for name in ("stale", "null_ttl", "batch_size", "max_concurrency", "invalidate_again"):
            if getattr(self, name) < 0:
                yield f"{name}={getattr(self, name)} is less than nothing"
        if self.null_value is not NOTHING and not self.null_ttl:
            yield "null_value without null_ttl is never kept: give null_ttl"
        if self.is_null is not None and self.null_value is NOTHING:
            yield "is_null without null_value has nothing to find: None is known as absent by itself"
        if self.max_concurrency and not self.batch_size:
            yield "max_concurrency limits batches: give batch_size"
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in allowed:
                yield f"{name}={getattr(self, name)!r} is none of {' and '.join(allowed)}"
