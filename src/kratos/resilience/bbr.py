"""The limiter of Kratos: it sheds what a busy server could not finish anyway, and has no number to be tuned.

A server that has calls waiting answers each of them later, and in the end all of them too late. How many may be under
way without waiting follows from what was seen in the last seconds (Little's law, as in TCP's BBR): the most that were
finished per second, times the least time that they took. Nothing is shed while the CPUs are not busy.

What was seen lies once calls have queued up: then the least time is a long one, which allows for as many as wait
already. So while the CPUs are busy the limiter lets in next to nobody for a moment now and then, until it sees how long
a call takes that does not wait (as TCP's BBR does). Without that a server that was overloaded for longer than a window
stays so, as benchmarks/curves.py showed.

Calls may also wait where nobody sees them, in the core of grpcio or with the kernel, until their clients are about to
give up; the server would be busy with answers that nobody waits for. So while the CPUs are busy a call needs to have
some time left. How much, the limiter learns from those that were late.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from kratos.live import Live, live
from kratos.resilience.base import SHARES, Priority, refuse
from kratos.resilience.cpu import CPU
from kratos.resilience.window import Clock, Window

__all__ = ["BBR", "BBRLimiter"]

_COOLING_SECONDS = 1.0  # after it began to shed, the limit counts for so long even if the CPUs are idle again
_PROBE_AFTER_SECONDS = 1.0  # after the CPUs have become busy; then once per window
_LATE_STEP = 0.125  # of the most that a call may need to have left: so much more is asked for after one that was late
_IN_TIME_STEP = _LATE_STEP / 99  # and so much less after one that was not: in the end one of a hundred is late


@dataclass(frozen=True, slots=True, kw_only=True)
class BBR:
    """When a limiter sheds.

    Attributes:
        cpu_threshold: From which use of the CPUs on, of 1000. 0 is always.
        window: How many seconds are looked back at.
        buckets: In how many pieces.
        cpu_quota: How many CPUs this process has, where that is fewer than the system says; 0.5 is half of one. The
            process is busy when it uses all of these, and its event loop when it uses one, or what there is of one.
        queue: For how many seconds calls may wait besides. Where one call at a time is all there can be, the next one
            has often not come when it ends: without a queue an event loop that is asked for what it can, and no more,
            sheds a tenth of it, and a third where others want its CPU. Kratos has 0.
        smoothing: How much of the use of the CPUs that was seen before is left half a second later. With 0.8 an idle
            server that is suddenly overloaded sheds after 4 seconds, with Kratos' 0.95 after 16.

    Raises:
        ValueError: One of them is out of range.
    """

    cpu_threshold: int = 800
    window: float = 10.0
    buckets: int = 100
    cpu_quota: float | None = None
    queue: float = 0.02
    smoothing: float = 0.8

    def __post_init__(self) -> None:
        if not self.window > 0:
            refuse(self, "window", "more than 0 seconds")
        if self.buckets < 1:
            refuse(self, "buckets", "at least 1")
        if self.cpu_quota is not None and not self.cpu_quota > 0:
            refuse(self, "cpu_quota", "more than 0 CPUs, or None for what the system says")
        if not 0 <= self.queue < math.inf:
            refuse(self, "queue", "0 seconds or more")
        if not 0 <= self.smoothing < 1:
            refuse(self, "smoothing", "from 0 to below 1")


class BBRLimiter:
    """Sheds calls beyond what a busy server can finish; see ``Limiter``.

    Args:
        settings: When it sheds; live ones count from the next call on, and a new window starts empty.
        cpu: Tells how busy the CPUs are.
        usage: Returns that, from 0 to 1000, in place of ``cpu``.
        clock: Tells the time.

    Attributes:
        pressed: Whether the CPUs were busy enough to shed when it was asked last.
        keeps_streams: False: streams are let in or not, and count no further.
        in_flight: Calls under way.
        cpu: How busy the CPUs were when it was asked last, of 1000.
    """

    keeps_streams = False

    def __init__(
        self,
        settings: BBR | Live[BBR] = BBR(),
        *,
        cpu: CPU | None = None,
        usage: Callable[[], int] | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        self._live = live(settings)
        self._clock = clock
        self._cpu = CPU(clock=clock) if cpu is None and usage is None else cpu
        self._usage = usage or self._cpu or int
        self._since: float | None = None
        self._probe = 0.0, 0.0  # when the next one begins, and when it ends
        self._needed = 0.0  # of the most that a call may need to have left
        self.pressed = False
        self.in_flight = 0
        self.cpu = 0
        self._follow(self._live.value)

    @property
    def max_in_flight(self) -> int:
        """How many calls may be under way when the CPUs are busy, beside those that may wait."""
        if self._window.turn() != self._measured:
            self._measure()
        return self._most

    @property
    def max_pass(self) -> int:
        """The most calls that one slot of the window has seen to their end."""
        self._measure()
        return self._passes

    @property
    def min_rt(self) -> int:
        """The least time that calls took on average, in milliseconds."""
        self._measure()
        return self._milliseconds

    @property
    def least_left(self) -> float:
        """How many seconds a call must have left to be worth beginning: as long as it takes and waits, at the most."""
        return self._needed * (self._milliseconds / 1000 + 2 * self._settings.queue)

    def allow(self, priority: Priority = Priority.CRITICAL, left: float = math.inf, /) -> bool:
        """Tells whether a call may come in."""
        settings = self._live.value
        if settings is not self._settings:
            self._follow(settings)
        self.cpu = cpu = self._usage()
        if cpu < settings.cpu_threshold and self._since is None:
            self.pressed = False
        elif self._refuses(priority, busy=cpu >= settings.cpu_threshold):
            return False
        elif left < self.least_left:
            self._learn(late=False)  # or what is asked for could be more than anybody has, for ever
            return False
        self.in_flight += 1
        return True

    def done(self, seconds: float | None, late: bool = False, /) -> None:
        """Takes note that a call is over; see ``Limiter``."""
        self.in_flight -= 1
        if self.pressed and (late or self._needed):
            self._learn(late=late)
        if seconds is not None:
            self._window.add(1, math.ceil(seconds * 1000 - 1e-6))

    def _learn(self, *, late: bool) -> None:
        """Asks for more or less time, as one estimates a quantile from one value after the other (Robbins-Monro)."""
        self._needed = min(self._needed + _LATE_STEP, 1.0) if late else max(self._needed - _IN_TIME_STEP, 0.0)

    def _refuses(self, priority: Priority, *, busy: bool) -> bool:
        now = self._clock()
        if not busy and self._since is not None and now - self._since > _COOLING_SECONDS:
            self._since = None
            self.pressed = False
            return False
        most = max(self._probed(now), 1) * SHARES[priority]
        if priority > Priority.CRITICAL:
            most += 1  # a quarter of little is nothing
        over = self.in_flight > most
        if over and self._since is None:
            self._since = now
        return over

    def _probed(self, now: float) -> int:
        """Returns how many calls may be there: none to speak of, while it looks how long one takes."""
        most = self.max_in_flight + self._waiting
        begin, end = self._probe
        if not self.pressed:
            self.pressed = True
            if begin < now:
                begin = now + _PROBE_AFTER_SECONDS
                self._probe = begin, begin
        if now < begin:
            return most
        if end == begin:  # long enough for those under way to end, and for slots of what comes then
            slot = self._settings.window / self._settings.buckets
            end = now + 1.5 * self._milliseconds / 1000 + 3 * slot
            self._probe = begin, end
        if now < end:
            return 1
        begin = now + self._settings.window
        self._probe = begin, begin
        return most

    def _measure(self) -> None:
        """Looks back at the slots of the window that are over; what they say is the same for as long as a slot."""
        self._measured = self._window.turn()
        slots = list(self._window.completed())
        self._passes = max((calls for calls, _ in slots), default=1)
        means = (milliseconds / calls for calls, milliseconds in slots if milliseconds)
        self._milliseconds = math.ceil(min(means, default=1.0))
        self._most = self._passes * self._milliseconds * self._per_second // 1000
        self._waiting = int(self._passes * self._per_second * self._settings.queue)

    def _follow(self, settings: BBR) -> None:
        self._settings = settings
        if self._cpu is not None:
            self._cpu.smoothing = settings.smoothing
            self._cpu.quota = math.inf if settings.cpu_quota is None else settings.cpu_quota
        self._per_second = max(int(settings.buckets / settings.window + 1e-6), 1)
        self._window = Window(settings.window, settings.buckets, self._clock)
        self._measure()
