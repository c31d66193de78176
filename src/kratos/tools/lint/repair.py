"""Putting right what can be put right safely: ``kratos lint --fix``."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence

from kratos.tools.codegen.folder import replace_file
from kratos.tools.codegen.project import Project, generate
from kratos.tools.lint.base import Edit, Finding
from kratos.tools.lint.python.drift import DRIFT
from kratos.tools.stubs.text import Text, decoded

__all__ = ["edited", "repair"]


def repair(project: Project, findings: Sequence[Finding]) -> list[Finding]:
    """Puts right what it can, and returns what that was.

    Files are replaced in one step. One that would be no Python afterwards is left as it is.
    """
    done: list[Finding] = []
    drifted = [each for each in findings if each.rule == DRIFT.id]
    if drifted:
        generate(project)
        done += drifted
    editable = [each for each in findings if each.edits]
    for name in sorted({each.path for each in editable}):
        path = project.root / name
        mine = [each for each in editable if each.path == name]
        before = path.read_bytes()
        after = edited(before, (edit for each in mine for edit in each.edits))
        try:
            ast.parse(after)
        except (SyntaxError, ValueError):
            continue
        if after != before:
            replace_file(path, after)
            done += mine
    return done


def edited(content: bytes, edits: Iterable[Edit]) -> bytes:
    """Returns a file with pieces replaced; one that overlaps another is left out, and so is a repetition.

    The file keeps its encoding, its byte order mark, and how its lines end.

    Raises:
        ValueError: It is not in its encoding.
    """
    source, encoding = decoded(content)
    text = Text.of(source)
    starts = [0]
    for line in text.lines:
        starts.append(starts[-1] + len(line.encode()))
    kept: list[tuple[int, int, bytes]] = []
    for edit in sorted(set(edits)):
        start, end = (starts[line - 1] + column for line, column in (edit.start, edit.end))
        if not kept or start >= kept[-1][1]:
            kept.append((start, end, edit.text.replace("\n", text.newline).encode()))
    after = source.encode()
    for start, end, new in reversed(kept):
        after = after[:start] + new + after[end:]
    return after.decode().encode(encoding)
