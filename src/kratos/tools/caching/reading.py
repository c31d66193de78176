"""The Protocols of a file whose methods are marked ``cacheable``; the file is read as text, nothing of it runs."""

from __future__ import annotations

import ast
import re
import string
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeGuard

from kratos.tools.failure import Failure

__all__ = ["Cacheable", "Function", "Method", "Module", "Problems", "Repository", "Stale", "read", "several"]

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
"""A function, async or not."""

_SEVERAL: Final = frozenset(
    {"list", "tuple", "set", "frozenset", "Sequence", "Iterable", "Collection", "Set", "List", "Tuple"}
)
_PAGES: Final = (("number", "pn"), ("size", "ps"))
_MAPS: Final = frozenset({"dict", "Mapping", "Dict"})


class Problems(Failure):
    """What is wrong with a file: one line for each place."""


@dataclass(frozen=True, slots=True)
class Stale:
    """What a method that writes makes stale.

    Attributes:
        target: The cacheable method.
        arguments: Expressions for its parameters.
        each: The parameter of the target that is one of several here, empty if it is one.
    """

    target: str
    arguments: Mapping[str, str]
    each: str = ""


@dataclass(frozen=True, slots=True)
class Cacheable:
    """How a method is cached.

    Attributes:
        key: The template; empty where ``make`` makes it.
        make: The expression of a function that makes it.
        options: The options, as they are written.
        paging: The expression of its paging; empty for none.
        pages: The parameters that say which page.
    """

    key: str
    make: str
    options: tuple[tuple[str, str], ...]
    paging: str
    pages: tuple[str, str]

    def needed(self, parameters: Sequence[ast.arg]) -> set[str]:
        """Returns the parameters that make a difference to the key."""
        if self.make:
            return {each.arg for each in parameters}
        return {field.partition(".")[0] for _, field, _, _ in string.Formatter().parse(self.key) if field}


@dataclass(frozen=True, slots=True)
class Method:
    """A method of a Protocol.

    Attributes:
        node: Where it is.
        cacheable: How it is cached; None if it is not.
        stale: What it makes stale.
    """

    node: Function
    cacheable: Cacheable | None
    stale: tuple[Stale, ...]

    @property
    def name(self) -> str:
        """What it is called."""
        return self.node.name

    @property
    def arguments(self) -> list[ast.arg]:
        """What it takes, ``self`` first."""
        spec = self.node.args
        return [*spec.posonlyargs, *spec.args, *spec.kwonlyargs]

    @property
    def parameters(self) -> list[ast.arg]:
        """What it takes, less ``self``."""
        return self.arguments[1:]

    @property
    def many(self) -> bool:
        """Whether it returns several values by their keys."""
        first = self.parameters[0].annotation if self.parameters else None
        return several(first) and _head(self.node.returns) in _MAPS


@dataclass(frozen=True, slots=True)
class Repository:
    """A Protocol.

    Attributes:
        node: Where it is.
        methods: What it has.
    """

    node: ast.ClassDef
    methods: tuple[Method, ...]


@dataclass(slots=True)
class Module:
    """A file.

    Attributes:
        path: Where it is.
        source: What is in it.
        repositories: Its Protocols.
        imports: The statement that binds each name, for those that are imported.
        own: The names that it defines.
    """

    path: Path
    source: str
    repositories: list[Repository] = field(default_factory=list[Repository])
    imports: dict[str, tuple[str, str]] = field(default_factory=dict[str, tuple[str, str]])
    own: set[str] = field(default_factory=set[str])

    def text(self, node: ast.AST) -> str:
        """Returns what is written, in one line."""
        found = ast.get_source_segment(self.source, node) or ast.unparse(node)
        return ast.unparse(node) if "\n" in found else found

    def kind(self, node: ast.expr) -> str:
        """Returns a type as it is written, less the quotes of one that is written as a text."""
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return node.value
        return self.text(node)


def read(path: Path) -> Module:
    """Reads a file.

    Raises:
        Problems: Something cannot be cached; each line of the message has a place.
        Failure: There is no such file, or it is no Python.
    """
    try:
        source = path.read_text(encoding="utf-8")
        tree = ast.parse(source)
    except SyntaxError as wrong:
        raise Failure(f"{path}:{wrong.lineno}: no Python: {wrong.msg}") from None
    except (OSError, UnicodeDecodeError) as wrong:
        raise Failure(f"cannot read {path}: {getattr(wrong, 'strerror', None) or wrong}") from None
    module = Module(path, source)
    _bind(tree, module)
    reader = _Reader(module)
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and reader.marked(node):
            module.repositories.append(reader.repository(node))
    if reader.problems:
        raise Problems("\n".join(f"{path}:{line}: {said}" for line, said in sorted(reader.problems)))
    if not module.repositories:
        raise Failure(
            f"{path} has nothing to cache: mark methods of a Protocol with @cacheable(..., ttl=...) of kratos.cache"
        )
    return module


