"""How busy the CPUs are that this process may use, from 0 to 1000, without a thread and without privileges.

Containers are asked first: control groups of version 2, then 1, tell what is used and what is granted. A process in no
group of its own shares the machine with whoever else is there, and what they do says nothing of it: there it is this
process, and where Linux does not tell how long a thread waits for a CPU, the machine.

A Python program may be at its limit long before its container is: its event loop runs on one CPU. So what the calling
thread uses counts as well, and what it would use if others let it; the higher share is told.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from itertools import accumulate
from pathlib import Path
from typing import Final, NamedTuple

from kratos.resilience.window import Clock

__all__ = ["CPU", "Usage", "find", "read_cpuset", "wanted"]

SAMPLE_SECONDS: Final = 0.5
SMOOTHING: Final = 0.95
_FULL: Final = 1000
_MOST_MISSED: Final = 200  # after so many samples nothing of what was before is left
_TICKS: Final = 100.0  # /proc/stat counts hundredths of a second, on all architectures there are
_BUSY: Final = (0, 1, 2, 5, 6)  # its fields that are work: not idle, not waiting for disks
_FIELDS: Final = 7
_SCHEDSTAT: Final = "proc/thread-self/schedstat"  # nanoseconds on a CPU, and waiting for one
_FIRST_NAMESPACE: Final = "cgroup:[4026531835]"  # of control groups: paths in it begin at the root of the machine


class Usage(NamedTuple):
    """What has been used up to a moment.

    Attributes:
        used: Seconds of CPU.
        passed: Seconds of time, since whenever.
        cpus: How many CPUs may be used: 0.5 is half of one.
    """

    used: float
    passed: float
    cpus: float


class CPU:
    """Tells how busy the CPUs are; asked from the thread of the event loop.

    Nothing runs in between: whoever asks first after half a second takes the sample, and longer pauses count as the
    samples that would have been taken. (Reading the files takes 50 us.)

    Args:
        read: Returns what has been used.
        thread: Returns the seconds of CPU that the calling thread has used, or wanted to.
        clock: Tells the time.
        smoothing: How much of the value before is left in the next one.

    Attributes:
        value: The last value, from 0 to 1000; calling the object brings it up to date.
        cpus: How many CPUs may be used, as the system says.
        quota: How many there are for this process, where that is fewer.
    """

    __slots__ = ("_clock", "_due", "_last", "_read", "_thread", "_thread_at", "_thread_used", "cpus", "quota",
                 "smoothing", "value")  # fmt: skip

    def __init__(
        self,
        read: Callable[[], Usage] | None = None,
        *,
        thread: Callable[[], float] | None = None,
        clock: Clock = time.monotonic,
        smoothing: float = SMOOTHING,
    ) -> None:
        self._read = find() if read is None else read
        self._thread = wanted() if thread is None else thread
        self._clock = clock
        self._due = 0.0
        self._last: Usage | None = None
        self._thread_at = self._thread_used = 0.0
        self.smoothing = smoothing
        self.value = 0
        self.cpus = 1.0
        self.quota = math.inf

    def __call__(self) -> int:
        """Returns how busy they are, up to date."""
        now = self._clock()
        if now >= self._due:
            self._sample(now)
        return self.value

    def _sample(self, now: float) -> None:
        due, last, thread = self._due, self._last, self._thread()
        self._due = now + SAMPLE_SECONDS
        try:
            found = self._read()
        except (OSError, ValueError, LookupError):  # files may vanish or be of another form: the thread is left
            found = None
        if due and now > self._thread_at:
            # A thread has one CPU to itself at most, however many the process has.
            share = (thread - self._thread_used) / ((now - self._thread_at) * min(self.quota, 1.0))
            if last is not None and found is not None and found.passed > last.passed and found.cpus > 0:
                granted = (found.passed - last.passed) * min(self.quota, found.cpus)
                share = max(share, (found.used - last.used) / granted)
            self._smooth(max(0.0, min(share * _FULL, _FULL)), 1 + int((now - due) / SAMPLE_SECONDS))
        self._thread_at, self._thread_used = now, thread
        self._last = found
        if found is not None:
            self.cpus = found.cpus

    def _smooth(self, share: float, samples: int) -> None:
        for _ in range(min(samples, _MOST_MISSED)):
            self.value = int(self.value * self.smoothing + share * (1 - self.smoothing) + 1e-9)


def find(
    root: Path = Path("/"), *, process: Callable[[], float] = time.process_time, clock: Clock = time.monotonic
) -> Callable[[], Usage]:
    """Returns what reads the usage here: the first of the sources that can be read.

    Args:
        root: The root of the file system.
        process: Returns the seconds of CPU that this process has used, for where nothing else tells.
        clock: Tells the time, for the same.
    """
    for source in () if _of_all(root) else (_cgroup2, _cgroup1):
        try:
            read = source(root)
            read()
        except (OSError, ValueError, LookupError):
            continue
        return read

    def of_machine() -> Usage:
        busy, passed, cores = _machine(root)
        return Usage(busy, passed, cores)

    def of_process() -> Usage:
        return Usage(process(), clock(), os.cpu_count() or 1)

    if (root / _SCHEDSTAT).exists():
        return of_process
    try:
        of_machine()
    except (OSError, ValueError, LookupError):
        return of_process
    return of_machine


def wanted(root: Path = Path("/")) -> Callable[[], float]:
    """Returns what tells the seconds that the calling thread was on a CPU or waited for one.

    Next to others who want the CPUs as well, a thread that never rests is on one for a part of the time only. Where
    Linux does not say so, what it was on a CPU is all.

    Args:
        root: The root of the file system.
    """
    path = root / _SCHEDSTAT

    def read() -> float:
        try:
            running, waiting, _ = path.read_bytes().split()
        except (OSError, ValueError):
            return time.thread_time()
        return (int(running) + int(waiting)) / 1e9

    return read


def read_cpuset(text: str) -> int:
    """Returns how many CPUs a list such as ``0,3-4,7`` names.

    Raises:
        ValueError: It is no such list.
    """
    count = 0
    for part in text.strip().split(","):
        first, dash, last = part.partition("-")
        count += int(last) - int(first) + 1 if dash else int(first) >= 0
    return count


def _cgroup2(root: Path) -> Callable[[], Usage]:
    top = root / "sys/fs/cgroup"
    (top / "cgroup.controllers").stat()
    places = _places(top, _membership(root, ""))
    group = _holding(places, "cpu.stat")

    def read() -> Usage:
        fields = dict(line.split(" ", 1) for line in (group / "cpu.stat").read_text().splitlines())
        _, passed, cores = _machine(root)
        limits = [_limit2(place) for place in places]
        return Usage(int(fields["usage_usec"]) / 1e6, passed, min(cores, _cpuset(group, ".effective"), *limits))

    return read


def _cgroup1(root: Path) -> Callable[[], Usage]:
    top = root / "sys/fs/cgroup"
    accounts = _holding(_places(top / "cpuacct", _membership(root, "cpuacct")), "cpuacct.usage")
    places = _places(top / "cpu", _membership(root, "cpu"))
    sets = _places(top / "cpuset", _membership(root, "cpuset"))[-1]

    def read() -> Usage:
        used = int((accounts / "cpuacct.usage").read_text()) / 1e9
        _, passed, cores = _machine(root)
        return Usage(used, passed, min(cores, _cpuset(sets, ""), *(_limit1(place) for place in places)))

    return read


def _of_all(root: Path) -> bool:
    """Tells whether this process is in no group but that of the whole machine."""
    try:
        first = os.readlink(root / "proc/self/ns/cgroup") == _FIRST_NAMESPACE
    except OSError:
        return False
    return first and all(_membership(root, controller) == "/" for controller in ("", "cpu", "cpuacct"))


def _membership(root: Path, controller: str) -> str:
    """Returns the group that this process is in, as it sees it; the root of all where it cannot be told."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return "/"
    parts = (line.split(":", 2) for line in lines)
    return next((path for _, names, path in parts if controller in names.split(",")), "/")


