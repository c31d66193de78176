"""What users may import: declared, documented, and shown as a diff when it changes."""

from __future__ import annotations

import ast
import difflib
import importlib

import pytest

from arch.surface import SNAPSHOT, render
from arch.tree import Function, Module, modules

PUBLIC = [module for module in modules() if module.is_public]


def by_name(module: Module) -> str:
    """Names a parameter after its module."""
    return module.name


def documented(body: list[ast.stmt], prefix: str) -> dict[str, bool]:
    """Returns what a body defines and whether it has a docstring, in a string of its own or in the class's."""
    found: dict[str, bool] = {}
    for index, node in enumerate(body):
        if isinstance(node, Function | ast.ClassDef):
            # The setter of a property, and an overload, are documented once.
            found[prefix + node.name] = found.get(prefix + node.name, False) or bool(ast.get_docstring(node))
        if isinstance(node, ast.ClassDef):
            found |= documented(node.body, f"{prefix}{node.name}.")
        if isinstance(node, ast.Assign | ast.AnnAssign):
            following = body[index + 1] if index + 1 < len(body) else None
            text = isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                found[prefix + ast.unparse(target)] = text
    return found


def undocumented(module: Module) -> list[str]:
    """Returns the public names, and public methods of public classes, without a docstring."""
    names = set(getattr(importlib.import_module(module.name), "__all__", ()))
    found = documented(module.tree.body, "")
    methods = {
        f"{cls.name}.{node.name}"
        for cls in module.tree.body
        if isinstance(cls, ast.ClassDef) and cls.name in names
        for node in cls.body
        if isinstance(node, Function) and not node.name.startswith("_")
    }
    return sorted(name for name in names | methods if found.get(name) is False and not name.startswith("__"))


@pytest.mark.parametrize("module", PUBLIC, ids=by_name)
def test_all_is_declared(module: Module) -> None:
    """Every public module declares ``__all__``, unless it is a package without names; every name in it exists."""
    loaded = importlib.import_module(module.name)
    if not (module.is_package and not module.code):
        assert "__all__" in vars(loaded), f"{module.name} declares no __all__"
    missing = [name for name in getattr(loaded, "__all__", ()) if not hasattr(loaded, name)]
    assert not missing


@pytest.mark.parametrize("module", PUBLIC, ids=by_name)
def test_public_names_have_docstrings(module: Module) -> None:
    """Every public name, and every public method of it, has a docstring."""
    assert ast.get_docstring(module.tree), f"{module.name} has no docstring"
    assert not undocumented(module)


def test_surface_is_as_committed() -> None:
    """The public surface is the committed one; if the change is meant, ``make surface`` writes it down."""
    wanted = SNAPSHOT.read_text(encoding="utf-8") if SNAPSHOT.exists() else ""
    diff = "\n".join(
        difflib.unified_diff(wanted.splitlines(), render().splitlines(), "surface.txt", "this tree", lineterm="")
    )
    assert not diff, f"the public surface has changed; if that is meant, run `make surface`\n{diff}"
