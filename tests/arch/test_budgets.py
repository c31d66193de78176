"""Small, and checked to be small. Raising a number here needs a line in DESIGN.md."""

from __future__ import annotations

import ast
import importlib
import io
import math
import re
import statistics
import tokenize
from collections.abc import Iterator

import pytest

from arch.tree import Function, Module, code_lines, modules

MODULE_MEDIAN, MODULE_P90, MODULE_MAX = 130, 320, 450
FUNCTION_P90, FUNCTION_MAX = 35, 60
CONSTRUCTOR_PARAMETERS = 10
FACADE_NAMES = 25
SUPPRESSIONS_PER_1000_LINES = 2
ROOMS = {"transport.http": 4000, "transport.grpc": 1850, "middleware": 1200, "resilience": 850}
DRIVER = 350
DRIVERS = {"kratos.contrib.etcd": 500, "kratos.contrib.zookeeper": 400}
"""What a vendor has who is registry and source of configuration (two drivers on one connection), or needs a bridge to
the threads of a library beside the registry."""

MODULES = modules()


def p90(values: list[int]) -> int:
    """Returns the value that nine in ten do not exceed."""
    return sorted(values)[math.ceil(len(values) * 0.9) - 1]


def biggest(sizes: dict[str, int]) -> str:
    """Returns the ten biggest, for failure messages."""
    return "\n".join(f"  {size:5} {name}" for name, size in sorted(sizes.items(), key=lambda item: -item[1])[:10])


def module_sizes() -> dict[str, int]:
    """Returns the code lines of each module that has any."""
    return {module.name: len(module.code) for module in MODULES if module.code}


def function_sizes() -> dict[str, int]:
    """Returns the code lines of each function."""
    return {f"{name}:{node.lineno}": size for module in MODULES for name, node, size in module.functions()}


def test_modules_are_small() -> None:
    """Median, ninth decile and maximum of module sizes."""
    sizes = module_sizes()
    values = list(sizes.values())
    median, decile, top = statistics.median(values), p90(values), max(values)
    report = f"modules: median {median}, p90 {decile}, max {top}\n{biggest(sizes)}"
    assert (median <= MODULE_MEDIAN, decile <= MODULE_P90, top <= MODULE_MAX) == (True, True, True), report


def test_functions_are_small() -> None:
    """Ninth decile and maximum of function sizes."""
    sizes = function_sizes()
    decile, top = p90(list(sizes.values())), max(sizes.values())
    report = f"functions: median {statistics.median(sizes.values())}, p90 {decile}, max {top}\n{biggest(sizes)}"
    assert (decile <= FUNCTION_P90, top <= FUNCTION_MAX) == (True, True), report


def test_rooms_are_small() -> None:
    """Room totals, where the room exists."""
    sizes = module_sizes()
    totals = {
        room: sum(size for name, size in sizes.items() if f"{name}.".startswith(f"kratos.{room}.")) for room in ROOMS
    }
    assert all(totals[room] <= limit for room, limit in ROOMS.items()), f"{totals}, limits {ROOMS}"


def test_drivers_are_small() -> None:
    """A contrib driver, file or folder, stays within its budget."""
    totals: dict[str, int] = {}
    for name, size in module_sizes().items():
        if name.startswith("kratos.contrib."):
            driver = ".".join(name.split(".")[:3])
            totals[driver] = totals.get(driver, 0) + size
    over = {name: size for name, size in totals.items() if size > DRIVERS.get(name, DRIVER)}
    assert not over, f"limit {DRIVER}, {DRIVERS}\n{biggest(totals)}"


def is_record(cls: ast.ClassDef) -> bool:
    """Tells whether a class is a dataclass."""
    return any("dataclass" in ast.unparse(decorator) for decorator in cls.decorator_list)


