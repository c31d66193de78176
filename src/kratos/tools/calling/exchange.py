"""One call of any kind: requests go out as they come, replies are handed on as they arrive."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from kratos.call import CallOptions, Reply
from kratos.codec.base import Codec
from kratos.errors import KnownErrors
from kratos.metadata import Metadata
from kratos.operation import AnyOperation, Bidi, ClientStream, ServerStream, Unary
from kratos.service import BidiCall
from kratos.tools.failure import USAGE, Failure
from kratos.transport.client import Client
from kratos.transport.target import Target
from kratos.transport.tls import TLS

__all__ = ["Exchange", "Place"]

Kind = Literal["http", "grpc"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a call goes.

    Attributes:
        url: What the client is told.
        kind: The transport.
        tls: Whom to trust, and who we are; None is what the client does without.
    """

    url: str
    kind: Kind
    tls: TLS | None = None

    @classmethod
    def parse(cls, text: str, kind: Kind | None = None, tls: TLS | None = None) -> Self:
        """Reads a target.

        Args:
            text: ``http://host:port``, ``https://host:port``, ``grpc://host:port``, ``grpcs://host:port``,
                ``http+unix:/path``, or an address without a transport.
            kind: The transport, where the target does not say it.
            tls: Certificates, if there are any.

        Raises:
            Failure: Nobody says which transport, two are said, or it is no target.
        """
        separator = "://" in text or "+unix:" in text
        scheme = text.partition(":")[0].removesuffix("+unix")
        said: Kind | None = "http" if scheme in ("http", "https") else "grpc" if scheme in ("grpc", "grpcs") else None
        if separator and scheme == "discovery":
            raise Failure(f"{text}: names are not looked up yet; call an address", code=USAGE)
        if separator and said and kind not in (None, said):
            raise Failure(f"{text} does not go with --{kind}", code=USAGE)
        try:
            Target.parse(text)
        except ValueError as wrong:
            raise Failure(str(wrong), code=USAGE) from wrong
        chosen = said if separator and said else kind
        if chosen is None:
            forms = f"http://{text} or grpc://{text}" if not separator else f"{text} --http or {text} --grpc"
            raise Failure(f"{text} does not say how to call it: {forms}", code=USAGE)
        return cls(text, chosen, tls)

    def connect(self, codec: Codec) -> Client:
        """Returns a client; it has no time limit of its own.

        Args:
            codec: What it speaks over HTTP.

        Raises:
            Failure: There is no such connection.
        """
        try:
            if self.kind == "http":
                from kratos.transport.http.client import HTTPClient  # noqa: PLC0415 - only the library that is needed

                return HTTPClient(self.url, timeout=None, codec=codec, tls=self.tls)
            from kratos.transport.grpc.client import GRPCClient  # noqa: PLC0415 - only the library that is needed

            return GRPCClient(self.url, timeout=None, tls=self.tls)
        except ValueError as wrong:
            raise Failure(str(wrong), code=USAGE) from wrong


@dataclass(slots=True, kw_only=True)
class Exchange:
    """One call.

    Attributes:
        place: Where it goes.
        operation: What is called.
        known: Its errors.
        headers: What goes along.
        timeout: Seconds for the whole call; None is no limit.
        reply: Headers and trailers that came back.
    """

    place: Place
    operation: AnyOperation
    known: KnownErrors
    headers: list[tuple[str, str]]
    timeout: float | None
    reply: Reply = field(default_factory=Reply)

    def line(self, request: Any = None) -> str:
        """Returns what is asked of whom: verb and URL over HTTP, the method over gRPC.

        Args:
            request: The message; without one the path is shown as the contract has it.
        """
        url = self.place.url
        is_socket = "unix:" in url
        address = url.rpartition("://")[2].strip("/")
        secure = "s" if self.place.tls is not None or url.startswith(("https:", "grpcs:")) else ""
        if self.place.kind == "grpc":
            return f"{self.operation.name} at {url}" if is_socket else f"grpc{secure}://{address}{self.operation.name}"
        from kratos.transport.http.path import rule_of  # noqa: PLC0415 - only the library that is needed

        rule = rule_of(self.operation)
        verb = "WebSocket" if self.operation.client_streams else rule.method
        path = self.operation.http[0].path if request is None else rule.target(request)
        return f"{verb} {path} at {url}" if is_socket else f"{verb} http{secure}://{address}{path}"

    async def run(self, client: Client, requests: AsyncIterator[Any], take: Callable[[Any], None]) -> None:
        """Makes the call; whatever ends this ends it on the server too.

        Args:
            client: What makes it; closed afterwards.
            requests: The messages, exactly one where requests are not streamed.
            take: Gets every reply.

        Raises:
            Error: The call failed.
            Exception: What ``requests`` and ``take`` raise.
        """
        options: CallOptions = {"headers": Metadata(self.headers), "reply": self.reply}
        if self.timeout is not None:
            options["timeout"] = self.timeout
        async with client:
            match self.operation:
                case Unary() as operation:
                    take(await client.unary(operation, await anext(requests), options, self.known))
                case ServerStream() as operation:
                    request = await anext(requests)
                    async with client.server_stream(operation, request, options, self.known) as replies:
                        async for reply in replies:
                            take(reply)
                case ClientStream() as operation:
                    async with client.client_stream(operation, options, self.known) as stream:
                        async for request in requests:
                            await stream.send(request)
                        take(await stream.reply())
                case Bidi() as operation:
                    async with client.bidi(operation, options, self.known) as both:
                        await _converse(both, requests, take)
                case _:
                    raise TypeError(f"{self.operation.name} is of no kind that can be called")


async def _converse(stream: BidiCall[Any, Any], requests: AsyncIterator[Any], take: Callable[[Any], None]) -> None:
    """Sends and receives at once, until the replies end; requests that are still to come are not waited for then."""

    async def send() -> None:
        async for request in requests:
            await stream.send(request)
        await stream.done()

    async def receive() -> None:
        async for reply in stream:
            take(reply)

    sender, receiver = asyncio.create_task(send()), asyncio.create_task(receive())
    try:
        await asyncio.wait([sender, receiver], return_when=asyncio.FIRST_COMPLETED)
        if sender.done() and not receiver.done() and isinstance(wrong := sender.exception(), Failure):
            raise wrong
        await receiver
    finally:
        sender.cancel()
        receiver.cancel()
        await asyncio.wait([sender, receiver])
        for task in (sender, receiver):
            if not task.cancelled():
                task.exception()  # seen: the receiver tells what the call failed with
