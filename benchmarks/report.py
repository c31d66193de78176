"""Writes what benchmarks found into the document: tables between its markers, and a picture.

    python benchmarks/report.py FOLDER [--document docs/performance.md] [--picture docs/performance.svg]

The folder holds a file for each script that was run: ``unary.json`` as ``--json`` writes it, or ``dispatch.txt`` with
what a script printed, which is shown as it is if there are tables in it. A block of the document begins with
``<!-- figures: unary -->`` and ends with ``<!-- end -->``. Blocks without a file stay as they are, and so does
everything outside of blocks.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from picture import svg
from record import Results
from tables import markdown

__all__ = ["Refusal", "filled", "found", "main"]

SCRIPTS = (
    "unary", "everything", "order", "streams", "stalled", "events", "memory", "client", "middleware", "resilience",
    "dispatch", "codec", "binding", "balance", "generate", "lint", "cache",
)  # fmt: skip
"""Whose figures a document may have, in the order they are drawn."""
START = re.compile(r"<!-- figures: *(.*?) *-->")
END = "<!-- end -->"
ROOT = Path(__file__).parents[1]


class Refusal(Exception):
    """Why nothing was written."""


def found(folder: Path) -> tuple[dict[str, str], list[Results]]:
    """Returns the text of each script's block, and the results that can be drawn.

    Raises:
        Refusal: The folder holds no figures, or something else.
    """
    blocks: dict[str, str] = {}
    drawn: list[Results] = []
    for name in SCRIPTS:
        kept, said = folder / f"{name}.json", folder / f"{name}.txt"
        if kept.is_file():
            try:
                results = Results.load(kept)
            except ValueError as error:
                raise Refusal(str(error)) from error
            blocks[name] = markdown(results)
            drawn.append(results)
        elif said.is_file():
            text = said.read_text(encoding="utf-8").strip()
            blocks[name] = text if "\n| " in text else f"```text\n{text}\n```"
    if not blocks:
        raise Refusal(f"{folder} holds no figures; `make bench` takes them")
    return blocks, drawn


def filled(text: str, blocks: dict[str, str]) -> str:
    """Returns a document with figures in its blocks.

    Raises:
        Refusal: A block is of no script, twice there or without an end, or there is none for some figures.
    """
    pieces: list[str] = []
    seen: set[str] = set()
    at = 0
    while start := START.search(text, at):
        name, line = start[1], text.count("\n", 0, start.start()) + 1
        if name not in SCRIPTS:
            raise Refusal(f"line {line}: figures of {name!r}, but there are only those of {', '.join(SCRIPTS)}")
        if name in seen:
            raise Refusal(f"line {line}: a second block of {name!r}; take one of them out")
        seen.add(name)
        end = text.find(END, start.end())
        other = START.search(text, start.end())
        if end < 0 or (other is not None and other.start() < end):
            raise Refusal(f"line {line}: the block of {name!r} has no {END!r}")
        old = text[start.end() : end]
        pieces += [text[at : start.end()], f"\n\n{blocks[name]}\n\n" if name in blocks else old, END]
        at = end + len(END)
    missing = [name for name in blocks if name not in seen]
    if missing:
        begin = f"<!-- figures: {missing[0]} -->"
        raise Refusal(f"no block for {missing[0]!r}: put {begin!r} and {END!r} where its figures belong")
    return "".join([*pieces, text[at:]])


def main(arguments: list[str]) -> None:
    """Renders a folder into a document and a picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--document", type=Path, default=ROOT / "docs" / "performance.md")
    parser.add_argument("--picture", type=Path, default=ROOT / "docs" / "performance.svg")
    wanted = parser.parse_args(arguments)
    try:
        blocks, drawn = found(wanted.folder)
        text = filled(wanted.document.read_text(encoding="utf-8"), blocks)
    except Refusal as refusal:
        parser.exit(1, f"{wanted.document}: {refusal}\nNothing was written.\n")
    wanted.document.write_text(text, encoding="utf-8")
    comparisons = [each for results in drawn for each in results.comparisons]
    if comparisons:
        wanted.picture.write_text(svg(comparisons), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