def _bind(tree: ast.Module, module: Module) -> None:
    """Notes which names there are, also under ``if TYPE_CHECKING``."""
    for node in _statements(tree.body):
        match node:
            case ast.ImportFrom():
                origin = "." * node.level + (node.module or "")
                for alias in node.names:
                    module.imports[alias.asname or alias.name] = (origin, _aliased(alias))
            case ast.Import():
                for alias in node.names:
                    module.imports[alias.asname or alias.name.partition(".")[0]] = ("", _aliased(alias))
            case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                module.own.add(node.name)
            case _ if isinstance(node, ast.Assign | ast.AnnAssign) or type(node).__name__ == "TypeAlias":
                # Python 3.12 has a statement for aliases.
                module.own.update(each.id for each in ast.walk(node) if _stored(each))
            case _:
                pass


def _stored(node: ast.AST) -> TypeGuard[ast.Name]:
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for node in body:
        yield node
        if isinstance(node, ast.If):
            yield from _statements(node.body)


def _aliased(alias: ast.alias) -> str:
    return f"{alias.name} as {alias.asname}" if alias.asname else alias.name


def _head(annotation: ast.expr | None) -> str:
    """Returns the name in front of a subscript."""
    node = annotation.value if isinstance(annotation, ast.Subscript) else annotation
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def several(annotation: ast.expr | None) -> bool:
    """Tells whether a type is one of several things."""
    return _head(annotation) in _SEVERAL


def _parted(between: str) -> bool:
    """Tells whether a text may keep two fields apart; by which types it does is known when the module is imported."""
    return bool(re.search(r"[:\s]", between)) or (between != "" and not between[0].isalnum())


