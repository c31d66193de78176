"""What benchmarks/faults.py makes of what it has seen."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import faults
from bounds import Bound, of_failing, of_healing, of_outage, of_overload, of_restarted, table
from faults import fill, tell_outage
from offering import LATE, Asked, Log, percentile
from outages import AWAY, DOWN, HEALING, Outage, Sent
from overload import Overload


def test_what_counts_as_good() -> None:
    """Answers in time do; late ones and failures do not, and neither does what was due at another time."""
    log = Log([Asked(1.0, 0.1, ""), Asked(1.5, LATE * 2, ""), Asked(1.6, 0.1, "RATELIMIT"), Asked(2.0, 0.1, "")])
    assert log.good(1.0, 2.0) == 1
    assert len(log.between(1.0, 2.0)) == 3


def test_percentiles() -> None:
    """The slowest of a hundred is beyond p99, and nothing takes no time."""
    assert percentile([float(number) for number in range(100)]) == 99.0
    assert percentile([float(number) for number in range(200)]) == 198.0
    assert percentile([]) == 0.0


def test_the_gauge_by_its_turns() -> None:
    """What it was is told once for each time that it changed."""
    seen = Outage({"http": Log([Asked(0.0, 0.1, "")])}, gauge=[(0, 3), (1, 3), (2, 0), (3, 0), (4, 3)], back=0.5)
    assert "0.5 s later" in tell_outage(seen)
    assert "3, 0, 3. Calls that ended at the node that was killed: none." in tell_outage(seen)


def calls(begin: float, end: float, *, failed: float = 0.0, seconds: float = 0.01) -> list[Asked]:
    """Returns ten calls a second, some of which failed."""
    count = round((end - begin) * 10)
    sick = [int((at + 1) * failed) > int(at * failed) for at in range(count)]
    return [Asked(begin + at / 10, seconds, "SICK" if bad else "") for at, bad in enumerate(sick)]


def kept(bounds: list[Bound]) -> list[bool]:
    return [bound.kept for bound in bounds]


@pytest.mark.parametrize(
    ("limited", "other", "expected"),
    [(0.9, 0.0, [True, True]), (0.89, 0.3, [False, True]), (1.0, 0.31, [True, False])],
)
def test_overload_is_judged(limited: float, other: float, expected: list[bool]) -> None:
    """What counts is the last load: with a limiter nine tenths of what can be done are, without it is a collapse."""
    seen = Overload(share={True: [0.1, limited], False: [0.9, other]})
    assert kept(of_overload("http", seen)) == expected


@pytest.mark.parametrize(
    ("plain", "ejecting", "usual", "seconds", "expected"),
    [
        (0.1, 0.0, 0.01, 0.01, [True, True, True, True]),
        (0.0, 0.1, 0.1, 0.2, [False, False, False, False]),
    ],
)
def test_ejection_is_judged(plain: float, ejecting: float, usual: float, seconds: float, expected: list[bool]) -> None:
    """Failures and p99 while a node is left alone; and that it does fail for whoever does not leave it alone."""
    logs = {
        "plain": Log(calls(0, 12, failed=plain)),
        "ejecting": Log(calls(0, 12, failed=ejecting, seconds=seconds)),
        "usual": Log(calls(0, 12, failed=usual)),
    }
    assert kept(of_failing("grpc", logs)) == expected


def sent(*times: float) -> Sent:
    made = Sent()
    made.times = sorted(times)
    return made


@pytest.mark.parametrize(("late", "more", "expected"), [(5.0, 1, [True] * 4), (12.0, 2, [False] * 4)])
def test_healing_is_judged(late: float, more: int, expected: list[bool]) -> None:
    """Ten seconds after it is healed nine of ten are answered; what is sent is a fifth more at most, by any moment."""
    back = DOWN[1] + late
    log = Log([*calls(0, DOWN[0]), *calls(DOWN[0], back, failed=1.0), *calls(back, HEALING)])
    times = [each.at for each in log.calls]
    during = [at for at in times if DOWN[0] <= at < DOWN[1]]
    logs = {"breaker()": log, "retry(), no budget": log, "retry()": log}
    wild = sent(*times, *(during if more == 1 else []))
    thrifty = sent(*times, *(during[::6] if more == 1 else during))
    bounds = of_healing("http", logs, {"retry(), no budget": wild, "retry()": thrifty})
    assert kept(bounds) == expected


def test_restarts_are_judged() -> None:
    """Each transport by itself, from the moment on at which the process is back."""
    good, bad = (Log([*calls(0, at, failed=1.0), *calls(at, AWAY[1] + 14)]) for at in (AWAY[1] + 5, AWAY[1] + 11))
    assert kept(of_restarted({"http": good, "grpc": bad}, AWAY[1])) == [True, False]
    assert kept(of_restarted({"http": Log()}, AWAY[1])) == [False]  # nobody called


@pytest.mark.parametrize(
    ("gauge", "keys", "back", "dead", "failed", "expected"),
    [
        ([3, 0, 3], 3, 0.5, [0.2], 0.0, [True] * 5),
        ([3, 0, 2], 4, 0.0, [1.2], 0.1, [False] * 5),
        ([3, 3, 3], 3, 10.1, [], 0.0, [False, True, False, True, True]),
    ],
)
def test_an_outage_is_judged(
    gauge: list[int], keys: int, back: float, dead: list[float], failed: float, expected: list[bool]
) -> None:
    """Back in time, once each, gauges went and came, no call failed, and none went to the dead."""
    seen = Outage(
        {"http": Log(calls(0, 40, failed=failed))},
        gauge=[(float(at), value) for at, value in enumerate(gauge)],
        keys=[(0.0, 3), (30.0, keys)],
        dead=dead,
        back=back,
    )
    assert kept(of_outage(seen)) == expected


@pytest.mark.parametrize(("good", "code"), [(True, 0), (False, 1)])
def test_a_promise_that_is_not_kept_fails(
    good: bool, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The table names it, and so does the exit code."""

    async def judge(kind: str, only: object, docs: object) -> list[Bound]:
        return [Bound(f"{kind}: all", "all", kept=True), Bound(f"{kind}: much", "little", kept=good)]

    monkeypatch.setattr(faults, "judge", judge)
    monkeypatch.setattr("sys.argv", ["faults.py", "--only", "failing"])
    with pytest.raises(SystemExit) as ended:
        faults.main()
    assert ended.value.code == code
    said = capsys.readouterr().out
    assert f"| grpc: much | little | {'yes' if good else 'NO'} |" in said
    assert f"{4 if good else 2} of 4 kept" in said


def test_nothing_is_kept_by_nothing() -> None:
    """A run that saw nothing has kept no promise about it."""
    assert kept(of_outage(Outage({}))) == [False, False, False, True, True]
    assert table([]) == "| bound | seen | kept |\n|---|---|---|"


def test_blocks_of_documents(tmp_path: Path) -> None:
    """Only what stands between the marks is written anew; without them nothing is."""
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- chaos: outage -->\nold\n<!-- end -->\nb\n<!-- chaos: failing -->\n\n<!-- end -->\n")
    fill(page, "outage", "new")
    assert page.read_text() == (
        "a\n<!-- chaos: outage -->\n\nnew\n\n<!-- end -->\nb\n<!-- chaos: failing -->\n\n<!-- end -->\n"
    )
    with pytest.raises(SystemExit, match="there is no <!-- chaos: overload -->"):
        fill(page, "overload", "new")
