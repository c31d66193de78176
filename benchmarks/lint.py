"""How long ``kratos lint`` takes for a large project: all of its rules, nothing kept from the last time.

Each number is a whole command in a process of its own. Usage: python benchmarks/lint.py [FILES] [ROUNDS]
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import kratos

COMMAND = (sys.executable, "-m", "kratos.tools.cli")
PER_FOLDER = 50


def main(files: int, rounds: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        run("new", "big", "--layout", "layered", cwd=Path(folder))
        root = Path(folder, "big")
        lines = filled(root, files)
        print(f"{files} files of Python, {lines} lines")
        taken = [measured(root) for _ in range(rounds)]
        print(f"  kratos lint   {min(wall for wall, _ in taken):6.2f} s, {min(cpu for _, cpu in taken):.2f} s of CPU")


def filled(root: Path, files: int) -> int:
    """Puts as much real code into a project: our own tools, again and again."""
    sources = sorted(
        path for path in Path(kratos.__file__).parent.joinpath("tools").rglob("*.py") if "{" not in str(path)
    )
    lines = 0
    for number in range(files):
        target = root / "big" / f"part{number // PER_FOLDER}" / f"file{number}.py"
        target.parent.mkdir(exist_ok=True)
        text = sources[number % len(sources)].read_text(encoding="utf-8")
        target.write_text(text, encoding="utf-8")
        lines += text.count("\n")
    return lines


def measured(root: Path) -> tuple[float, float]:
    """Returns how long a run has taken, and how much of the CPU, in seconds."""
    start, before = time.perf_counter(), spent()
    run("lint", str(root), cwd=root)
    return time.perf_counter() - start, spent() - before


def spent() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def run(*arguments: str, cwd: Path) -> None:
    subprocess.run([*COMMAND, *arguments], cwd=cwd, check=True, capture_output=True)  # noqa: S603 - our own command line


if __name__ == "__main__":
    given = [*map(int, sys.argv[1:])]
    main(*given, *(500, 5)[len(given) :])