class _Reader:
    def __init__(self, module: Module) -> None:
        self.problems: list[tuple[int, str]] = []
        self._module = module

    def marked(self, node: ast.ClassDef) -> bool:
        """Tells whether a class has a method that is to be cached."""
        return any(self._mark(each, "cacheable") for each in node.body if isinstance(each, Function))

    def repository(self, node: ast.ClassDef) -> Repository:
        bases = [self._module.text(base) for base in node.bases]
        if [base.rpartition(".")[2] for base in bases] != ["Protocol"]:
            what = f"and inherits from {', '.join(bases)}" if bases else "and is no Protocol"
            self._wrong(
                node, f"{node.name} has cacheable methods {what}: only the Protocol itself, with all its methods"
            )
        methods: list[Method] = []
        for each in node.body:
            match each:
                case ast.FunctionDef() | ast.AsyncFunctionDef():
                    methods.append(self._method(each))
                case ast.Expr(ast.Constant()) | ast.Pass():
                    pass
                case _:
                    self._wrong(each, f"{node.name} has more than methods: a cache cannot stand in front of this")
        names = {method.name: method for method in methods}
        for method in methods:
            for verb in ("refresh", "invalidate") if method.cacheable is not None else ():
                other = names.get(f"{verb}_{method.name}")
                if other is not None:
                    said = f"{other.name}, which is what is written for {method.name}: rename one"
                    self._wrong(other.node, f"{node.name} has {said}")
        found = [self._resolved(method, names) for method in methods]
        if len(names) != len(methods):
            self._wrong(node, f"{node.name} has two methods of one name: overloads cannot be passed on")
        return Repository(node, tuple(found))

    def _method(self, node: Function) -> Method:
        mark = self._mark(node, "cacheable")
        if not node.args.posonlyargs and not node.args.args:
            self._wrong(node, f"{node.name} takes no self: only methods of an object can be passed on")
        if node.args.vararg or node.args.kwarg:
            self._wrong(node, f"{node.name} takes *args or **kwargs: give each parameter a name")
        if node.returns is None:
            self._wrong(node, f"{node.name} does not say what it returns: give it a return type")
        others = [each for each in node.decorator_list if each not in self._known(node)]
        if others:
            self._wrong(others[0], f"{node.name} has @{self._module.text(others[0])}, which cannot be passed on")
        if self._known(node) and not isinstance(node, ast.AsyncFunctionDef):
            self._wrong(node, f"{node.name} is no `async def`: only these can be cached, or invalidate")
        if mark is None:
            return Method(node, None, ())
        return Method(node, self._cacheable(node, mark), ())

    def _cacheable(self, node: Function, mark: ast.Call) -> Cacheable:
        names = [each.arg for each in Method(node, None, ()).parameters]
        options = {each.arg: each.value for each in mark.keywords if each.arg}
        if "ttl" not in options:
            self._wrong(mark, f"{node.name}: ttl is missing: say for how many seconds a value may be kept")
        ignored = self._literal(options.pop("ignore", None), mark, "ignore", ())
        paging = options.pop("paging", None)
        pages = self._pages(paging, mark) if paging is not None else ("", "")
        make = mark.args[0] if mark.args else None
        key = make.value if isinstance(make, ast.Constant) and isinstance(make.value, str) else ""
        kept = [name for name in names if name not in (*ignored, *pages)]
        if make is None:
            key = ":".join((node.name, *(f"{{{name}}}" for name in kept)))
        if key:
            self._check_key(key, names, kept, mark, node.name)
        written = tuple((name, self._module.text(value)) for name, value in options.items())
        return Cacheable(
            key,
            "" if key or make is None else self._module.text(make),
            written,
            "" if paging is None else self._module.text(paging),
            pages,
        )

    def _check_key(self, key: str, names: list[str], kept: list[str], mark: ast.Call, where: str) -> None:
        try:
            fields = [each for _, each, form, conversion in string.Formatter().parse(key) if each or form or conversion]
        except ValueError as wrong:
            self._wrong(mark, f"{where}: the key {key!r} cannot be read: {wrong}")
            return
        roots = [str(each).partition(".")[0] for each in fields]
        for each, root in zip(fields, roots, strict=True):
            if root not in names or not all(part.isidentifier() for part in str(each).split(".")):
                self._wrong(
                    mark, f"{where}: the key {key!r} has {{{each}}}, and there is {', '.join(names) or 'nothing'}"
                )
        for one, other in pairwise(each for each in string.Formatter().parse(key) if each[1]):
            if not _parted(other[0]):
                self._wrong(
                    mark,
                    f"{where}: the key {key!r} does not say where {{{one[1]}}} ends and {{{other[1]}}} begins: put a "
                    '":" between them',
                )
        for name in kept:
            if name not in roots:
                self._wrong(mark, f'{where}: the key {key!r} has no {{{name}}}: put it in, or say ignore=("{name}",)')

    def _pages(self, paging: ast.expr, mark: ast.Call) -> tuple[str, str]:
        if not isinstance(paging, ast.Call):
            self._wrong(mark, "paging is to be written out here: paging=Paging(...)")
            return ("pn", "ps")
        given: dict[str, ast.expr] = dict(zip(("number", "size"), paging.args, strict=False))
        given |= {each.arg: each.value for each in paging.keywords if each.arg in ("number", "size")}
        number, size = (self._literal(given.get(name), mark, name, usual) for name, usual in _PAGES)
        return str(number), str(size)

    def _resolved(self, method: Method, names: Mapping[str, Method]) -> Method:
        stale = [self._stale(method, mark, names) for mark in self._marks(method.node, "invalidates")]
        return Method(method.node, method.cacheable, tuple(each for each in stale if each is not None))

    def _stale(self, method: Method, mark: ast.Call, names: Mapping[str, Method]) -> Stale | None:
        target = self._literal(mark.args[0] if mark.args else None, mark, "the method that is made stale", "")
        found = names.get(str(target))
        if found is None or found.cacheable is None:
            self._wrong(mark, f"there is no cacheable method {target!r} here")
            return None
        given = {str(each.arg): str(self._literal(each.value, mark, str(each.arg), "")) for each in mark.keywords}
        own = {each.arg: each for each in method.parameters}
        arguments: dict[str, str] = {}
        each_of = ""
        for at, parameter in enumerate(found.parameters):
            path = given.pop(parameter.arg, parameter.arg)
            root = own.get(path.partition(".")[0])
            if root is None:
                if parameter.arg not in found.cacheable.needed(found.parameters):
                    continue
                say = f'Say {parameter.arg}="..." with a parameter of {method.name}, or a field of one'
                self._wrong(mark, f"what is {parameter.arg!r} of {target}? {say}")
                return None
            arguments[parameter.arg] = path
            if found.many and at == 0 and path == root.arg and several(root.annotation):
                each_of = parameter.arg
        for name in given:
            self._wrong(mark, f"{target} has no parameter {name!r}")
        return Stale(str(target), arguments, each_of)

    def _literal(self, node: ast.expr | None, mark: ast.Call, what: str, usual: Any) -> Any:
        if node is None:
            return usual
        try:
            return ast.literal_eval(node)
        except ValueError:
            self._wrong(mark, f"{what} is to be written out here, not {self._module.text(node)}")
            return usual

    def _known(self, node: Function) -> list[ast.expr]:
        return [*self._marks(node, "cacheable"), *self._marks(node, "invalidates")]

    def _mark(self, node: Function, name: str) -> ast.Call | None:
        return next(iter(self._marks(node, name)), None)

    def _marks(self, node: Function, name: str) -> list[ast.Call]:
        """Returns the decorators of ours on a method, by whatever name they were imported."""
        return [each for each in node.decorator_list if isinstance(each, ast.Call) and self._ours(each.func, name)]

    def _ours(self, node: ast.expr, name: str) -> bool:
        match node:
            case ast.Name(bound):
                origin, imported = self._module.imports.get(bound, ("", ""))
                return origin.startswith("kratos.cache") and imported.partition(" as ")[0] == name
            case ast.Attribute(ast.Name(bound), attribute):
                origin, imported = self._module.imports.get(bound, ("", ""))
                return attribute == name and f"{origin}.{imported.partition(' as ')[0]}".strip(".") == "kratos.cache"
            case _:
                return False

    def _wrong(self, node: ast.expr | ast.stmt, said: str) -> None:
        self.problems.append((node.lineno, said))
