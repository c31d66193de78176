"""Results as Markdown."""

from __future__ import annotations

from statistics import median

from record import Comparison, Results, Table

__all__ = ["markdown", "spread"]


def markdown(results: Results) -> str:
    """Returns all tables of a run, what is to be known about it, and which goals were reached."""
    parts = list(results.about)
    for each in results.comparisons:
        parts += [f"**{each.title}**", _compared(each)]
        parts += _goals([goal.sentence(each.by_name, each.unit) for goal in each.goals])
    for table in results.tables:
        parts += [f"**{table.title}**", _plain(table), *_goals(table.verdicts)]
    return "\n\n".join(parts)


def _goals(sentences: list[str]) -> list[str]:
    return ["Goals:\n\n" + "\n".join(f"- {each}" for each in sentences)] if sentences else []


def _compared(comparison: Comparison) -> str:
    peer = comparison.by_name.get(comparison.baseline)
    unit, waited = comparison.unit, comparison.waited
    columns = ["", f"{unit}s/s", "x", f"CPU us/{unit}", "x", f"p50 us/{waited}", "p99", "RSS MiB"]
    rows = [
        [
            each.name,
            spread(each.rates),
            f"{each.ratio(peer, 'rate'):.2f}" if peer else "",
            spread(each.cpu),
            f"{each.ratio(peer, 'cpu'):.2f}" if peer else "",
            f"{median(each.p50):,.0f}",
            spread(each.p99),
            f"{each.rss:.0f}",
        ]
        for each in comparison.subjects
    ]
    return _grid(columns, rows)


def _plain(table: Table) -> str:
    return _grid(table.columns, table.rows)


def _grid(columns: list[str], rows: list[list[str]]) -> str:
    ruler = ["---", *["---:"] * (len(columns) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (columns, ruler, *rows)).replace("|  |", "| |")


def spread(values: list[float]) -> str:
    """Returns the median and, in brackets, the least and the most."""
    shape = ",.0f" if median(values) >= 10 else ".1f"
    return f"{median(values):{shape}} [{min(values):{shape}}-{max(values):{shape}}]"
