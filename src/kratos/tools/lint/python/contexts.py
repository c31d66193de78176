"""Context variables: what a thread does not know of the call that has started it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from kratos.tools.lint.base import Finding, Rule
from kratos.tools.lint.python.module import Module, Scoped

__all__ = ["RULES", "find"]

LOST: Final = Rule(
    "KRY213",
    "context-lost",
    "warning",
    "An async function starts work in a thread that does not get its context.",
    "There, current_call() is empty, log lines lack their trace, and calls to others have no deadline and no parent.",
    "await asyncio.to_thread(function, ...) copies the context; elsewhere pass contextvars.copy_context().run first.",
    tests=False,
)
RULES: Final = (LOST,)
"""The rules for contexts."""

_LOOPS: Final = frozenset({"asyncio.get_running_loop", "asyncio.get_event_loop"})
_POOLS: Final = frozenset({"concurrent.futures.ThreadPoolExecutor", "concurrent.futures.thread.ThreadPoolExecutor"})


def find(module: Module) -> Iterator[Finding]:
    """Yields threads that are started without a context."""
    for call in module.calls:
        node = call.node
        if call.is_async and isinstance(node, ast.Call) and (said := _starts(module, call, node)):
            yield module.at(LOST, node, f"{said} runs without the context of this call")


def _starts(module: Module, call: Scoped, node: ast.Call) -> str:
    """Returns what starts a thread; empty if nothing does, or if it brings a context."""
    if any(map(_brings, [*node.args, *(each.value for each in node.keywords)])):
        return ""
    if module.imported_origin(node.func) == "threading.Thread":
        return "the thread"
    match node.func:
        case ast.Attribute(value, "run_in_executor") if _is(module, call, value, _LOOPS):
            return "run_in_executor" if node.args and _threads(module, call, node.args[0]) else ""
        case ast.Attribute(value, "submit") if _is(module, call, value, _POOLS):
            return "submit"
        case _:
            return ""


def _threads(module: Module, call: Scoped, executor: ast.expr) -> bool:
    """Tells whether an executor has threads: a process has no use for a context."""
    return (isinstance(executor, ast.Constant) and executor.value is None) or _is(module, call, executor, _POOLS)


def _brings(argument: ast.expr) -> bool:
    """Tells whether an argument runs something else: ``context.run``, or a partial of it."""
    return any(isinstance(node, ast.Attribute) and node.attr == "run" for node in ast.walk(argument))


def _is(module: Module, call: Scoped, value: ast.expr, makers: frozenset[str]) -> bool:
    """Tells whether a value was made by one of some functions, here or in the function around."""
    if isinstance(value, ast.Call):
        return module.imported_origin(value.func) in makers
    if not isinstance(value, ast.Name) or not isinstance(call.scope, ast.AsyncFunctionDef):
        return False
    made = [each for node in ast.walk(call.scope) for each in _made(node, value.id)]
    return bool(made) and all(isinstance(each, ast.Call) and _is(module, call, each, makers) for each in made)


def _made(node: ast.AST, name: str) -> Iterator[ast.expr]:
    match node:
        case ast.Assign([ast.Name(target)], value) if target == name:
            yield value
        case ast.withitem(value, ast.Name(target)) if target == name:
            yield value
        case _:
            pass