def parameters(cls: ast.ClassDef, records: frozenset[str]) -> int:
    """Returns how many parameters ``__init__`` takes; a dataclass is data, live or not, and so are its fields."""
    for node in cls.body:
        if isinstance(node, Function) and node.name == "__init__":
            args = (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)[1:]
            types = [ast.unparse(each.annotation).removesuffix(" | None") if each.annotation else "" for each in args]
            return sum(re.sub(r"^(\w+) \| Live\[\1\]$", r"\1", kind) not in records for kind in types)
    return 0


def test_constructors_are_small() -> None:
    """Nobody passes more than ten things to a constructor."""
    records = frozenset(cls.name for module in MODULES for cls in module.classes() if is_record(cls))
    counts = {f"{module.name}.{cls.name}": parameters(cls, records) for module in MODULES for cls in module.classes()}
    too_big = {name: count for name, count in counts.items() if count > CONSTRUCTOR_PARAMETERS}
    assert not too_big, f"limit {CONSTRUCTOR_PARAMETERS}: {too_big}"


@pytest.mark.parametrize("module", [module for module in MODULES if module.is_package], ids=lambda module: module.name)
def test_facades_are_small(module: Module) -> None:
    """A package offers at most 25 names."""
    names = getattr(importlib.import_module(module.name), "__all__", ())
    assert len(names) <= FACADE_NAMES, f"{module.name} offers {len(names)} names"


_SUPPRESSION = re.compile(
    r"type:\s*ignore(\[[\w, -]*\])?|noqa(:\s*[A-Z]+[0-9]+(,\s*[A-Z]+[0-9]+)*)?|pyright:\s*\w+(\[[\w, -]*\])?"
)


def suppressions(source: str) -> Iterator[tuple[int, str]]:
    """Yields line number and reason of each suppressed finding."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            rest, count = _SUPPRESSION.subn("", token.string)
            for _ in range(count):
                yield token.start[0], rest.strip(" #-:")


def test_suppressions_are_few() -> None:
    """At most two suppressions per thousand lines."""
    found = [f"{module.name}:{line}" for module in MODULES for line, _ in suppressions(module.source)]
    lines = sum(module.source.count("\n") for module in MODULES)
    allowed = math.ceil(lines * SUPPRESSIONS_PER_1000_LINES / 1000)
    assert len(found) <= allowed, f"{len(found)} suppressions in {lines} lines, {allowed} allowed: {found}"


def test_suppressions_have_reasons() -> None:
    """Each suppression says why, on its line."""
    bare = [f"{m.name}:{line}" for m in MODULES for line, reason in suppressions(m.source) if len(reason) < 10]
    assert not bare


def test_counting_counts_parameters() -> None:
    """Records are free, alone, live or where there may be none; what holds them is not."""
    source = (
        "class A:\n    def __init__(self, a: int, /, b: TLS, *, c: TLS | None, d: list[TLS], e: object, "
        "f: TLS | Live[TLS] | None, g: TLS | Live[TLS]): ..."
    )
    (cls,) = (node for node in ast.parse(source).body if isinstance(node, ast.ClassDef))
    assert parameters(cls, frozenset(("TLS",))) == 3


def test_counting_counts_code() -> None:
    """Docstrings, comments and blank lines are free; every line of a statement or a string value counts."""
    source = (
        '\n"""Doc\nstring."""\n# comment\nX = """a\n\nb"""\n"""Of X."""\n\n\n'
        'def f(  # why\n    a,\n):\n    """Doc."""\n    return a\n'
    )
    assert code_lines(source) == {5, 6, 7, 11, 12, 13, 15}


def test_counting_finds_suppressions() -> None:
    """Suppressions are found in comments only, with their reasons."""
    source = (
        'A = "# noqa"\nB = 1  # type: ignore[x]  # because of B\n'
        "C = 2  # noqa: E501, S1 - a long story\nD = 3  # noqa\n"
    )
    assert list(suppressions(source)) == [(2, "because of B"), (3, "a long story"), (4, "")]
