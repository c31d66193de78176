"""The CPU profile: what works is seen, what waits is not, and the files are what their readers expect."""

from __future__ import annotations

import json
import threading
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as some

from kratos.admin.flame import Stacks, collapsed, picture, speedscope, top
from kratos.admin.profile import Profiler
from kratos.admin.sampler import Sampler
from kratos.errors import BadRequest, Conflict

FUNCTIONS = some.sampled_from(["a.main", "b.<lambda>", 'c."quoted" & <b>', "d.work", "e.f.<locals>.g"])
STACKS = some.dictionaries(some.lists(FUNCTIONS, min_size=1, max_size=6).map(tuple), some.integers(1, 50), max_size=20)


def burn(over: threading.Event) -> None:
    """Keeps a CPU busy."""
    while not over.is_set():
        sum(range(1000))


@contextmanager
def busy() -> Iterator[None]:
    """Has one thread that computes and one that waits."""
    over = threading.Event()
    threads = [threading.Thread(target=burn, args=(over,)), threading.Thread(target=over.wait)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


@pytest.mark.parametrize("told", [True, False])
def test_what_works_is_seen(told: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread that computes has nearly all samples, and the one that waits none, whether the system helps or not."""
    if not told:
        monkeypatch.setattr("kratos.admin.sampler.os.path.exists", lambda _: False)
    done = threading.Event()
    with busy():
        sampler = Sampler(0.5, done.set)
        sampler.start()
        assert done.wait(60)
    ranked = {name: total for name, _, total in top(sampler.stacks, 100)}
    assert ranked[f"{__name__}.burn"] > 3
    assert "threading.Event.wait" not in ranked or ranked["threading.Event.wait"] < ranked[f"{__name__}.burn"]
    assert sampler.looks >= ranked[f"{__name__}.burn"]


async def test_one_at_a_time() -> None:
    """A second profile has to wait, and the end of the app ends one that is under way."""
    profiler = Profiler()
    assert (await profiler.show()).facts == {"running": False}
    assert profiler.file("/debug/profile/stacks.txt") is None
    profiler.begin({"seconds": "30"})
    sheet = await profiler.show()
    assert (sheet.facts["running"], sheet.again) == (True, 1)
    with pytest.raises(Conflict, match="being taken"):
        profiler.begin({"seconds": "1"})
    profiler.stop()
    profiler.stop()
    assert (await profiler.show()).facts["running"] is False
    for path, kind in (("stacks.txt", b"text/plain; charset=utf-8"), ("speedscope.json", b"application/json")):
        found = profiler.file(f"/debug/profile/{path}")
        assert found is not None
        assert (b"content-type", kind) in found.headers
    assert profiler.file("/debug/profile/other") is None


@pytest.mark.parametrize("seconds", ["", "0", "-1", "31", "nan", "inf", "1e9", "five"])
def test_seconds(seconds: str) -> None:
    """Nobody keeps it at work for ever."""
    with pytest.raises(BadRequest, match="up to 30"):
        Profiler().begin({"seconds": seconds})


@given(STACKS)
def test_files(stacks: Stacks) -> None:
    """Nothing is lost in either file, and the picture is a well-formed one that escapes names."""
    lines = [line.rsplit(" ", 1) for line in collapsed(stacks).splitlines()]
    assert {tuple(stack.split(";")): int(count) for stack, count in lines} == dict(stacks)
    found = json.loads(speedscope(stacks, name="x", every=0.01))
    names = [frame["name"] for frame in found["shared"]["frames"]]
    (profile,) = found["profiles"]
    again = zip(profile["samples"], profile["weights"], strict=True)
    assert {tuple(names[at] for at in sample): round(weight * 100) for sample, weight in again} == dict(stacks)
    root = ET.fromstring(picture(stacks))  # noqa: S314 - our own
    titles = [each.text or "" for each in root.iter("{http://www.w3.org/2000/svg}title")]
    assert titles[0].startswith(f"all, {sum(stacks.values())} samples")
    if stacks:
        assert {stack[0] for stack in stacks} <= {title.rpartition(", ")[0].rpartition(", ")[0] for title in titles}


def test_pictures_are_bounded() -> None:
    """Thousands of functions are a picture all the same."""
    stacks = {(f"f{number}", *(f"g{number}.{depth}" for depth in range(50))): 1 for number in range(1000)}
    assert len(picture(stacks)) < 1_500_000
    assert picture({}).startswith("<svg")
