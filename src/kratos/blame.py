"""Why a program does not start, in words: what is wrong, where in the project's own code, and whose fault it is."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any, Final, Protocol, cast, runtime_checkable

__all__ = ["Placed", "blame", "is_explained"]

_HOME: Final = Path(__file__).resolve().parent


@runtime_checkable
class Placed(Protocol):
    """A failure whose words say where it is, such as a file of configuration: a line of code would lead astray.

    Attributes:
        problems: What is wrong, each with its place.
    """

    problems: tuple[Any, ...]


def blame(failure: BaseException, root: Path) -> str:
    """Returns what failed in a project, with the last place that is the project's own: ``file:line: what``.

    A group of failures has a line for each of them, and then one for what came of it.

    Args:
        failure: What was raised.
        root: The project's folder.
    """
    if isinstance(failure, BaseExceptionGroup):
        told = (blame(each, root) for each in cast("tuple[BaseException, ...]", failure.exceptions))
        return "\n".join([*told, failure.message])
    if isinstance(failure, Placed):
        return str(failure)
    what = _what(failure)
    if isinstance(failure, SyntaxError) and failure.filename:
        return f"{_seen_from(root, failure.filename)}:{failure.lineno}:{failure.offset}: {what}"
    places = [
        f"{_seen_from(root, frame.filename)}:{frame.lineno}"
        for frame in traceback.extract_tb(failure.__traceback__)
        if _is_own(root, frame.filename)
    ]
    if isinstance(failure, OSError) and not places and failure.filename is None:
        what = failure.strerror or str(failure) or what  # a server's words; neither number nor type says more
    return ": ".join([*places[-1:], what])


def is_explained(failure: BaseException) -> bool:
    """Tells whether the words of a failure are for whoever starts the program.

    So they are where the system refuses something, and where this library refuses what it was given. All else is a
    defect of somebody's code, which needs its traceback.
    """
    if isinstance(failure, BaseExceptionGroup):
        return all(is_explained(each) for each in cast("tuple[BaseException, ...]", failure.exceptions))
    if isinstance(failure, OSError) or _is_ours(type(failure).__module__):
        return True
    frames = [frame for frame, _ in traceback.walk_tb(failure.__traceback__)]
    is_refusal = isinstance(failure, ValueError | TypeError)
    return is_refusal and bool(frames) and _is_ours(str(frames[-1].f_globals.get("__name__")))


def _what(failure: BaseException) -> str:
    """Returns type and message of a failure, with its notes."""
    said = "".join(traceback.format_exception_only(failure)).strip()
    return said.splitlines()[-1] if isinstance(failure, SyntaxError) else said  # its file and line come before that


def _is_ours(module: str) -> bool:
    return module.partition(".")[0] == __name__.partition(".")[0]


def _is_own(root: Path, file: str) -> bool:
    if not Path(file).is_absolute():  # a compiled module's, as seen from where it was built
        return False
    path = Path(file).resolve()
    if path.is_relative_to(_HOME):  # an editable installation may lie in the project
        return False
    return path.is_relative_to(root.resolve()) and "site-packages" not in path.parts


def _seen_from(root: Path, file: str) -> str:
    return str(Path(file).resolve().relative_to(root.resolve())) if _is_own(root, file) else file
