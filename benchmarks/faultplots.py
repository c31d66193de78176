"""What benchmarks/faults.py has seen, as pictures."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from offering import Log, percentile
from outages import EMPTY, FAILING, KILLED, REGISTRY, Outage
from overload import LOADS, STEPS, Overload

__all__ = ["draw_failing", "draw_outage", "draw_overload"]

_OURS, _OTHER, _THIRD = "#2f7fd6", "#8a939d", "#173f6b"
_NAMES = {True: ("with ratelimit()", _OURS), False: ("without", _OTHER)}


def draw_overload(folder: Path, seen: Overload) -> None:
    """Draws answers in time by load, and answers and waiting over time."""
    figure, (by_load, over_time, waiting) = _figure(3)
    _titles(by_load, "Answered in time, of what it can", "calls that come in, of what it can")
    _titles(over_time, "The same over time: three times too much from 4 to 20 s", "seconds")
    _titles(waiting, "p99 of what is not turned away, ms", "seconds")
    seconds = range(int(sum(each for each, _ in STEPS)))
    for limited, (name, color) in _NAMES.items():
        log = seen.over_time[limited]
        by_load.plot((*LOADS, 3.0), seen.share[limited], marker=".", label=name, color=color)
        over_time.plot(
            seconds, [log.good(at, at + 1) / seen.capacity[limited] for at in seconds], label=name, color=color
        )
        waited = [
            percentile([call.seconds for call in log.between(at, at + 1) if call.reason != "RATELIMIT"])
            for at in seconds
        ]
        waiting.plot(seconds, [each * 1000 for each in waited], label=name, color=color)
    _save(figure, (by_load, over_time, waiting), folder, "overload")


def draw_failing(folder: Path, logs: dict[str, Log]) -> None:
    """Draws failures and waiting over time."""
    figure, (failures, waiting) = _figure(2)
    _titles(failures, "Calls that fail, of 100", "seconds")
    _titles(waiting, "p99, ms", "seconds")
    seconds = range(0, int(FAILING), 2)
    for (name, log), color in zip(logs.items(), (_OTHER, _OURS, _THIRD), strict=True):
        some = [log.between(at, at + 2) for at in seconds]
        failures.plot(
            seconds, [100 * sum(bool(call.reason) for call in calls) / len(calls) for calls in some],
            label=name, color=color,
        )  # fmt: skip
        waited = [percentile([call.seconds for call in calls]) * 1000 for calls in some]
        waiting.plot(seconds, waited, label=name, color=color)
    _save(figure, (failures, waiting), folder, "failing-nodes")


def draw_outage(folder: Path, seen: Outage) -> None:
    """Draws calls and registrations over time."""
    figure, (calls, known) = _figure(2)
    _titles(calls, "Calls a second, answered and failed", "seconds")
    _titles(known, "Nodes that etcd knows, and that know it", "seconds")
    seconds = range(int(REGISTRY))
    for (kind, log), color in zip(seen.logs.items(), (_OURS, _THIRD), strict=True):
        for label, wanted, style in ((kind, True, "-"), (f"{kind}, failed", False, "--")):
            counts = [sum((not call.reason) is wanted for call in log.between(at, at + 1)) for at in seconds]
            calls.plot(seconds, counts, style, label=label, color=color)
    known.step(*zip(*seen.keys, strict=True), where="post", label="keys in etcd", color=_OTHER)
    known.step(*zip(*seen.gauge, strict=True), where="post", label="kratos_registered 1", color=_OURS)
    for axes in (calls, known):
        axes.axvspan(*EMPTY, color=_OTHER, alpha=0.15)
        axes.axvline(KILLED, color=_OTHER, linestyle=":")
    _save(figure, (calls, known), folder, "outage")


def _figure(count: int) -> tuple[Any, Any]:
    import matplotlib as mpl  # noqa: PLC0415 - measuring needs none of it

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415 - it has to be told first where to draw

    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "kratos", "font.size": 9, "axes.grid": True})
    return plt.subplots(1, count, figsize=(4.8 * count, 3.4), layout="constrained")


def _titles(axes: Any, title: str, label: str) -> None:
    axes.set_title(title, fontsize=10)
    axes.set_xlabel(label)


def _save(figure: Any, all_axes: Iterable[Any], folder: Path, name: str) -> None:
    from PIL import Image  # noqa: PLC0415 - measuring needs none of it

    for axes in all_axes:
        axes.set_ylim(bottom=0)
        axes.legend(fontsize=8)
    figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
    drawn = folder / f"{name}.png"
    figure.savefig(drawn, dpi=90)
    with Image.open(drawn) as picture:
        picture.convert("RGB").quantize(32).save(drawn, optimize=True)
