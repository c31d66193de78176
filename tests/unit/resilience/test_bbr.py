"""BBR: the numbers of Kratos' specification, which are those of its tests."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from kratos.live import Live
from kratos.resilience import BBR, BBRLimiter, Priority
from kratos.resilience.cpu import CPU, Usage
from kratos.testing import FakeClock

SECOND = BBR(window=1.0, buckets=10, queue=0.0)  # as in Kratos


class Steps(FakeClock):
    """A clock that a test moves by hand."""

    def step(self, seconds: float) -> None:
        self._now += seconds


class Rig:
    """A limiter whose CPUs and time a test decides on."""

    def __init__(self, settings: BBR | Live[BBR] = SECOND) -> None:
        self.clock = Steps()
        self.busy = 800
        self.limiter = BBRLimiter(settings, usage=lambda: self.busy, clock=self.clock)

    def passed(self, milliseconds: list[int]) -> None:
        """Has calls that took so long in the current slot, which is over then."""
        for each in milliseconds:
            self.limiter.in_flight += 1
            self.limiter.done(each / 1000)
        self.clock.step(0.1)


def test_max_pass() -> None:
    """The fullest slot; an empty window has 1."""
    rig = Rig()
    assert rig.limiter.max_pass == 1
    for number in range(1, 11):
        rig.passed([5] * (number * 100))
    assert rig.limiter.max_pass == 1000


def test_max_pass_counts_what_is_over() -> None:
    """What is added to the current slot counts when that has passed."""
    rig = Rig()
    rig.passed([5] * 7)
    for _ in range(50):
        rig.limiter.in_flight += 1
        rig.limiter.done(0.005)
    assert rig.limiter.max_pass == 7
    rig.clock.step(0.1)
    assert rig.limiter.max_pass == 50


def test_min_rt() -> None:
    """The least mean of a slot, rounded up; an empty window has 1."""
    rig = Rig()
    assert rig.limiter.min_rt == 1
    for number in range(10):
        rig.passed(list(range(number * 10 + 1, number * 10 + 11)))
    rig.clock.step(-0.1)  # the last one is the current slot, as in Kratos' test
    assert rig.limiter.min_rt == 6


def test_max_in_flight() -> None:
    """60 for passes of 200 to 1,100 and 6 ms, in ten slots a second; 0 before there is anything to go by."""
    rig = Rig()
    assert rig.limiter.max_in_flight == 0
    for number in range(2, 11):
        rig.passed([6] * (number * 100))
    rig.passed([6] * 1100)
    assert (rig.limiter.max_pass, rig.limiter.min_rt) == (1100, 6)
    assert rig.limiter.max_in_flight == 66
    other = Rig()
    for number in range(1, 11):
        other.passed([6] * (number * 100))
    assert other.limiter.max_in_flight == 60


def rig_of_60() -> Rig:
    rig = Rig(BBR(window=10.0, buckets=100, queue=0.0))
    for number in range(1, 11):
        rig.passed([6] * (number * 100))
    assert rig.limiter.max_in_flight == 60
    return rig


def test_dropping() -> None:
    """Busy and 50 under way: no; 80: yes; idle within a second of that: yes still; later: no."""
    rig = rig_of_60()
    rig.limiter.in_flight = 50
    assert rig.limiter.allow()
    assert rig.limiter.pressed
    rig.limiter.in_flight = 80
    assert not rig.limiter.allow()
    assert rig.limiter.in_flight == 80
    rig.busy = 700
    assert not rig.limiter.allow()
    rig.clock.step(1.0)
    assert not rig.limiter.allow()
    rig.clock.step(0.1)
    assert rig.limiter.allow()
    assert not rig.limiter.pressed
    assert rig.limiter.allow()


def test_the_mark_is_not_renewed() -> None:
    """A second counts from when it began to shed, however long it goes on."""
    rig = rig_of_60()
    rig.limiter.in_flight = 80
    for _ in range(5):
        assert not rig.limiter.allow()
        rig.clock.step(0.3)
    rig.busy = 700
    assert rig.limiter.allow()


def test_two_are_always_let_in() -> None:
    """With nothing known and no threshold: two at a time, the third is refused."""
    rig = Rig(BBR(cpu_threshold=-1))
    rig.busy = 1000
    assert rig.limiter.allow()
    assert rig.limiter.allow()
    assert not rig.limiter.allow()
    rig.limiter.done(0.1)
    rig.limiter.done(None)
    assert rig.limiter.in_flight == 0
    rig.clock.step(0.1)
    assert rig.limiter.max_pass == 1


def test_idle_cpus() -> None:
    """Nothing is shed, however much there is to do."""
    rig = rig_of_60()
    rig.busy = 799
    assert all(rig.limiter.allow() for _ in range(1000))


@pytest.mark.parametrize(
    ("priority", "most"),
    [
        (Priority.SHEDDABLE, 30),
        (Priority.SHEDDABLE_PLUS, 45),
        (Priority.CRITICAL, 60),
        (Priority.CRITICAL_PLUS, 76),
    ],
)
def test_priorities(priority: Priority, most: int) -> None:
    """What matters least is shed first, and what matters most is let in while all else is shed."""
    rig = rig_of_60()
    rig.limiter.in_flight = most
    assert rig.limiter.allow(priority)
    assert not rig.limiter.allow(priority)


@pytest.mark.parametrize(
    ("priority", "most"),
    [(Priority.SHEDDABLE, 0), (Priority.SHEDDABLE_PLUS, 0), (Priority.CRITICAL, 1), (Priority.CRITICAL_PLUS, 2)],
)
def test_priorities_of_little(priority: Priority, most: int) -> None:
    """Where two at a time are the limit, what may be shed comes in when nobody else is there."""
    rig = Rig()
    rig.limiter.in_flight = most
    assert rig.limiter.allow(priority)
    assert not rig.limiter.allow(priority)


def test_a_queue() -> None:
    """As many may wait as are answered in its time; neither its figure nor the moments of looking know of them."""
    rig = Rig(BBR(queue=0.02))
    for _ in range(10):
        rig.passed([5] * 20)
    assert rig.limiter.max_in_flight == 1
    rig.limiter.in_flight = 1 + 4
    assert rig.limiter.allow()
    assert not rig.limiter.allow()
    assert rig.limiter.max_in_flight == 1
    rig.clock.step(1.0)
    assert not rig.limiter.allow()
    rig.limiter.in_flight = 2
    assert not rig.limiter.allow()


def test_it_finds_out_again() -> None:
    """A server whose calls all wait would go on letting all of them wait: now and then it looks how long one takes."""
    rig = Rig(BBR(queue=0.0))
    for _ in range(100):
        rig.passed([2000] * 20)
    limiter = rig.limiter
    assert limiter.max_in_flight == 400
    limiter.in_flight = 300
    assert limiter.allow()
    rig.clock.step(0.9)
    assert limiter.allow()
    rig.clock.step(0.1)  # a second after the CPUs were seen to be busy
    assert not limiter.allow()
    rig.clock.step(2.9)  # what is under way may end meanwhile
    limiter.in_flight = 1
    assert limiter.allow()
    assert not limiter.allow()
    for _ in range(20):
        limiter.in_flight += 1
        limiter.done(0.005)
    rig.clock.step(0.5)
    assert (limiter.min_rt, limiter.max_in_flight) == (5, 1)
    limiter.in_flight = 1
    assert limiter.allow()
    assert not limiter.allow()


def test_it_looks_once_per_window() -> None:
    """And for a moment only."""
    rig = Rig(BBR())
    looking = 0
    for _ in range(600):
        rig.limiter.done(0.005)
        rig.limiter.in_flight = 0
        for _ in range(20):
            rig.limiter.in_flight += 1
            rig.limiter.done(0.1)
        rig.limiter.in_flight = 10
        looking += not rig.limiter.allow()
        rig.clock.step(0.1)
    assert 20 <= looking <= 32  # six times four or five slots of a minute


def test_pressure_that_comes_and_goes() -> None:
    """It looks a second after it began, and not before a window has passed again, or somewhat later."""
    rig = Rig(BBR())
    looked: list[int] = []
    for tenth in range(300):
        for _ in range(20):
            rig.limiter.in_flight += 1
            rig.limiter.done(0.1)
        rig.limiter.in_flight = 10
        rig.busy = 900 if tenth % 3 else 100
        if not rig.limiter.allow() and (not looked or tenth - looked[-1] > 20):
            looked.append(tenth)
        rig.clock.step(0.1)
    assert 9 <= looked[0] <= 13, looked
    assert all(100 <= later - earlier <= 125 for earlier, later in pairwise(looked)), looked


def test_who_comes_too_late() -> None:
    """While calls are late, those are not begun that have less time left than a call takes, and may wait twice."""
    rig = Rig(BBR(window=1.0, buckets=10, queue=0.02))
    rig.passed([5] * 100)
    limiter = rig.limiter
    assert limiter.allow(Priority.CRITICAL, 0.0)  # nobody was late yet
    assert limiter.least_left == 0.0
    for number in range(1, 20):
        limiter.done(None, True)
        assert limiter.least_left == pytest.approx(min(number / 8, 1) * 0.045)
        assert limiter.allow(Priority.CRITICAL, 1.0)
    assert limiter.allow(Priority.CRITICAL, 0.046)
    assert not limiter.allow(Priority.CRITICAL, 0.044)
    assert limiter.in_flight == 2


def test_what_is_asked_for_is_less_again() -> None:
    """After calls that were in time, and after those that were turned away for it: it is not for ever."""
    rig = Rig(BBR(window=1.0, buckets=10, queue=0.02))
    rig.passed([5] * 100)
    limiter = rig.limiter
    for turned_away in (False, True):
        for _ in range(10):
            assert limiter.allow(Priority.CRITICAL, 1.0)
            limiter.done(None, True)
        for _ in range(8 * 99 + 1):
            if turned_away:
                limiter.allow(Priority.CRITICAL, limiter.least_left / 2)
            else:
                assert limiter.allow(Priority.CRITICAL, 1.0)
                limiter.done(0.005)
        assert limiter.least_left == pytest.approx(0.0, abs=1e-9)
        assert limiter.allow(Priority.CRITICAL, 1e-6)
        limiter.done(None)


def test_late_without_pressure() -> None:
    """It is not for want of CPU then."""
    rig = Rig()
    rig.busy = 799
    assert rig.limiter.allow()
    rig.limiter.done(None, True)
    assert rig.limiter.least_left == 0.0


def test_live() -> None:
    """Another threshold counts from the next call on."""
    settings = Live(BBR(cpu_threshold=900))
    rig = Rig(settings)
    rig.limiter.in_flight = 10
    assert rig.limiter.allow()
    settings.set(BBR(cpu_threshold=800))
    assert not rig.limiter.allow()


def test_half_a_cpu() -> None:
    """A container that has half of a CPU is busy when it uses that half."""
    clock = Steps()
    used = 0.0

    def read() -> Usage:
        return Usage(used, clock(), 0.5)

    limiter = BBRLimiter(cpu=CPU(read, thread=lambda: 0.0, clock=clock), clock=clock)
    limiter.in_flight = 10
    assert limiter.allow()
    for _ in range(60):
        clock.step(0.5)
        used += 0.25
        limiter.allow()
    assert limiter.cpu > 900
    assert not limiter.allow()
    for _ in range(60):
        clock.step(0.5)
        used += 0.19  # 0.38 CPUs are 760 of 1000
        limiter.allow()
    assert 700 < limiter.cpu < 800
    clock.step(0.1)
    assert limiter.allow()


@pytest.mark.parametrize(
    ("cpus", "quota", "process", "loop", "busy"),
    [
        (4.0, 0.5, 0.4, 0.0, 800),
        (4.0, 0.5, 0.1, 0.1, 200),
        (4.0, 0.5, 0.5, 0.5, 1000),
        (8.0, 2.0, 0.25, 0.25, 250),  # an event loop has one CPU at most, of however many there are
        (8.0, 2.0, 1.0, 1.0, 1000),
        (8.0, 2.0, 1.8, 0.25, 900),
        (8.0, 1.0, 0.1, 0.1, 100),
        (1.0, 2.0, 1.0, 1.0, 1000),  # what is not there is not granted either
        (1.0, 2.0, 0.5, 0.25, 500),
        (8.0, None, 2.0, 0.1, 250),
    ],
)
def test_a_quota_of_cpus(cpus: float, quota: float | None, process: float, loop: float, busy: int) -> None:
    """The process is busy when it uses all of its quota, its loop when it uses one CPU or what there is of one."""
    clock, usage = Steps(), [0.0, 0.0]
    cpu = CPU(lambda: Usage(usage[0], clock(), cpus), thread=lambda: usage[1], clock=clock)
    limiter = BBRLimiter(BBR(cpu_quota=quota, smoothing=0.0), cpu=cpu, clock=clock)
    limiter.allow()
    clock.step(0.5)
    usage[:] = process / 2, loop / 2
    limiter.allow()
    assert limiter.cpu == busy


def test_a_quota_that_changes() -> None:
    """A live quota counts from the next sample on, and goes as it came."""
    clock, used = Steps(), 0.0
    cpu = CPU(lambda: Usage(used, clock(), 8.0), thread=lambda: 0.0, clock=clock)
    settings = Live(BBR(smoothing=0.0))
    limiter = BBRLimiter(settings, cpu=cpu, clock=clock)
    for quota, busy in ((None, 125), (2.0, 500), (None, 125)):
        settings.set(BBR(cpu_quota=quota, smoothing=0.0))
        limiter.allow()
        clock.step(0.5)
        used += 0.5
        limiter.allow()
        assert limiter.cpu == busy


def test_it_looks_by_itself() -> None:
    """Without anything given it asks this machine."""
    limiter = BBRLimiter()
    assert limiter.allow()
    assert 0 <= limiter.cpu <= 1000
    assert not limiter.keeps_streams


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("window", 0.0),
        ("buckets", 0),
        ("cpu_quota", 0.0),
        ("cpu_quota", math.nan),
        ("smoothing", 1.0),
        ("queue", -0.1),
        ("queue", math.inf),
    ],
)
def test_settings_that_make_no_sense(option: str, value: float) -> None:
    """They are refused by name, with what is allowed."""
    with pytest.raises(ValueError, match=rf"BBR\({option}={value!r}\): .+"):
        BBR(**{option: value})  # type: ignore[arg-type]  # one of several
