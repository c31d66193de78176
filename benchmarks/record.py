"""What a benchmark found, as records that can be kept as JSON: measuring and showing are two things.

A comparison holds what was measured of each server in each round. All else is computed when it is shown: medians, the
spread, ratios paired by round, and whether a goal was reached.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Literal

__all__ = ["Comparison", "Goal", "Results", "Subject", "Table"]

FORMAT = 1

Figure = Literal["rate", "cpu", "work", "p99"]
"""Requests per second, CPU time per request, requests per second of CPU time, or how long one in a hundred takes."""
AT_MOST = ("cpu", "p99")
"""Those of which less is better."""


@dataclass
class Subject:
    """One server and what was measured of it.

    Attributes:
        name: What tables call it.
        ours: Whether it is ours or a peer.
        rates: Requests per second at full load, by round.
        cpu: Microseconds of CPU per request at full load, by round.
        p50: Microseconds in which half of the requests were answered at half load, by round.
        p99: The same of 99 in a hundred.
        rss: Memory of the server's processes after the last round, in MiB.
    """

    name: str
    ours: bool
    rates: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    rss: float = 0.0

    def ratio(self, other: Subject, figure: Figure) -> float:
        """Returns the median of the ratios to another server, paired by round."""
        mine, theirs = ({"rate": each.rates, "p99": each.p99}.get(figure, each.cpu) for each in (self, other))
        ratios = [a / b for a, b in zip(mine, theirs, strict=True)]
        return median(1 / each for each in ratios) if figure == "work" else median(ratios)


@dataclass(frozen=True)
class Goal:
    """What one server should reach beside another one.

    Attributes:
        subject: The server's name.
        peer: The other one's name.
        figure: What is compared.
        bound: The least ratio, or the highest one of CPU time and of latencies.
    """

    subject: str
    peer: str
    figure: Figure
    bound: float

    def sentence(self, subjects: dict[str, Subject], unit: str) -> str:
        """Returns goal and outcome in words."""
        words = {
            "rate": f"{unit}s per second", "cpu": f"CPU per {unit}", "work": f"{unit}s per CPU second",
            "p99": f"p99 of a {unit}",
        }  # fmt: skip
        relation = "at most" if self.figure in AT_MOST else "at least"
        said = f"{self.subject}: {relation} {self.bound:g} x {self.peer} in {words[self.figure]}"
        missing = [name for name in (self.subject, self.peer) if name not in subjects]
        if missing:
            return f"{said}: not measured, {missing[0]} was left out"
        ratio = subjects[self.subject].ratio(subjects[self.peer], self.figure)
        reached = ratio <= self.bound if self.figure in AT_MOST else ratio >= self.bound
        return f"{said}: {'reached' if reached else '**not reached**'}, {ratio:.2f}"


@dataclass
class Comparison:
    """Servers that were asked the same in the same rounds.

    Attributes:
        title: What was asked.
        baseline: The name of the server that ratios are to.
        subjects: The servers, in the order they are shown.
        goals: What they should reach.
        unit: What is counted.
        waited: What a latency is of.
    """

    title: str
    baseline: str
    subjects: list[Subject]
    goals: list[Goal] = field(default_factory=list)
    unit: str = "request"
    waited: str = "request"

    @property
    def by_name(self) -> dict[str, Subject]:
        """The servers by their names."""
        return {each.name: each for each in self.subjects}


@dataclass
class Table:
    """Figures that are not a comparison, already in words.

    Attributes:
        title: What they are about.
        columns: What the columns are called.
        rows: One list of cells for each row.
        verdicts: Goals and outcomes, a sentence each.
    """

    title: str
    columns: list[str]
    rows: list[list[str]]
    verdicts: list[str] = field(default_factory=list)


@dataclass
class Results:
    """All that one script measured in one run.

    Attributes:
        name: The script's name, and that of its place in the document.
        about: Sentences on machine, rounds, versions and what was left out.
        comparisons: Servers side by side.
        tables: Everything else.
    """

    name: str
    about: list[str]
    comparisons: list[Comparison] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)

    def save(self, path: Path) -> None:
        """Writes them as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"format": FORMAT, **asdict(self)}, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Results:
        """Reads what ``save`` wrote.

        Raises:
            ValueError: The file is something else.
        """
        try:
            return _results(json.loads(path.read_text(encoding="utf-8")))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path} holds no results of a benchmark ({error}); measure again") from error


def _results(kept: dict[str, Any]) -> Results:
    if kept.pop("format") != FORMAT:
        raise ValueError("written by another version")
    kept["comparisons"] = [_comparison(each) for each in kept["comparisons"]]
    kept["tables"] = [Table(**each) for each in kept["tables"]]
    return Results(**kept)


def _comparison(kept: dict[str, Any]) -> Comparison:
    subjects = [Subject(**each) for each in kept.pop("subjects")]
    goals = [Goal(**each) for each in kept.pop("goals")]
    return Comparison(**kept, subjects=subjects, goals=goals)
