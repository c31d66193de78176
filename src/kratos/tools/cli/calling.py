"""What ``kratos call`` does once it knows which operation is meant; it loads the runtime."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Final, Literal

from kratos.codec.json import JsonCodec
from kratos.codec.messages import full_name, is_message
from kratos.errors import BadRequest, Error
from kratos.log.text import visible
from kratos.tools.calling.exchange import Exchange, Place
from kratos.tools.calling.loading import load
from kratos.tools.calling.messages import Translator
from kratos.tools.calling.operations import Known
from kratos.tools.calling.values import Input, split
from kratos.tools.cli.target import blamed
from kratos.tools.cli.terminal import error, note, paint, show
from kratos.tools.codegen.project import Project
from kratos.tools.failure import USAGE, Failure
from kratos.transport.tls import TLS

__all__ = ["Order", "carry_out"]

_UNARY_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What the command line says.

    Attributes:
        project: Where the operation comes from.
        target: Where the call goes.
        kind: The transport, where the target does not say it.
        ca: Whom to trust; None is what the system trusts.
        cert: Our certificate; None is none.
        key: Its key.
        operation: What is called.
        request: The word for the request; None if there was none.
        headers: What goes along.
        timeout: Seconds for the call; None is what is usual.
        verbose: Whether the way there and back is told as well.
        as_json: Whether all is for a script.
    """

    project: Project
    target: str
    kind: Literal["http", "grpc"] | None
    ca: Path | None
    cert: Path | None
    key: Path | None
    operation: Known
    request: str | None
    headers: list[tuple[str, str]]
    timeout: float | None
    verbose: bool
    as_json: bool


def carry_out(order: Order) -> bool:
    """Makes the call and prints what comes back; False if it failed, which is told by then.

    Raises:
        Failure: It cannot be made like this; nothing was sent.
    """
    exchange, translator = _prepared(order)
    if exchange.operation.deprecated:
        note(f"{order.operation.full} is deprecated")
    try:
        _make(order, exchange, translator)
    except Error as failure:
        _tell(failure, exchange, as_json=order.as_json)
        return False
    return True


def _prepared(order: Order) -> tuple[Exchange, Translator]:
    """Returns the call to make, and what reads and writes its messages."""
    tls = TLS(ca=order.ca, cert=order.cert, key=order.key) if order.ca or order.cert else None
    place = Place.parse(order.target, order.kind, tls)
    with blamed(order.project.root):
        operation, errors = load(order.project, order.operation)
        translator = Translator(operation, order.project)
    if place.kind == "http" and not operation.http:
        raise Failure(f"{order.operation.full} has no google.api.http rule: call it over gRPC", code=USAGE)
    timeout = order.timeout or (None if operation.streams else _UNARY_SECONDS)
    return (
        Exchange(place=place, operation=operation, known=errors, headers=order.headers, timeout=timeout),
        translator,
    )


def _make(order: Order, exchange: Exchange, translator: Translator) -> None:
    operation = exchange.operation
    given = Input.given(order.request, several=operation.client_streams)
    if given.typed:
        note("one JSON value after the other; Ctrl-D ends" if operation.client_streams else "JSON; Ctrl-D ends")
    request = None if operation.client_streams else translator.read(given.whole())
    requests = _several(translator, given) if operation.client_streams else _one(request)
    line = _line(exchange, request)
    if order.verbose:
        note(paint(f"> {line}", "faint", sys.stderr))

    def take(reply: Any) -> None:
        show(translator.write(reply, pretty=not (order.as_json or operation.server_streams)))

    client = exchange.place.connect(translator.codec)
    started = perf_counter()
    try:
        asyncio.run(exchange.run(client, requests, take))
    finally:
        if order.verbose:
            _tell_reply(exchange, perf_counter() - started)


def _line(exchange: Exchange, request: Any) -> str:
    try:
        return exchange.line(request)
    except BadRequest as refused:  # what the path or the query cannot say; nothing was sent
        raise Failure(refused.message, code=USAGE) from refused


async def _one(request: Any) -> AsyncIterator[Any]:
    yield request


async def _several(translator: Translator, given: Input) -> AsyncIterator[Any]:
    """Yields requests as they come; those that are there already are all read before the first is sent."""
    if given.data is not None:
        for request in [translator.read(each, number=at) for at, each in enumerate(split(given.data), 1)]:
            yield request
        return
    number = 0
    async for value in given.values():
        number += 1
        yield translator.read(value, number=number)


def _tell_reply(exchange: Exchange, seconds: float) -> None:
    reply = exchange.reply
    status = f"{reply.status} " if reply.status is not None else ""
    lines = [f"< {status}after {seconds * 1000:.1f} ms"]
    lines += [f"< {name}: {visible(value)}" for name, value in reply.header_pairs()]
    lines += [f"< {name}: {visible(value)}  (trailer)" for name, value in reply.trailer_pairs()]
    for line in lines:
        note(paint(line, "faint", sys.stderr))


def _tell(failure: Error, exchange: Exchange, *, as_json: bool) -> None:
    details = [_detail(each) for each in failure.details]
    if as_json:
        told = {"code": failure.code, "reason": failure.reason, "message": failure.message}
        note(json.dumps({**told, "metadata": failure.metadata, "details": details}, ensure_ascii=False))
        return
    ours = exchange.reply.status is None and not exchange.reply.trailer_pairs()  # nobody has answered
    if ours and failure.reason.startswith(("CONNECTION_", "BAD_REPLY")):
        other = _other_transport(failure, exchange)
        if other:
            error(f"{exchange.place.url} does not speak {exchange.place.kind}", hint=f"kratos call {other} …")
        else:
            error(visible(failure.message), hint=_certificates(failure))
        return
    if failure.reason == "DEADLINE_EXCEEDED" and failure.metadata.get("limit") == "client" and exchange.timeout:
        error(f"no reply within {exchange.timeout:g} s", hint=f"--timeout {exchange.timeout * 5:g}")
        return
    error(visible(str(failure)))
    for name, value in failure.metadata.items():
        note(f"  {visible(name)}: {visible(value)}")
    for shown in details:
        note(f"  {visible(json.dumps(shown, ensure_ascii=False))}")


def _detail(detail: object) -> dict[str, Any]:
    """Returns a detail as JSON with its type; of one that is not known here that is all there is to say."""
    if not is_message(detail):
        return {"@type": type(detail).__name__}
    try:
        return {"@type": full_name(type(detail)), **json.loads(JsonCodec().encode(detail))}
    except (TypeError, ValueError):  # still packed
        return {"@type": str(getattr(detail, "type_url", full_name(type(detail))))}


def _other_transport(failure: Error, exchange: Exchange) -> str:
    """Returns the target to call instead, where it was the wrong transport."""
    other = "grpc" if exchange.place.kind == "http" else "http"
    if ("does not answer in HTTP" if other == "grpc" else "http1.x server") not in failure.message:
        return ""
    place = exchange.place.url.rpartition("unix:")[2]
    return f"{other}+unix:{place}" if "unix:" in exchange.place.url else f"{other}://{place.rpartition('://')[2]}"


def _certificates(failure: Error) -> str:
    """Returns the options that are missing, where one end does not believe the other."""
    if "TLS(ca=" in failure.message:
        return "--ca FILE"
    return "--cert FILE --key FILE" if "certificate of ours" in failure.message else ""
