"""Time limits: whoever waits for something else has to know for how long."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from typing import Final

from kratos.tools.lint.base import Finding, Rule
from kratos.tools.lint.python.module import Module, Scoped

__all__ = ["RULES", "find"]

OUTBOUND: Final = Rule(
    "KRY205",
    "no-timeout",
    "error",
    "A call to somewhere else has no time limit.",
    "One peer that does not answer takes connection after connection, until nothing answers any more.",
    "Pass timeout= in seconds.",
    tests=False,
)
SERVER: Final = Rule(
    "KRY206",
    "server-without-timeout",
    "warning",
    "A server has no time limit for unary calls.",
    "A call that hangs is never given up: its caller has left long ago.",
    "Leave timeout out for 10 s, or say how long; a stream has no limit anyway.",
    tests=False,
)
RULES: Final = (OUTBOUND, SERVER)
"""The rules for time limits."""

_VERBS: Final = ("get", "post", "put", "patch", "delete", "head", "options", "request")
_WITHOUT: Final[Mapping[str, int]] = {
    **{f"requests.{verb}": 99 for verb in _VERBS},
    "urllib.request.urlopen": 2,
    "socket.create_connection": 1,
    "smtplib.SMTP": 3,
    "smtplib.SMTP_SSL": 99,
    "http.client.HTTPConnection": 2,
    "http.client.HTTPSConnection": 99,
    "aiohttp.ClientSession": 99,
}
"""What has no limit, or one of minutes, unless it is told; and which of its positional arguments is the limit."""
_TOLD: Final = frozenset(
    {f"httpx.{verb}" for verb in _VERBS} | {"httpx.Client", "httpx.AsyncClient"}
    | {"kratos.HTTPClient", "kratos.GRPCClient", "kratos.transport.http.HTTPClient", "kratos.transport.grpc.GRPCClient"}
)  # fmt: skip
"""What has a limit unless it is told to have none."""
_SERVERS: Final = frozenset(
    {"kratos.HTTPServer", "kratos.GRPCServer", "kratos.transport.http.HTTPServer", "kratos.transport.grpc.GRPCServer"}
)


def find(module: Module) -> Iterator[Finding]:
    """Yields what waits without a limit."""
    for call in module.calls:
        yield from _judged(module, call)


def _judged(module: Module, call: Scoped) -> Iterator[Finding]:
    node = call.node
    if not isinstance(node, ast.Call):
        return
    name = module.imported_origin(node.func)
    if not name or any(each.arg is None for each in node.keywords) or any(map(_starred, node.args)):
        return
    said = next((each.value for each in node.keywords if each.arg == "timeout"), None)
    none = isinstance(said, ast.Constant) and said.value is None
    if name in _WITHOUT and (none or (said is None and len(node.args) <= _WITHOUT[name])):
        yield module.at(OUTBOUND, node, f"{name} without a timeout waits for ever, or for minutes")
    elif name in _TOLD and none:
        yield module.at(OUTBOUND, node, f"{name} with timeout=None waits for ever")
    elif name in _SERVERS and (none or (isinstance(said, ast.Constant) and said.value == 0)):
        short = name.rpartition(".")[2]
        yield module.at(SERVER, node, f"{short} without a time limit never gives up a unary call")


def _starred(argument: ast.expr) -> bool:
    return isinstance(argument, ast.Starred)
