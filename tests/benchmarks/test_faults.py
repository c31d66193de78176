"""What benchmarks/faults.py makes of what it has seen."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from faults import fill, of_outage
from offering import LATE, Asked, Log, percentile
from outages import Outage


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
    assert "0.5 s later" in of_outage(seen)
    assert "3, 0, 3. Calls that ended at the node that was killed: none." in of_outage(seen)


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
