"""Names of generated code: ours, unless the file or a parameter has them already."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Collection, Iterable
from typing import Final

from kratos.tools.caching.reading import Method, Module, Repository

__all__ = ["Fields", "Naming", "fresh", "kind", "words"]

_OURS: Final = ("Cache", "Options", "Values", "part")
_TOLD: Final = frozenset(
    {
        "int", "bool", "UUID", "date", "datetime", "time", "timedelta", "Any", "object", "list", "tuple", "set",
        "frozenset", "Sequence", "Iterable", "Collection", "Set",
    }
)  # fmt: skip
"""Types whose values are written as those of any are."""


class Naming:
    """The names of one generated file.

    Attributes:
        ours: What things of ``kratos.cache`` are called.
        aliases: What is called otherwise than in the file, because a parameter hides it: the name there.
    """

    def __init__(self, module: Module) -> None:
        methods = [method for one in module.repositories for method in one.methods]
        self._parameters = {each.arg for method in methods for each in method.arguments}
        self._imports = module.imports
        foreign = {name for name, (origin, _) in module.imports.items() if not origin.startswith("kratos.cache")}
        self._file = {*module.own, *module.imports}
        self.ours = {name: fresh(name, {*module.own, *foreign, *self._parameters}) for name in _OURS}
        self.aliases: dict[str, str] = {}

    def local(self, name: str, method: Method) -> str:
        """Returns what something inside of a method is called."""
        return fresh(name, {*self._file, *self.ours.values(), *(each.arg for each in method.arguments)})

    def inside(self, text: str, method: Method) -> str:
        """Returns an expression of the file as it is written inside of a method, whose parameters hide names."""
        hidden = {each.arg for each in method.arguments} & words(text)
        known = {name for name in hidden if name in self._file or hasattr(builtins, name)}
        if not known:
            return text
        tree = ast.parse(text, mode="eval")
        said = ast.unparse(_Renaming({name: self._alias(name) for name in sorted(known)}).visit(tree))
        return said if '"' in said else said.replace("'", '"')

    def _alias(self, name: str) -> str:
        found = next((alias for alias, of in self.aliases.items() if of == name), "")
        if not found:
            found = fresh(name, {*self._file, *self._parameters, *self.ours.values(), *self.aliases, *dir(builtins)})
            self.aliases[found] = name
        return found


class Fields:
    """The attributes of one generated class.

    Attributes:
        source: Where the source is.
    """

    def __init__(self, repository: Repository) -> None:
        taken = {method.name for method in repository.methods}
        self.source = fresh("_source", taken)
        taken.add(self.source)
        self._values: dict[str, str] = {}
        for method in repository.methods:
            if method.cacheable is not None:
                self._values[method.name] = fresh(f"_{method.name}", taken)
                taken.add(self._values[method.name])

    def values(self, method: str) -> str:
        """Returns where the values of a method are."""
        return self._values[method]


class _Renaming(ast.NodeTransformer):
    def __init__(self, names: dict[str, str]) -> None:
        self._names = names

    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.Name(self._names.get(node.id, node.id), node.ctx)

    def visit_Lambda(self, node: ast.Lambda) -> ast.Lambda:
        own = {each.arg for each in ast.walk(node.args) if isinstance(each, ast.arg)}
        inner = _Renaming({name: new for name, new in self._names.items() if name not in own})
        self.generic_visit(node.args)
        return ast.Lambda(node.args, inner.visit(node.body))


def words(text: str) -> set[str]:
    """Returns the names in an expression."""
    return {node.id for node in ast.walk(ast.parse(text, mode="eval")) if isinstance(node, ast.Name)}


def fresh(name: str, taken: Collection[str]) -> str:
    """Returns a name that is not taken."""
    while name in taken:
        name += "_"
    return name


def kind(module: Module, method: Method, name: str) -> str:
    """Returns the type of a parameter if its values are written by it; of one value, if it is one of several."""
    for at, each in enumerate(method.parameters):
        if each.arg == name:
            annotation = each.annotation
            if method.many and at == 0:
                annotation = _element(annotation)
            return _written(module, list(_choices(annotation)))
    return ""


def _written(module: Module, choices: list[ast.expr]) -> str:
    if not choices or any(_is_told(each) for each in choices):
        return ""
    if all(_is_texts(each) for each in choices):
        return "str"
    said = " | ".join(module.kind(each) for each in choices)
    return ast.unparse(ast.parse(said, mode="eval")) if '"' in said else said


def _is_told(node: ast.expr) -> bool:
    match node:
        case ast.Subscript(ast.Name("Literal") | ast.Attribute(_, "Literal")):
            return not _is_texts(node)
        case ast.Subscript():
            return True
        case ast.Name(name) | ast.Attribute(_, name):
            return name in _TOLD
        case _:
            return True


def _is_texts(node: ast.expr) -> bool:
    match node:
        case ast.Subscript(ast.Name("Literal") | ast.Attribute(_, "Literal"), inner):
            some = inner.elts if isinstance(inner, ast.Tuple) else [inner]
            return all(isinstance(each, ast.Constant) and isinstance(each.value, str) for each in some)
        case _:
            return isinstance(node, ast.Name) and node.id == "str"


def _element(annotation: ast.expr | None) -> ast.expr | None:
    match annotation:
        case ast.Constant(str(text)):
            return _element(ast.parse(text, mode="eval").body)
        case ast.Subscript(_, ast.Tuple([first, *_])) | ast.Subscript(_, first):
            return first
        case _:
            return None


def _choices(annotation: ast.expr | None) -> Iterable[ast.expr]:
    """Returns the types that a parameter may have, less None."""
    match annotation:
        case None | ast.Constant(None):
            return ()
        case ast.Constant(str(text)):
            return _choices(ast.parse(text, mode="eval").body)
        case ast.BinOp(left, ast.BitOr(), right):
            return (*_choices(left), *_choices(right))
        case ast.Subscript(ast.Name("Optional" | "Union") | ast.Attribute(_, "Optional" | "Union"), inner):
            some = inner.elts if isinstance(inner, ast.Tuple) else [inner]
            return tuple(each for one in some for each in _choices(one))
        case ast.Subscript(ast.Name("Annotated") | ast.Attribute(_, "Annotated"), ast.Tuple([first, *_])):
            return _choices(first)
        case _:
            return (annotation,)
