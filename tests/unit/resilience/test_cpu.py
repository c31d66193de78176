"""How busy the CPUs are: from files as Linux has them, made up, and from this machine."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from kratos.resilience.cpu import CPU, Usage, find, read_cpuset, wanted
from kratos.testing import FakeClock

CGROUP = "sys/fs/cgroup"


class Steps(FakeClock):
    """A clock that a test moves by hand."""

    def step(self, seconds: float) -> None:
        self._now += seconds


class Machine:
    """The files of a machine, and of the container in it."""

    def __init__(self, root: Path, cores: int = 4) -> None:
        self.root = root
        self.cores = cores
        self.stat(busy=0.0, passed=100.0)

    def write(self, files: dict[str, str]) -> None:
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def stat(self, *, busy: float, passed: float) -> None:
        """Has so many seconds of all CPUs used, after so many seconds."""
        ticks, idle = round(busy * 100), round((passed * self.cores - busy) * 100)
        each = "".join(f"cpu{core} 1 2 3 4 5 6 7 0 0 0\n" for core in range(self.cores))
        self.write({"proc/stat": f"cpu  {ticks} 0 0 {idle} 0 0 0 0 0 0\n{each}intr 5\nctxt 7\n"})


def version2(machine: Machine, *, used: float, group: str = "/", **files: str) -> None:
    place = f"{CGROUP}{group.rstrip('/')}"
    machine.write({f"{CGROUP}/cgroup.controllers": "cpu memory\n", "proc/self/cgroup": f"0::{group}\n"})
    machine.write({f"{place}/cpu.stat": f"usage_usec {round(used * 1e6)}\nuser_usec 1\nsystem_usec 2\n"})
    machine.write({f"{place}/{name.replace('_', '.')}": text for name, text in files.items()})


def version1(machine: Machine, *, used: float, group: str = "/", quota: int = -1, cpus: str = "") -> None:
    place = group.rstrip("/")
    machine.write(
        {
            "proc/self/cgroup": f"4:cpu,cpuacct:{group}\n3:cpuset:{group}\n1:name=systemd:/x\n",
            f"{CGROUP}/cpuacct{place}/cpuacct.usage": f"{round(used * 1e9)}\n",
            f"{CGROUP}/cpu{place}/cpu.cfs_quota_us": f"{quota}\n",
            f"{CGROUP}/cpu{place}/cpu.cfs_period_us": "100000\n",
        }
    )
    if cpus:
        machine.write({f"{CGROUP}/cpuset{place}/cpuset.cpus": f"{cpus}\n"})


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.mark.parametrize(
    ("files", "cpus"),
    [
        ({}, 4.0),
        ({"cpu_max": "max 100000\n"}, 4.0),
        ({"cpu_max": "50000 100000\n"}, 0.5),
        ({"cpu_max": "800000 100000\n"}, 4.0),
        ({"cpu_max": "max 100000\n", "cpuset_cpus_effective": "0,2-3\n"}, 3.0),
        ({"cpu_max": "250000 100000\n", "cpuset_cpus_effective": "0-1\n"}, 2.0),
        ({"cpuset_cpus_effective": "\n"}, 4.0),
    ],
)
def test_version_2(machine: Machine, files: dict[str, str], cpus: float) -> None:
    """What is used, and the least of what is granted, of the set of CPUs, and of those there are."""
    version2(machine, used=12.5, **files)
    assert find(machine.root)() == Usage(12.5, 100.0, cpus)


def test_version_2_by_group(machine: Machine) -> None:
    """Outside of a container the group of this process counts, and the limits of those above it."""
    version2(machine, used=99.0)
    version2(machine, used=3.0, group="/system.slice/shop.service", cpu_max="max 100000\n")
    machine.write({f"{CGROUP}/system.slice/cpu.max": "150000 100000\n"})
    assert find(machine.root)() == Usage(3.0, 100.0, 1.5)


def test_version_2_seen_from_inside(machine: Machine) -> None:
    """A container whose path is that of the host, which it cannot see, is the top."""
    version2(machine, used=3.0, cpu_max="50000 100000\n")
    machine.write({"proc/self/cgroup": "0::/../docker/4a8f\n"})
    assert find(machine.root)() == Usage(3.0, 100.0, 0.5)
    (machine.root / "proc/self/cgroup").unlink()
    assert find(machine.root)() == Usage(3.0, 100.0, 0.5)


@pytest.mark.parametrize(
    ("quota", "cpus", "granted"), [(-1, "", 4.0), (50_000, "", 0.5), (-1, "0,3-4,7", 4.0), (300_000, "0-1", 2.0)]
)
def test_version_1(machine: Machine, quota: int, cpus: str, granted: float) -> None:
    """The same, from the files of version 1."""
    version1(machine, used=2.25, group="/docker/4a8f", quota=quota, cpus=cpus)
    assert find(machine.root)() == Usage(2.25, 100.0, granted)


def test_version_1_without_limits(machine: Machine) -> None:
    """Where nothing is said of limits there are none."""
    version1(machine, used=2.25)
    (machine.root / CGROUP / "cpu/cpu.cfs_quota_us").unlink()
    assert find(machine.root)() == Usage(2.25, 100.0, 4.0)


@pytest.mark.parametrize("broken", ["usage_usec lots\n", "user_usec 5\n", "nonsense\n"])
def test_files_of_another_form(machine: Machine, broken: str) -> None:
    """The machine counts then."""
    version2(machine, used=1.0)
    machine.write({f"{CGROUP}/cpu.stat": broken})
    machine.stat(busy=30.0, passed=100.0)
    assert find(machine.root)() == Usage(30.0, 100.0, 4)


def test_no_groups(machine: Machine) -> None:
    """The machine counts, and waiting for disks is no work."""
    machine.write({"proc/stat": "cpu  100 20 30 4000 500 6 4 8 9 0\ncpu0 1 2\ncpu1 1 2\n"})
    assert find(machine.root)() == Usage(1.6, 23.3, 2)


SCHEDSTAT = {"proc/thread-self/schedstat": "1500000000 250000000 12\n"}


def in_the_first_namespace(machine: Machine) -> None:
    """Paths of control groups begin at the root of the machine."""
    (machine.root / "proc/self/ns").mkdir(parents=True)
    (machine.root / "proc/self/ns/cgroup").symlink_to("cgroup:[4026531835]")


@pytest.mark.parametrize("version", [version1, version2])
def test_the_group_of_the_whole_machine(machine: Machine, version: Callable[..., None]) -> None:
    """What others do on the same machine says nothing of this process: it counts alone where its waiting is known."""
    version(machine, used=3.0)
    in_the_first_namespace(machine)
    machine.stat(busy=30.0, passed=100.0)
    assert find(machine.root, process=lambda: 1.5)() == Usage(30.0, 100.0, 4)
    machine.write(SCHEDSTAT)
    assert find(machine.root, process=lambda: 1.5, clock=lambda: 20.0)()[:2] == (1.5, 20.0)


@pytest.mark.parametrize("version", [version1, version2])
def test_a_group_of_its_own(machine: Machine, version: Callable[..., None]) -> None:
    """It counts, also where its path is told from the root of the machine."""
    version(machine, used=3.0, group="/system.slice/shop.service")
    in_the_first_namespace(machine)
    machine.write(SCHEDSTAT)
    assert find(machine.root, process=lambda: 1.5)() == Usage(3.0, 100.0, 4)


def test_waiting_for_a_cpu(machine: Machine) -> None:
    """A thread that waits for a CPU wants it as much as one that has it; where that is not told, it has to have it."""
    read = wanted(machine.root)
    before = time.thread_time()
    assert before <= read() <= time.thread_time()
    machine.write(SCHEDSTAT)
    assert read() == 1.75


def test_nothing_to_read(tmp_path: Path) -> None:
    """On Windows and macOS it is this process, and all the CPUs there are."""
    used, passed, cpus = find(tmp_path, process=lambda: 1.5, clock=lambda: 20.0)()
    assert (used, passed) == (1.5, 20.0)
    assert cpus >= 1


def test_here() -> None:
    """It can be read on this machine, as whoever runs the tests."""
    first = find()()
    sum(range(10**6))
    second = find()()
    assert second.used >= first.used >= 0
    assert 0 < first.cpus < 10_000
    assert wanted()() >= 0


@pytest.mark.parametrize(("text", "count"), [("0", 1), ("0-3", 4), ("0,3-4,7\n", 4), ("10-11,0", 3)])
def test_cpusets(text: str, count: int) -> None:
    """Lists of CPUs and of ranges."""
    assert read_cpuset(text) == count


@pytest.mark.parametrize("text", ["", "a", "1-", "0,,1"])
def test_no_cpusets(text: str) -> None:
    """Anything else is no list."""
    with pytest.raises(ValueError):
        read_cpuset(text)


class Rig:
    """A container of half a CPU, whose use a test decides on."""

    def __init__(self, cpus: float = 0.5) -> None:
        self.clock = Steps()
        self.used = self.loop = 0.0
        self.cpus = cpus
        self.fails = False
        self.cpu = CPU(self.read, thread=lambda: self.loop, clock=self.clock)

    def read(self) -> Usage:
        if self.fails:
            raise OSError("gone")
        return Usage(self.used, self.clock(), self.cpus)

    def run(self, seconds: float, *, used: float = 0.0, loop: float = 0.0) -> int:
        self.clock.step(seconds)
        self.used += used
        self.loop += loop
        return self.cpu()


def test_it_is_smoothed() -> None:
    """Each half second a twentieth of what was seen comes in, cut to whole numbers as in Kratos."""
    rig = Rig()
    assert rig.cpu() == 0
    assert rig.run(0.5, used=0.25) == 50
    assert rig.run(0.5, used=0.25) == 97
    assert rig.run(0.5, used=0.125) == 117
    assert rig.run(0.5) == 111


def test_it_is_asked_twice_a_second() -> None:
    """In between nothing is read."""
    rig = Rig()
    rig.cpu()
    rig.fails = True
    assert rig.run(0.49, used=0.25) == 0
    rig.fails = False
    assert rig.run(0.01) == 50


def test_more_than_there_is() -> None:
    """Bursts count as 1000, and what runs backwards as nothing."""
    rig = Rig()
    rig.cpu()
    assert rig.run(0.5, used=5.0) == 50
    assert rig.run(0.5, used=-5.0) == 47


def test_pauses() -> None:
    """Nobody having asked for ten seconds is as if somebody had."""
    asked, silent = Rig(), Rig()
    for rig in (asked, silent):
        rig.cpu()
        rig.run(0.5, used=0.25)
    for _ in range(20):
        asked.run(0.5, used=0.25)
    assert silent.run(10.0, used=5.0) == asked.cpu.value > 600
    assert silent.run(10_000.0) == 0


def test_the_event_loop_counts() -> None:
    """A loop that uses its one CPU up is at its end, however many others are idle."""
    rig = Rig(cpus=64)
    rig.cpu()
    assert rig.run(0.5, used=0.5, loop=0.5) == 50


def test_files_that_vanish() -> None:
    """The loop's own share is left, until they are back."""
    rig = Rig()
    rig.cpu()
    rig.fails = True
    assert rig.run(0.5, used=0.25, loop=0.25) == 25
    rig.fails = False
    assert rig.run(0.5) == 23
    assert rig.run(0.5, used=0.25) == 71
    assert rig.cpu.cpus == 0.5


def test_a_container_of_half_a_cpu(machine: Machine) -> None:
    """From the files to the number: half of a CPU used of half a CPU is all there is."""
    clock = Steps()
    version2(machine, used=0.0, cpu_max="50000 100000\n")
    cpu = CPU(find(machine.root), thread=lambda: 0.0, clock=clock, smoothing=0.0)
    cpu()
    for step in range(1, 4):
        clock.step(0.5)
        machine.stat(busy=0.25 * step, passed=100 + 0.5 * step)
        version2(machine, used=0.25 * step, cpu_max="50000 100000\n")
        assert math.isclose(cpu(), 1000, abs_tol=1)
