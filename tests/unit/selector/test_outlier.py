"""Who is left alone, for how long, and how it comes back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kratos.selector import Ejection, Outcome, Outlier
from kratos.selector.outlier import Ejections
from kratos.testing import FakeClock

GOOD, ERROR, DOWN, UNREACHED, LEFT = Outcome.GOOD, Outcome.ERROR, Outcome.DOWN, Outcome.UNREACHED, Outcome.LEFT


class Rig:
    """Ejections with a clock, and what they have told."""

    def __init__(self, outlier: Outlier | None, count: int, chance: Callable[[], float] = lambda: 0.5) -> None:
        self.told: list[Ejection] = []
        self.clock = FakeClock(0.0)
        self.ejections = Ejections(outlier, told=self.told.append, draw=chance)
        self.ejections.count = count

    def record(self, address: str, outcome: Outcome, times: int = 1, took: float = 0.0) -> None:
        for _ in range(times):
            self.ejections.record(address, outcome, self.clock(), self.clock() - took)

    async def later(self, seconds: float) -> None:
        await self.clock.advance(seconds)

    @property
    def out(self) -> set[str]:
        return set(self.ejections.out(self.clock()))

    @property
    def avoided(self) -> set[str]:
        return set(self.ejections.avoid(self.clock()))


def test_consecutive() -> None:
    """Five calls in a row that it could not answer; one good one in between begins the row anew."""
    rig = Rig(Outlier(), 4)
    rig.record("a", DOWN, 4)
    rig.record("a", GOOD)
    rig.record("a", DOWN, 4)
    rig.record("a", LEFT)
    assert rig.out == set()
    rig.record("a", DOWN)
    assert rig.out == {"a"}
    assert rig.told == [Ejection("a", "consecutive", 10.0)]
    rig.record("a", DOWN, 9)  # calls under way
    assert len(rig.told) == 1


async def test_silence() -> None:
    """Two calls do, the second sent a second after the first, where nothing else was heard of a node: it hangs."""
    rig = Rig(Outlier(), 4)
    await rig.later(10.0)
    rig.record("a", DOWN, took=2.0)
    await rig.later(0.5)
    rig.record("a", DOWN, 2, took=1.75)  # sent so soon after the first that both may have been the requests' fault
    await rig.later(0.5)
    rig.record("a", LEFT)
    assert rig.told == []
    rig.record("a", DOWN, took=2.0)
    assert rig.told == [Ejection("a", "silence", 10.0)]
    rig.record("b", DOWN)
    await rig.later(1.0)
    rig.record("b", DOWN)  # it fails quickly, and is asked rarely
    assert rig.told[1:] == [Ejection("b", "silence", 10.0)]


async def test_no_silence() -> None:
    """An answer that came while calls were waiting shows that it is them; an error is one, too."""
    for answer in (GOOD, ERROR):
        rig = Rig(Outlier(silence=2.0), 4)
        await rig.later(10.0)
        rig.record("a", DOWN, took=5.0)
        rig.record("a", answer)
        rig.record("a", DOWN, took=0.1)
        await rig.later(1.9)
        rig.record("a", DOWN)
        assert rig.told == []
        rig.record("a", answer)
        await rig.later(5.0)
        rig.record("a", DOWN)  # nobody had asked it
        await rig.later(1.9)
        rig.record("a", ERROR)
        rig.record("a", DOWN)
        assert rig.told == []


def test_errors_in_a_row_may_be_the_requests() -> None:
    """Errors that are answers eject nobody by their row alone, and nobody who is not worse than the others."""
    rig = Rig(Outlier(), 4)
    for _ in range(40):
        rig.record("a", ERROR)
        rig.record("b", ERROR)
    assert rig.told == []
    alone = Rig(Outlier(), 4)
    alone.record("a", ERROR, 100)  # nobody to compare with
    assert alone.told == []


def test_rate() -> None:
    """A node of which 30 % fail, where others do not, is out after as many calls as are needed to tell."""
    rig = Rig(Outlier(consecutive=100), 4)
    for number in range(100):
        rig.record("a", ERROR if number % 10 < 3 else GOOD)
        rig.record("b", GOOD)
        if rig.told:
            break
    assert rig.told == [Ejection("a", "rate", 10.0)]
    assert number == 20  # the first failure of 20 calls or more


async def test_old_calls_do_not_count() -> None:
    """What is older than two intervals is forgotten."""
    rig = Rig(Outlier(), 4)
    rig.record("b", GOOD, 50)
    rig.record("a", ERROR, 19)
    await rig.later(10.0)
    rig.record("b", GOOD)
    await rig.later(10.0)
    rig.record("a", ERROR, 10)
    assert rig.told == []
    await rig.later(25.0)
    rig.record("a", ERROR, 19)
    assert rig.told == []
    rig.record("b", GOOD, 19)
    rig.record("a", ERROR)
    assert [each.cause for each in rig.told] == ["rate"]


async def test_two_intervals_count() -> None:
    """Calls of the interval before still do."""
    rig = Rig(Outlier(), 4)
    rig.record("b", GOOD, 5)
    await rig.later(10.0)
    rig.record("b", GOOD, 5)
    rig.record("a", ERROR, 10)
    await rig.later(10.0)
    rig.record("a", ERROR, 9)
    assert rig.told == []
    rig.record("a", ERROR)
    assert rig.out == {"a"}


def test_no_more_than_half() -> None:
    """Half of the nodes at most, one of two always, a single one never."""
    for count, most in ((1, 0), (2, 1), (3, 1), (4, 2), (5, 2)):
        rig = Rig(Outlier(), count)
        for number in range(count):
            rig.record(str(number), DOWN, 20)
        assert len(rig.out) == most
    never = Rig(Outlier(most=0), 4)
    never.record("a", DOWN, 20)
    assert never.out == set()


async def test_longer_each_time_and_forgiven() -> None:
    """Each ejection that follows soon is twice as long, up to a limit; who was good for long begins anew."""
    rig = Rig(Outlier(seconds=10, longest=30, warm=0), 4)
    for seconds in (10.0, 20.0, 30.0, 30.0):
        rig.record("a", DOWN, 5)
        assert rig.told[-1].seconds == seconds
        await rig.later(seconds - 0.1)
        assert rig.out == {"a"}
        await rig.later(0.2)
        assert rig.avoided == set()
    await rig.later(30.0)
    rig.record("a", DOWN, 5)
    assert rig.told[-1].seconds == 10.0


async def test_back_little_by_little() -> None:
    """A node that comes back gets one call in ten, then more, then all."""
    chance = 0.09
    rig = Rig(Outlier(seconds=10, warm=10), 4, lambda: chance)
    rig.record("a", DOWN, 5)
    await rig.later(10.0)
    assert rig.out == set()
    assert rig.avoided == set()
    chance = 0.5
    assert rig.avoided == {"a"}
    await rig.later(4.9)
    assert rig.avoided == {"a"}
    await rig.later(0.2)
    assert rig.avoided == set()
    assert "['a'] warming" in repr(rig.ejections)
    await rig.later(5.0)
    chance = 0.99
    assert rig.avoided == set()
    assert "[] warming" in repr(rig.ejections)


async def test_warming_ends_with_the_setting() -> None:
    """Without settings nobody warms up."""
    rig = Rig(Outlier(), 4, lambda: 0.99)
    rig.record("a", DOWN, 5)
    await rig.later(10.5)
    rig.ejections.settings = None
    assert rig.avoided == set()


async def test_unreached() -> None:
    """Who cannot be connected to is out at once, for longer each time, with or without settings, however many."""
    rig = Rig(None, 3)
    for address in "abc":
        rig.record(address, UNREACHED)
    assert rig.out == {"a", "b", "c"}
    rig.record("a", UNREACHED)  # it was under way
    for seconds in (1, 2, 4, 8, 16, 30, 30):
        assert rig.told[-1].seconds == seconds
        await rig.later(seconds)
        assert rig.out == set()
        rig.record("c", UNREACHED)
    await rig.later(30)
    rig.record("c", GOOD)
    rig.record("c", DOWN, 50)  # nothing but connections counts
    rig.record("c", UNREACHED)
    assert rig.told[-1] == Ejection("c", "unreached", 1.0)
    single = Rig(None, 1)
    single.record("a", UNREACHED)
    assert single.out == set()


async def test_forgotten() -> None:
    """Who is gone is forgotten, and begins anew."""
    rig = Rig(Outlier(), 4)
    rig.record("a", DOWN, 5)
    rig.record("b", GOOD, 5)
    rig.ejections.keep({"b"})
    assert rig.out == set()
    assert rig.ejections.soonest == float("inf")
    assert rig.ejections._calls == 5


def test_soonest() -> None:
    rig = Rig(Outlier(), 4)
    rig.record("a", DOWN, 5)
    assert rig.ejections.soonest == 10.0
    rig.record("b", UNREACHED)
    assert rig.ejections.soonest == 1.0
    assert rig.ejections.alone == {"a", "b"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("consecutive", 0),
        ("silence", 0),
        ("margin", -1),
        ("volume", 0),
        ("interval", 0),
        ("seconds", 0),
        ("longest", -2),
    ],
)
def test_refused(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"Outlier\({name}={value}\)"):
        Outlier(**{name: value})


@pytest.mark.parametrize("options", [{"most": 1.5}, {"most": -0.1}, {"warm": -1}])
def test_refused_shares(options: Any) -> None:
    with pytest.raises(ValueError, match="most is a share"):
        Outlier(**options)


@given(
    st.lists(
        st.tuples(
            st.sampled_from("abcdef"), st.sampled_from([GOOD, ERROR, DOWN, LEFT]), st.floats(0, 8), st.floats(0, 3)
        ),
        max_size=200,
    )
)
def test_some_are_always_left(calls: list[tuple[str, Outcome, float, float]]) -> None:
    """Whatever happens, half of six nodes take calls, and the sums are those of the records."""
    ejections = Ejections(Outlier(volume=5, consecutive=2), told=lambda _: None)
    ejections.count = 6
    now = 0.0
    for address, outcome, pause, took in calls:
        now += pause
        ejections.record(address, outcome, now, now - took)
        assert len(ejections.out(now)) <= 3
        counts = [record.counts for record in ejections._records.values()]
        assert ejections._calls == sum(count for count, _ in counts)
        assert ejections._failures == sum(failures for _, failures in counts)
