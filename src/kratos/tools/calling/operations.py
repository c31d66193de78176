"""Which operation is meant: the names in a project's generated code, and the nearest to what was typed.

Names are read from the text of the ``*_kratos.py`` files, because completion in a shell has to answer while somebody
types; ``loading`` imports the one module that has the operation.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kratos.tools.codegen.project import Project
from kratos.tools.failure import USAGE, Failure

__all__ = ["Known", "complete", "find", "names"]

_OPERATION: Final = re.compile(r'^(\w+) = (?:Unary|ServerStream|ClientStream|Bidi)\(\s*"(/[^"]+)"', re.MULTILINE)
_SHOWN: Final = 10


@dataclass(frozen=True, slots=True)
class Known:
    """An operation that a generated module has.

    Attributes:
        name: ``/package.Service/Method``.
        module: The module to import, from the project's root.
        constant: Its name there.
    """

    name: str
    module: str
    constant: str

    @property
    def method(self) -> str:
        """``SayHello``."""
        return self.name.rpartition("/")[2]

    @property
    def short(self) -> str:
        """``Greeter/SayHello``."""
        return self.name.rpartition(".")[2] if "." in self.name else self.name[1:]

    @property
    def full(self) -> str:
        """``helloworld.v1.Greeter/SayHello``."""
        return self.name[1:]


def names(project: Project) -> tuple[Known, ...]:
    """Returns what the generated code of a project has, sorted by name; nothing is imported."""
    out = project.root / project.out
    return tuple(sorted(_read(out, project.out), key=lambda known: known.name))


def _read(out: Path, package: str) -> Iterable[Known]:
    for path in out.rglob("*_kratos.py"):
        module = ".".join([*package.split("/"), *path.relative_to(out).with_suffix("").parts])
        for constant, name in _OPERATION.findall(path.read_text(encoding="utf-8", errors="replace")):
            yield Known(name, module, constant)


def find(known: Sequence[Known], typed: str) -> Known:
    """Returns the operation that somebody means.

    Args:
        known: What there is.
        typed: ``/helloworld.v1.Greeter/SayHello``, or less of it, as long as only one is meant; dots for the slash
            and ``say_hello`` for the method do as well.

    Raises:
        Failure: There is no such operation, or several; the message names the candidates.
    """
    wanted = _parts(typed)
    found = [each for each in known if _parts(each.name)[-len(wanted) :] == wanted]
    spelt = _parts(typed, fold=False)
    # Among several, the one spelt exactly so goes first, and a whole name goes before the end of a longer one.
    for better in (
        [each for each in found if _parts(each.name, fold=False)[-len(spelt) :] == spelt],
        [each for each in found if _parts(each.name) == wanted],
    ):
        if len(found) > 1 and better:
            found = better
    if len(found) == 1:
        return found[0]
    if found:
        raise Failure(f"{typed} may be any of these:\n{_listed(found)}", code=USAGE)
    raise Failure(f"there is no operation {typed!r}; {_nearest(known, wanted)}", code=USAGE)


def _parts(name: str, *, fold: bool = True) -> list[str]:
    """Returns a name in its parts; the method without regard to how it is spelt."""
    parts = re.split(r"[./]", name.lstrip("/"))
    return [*parts[:-1], parts[-1].replace("_", "").lower()] if fold else parts


def _nearest(known: Sequence[Known], wanted: Sequence[str]) -> str:
    by_end = {".".join(_parts(each.name)[-len(wanted) :]).lower(): each for each in known}
    by_end |= {_parts(each.name)[-1]: each for each in reversed(known)}
    tried = [".".join(wanted).lower(), wanted[-1]]
    near = [by_end[end] for text in tried for end in difflib.get_close_matches(text, by_end, 3, 0.7)]
    if near:
        return f"the nearest are\n{_listed(list(dict.fromkeys(near)))}"
    return f"there are\n{_listed(known)}"


def _listed(known: Sequence[Known]) -> str:
    lines = [f"  {each.full}" for each in known[:_SHOWN]]
    return "\n".join([*lines, f"  … and {len(known) - _SHOWN} more"] if len(known) > _SHOWN else lines)


def complete(known: Sequence[Known], typed: str) -> list[str]:
    """Returns the names that begin with what was typed, each the shortest that still means one operation."""
    methods = Counter(each.method for each in known)
    shorts = Counter(each.short for each in known)
    found: list[str] = []
    for each in known:
        forms = [
            *([each.method] if typed and methods[each.method] == 1 else ()),  # nothing typed: say whose it is
            *([each.short] if shorts[each.short] == 1 else ()),
            each.full,
            each.name,
        ]
        found += [form for form in forms if form.startswith(typed)][:1]
    return found