def _places(top: Path, group: str) -> list[Path]:
    """Returns the folders from the top down to a group, as far as they are there: in a container it is the top."""
    names = [name for name in group.split("/") if name not in ("", "..")]
    below = accumulate(names, lambda place, name: place / name, initial=top)
    return [top, *(place for place in below if place != top and place.is_dir())]


def _holding(places: list[Path], name: str) -> Path:
    """Returns the innermost of some folders that has a file; the outermost where none has."""
    return next((place for place in reversed(places) if (place / name).exists()), places[0])


def _limit2(place: Path) -> float:
    try:
        quota, period = (place / "cpu.max").read_text().split()
    except OSError:
        return float("inf")
    return float("inf") if quota == "max" else int(quota) / int(period)


def _limit1(place: Path) -> float:
    try:
        quota = int((place / "cpu.cfs_quota_us").read_text())
        return quota / int((place / "cpu.cfs_period_us").read_text()) if quota > 0 else float("inf")
    except OSError:
        return float("inf")


def _cpuset(place: Path, suffix: str) -> float:
    try:
        text = (place / f"cpuset.cpus{suffix}").read_text()
    except OSError:
        return float("inf")
    return read_cpuset(text) if text.strip() else float("inf")


def _machine(root: Path) -> tuple[float, float, int]:
    """Returns the seconds that the CPUs of the machine have worked, those that have passed, and how many they are."""
    lines = (root / "proc/stat").read_text().splitlines()
    cores = sum(line.startswith("cpu") and line[3:4].isdigit() for line in lines) or 1
    fields = [int(field) for field in lines[0].split()[1 : _FIELDS + 1]]
    return sum(fields[at] for at in _BUSY) / _TICKS, sum(fields) / _TICKS / cores, cores
