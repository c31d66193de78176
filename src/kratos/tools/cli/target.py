"""What a command works on: the project around the current folder, and the app in it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, cast

from kratos.blame import blame
from kratos.tools.codegen.apps import apps, called
from kratos.tools.codegen.project import Project, ProjectError
from kratos.tools.failure import USAGE, Failure

if TYPE_CHECKING:
    from kratos.app import App, Source

__all__ = ["SeveralApps", "Target", "blamed", "current"]


class SeveralApps(Failure):
    """There is more than one app, and nobody said which.

    Args:
        apps: What there is, by what to call it.
        command: What was typed.
    """

    def __init__(self, apps: Mapping[str, str], command: str) -> None:
        listed = "".join(f"\n  {name}" for name in apps)
        super().__init__(f"there are {len(apps)} apps, say which one:{listed}", hint=f"{command} {next(iter(apps))}")
        self.apps = apps
        self.code = USAGE


def current() -> Project:
    """Returns the project that the current folder belongs to.

    Raises:
        ProjectError: There is none, or its table is wrong.
    """
    project = Project.find(Path.cwd())
    if project is None:
        raise ProjectError(
            f"{Path.cwd()} is not in a project: no pyproject.toml here or above has a [tool.kratos] table",
            hint="kratos new shop",
            code=USAGE,
        )
    return project


@dataclass(frozen=True, slots=True)
class Target:
    """Where an app is to be found.

    Attributes:
        module: The module to import.
        attribute: The app in it, or a function, plain or async, that makes one; dots lead into objects.
        root: The folder to import from.
    """

    module: str
    attribute: str
    root: Path

    @classmethod
    def of(cls, reference: str | None, *, command: str = "kratos run") -> Target:
        """Reads ``module:attribute``; the attribute is ``app`` if not said.

        An app of the project may be called by its package, and need not be named if there is only one.

        Args:
            reference: What was typed.
            command: What it was typed after, for hints.

        Raises:
            SeveralApps: There are several, and nobody says which.
            Failure: Nobody says what to serve.
        """
        project = Project.find(Path.cwd())
        root = project.root if project else Path.cwd()
        known = _by_name(apps(root, project))
        if not reference and len(known) > 1:
            raise SeveralApps(known, command)
        said = known.get(reference, reference) if reference else next(iter(known.values()), "")
        module, _, attribute = said.partition(":")
        if not all(part.isidentifier() for part in module.split(".")):
            if said:
                raise Failure(f"{said!r} is not module:attribute", hint=f"{command} shop.main:app", code=USAGE)
            if project is None:
                current()
            raise Failure(
                f'there is no app in {root}: neither does pyproject.toml say app = "shop.main:app" in [tool.kratos], '
                "nor has a main.py here or in a package an app",
                hint=f"{command} shop.main:app",
                code=USAGE,
            )
        return cls(module, attribute or "app", root)

    def __str__(self) -> str:
        return f"{self.module}:{self.attribute}"

    def source(self) -> Source:
        """Imports the module and returns the app, or the function that makes it.

        Raises:
            Failure: There is no such module or name, or the module fails; the message has the place.
        """
        if str(self.root) not in sys.path:
            sys.path.insert(0, str(self.root))
        with blamed(self.root):
            try:
                found: object = import_module(self.module)
            except ModuleNotFoundError as missing:
                if missing.name is None or not f"{self.module}.".startswith(f"{missing.name}."):
                    raise
                raise Failure(f"there is no module {missing.name} in {self.root}", code=USAGE) from missing
            for name in self.attribute.split("."):
                if not hasattr(found, name):
                    raise Failure(f"{self.module} has no {self.attribute}", hint=f"{self._offers()}", code=USAGE)
                found = getattr(found, name)
        return cast("App | Callable[[], App]", found)

    async def app(self) -> App:
        """Returns the app; a function that makes one is called.

        Raises:
            Failure: It cannot be made; the message has the place.
        """
        source = self.source()
        from kratos.app import make  # noqa: PLC0415 - only where an app is about to be loaded

        with blamed(self.root):
            return await make(source)

    def _offers(self) -> str:
        """Returns what might have been meant: the apps and functions of the module."""
        from kratos.app import App  # noqa: PLC0415 - only where an app is about to be loaded

        names = vars(sys.modules[self.module]).items()
        apps = [name for name, value in names if isinstance(value, App)]
        return f"{self.module}:{apps[0]}" if apps else f"app = App(...) in {self.module}"


def _by_name(references: tuple[str, ...]) -> dict[str, str]:
    """Returns apps by the shortest name that means only one of them."""
    names = [called(reference) for reference in references]
    return {
        name if names.count(name) == 1 else reference: reference
        for name, reference in zip(names, references, strict=True)
    }


@contextmanager
def blamed(root: Path) -> Generator[None]:
    """Turns whatever a project's code raises inside into a failure that names the place."""
    try:
        yield
    except Failure:
        raise
    except Exception as failure:
        raise Failure(blame(failure, root)) from failure
