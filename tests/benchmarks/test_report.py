"""What benchmarks found becomes a document and a picture, without measuring anything."""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

from picture import svg
from record import Comparison, Goal, Results, Subject, Table
from report import START, Refusal, filled, found, main
from tables import markdown

ROOT = Path(__file__).parents[2]
SVG = "{http://www.w3.org/2000/svg}"
DOCUMENT = """# Speed

Before.

<!-- figures: unary -->

old figures

<!-- end -->

Between.

<!-- figures: dispatch -->
<!-- end -->

After.
"""


def comparison() -> Comparison:
    # By round, ours is 4, 2 and 3 times as fast; the ratio of the medians would be 2.
    peer = Subject("Slow & Co", ours=False, rates=[1000, 2000, 3000], cpu=[100, 50, 200])
    ours = Subject("ours", ours=True, rates=[4000, 4000, 9000], cpu=[50, 10, 50])
    for each in (peer, ours):
        each.p50, each.p99, each.rss = [500, 700, 600], [5000, 9000, 7000], 41.6
    goals = [
        Goal("ours", "Slow & Co", "rate", 3.0),
        Goal("ours", "Slow & Co", "rate", 3.5),
        Goal("ours", "Slow & Co", "cpu", 0.25),
        Goal("ours", "Slow & Co", "cpu", 0.2),
        Goal("ours", "Slow & Co", "work", 4.0),
        Goal("ours", "Slow & Co", "p99", 1.2),
        Goal("ours", "Slow & Co", "p99", 0.9),
        Goal("ours", "Gone", "rate", 1.0),
    ]
    return Comparison("A <greeting>", "Slow & Co", [peer, ours], goals)


def results() -> Results:
    table = Table("Growth", ["", "MiB"], [["fast", "+0.1"]], ["fast: within 3 MiB: reached, +0.1"])
    return Results("unary", ["3 rounds.", "CPython 3.13.0."], [comparison()], [table])


def test_ratios_are_paired_by_round() -> None:
    """A ratio is the median of those of the rounds, whatever the machine did in between."""
    text = markdown(results())
    assert "| Slow & Co | 2,000 [1,000-3,000] | 1.00 | 100 [50-200] | 1.00 | 600 | 7,000 [5,000-9,000] | 42 |" in text
    assert "| ours | 4,000 [4,000-9,000] | 3.00 | 50 [10-50] | 0.25 | 600 | 7,000 [5,000-9,000] | 42 |" in text
    assert text.startswith("3 rounds.\n\nCPython 3.13.0.\n\n**A <greeting>**\n")
    assert "| fast | +0.1 |" in text


def test_small_figures_keep_a_decimal() -> None:
    """A message may cost less than ten microseconds."""
    one = Subject("ours", ours=True, rates=[9e5], cpu=[1.24], p50=[7], p99=[8])
    assert "| 1.2 [1.2-1.2] |" in markdown(Results("streams", [], [Comparison("Replies", "ours", [one])]))


def test_goals_say_what_came_of_them() -> None:
    """Each goal is there with its ratio: reached, not reached, or not measured."""
    text = markdown(results())
    assert "- ours: at least 3 x Slow & Co in requests per second: reached, 3.00" in text
    assert "- ours: at least 3.5 x Slow & Co in requests per second: **not reached**, 3.00" in text
    assert "- ours: at most 1.2 x Slow & Co in p99 of a request: reached, 1.00" in text
    assert "- ours: at most 0.9 x Slow & Co in p99 of a request: **not reached**, 1.00" in text
    assert "- ours: at most 0.25 x Slow & Co in CPU per request: reached, 0.25" in text
    assert "- ours: at most 0.2 x Slow & Co in CPU per request: **not reached**, 0.25" in text
    assert "- ours: at least 4 x Slow & Co in requests per CPU second: reached, 4.00" in text
    assert "- ours: at least 1 x Gone in requests per second: not measured, Gone was left out" in text
    assert "- fast: within 3 MiB: reached, +0.1" in text


def test_a_comparison_without_its_peer_has_no_ratios() -> None:
    """Where the peer is not installed the figures stand alone, and there is nothing to draw."""
    alone = comparison()
    alone.subjects = alone.subjects[1:]
    assert "| ours | 4,000 [4,000-9,000] | | 50 [10-50] | | 600 |" in markdown(Results("unary", [], [alone]))
    assert "Not measured yet." in svg([alone])


def test_results_survive_a_file(tmp_path: Path) -> None:
    """What was measured is the same after it was kept."""
    results().save(tmp_path / "deep" / "unary.json")
    assert Results.load(tmp_path / "deep" / "unary.json") == results()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 0}', '{"format": 1, "name": "unary"}'])
