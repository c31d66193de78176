"""What is done to whole lists of instances, which may be long: in slices.

What has not changed stays the same object, so that it is known at once whether two lists are equal.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from kratos.registry.base import Instance
from kratos.registry.pacing import batches, paced

__all__ = ["known_again", "ordered", "serves", "serving"]

_RUN: Final = 500  # that many ids are sorted at once


def serves(instance: Instance, scheme: str | None) -> bool:
    """Returns whether an instance has an endpoint of a scheme; None is any."""
    return scheme is None or any(url.partition("://")[0] == scheme for url in instance.endpoints)


async def serving(listed: Sequence[Instance], scheme: str | None) -> tuple[Instance, ...]:
    """Returns the instances that have an endpoint of a scheme; None is any."""
    if scheme is None:
        return tuple(listed)
    found: list[Instance] = []
    await paced(_choosing(listed, scheme, found))
    return tuple(found)


async def ordered(known: Mapping[str, Instance]) -> tuple[Instance, ...]:
    """Returns instances in the order of their ids. Nobody may change ``known`` meanwhile."""
    found: list[Instance] = []
    await paced(_ordering(known, found))
    return tuple(found)


async def known_again(found: Sequence[Instance], name: str, before: Mapping[str, Instance]) -> dict[str, Instance]:
    """Returns the instances of a service by id; one that is as it was ``before`` is the object from there."""
    told: dict[str, Instance] = {}
    await paced(_knowing(found, name, before, told))
    return told


def _choosing(listed: Sequence[Instance], scheme: str, found: list[Instance]) -> Iterator[None]:
    for some in batches(listed):
        found += [instance for instance in some if serves(instance, scheme)]
        yield


def _ordering(known: Mapping[str, Instance], found: list[Instance]) -> Iterator[None]:
    ids: list[str] = []
    for some in batches([*known], _RUN):
        ids += sorted(some)
        yield
    ids.sort()  # what is sorted in runs is only merged, and what was sorted but for the end only looked at
    yield
    for some in batches(ids, _RUN):
        found += [known[each] for each in some]
        yield


def _knowing(
    found: Sequence[Instance], name: str, before: Mapping[str, Instance], told: dict[str, Instance]
) -> Iterator[None]:
    for some in batches(found):
        for instance in some:
            if instance.name == name:
                known = before.get(instance.id)
                is_same = known is instance or known == instance
                told[instance.id] = known if known is not None and is_same else instance
        yield
