"""Values: what is shared by accident, and what is shown by accident."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from kratos.tools.lint.base import Finding, Rule
from kratos.tools.lint.python.module import Module

__all__ = ["RULES", "find"]

LOGGED: Final = Rule(
    "KRY211",
    "secret-in-log",
    "warning",
    "A log line is made of a secret.",
    "Masks go by keys and by how a value looks; a text that holds a password has neither.",
    'Leave it out, or log it as a field: logger.info("signed in", extra={"token": token}) is masked.',
    tests=False,
)
DEFAULT: Final = Rule(
    "KRY212",
    "mutable-default",
    "error",
    "A default value can be changed, and is shared by all calls.",
    "What one call puts into it is there for the next one, which may be somebody else's.",
    "Use None, and make the value in the function.",
)
RULES: Final = (LOGGED, DEFAULT)
"""The rules for values."""

_LEVELS: Final = frozenset({"debug", "info", "warning", "error", "exception", "critical", "log"})
_LOGGERS = re.compile(r"^_?(?:log|logger|logging)$", re.IGNORECASE)
_SECRET = re.compile(
    r"(?:^|_)(?:password|passwd|passphrase|secret|token|api_?key|access_key|private_key|credentials?|authorization)$",
    re.IGNORECASE,
)
_HARMLESS = re.compile(r"(?:^|_)(?:page|next_page|continuation|cancel|cancellation|csrf_header)_?token$", re.IGNORECASE)
_MUTABLE: Final = frozenset({"list", "dict", "set", "bytearray", "collections.defaultdict", "collections.deque"})


def find(module: Module) -> Iterator[Finding]:
    """Yields shared defaults and secrets in log lines."""
    for call in module.calls:
        node = call.node
        if isinstance(node, ast.Call) and _logs(node.func):
            for name in _said(node):
                yield module.at(LOGGED, node, f"the log line shows {name}")
    for function in module.functions:
        arguments = function.args
        for default in (*arguments.defaults, *(each for each in arguments.kw_defaults if each is not None)):
            if _mutable(module, default):
                message = f"{ast.unparse(default)} is one object for all calls of {function.name}"
                yield module.at(DEFAULT, default, message)


def _logs(func: ast.expr) -> bool:
    match func:
        case ast.Attribute(ast.Name(name) | ast.Attribute(attr=name), level) if level in _LEVELS:
            return bool(_LOGGERS.match(name))
        case _:
            return False


def _said(call: ast.Call) -> Iterator[str]:
    """Yields secrets that are put into the text of a log line: in an f-string, or as an argument of the text."""
    for argument in call.args:
        shown = [part.value for part in ast.walk(argument) if isinstance(part, ast.FormattedValue)]
        for value in (*shown, argument):
            match value:
                case ast.Name(name) | ast.Attribute(attr=name):
                    if _SECRET.search(name) and not _HARMLESS.search(name):
                        yield ast.unparse(value)
                case _:
                    pass


def _mutable(module: Module, default: ast.expr) -> bool:
    if isinstance(default, ast.List | ast.Dict | ast.Set | ast.ListComp | ast.DictComp | ast.SetComp):
        return True
    return isinstance(default, ast.Call) and module.origin(default.func) in _MUTABLE
