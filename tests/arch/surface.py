"""The public surface as text, one line per name: ``python tests/arch/surface.py`` writes it to surface.txt.

A change of the surface is then a diff to review. Texts come from the source where values print differently between
Python versions.
"""

from __future__ import annotations

import ast
import enum
import importlib
import inspect
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, is_typeddict

sys.path.insert(0, str(Path(__file__).parents[1]))

from arch.tree import Module, modules

SNAPSHOT = Path(__file__).with_name("surface.txt")
HEADER = "# The public surface of kratos. Written by `make surface`; a change here is a change of the API.\n"

_PROTOCOLS = {
    "__aenter__", "__aexit__", "__aiter__", "__anext__", "__call__", "__contains__", "__enter__", "__exit__",
    "__getitem__", "__iter__", "__len__", "__next__",
}  # fmt: skip


def render() -> str:
    """Returns the whole surface."""
    blocks = ["\n".join(_module(module)) + "\n" for module in modules() if module.is_public]
    return HEADER + "".join(f"\n{block}" for block in blocks if block.count("\n") > 1)


def public_names(module: Module) -> list[str]:
    """Returns ``__all__`` of a module, sorted."""
    return sorted(getattr(importlib.import_module(module.name), "__all__", ()))


def _module(module: Module) -> Iterator[str]:
    yield module.name
    loaded = importlib.import_module(module.name)
    for name in public_names(module):
        value = getattr(loaded, name)
        if not isinstance(value, type) and inspect.isfunction(getattr(value, "__wrapped__", None)):
            value = value.__wrapped__  # a cache around it is nobody's business
        value = getattr(value, "callback", value)  # a command of the command line
        home = getattr(value, "__module__", module.name)
        if isinstance(value, type | type(render)) and home != module.name:
            yield f"  {name} from {home}"
        elif isinstance(value, type) and home == module.name:
            yield from (f"  {line}" for line in _class(name, value))
        elif inspect.isfunction(value):
            yield f"  {_function(name, value)}"
        else:
            yield f"  {_assignment(module, name)}"


def _function(name: str, function: Any) -> str:
    prefix = "async " if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function) else ""
    signature = inspect.signature(function)
    parameters = [
        parameter.replace(annotation=_plain(parameter.annotation), default=_plain(parameter.default, repr))
        for parameter in signature.parameters.values()
    ]
    returns = _plain(signature.return_annotation)
    return f"{prefix}def {name}{signature.replace(parameters=parameters, return_annotation=returns)}"


class _Plain:
    # inspect prints annotations and defaults by repr; this one is the text itself.
    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


def _plain(value: Any, text: Callable[[Any], str] = str) -> Any:
    if value is inspect.Parameter.empty or isinstance(value, type):
        return value
    return _Plain(re.sub(r" at 0x[0-9a-f]+", "", text(value)))


def _assignment(module: Module, name: str) -> str:
    for node in module.tree.body:
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == name:
            value = f" = {ast.unparse(node.value)}" if node.value and _is_short(node.value) else ""
            return f"{name}: {ast.unparse(node.annotation)}{value}"
        if isinstance(node, ast.Assign) and name in map(ast.unparse, node.targets):
            return f"{name} = {ast.unparse(node.value)}" if _is_short(node.value) else name
    homes = (node for node in ast.walk(module.tree) if isinstance(node, ast.ImportFrom))
    return next(f"{name} from {node.module}" for node in homes if name in [alias.name for alias in node.names])


def _is_short(value: ast.expr) -> bool:
    # A version number changes with every release, which is not a change of the surface.
    return not isinstance(value, ast.Constant) and len(ast.unparse(value)) <= 200


def _class(name: str, cls: type) -> Iterator[str]:
    bases = ", ".join(base.__name__ for base in cls.__bases__ if base is not object)
    yield f"class {name}({bases})" if bases else f"class {name}"
    is_protocol = getattr(cls, "_is_protocol", False)
    if "__init__" in vars(cls) and not is_protocol:
        yield f"  {_function('__init__', vars(cls)['__init__'])}"
    annotations = {} if issubclass(cls, enum.Enum) else inspect.get_annotations(cls)
    for member, annotation in sorted(annotations.items()):
        if not member.startswith("_"):
            text = annotation if isinstance(annotation, str) else getattr(annotation, "__forward_arg__", annotation)
            yield f"  {member}: {text}"
    if not is_typeddict(cls):
        for member, value in sorted(vars(cls).items()):
            if member in _PROTOCOLS or not (member.startswith("_") or member in annotations):
                yield f"  {_member(member, value)}"


def _member(name: str, value: Any) -> str:
    if isinstance(value, classmethod | staticmethod):
        return f"@{type(value).__name__} {_function(name, value.__func__)}"
    if isinstance(value, property):
        returns = inspect.get_annotations(value.fget).get("return", "?") if value.fget else "?"
        return f"{name}: {returns} (property{', settable' if value.fset else ''})"
    return _function(name, value) if inspect.isfunction(value) else f"{name} (attribute)"


if __name__ == "__main__":
    SNAPSHOT.write_text(render(), encoding="utf-8")