def test_other_files_are_no_results(tmp_path: Path, text: str) -> None:
    """A file of something else is refused by its name."""
    (tmp_path / "unary.json").write_text(text)
    with pytest.raises(Refusal, match=r"unary\.json holds no results of a benchmark"):
        found(tmp_path)


def test_picture_is_xml_with_a_bar_for_each_figure() -> None:
    """Each server has a bar for its rate and one for its CPU, in proportion, and all text is escaped."""
    tree = ET.fromstring(svg([comparison()]))  # noqa: S314 - our own text
    bars = {kind: [float(each.get("width", 0)) for each in tree.iter(f"{SVG}rect") if each.get("class") == kind]
            for kind in ("ours", "peer")}  # fmt: skip
    assert bars["ours"][0] == pytest.approx(bars["peer"][0] * 3, rel=0.01)
    assert bars["ours"][1] == pytest.approx(bars["peer"][1] / 4, rel=0.01)
    words = [each.text for each in tree.iter(f"{SVG}text")]
    assert "A <greeting>, Slow & Co = 1" in words
    assert {"1.00", "3.00", "0.25"} <= set(words)


def test_only_blocks_are_written(tmp_path: Path) -> None:
    """Old figures go, prose stays, a second time changes nothing; a text without tables is shown as it was printed."""
    figures = tmp_path / "figures"
    results().save(figures / "unary.json")
    (figures / "dispatch.txt").write_text("bare   0.14\n")
    document, picture = tmp_path / "speed.md", tmp_path / "speed.svg"
    document.write_text(DOCUMENT)
    command = [str(figures), "--document", str(document), "--picture", str(picture)]
    main(command)
    text = document.read_text()
    assert "old figures" not in text
    assert text.split("<!-- figures: unary -->")[0] == "# Speed\n\nBefore.\n\n"
    assert "<!-- end -->\n\nBetween.\n\n<!-- figures: dispatch -->\n\n```text\nbare   0.14\n```\n\n<!-- end -->" in text
    assert text.endswith("<!-- end -->\n\nAfter.\n")
    assert f"<!-- figures: unary -->\n\n{markdown(results())}\n\n<!-- end -->" in text
    assert ET.fromstring(picture.read_text()).tag == f"{SVG}svg"  # noqa: S314 - our own text
    main(command)
    assert document.read_text() == text


def test_blocks_without_figures_stay() -> None:
    """A run of one script leaves the figures of the others alone."""
    text = filled(DOCUMENT, {"dispatch": "new"})
    assert text == DOCUMENT.replace("dispatch -->\n<!--", "dispatch -->\n\nnew\n\n<!--")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "x\n<!-- figures: unray -->\n<!-- end -->\n",
            r"line 2: figures of 'unray', but there are only those of unary,",
        ),
        ("<!-- figures: unary -->\n", r"line 1: the block of 'unary' has no '<!-- end -->'"),
        ("<!-- figures: unary -->\n<!-- figures: order -->\n<!-- end -->", r"line 1: the block of 'unary' has no"),
        ("<!-- figures: unary --><!-- end -->\n" * 2, r"line 2: a second block of 'unary'"),
        ("prose\n", r"no block for 'unary': put '<!-- figures: unary -->' and '<!-- end -->'"),
    ],
)
def test_a_document_that_does_not_fit_is_refused(text: str, message: str) -> None:
    """Marks that are wrong are named, with their line and what is right."""
    with pytest.raises(Refusal, match=message):
        filled(text, {"unary": "figures"})


def test_nothing_is_written_of_a_refused_document(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The message says which document, and it is as it was."""
    results().save(tmp_path / "unary.json")
    document, picture = tmp_path / "speed.md", tmp_path / "speed.svg"
    document.write_text("prose\n")
    with pytest.raises(SystemExit) as ended:
        main([str(tmp_path), "--document", str(document), "--picture", str(picture)])
    assert ended.value.code == 1
    assert f"{document}: no block for 'unary'" in capsys.readouterr().err
    assert document.read_text() == "prose\n"
    assert not picture.exists()


def test_the_document_has_every_block() -> None:
    """Whatever ``make bench`` measures has its place in the documentation."""
    text = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    names = [match[1] for match in START.finditer(text)]
    filled(text, dict.fromkeys(names, "figures"))
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    run = makefile.partition("\nbench:")[2].partition("\nfigures:")[0] + makefile.partition("\nPRINTING")[2]
    assert len(names) >= 11
    assert all(name in run for name in names)
