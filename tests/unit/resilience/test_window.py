"""The rolling window, against a model that keeps everything."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kratos.resilience.window import Window
from kratos.testing import FakeClock


class Steps(FakeClock):
    """A clock that a test moves by hand."""

    def step(self, seconds: float) -> None:
        self._now += seconds


@given(
    buckets=st.integers(1, 12),
    events=st.lists(st.tuples(st.integers(0, 40), st.integers(0, 3), st.integers(0, 100)), max_size=60),
)
def test_it_is_what_a_naive_one_is(buckets: int, events: list[tuple[int, int, int]]) -> None:
    """Sums and completed slots are those of all pairs that are not too old, whatever the pauses between them."""
    clock = Steps(0.0)
    window = Window(buckets * 0.1, buckets, clock)
    kept: list[tuple[int, int, int]] = []
    tenths = 0
    for pause, first, second in events:
        tenths += pause
        clock.step(tenths / 10 - clock())
        window.add(first, second)
        kept.append((tenths, first, second))
        live = [each for each in kept if tenths - each[0] < buckets]
        assert window.totals() == (sum(each[1] for each in live), sum(each[2] for each in live))
        slots: dict[int, tuple[int, int]] = {}
        for slot, one, other in live:
            so_far = slots.get(slot, (0, 0))
            slots[slot] = so_far[0] + one, so_far[1] + other
        completed = [pair for slot, pair in slots.items() if slot != tenths and pair[0]]
        assert sorted(window.completed()) == sorted(completed)


def test_nothing_is_left() -> None:
    """After a pause of its length it is as new, and so are its sums without anybody adding to it."""
    clock = Steps(5.0)
    window = Window(1.0, 10, clock)
    window.add(3, 0.1)
    clock.step(0.9)
    assert window.totals() == (3, 0.1)
    clock.step(0.1)
    assert window.totals() == (0, 0.0)
    assert (window.first, window.second) == (0, 0.0)


def test_a_slot_ends_where_it_should() -> None:
    """Tenths of a second that floats cannot hold are whole slots all the same."""
    clock = Steps(0.0)
    window = Window(1.0, 10, clock)
    seen = [window.turn()]
    for _ in range(30):
        clock.step(0.1)
        seen.append(window.turn())
    assert seen == list(range(31))


def test_a_clock_that_goes_back() -> None:
    """Nothing is lost, and nothing is forgotten twice."""
    clock = Steps(5.0)
    window = Window(1.0, 10, clock)
    window.add(1, 1)
    clock.step(-1.0)
    window.add(1, 1)
    assert window.totals() == (2, 2)
    assert window.turn() == 50
