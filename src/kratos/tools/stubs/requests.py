"""Requests that can be sent: what the variables of a path need to be filled with."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kratos.pathtemplate import Template
from kratos.tools.codegen.project import Project
from kratos.tools.stubs.outline import Base, Packages, Rpc

__all__ = ["Requests"]

_VALUES: Final[Mapping[type[object], str]] = {str: '"a"', int: "1", float: "1"}


@dataclass(frozen=True, slots=True)
class Requests:
    """The requests of a service's RPCs.

    Attributes:
        project: Whose; its code is generated.
        base: The service.
    """

    project: Project
    base: Base

    def sendable(self, rpc: Rpc, message: str) -> str | None:
        """Returns a request that its HTTP route has a place for, as an expression; None if there is none.

        Args:
            rpc: The RPC.
            message: What its request is called.
        """
        if not rpc.route:
            return None
        try:
            template = Template(rpc.route)
        except ValueError:  # told by kratos lint
            return None
        if not template.variables:
            return f"{message}()"
        defaults = dict(self._defaults(message))
        values: list[str] = []
        for variable in template.variables:
            (name, *deeper) = variable.path
            value = _VALUES.get(defaults.get(name, type(None)))
            if value is None or deeper or variable.segments != ("*",):
                return None
            values.append(f"{name}={value}")
        return f"{message}({', '.join(values)})"

    def _defaults(self, message: str) -> Iterator[tuple[str, type[object]]]:
        """Yields the fields of a message of the project with the types of their defaults."""
        module, name = self.base.names.get(message, ("", ""))
        packages = Packages.of(self.project)
        if not module.startswith(f"{packages.out}."):
            return
        below = module.removeprefix(f"{packages.out}.").split(".")
        path = Path(self.project.root, self.project.out, *below).with_suffix(".py")
        tree = ast.parse(path.read_text(encoding="utf-8")) if path.is_file() else ast.Module([], [])
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and node.name == name:
                yield from _keywords(node)


def _keywords(node: ast.ClassDef) -> Iterator[tuple[str, type[object]]]:
    for method in ast.walk(node):
        if isinstance(method, ast.FunctionDef) and method.name == "__init__":
            for argument, default in zip(method.args.kwonlyargs, method.args.kw_defaults, strict=True):
                if isinstance(default, ast.Constant):
                    yield argument.arg, type(default.value)
            return
