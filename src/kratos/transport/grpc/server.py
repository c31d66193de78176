"""The gRPC server on grpcio's asyncio API."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, TypeAlias, cast

import grpc
import grpc.aio

from kratos.call import AppInfo, Call, Peer
from kratos.codec.proto import ProtoCodec
from kratos.errors import Error
from kratos.handler import Middleware
from kratos.metadata import Metadata, decode_binary, encode_binary
from kratos.service import Service
from kratos.transport.dispatch import Dispatcher, Endpoint
from kratos.transport.grpc.status import CODE_TRAILER, DETAILS_TRAILER, to_status
from kratos.transport.listen import Address, listen

__all__ = ["GRPCServer"]

_CODES = {code.value[0]: code for code in grpc.StatusCode}
_Context: TypeAlias = "grpc.aio.ServicerContext[bytes, bytes]"
_Pair: TypeAlias = "tuple[str, str | bytes]"


class GRPCServer:
    """Serves unary operations over gRPC.

    Args:
        address: ``host:port``; port 0 takes a free one.
        services: Further services, beside the app's.
        middleware: Further middleware, inside of the app's.
        timeout: Seconds for a call; None is no limit. A client may ask for less by ``grpc-timeout``.
        max_message: The largest message to receive, in bytes.

    Raises:
        ValueError: The address is not ``host:port``.
    """

    def __init__(
        self,
        address: str = "127.0.0.1:9000",
        *,
        services: Iterable[Service] = (),
        middleware: Iterable[Middleware] = (),
        timeout: float | None = 10.0,
        max_message: int = 4 * 1024 * 1024,
    ) -> None:
        self._address = Address.parse(address)
        self._services = tuple(services)
        self._middleware = tuple(middleware)
        self._timeout = timeout
        self._max_message = max_message
        self._handlers: _Handlers | None = None
        self._server: grpc.aio.Server | None = None

    def mount(self, services: Iterable[Service], middleware: Iterable[Middleware], app: AppInfo) -> None:
        """Compiles the chains; the app calls it before ``start``.

        Raises:
            ValueError: Two services implement the same operation.
        """
        self._handlers = _Handlers(
            Dispatcher((*services, *self._services), (*middleware, *self._middleware), timeout=self._timeout, app=app)
        )

    @property
    def endpoint(self) -> str:
        """The URL it answers at, with the real port once it has started."""
        return f"grpc://{self._address}"

    @property
    def summary(self) -> str:
        """The time limit, for the banner."""
        return "no time limit" if self._timeout is None else f"calls up to {self._timeout:g} s"

    async def start(self) -> None:
        """Listens; returns as soon as connections are accepted.

        Raises:
            OSError: The address cannot be had; the message says why.
            RuntimeError: It was not mounted.
        """
        if self._handlers is None:
            raise RuntimeError("mount() comes before start(): pass the server to an App")
        options = [
            ("grpc.so_reuseport", 0),  # a busy port is an error, not a quiet second listener
            ("grpc.max_receive_message_length", self._max_message),
        ]
        server = grpc.aio.server(options=options)
        server.add_generic_rpc_handlers((self._handlers,))
        try:
            port = server.add_insecure_port(str(self._address))
        except RuntimeError:
            listen(self._address).close()  # grpcio does not say why it failed; the socket does
            raise
        await server.start()
        self._server = server
        self._address = Address(self._address.host, port)

    async def stop(self, timeout: float | None = None) -> None:
        """Stops accepting, finishes what is under way, and cancels what is not done after ``timeout`` seconds."""
        server, self._server = self._server, None
        if server is not None:
            await server.stop(timeout)


class _Handlers(grpc.GenericRpcHandler):
    """Finds the handler of a method; all of them are made when the server is built."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._handlers: dict[str, Any] = {
            name: grpc.unary_unary_rpc_method_handler(_unary(dispatcher, endpoint))
            for name, endpoint in dispatcher.endpoints.items()
            if not (endpoint.operation.client_streams or endpoint.operation.server_streams)  # unary only, so far
        }

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        """Returns the handler of a method, None if there is none."""
        return self._handlers.get(handler_call_details.method)


def _unary(dispatcher: Dispatcher, endpoint: Endpoint) -> Callable[[bytes, _Context], Awaitable[bytes]]:
    codec = ProtoCodec()
    operation = endpoint.operation

    async def answer(data: bytes, context: _Context) -> bytes:
        call = _call(endpoint, context, dispatcher.app)
        try:
            request = codec.decode(data, operation.request)
        except Error as rejected:
            request = operation.request()
            call.rejected = rejected
        try:
            reply = codec.encode(await dispatcher.dispatch(endpoint, request, call))
        except Error as error:
            await _send_headers(context, call)
            await _abort(context, error, call)
            raise
        await _send_headers(context, call)
        trailers = call.reply.trailer_pairs()
        if trailers:
            context.set_trailing_metadata(_to_grpc(trailers))
        return reply

    return answer


def _call(endpoint: Endpoint, context: _Context, app: AppInfo | None) -> Call:
    call = Call(
        endpoint.operation,
        kind="grpc",
        side="server",
        peer=Peer(_address(context.peer())),
        headers=_from_grpc(cast("Sequence[_Pair]", context.invocation_metadata() or ())),
        app=app,
    )
    remaining = cast("float | None", context.time_remaining())  # the stubs do not know None
    if remaining is not None:
        call.shorten(max(0.0, remaining), "client")
    return call


async def _send_headers(context: _Context, call: Call) -> None:
    headers = call.reply.header_pairs()
    if headers:
        await context.send_initial_metadata(_to_grpc(headers))


async def _abort(context: _Context, error: Error, call: Call) -> None:
    trailers: list[_Pair] = [
        *_to_grpc(call.reply.trailer_pairs()),
        (CODE_TRAILER, str(error.status)),
        (DETAILS_TRAILER, to_status(error).to_binary()),
    ]
    await context.abort(_CODES[error.grpc_code], error.message, tuple(trailers))


def _from_grpc(pairs: Sequence[_Pair]) -> Metadata:
    return Metadata.from_wire((key, value if isinstance(value, str) else encode_binary(value)) for key, value in pairs)


def _to_grpc(pairs: Iterable[tuple[str, str]]) -> tuple[_Pair, ...]:
    return tuple((key, decode_binary(value) if key.endswith("-bin") else value) for key, value in pairs)


def _address(peer: str) -> str:
    """Turns ``ipv4:10.0.0.7:52114`` and ``ipv6:%5B::1%5D:52114`` into plain addresses."""
    scheme, _, rest = peer.partition(":")
    return rest.replace("%5B", "[").replace("%5D", "]") if scheme in ("ipv4", "ipv6") else peer
