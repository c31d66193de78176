"""Writes ``*_kratos.py``: the operations of a file, and a base class and a client for each service."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from protobuf import DescFile, DescMethod, DescService
from protobuf.plugin import File, Ident, Module
from protobuf.wkt.google.protobuf.descriptor_pb import MethodOptions

from kratos.tools.codegen.http import Rule, rules, unknown_fields
from kratos.tools.codegen.literals import literal, row
from kratos.tools.codegen.names import client_class, constant, method, service_class
from kratos.tools.codegen.options import Options
from kratos.tools.codegen.prose import docstring
from kratos.tools.codegen.sources import Problems, Sources

__all__ = ["CONTRACT", "Context", "check_rules", "write_services"]

CONTRACT = 1
"""What generated code expects of ``kratos.service``."""

_TYPING = Module("typing")
_ABC = Module("collections.abc")
_CONTEXTLIB = Module("contextlib")
_CALL = Module("kratos.call").ident("Call")
_OPERATION = Module("kratos.operation")
_SERVICE = Module("kratos.service")

_KINDS = {
    "unary": ("Unary", "unary"),
    "server_streaming": ("ServerStream", "server_stream"),
    "client_streaming": ("ClientStream", "client_stream"),
    "bidi_streaming": ("Bidi", "bidi"),
}
"""By protobuf-py's name of the kind: our operation class and the method of ``Invoker``."""

_MANY_REQUESTS = ("client_streaming", "bidi_streaming")
_MANY_REPLIES = ("server_streaming", "bidi_streaming")

_Parts: TypeAlias = Sequence[object]
"""What ``File.print`` takes: text, identifiers, descriptors, and lists of these."""


@dataclass(frozen=True, slots=True)
class Context:
    """What the writers need beside the file.

    Attributes:
        options: The extensions of the request.
        sources: Comments.
        errors: The ``ERRORS`` tuples that the services of this file know.
        width: How long a line may be.
    """

    options: Options
    sources: Sources
    errors: Sequence[Ident]
    width: int


def check_rules(file: DescFile, context: Context, problems: Problems) -> None:
    """Notes HTTP rules that name fields which are not there."""
    for rpc in [rpc for service in file.services for rpc in service.methods]:
        for rule in _rules(rpc, context.options):
            for wrong in unknown_fields(rule, rpc):
                problems.add(context.sources.place(rpc), wrong)


def write_services(out: File, file: DescFile, context: Context) -> None:
    """Writes the module of a file's services."""
    out.print(_SERVICE.ident("require"), f"({CONTRACT}, ", literal(file.name), ")")
    out.print()
    for service in file.services:
        for rpc in service.methods:
            out.print(_constant(out, rpc), " = ", _operation(rpc, context.options))
    for service in file.services:
        _write_service(out, service, context)
        _write_client(out, service, context)


def _constant(out: File, rpc: DescMethod) -> Ident:
    return out.ident(constant(rpc.parent.name, rpc.name))


def _operation(rpc: DescMethod, options: Options) -> _Parts:
    kind, _ = _KINDS[rpc.method_kind]
    said = options.of(rpc.proto.options)
    bindings = [_binding(rule) for rule in _rules(rpc, options)]
    own = {key: value for key, value in said.items() if not key.startswith("google.")}
    extras: list[object] = []
    if bindings:
        extras += [", http=", row(bindings)]
    if own:
        extras += [", options=", literal(own)]
    if rpc.idempotency != MethodOptions.IdempotencyLevel.IDEMPOTENCY_UNKNOWN:
        extras.append(", idempotent=True")
    if rpc.deprecated:
        extras.append(", deprecated=True")
    return [_OPERATION.ident(kind), "(", literal(_path(rpc)), ", ", rpc.input, ", ", rpc.output, extras, ")"]


def _rules(rpc: DescMethod, options: Options) -> Iterator[Rule]:
    return rules(options.of(rpc.proto.options).get("google.api.http"), _path(rpc))


def _path(rpc: DescMethod) -> str:
    return f"/{rpc.parent.type_name}/{rpc.name}"


def _binding(rule: Rule) -> _Parts:
    extras = [
        f", {key}={literal(value)}"
        for key, value in (("body", rule.body), ("response_body", rule.response_body))
        if value
    ]
    return [_OPERATION.ident("Http"), "(", literal(rule.method), ", ", literal(rule.path), extras, ")"]


