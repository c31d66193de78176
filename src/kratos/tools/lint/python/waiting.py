"""The event loop: what blocks it, what gets lost in it, and what cannot be cancelled any more."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from kratos.tools.lint.base import Edit, Finding, Rule
from kratos.tools.lint.python.module import Module, Scoped, awaits, inside

__all__ = ["RULES", "find"]

BLOCKING: Final = Rule(
    "KRY203",
    "blocking-call",
    "error",
    "An async function calls what blocks.",
    "While it waits nothing else runs in the process: no other call is answered, no deadline kept, no probe.",
    "Await its async counterpart, or `await asyncio.to_thread(...)`; a handler may also be a plain def, which runs in "
    "a thread.",
    fixable=True,
)
TASK: Final = Rule(
    "KRY204",
    "task-without-reference",
    "error",
    "A task is started and nobody keeps it.",
    "The loop holds tasks weakly: it may be collected before it is done, and its error is seen by nobody.",
    "Keep it and await it, or start it in an `asyncio.TaskGroup`.",
)
CANCELLATION: Final = Rule(
    "KRY207",
    "swallowed-cancellation",
    "error",
    "An async function catches cancellation and goes on.",
    "A call whose caller has left, or whose time is up, goes on working; shutdown waits for it up to the limit.",
    "Catch `Exception`, which cancellation is not, or raise again at the end.",
    fixable=True,
)
RULES: Final = (BLOCKING, TASK, CANCELLATION)
"""The rules for the event loop."""

_VERBS: Final = ("get", "post", "put", "patch", "delete", "head", "options", "request")
_BLOCKING: Final = frozenset(
    {
        "time.sleep", "os.system", "os.wait", "os.waitpid", "input", "urllib.request.urlopen",
        "socket.create_connection", "socket.getaddrinfo", "socket.gethostbyname", "sqlite3.connect",
        "psycopg2.connect", "psycopg.connect", "pymysql.connect", "MySQLdb.connect", "pymongo.MongoClient",
        "smtplib.SMTP", "smtplib.SMTP_SSL", "ftplib.FTP",
        *(f"subprocess.{name}" for name in ("run", "call", "check_call", "check_output", "getoutput")),
        *(f"{library}.{verb}" for library in ("requests", "httpx") for verb in _VERBS),
    }
)  # fmt: skip
_STARTS: Final = frozenset(
    {"asyncio.create_task", "asyncio.ensure_future", "asyncio.gather", "asyncio.shield"}
)  # the last two start one for each coroutine that they are given
_LOOPS: Final = frozenset({"asyncio.get_running_loop", "asyncio.get_event_loop"})
_CANCELLED: Final = frozenset(
    {"asyncio.CancelledError", "asyncio.exceptions.CancelledError", "concurrent.futures.CancelledError"}
)


def find(module: Module) -> Iterator[Finding]:
    """Yields what is wrong about waiting."""
    for call in module.calls:
        yield from _blocking(module, call)
        yield from _task(module, call)
    for statement in module.tries:
        if statement.is_async:
            yield from _swallowed(module, statement)
    for statement in module.withs:
        if statement.is_async:
            yield from _suppressed(module, statement)


def _blocking(module: Module, call: Scoped) -> Iterator[Finding]:
    node = call.node
    if not call.is_async or not isinstance(node, ast.Call):
        return
    name = module.imported_origin(node.func) or ("input" if _is_input(module, node.func) else "")
    if name not in _BLOCKING:
        return
    where = call.scope.name if isinstance(call.scope, ast.AsyncFunctionDef) else ""
    edits = _asynchronous(module, call, node) if name == "time.sleep" else ()
    yield module.at(BLOCKING, node, f"{name} blocks the event loop in async {where}", edits)


def _is_input(module: Module, func: ast.expr) -> bool:
    return isinstance(func, ast.Name) and func.id == "input" and "input" not in module.origins


def _asynchronous(module: Module, call: Scoped, node: ast.Call) -> tuple[Edit, ...]:
    """Returns what makes a sleep of its own statement one that is awaited."""
    if not isinstance(call.parent, ast.Expr) or len(node.args) != 1 or node.keywords:
        return ()
    func = node.func
    end = (func.end_lineno or func.lineno, func.end_col_offset or func.col_offset)
    name = next(_names_of_asyncio(module.tree), "")
    edits = [Edit((func.lineno, func.col_offset), end, f"await {name or 'asyncio'}.sleep")]
    if not name:
        first = next((each for each in module.tree.body if _ordinary(each)), None)
        if first is None or _taken(module.tree):
            return ()
        edits.insert(0, Edit((first.lineno, 0), (first.lineno, 0), "import asyncio\n"))
    return tuple(edits)


def _names_of_asyncio(tree: ast.Module) -> Iterator[str]:
    """Yields what asyncio is called in all of a file; an import in a function is none for others."""
    for statement in tree.body:
        if isinstance(statement, ast.Import):
            yield from (alias.asname or alias.name for alias in statement.names if alias.name == "asyncio")


def _taken(tree: ast.Module) -> bool:
    """Tells whether asyncio is the name of something else somewhere."""
    for node in ast.walk(tree):
        match node:
            case ast.arg("asyncio") | ast.Name("asyncio", ast.Store()) | ast.FunctionDef("asyncio"):
                return True
            case ast.ImportFrom(names=names) if any((each.asname or each.name) == "asyncio" for each in names):
                return True
            case _:
                pass
    return False


def _ordinary(statement: ast.stmt) -> bool:
    future = isinstance(statement, ast.ImportFrom) and statement.module == "__future__"
    return isinstance(statement, ast.Import | ast.ImportFrom) and not future


def _task(module: Module, call: Scoped) -> Iterator[Finding]:
    node = call.node
    if not isinstance(node, ast.Call) or not isinstance(call.parent, ast.Expr):
        return
    name = module.imported_origin(node.func)
    if name not in _STARTS and not _of_loop(module, node.func):
        return
    yield module.at(TASK, node, "a task that nobody keeps may be collected before it is done")


def _of_loop(module: Module, func: ast.expr) -> bool:
    match func:
        case ast.Attribute(ast.Call(func=maker), "create_task"):
            return module.imported_origin(maker) in _LOOPS
        case ast.Attribute(ast.Name("loop") | ast.Attribute(attr="loop" | "_loop"), "create_task"):
            return True
        case _:
            return False


def _swallowed(module: Module, found: Scoped) -> Iterator[Finding]:
    statement = found.node
    if not isinstance(statement, ast.Try | ast.TryStar) or not awaits(statement.body):
        return
    for handler in statement.handlers:
        caught = _caught(module, handler)
        if caught and not _raises(handler):
            if caught == "asyncio.CancelledError" and _cancels(found):
                return
            said = "a bare except" if handler.type is None else f"except {caught}"
            edits = _narrowed(handler) if caught != "asyncio.CancelledError" else ()
            message = f"{said} swallows cancellation: the call goes on after its caller has left"
            yield module.at(CANCELLATION, handler, message, edits)
        if caught:  # later handlers do not see it
            return


def _caught(module: Module, handler: ast.ExceptHandler) -> str:
    """Returns as what a handler catches cancellation; empty if it does not."""
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    for kind in kinds:
        if kind is None:
            return "BaseException"
        name = module.origin(kind)
        if name == "BaseException":
            return name
        if name in _CANCELLED:
            return "asyncio.CancelledError"
    return ""


def _raises(handler: ast.ExceptHandler) -> bool:
    return any(isinstance(node, ast.Raise) for node in inside(handler.body))


def _cancels(found: Scoped) -> bool:
    """Tells whether the function has cancelled something itself, and waits for that to end."""
    scope = found.scope
    if not isinstance(scope, ast.AsyncFunctionDef):
        return False
    return any(isinstance(node, ast.Attribute) and node.attr == "cancel" for node in inside(scope.body))


def _narrowed(handler: ast.ExceptHandler) -> tuple[Edit, ...]:
    """Returns what makes a handler for everything one for errors."""
    start = (handler.lineno, handler.col_offset)
    if handler.type is None:
        return (Edit(start, (start[0], start[1] + len("except")), "except Exception"),)
    kind = handler.type
    if not isinstance(kind, ast.Name):
        return ()
    return (Edit((kind.lineno, kind.col_offset), (kind.lineno, kind.end_col_offset or 0), "Exception"),)


def _suppressed(module: Module, found: Scoped) -> Iterator[Finding]:
    statement = found.node
    if not isinstance(statement, ast.With) or not awaits(statement.body):
        return
    for item in statement.items:
        match item.context_expr:
            case ast.Call(func, args) if module.imported_origin(func) == "contextlib.suppress":
                names = [module.origin(each) for each in args]
                cancelled = any(name in _CANCELLED for name in names) and not _cancels(found)
                if cancelled or "BaseException" in names:
                    yield module.at(CANCELLATION, item.context_expr, "suppress swallows cancellation")
            case _:
                pass