def _write_service(out: File, service: DescService, context: Context) -> None:
    out.print()
    out.print()
    with out.scope("class ", out.ident(service_class(service.name)), "(", _SERVICE.ident("Service"), "):"):
        _document(out, service, context, 4, f"Serves ``{service.type_name}``: subclass it and override its methods.")
        out.print()
        pairs = [['("', method(rpc.name), '", ', _constant(out, rpc), ")"] for rpc in service.methods]
        out.print("__operations__ = ", row(pairs))
        _errors(out, context)
        for rpc in service.methods:
            out.print()
            with out.scope(_handler(out, rpc)):
                _document(out, rpc, context, 8)
                argument = "requests" if rpc.method_kind in _MANY_REQUESTS else "request"
                out.print("raise ", _SERVICE.ident("unimplemented"), "(", _constant(out, rpc), f", {argument}, call)")


def _handler(out: File, rpc: DescMethod) -> _Parts:
    request: _Parts = ["request: ", rpc.input]
    reply: _Parts = [rpc.output]
    prefix = "async def "
    if rpc.method_kind in _MANY_REQUESTS:
        request = ["requests: ", _SERVICE.ident("Messages"), "[", rpc.input, "]"]
    if rpc.method_kind in _MANY_REPLIES:
        reply = [_ABC.ident("AsyncIterator"), "[", rpc.output, "]"]
        prefix = "def "
    return [prefix, out.ident(method(rpc.name)), "(self, ", *request, ", call: ", _CALL, ") -> ", *reply, ":"]


def _write_client(out: File, service: DescService, context: Context) -> None:
    out.print()
    out.print()
    with out.scope("class ", out.ident(client_class(service.name)), "(", _SERVICE.ident("Stub"), "):"):
        for line in docstring("", 4, context.width, otherwise=f"Calls ``{service.type_name}``."):
            out.print(line)
        if context.errors:
            out.print()
            _errors(out, context)
        for rpc in service.methods:
            out.print()
            with out.scope(_signature(out, rpc)):
                _document(out, rpc, context, 8)
                out.print(_invocation(out, rpc))


def _signature(out: File, rpc: DescMethod) -> _Parts:
    options = ["**options: ", _TYPING.ident("Unpack"), "[", _SERVICE.ident("CallOptions"), "]"]
    request = [] if rpc.method_kind in _MANY_REQUESTS else ["request: ", rpc.input, ", "]
    prefix = "async def " if rpc.method_kind == "unary" else "def "
    return [prefix, out.ident(method(rpc.name)), "(self, ", *request, *options, ") -> ", *_result(rpc), ":"]


def _result(rpc: DescMethod) -> _Parts:
    opening = [_CONTEXTLIB.ident("AbstractAsyncContextManager"), "["]
    match rpc.method_kind:
        case "unary":
            return [rpc.output]
        case "server_streaming":
            return [*opening, _SERVICE.ident("ServerStreamCall"), "[", rpc.output, "]]"]
        case "client_streaming":
            return [*opening, _SERVICE.ident("ClientStreamCall"), "[", rpc.input, ", ", rpc.output, "]]"]
        case "bidi_streaming":
            return [*opening, _SERVICE.ident("BidiCall"), "[", rpc.input, ", ", rpc.output, "]]"]


def _invocation(out: File, rpc: DescMethod) -> _Parts:
    _, invoke = _KINDS[rpc.method_kind]
    request = "" if rpc.method_kind in _MANY_REQUESTS else "request, "
    prefix = "return await " if rpc.method_kind == "unary" else "return "
    return [prefix, f"self._invoker.{invoke}(", _constant(out, rpc), f", {request}options, self._known)"]


def _errors(out: File, context: Context) -> None:
    if len(context.errors) == 1:
        out.print("__errors__ = ", context.errors[0])
    elif context.errors:
        out.print("__errors__ = ", row([["*", errors] for errors in context.errors]))


def _document(
    out: File, declared: DescService | DescMethod, context: Context, indent: int, otherwise: str = ""
) -> None:
    comment = context.sources.comment(declared)
    lines = docstring(comment, indent, context.width, deprecated=declared.deprecated, otherwise=otherwise)
    for line in lines:
        out.print(line)
