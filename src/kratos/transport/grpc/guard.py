"""grpcio's asyncio server, kept alive.

grpcio (seen in 1.85.1) decodes the path of a call as UTF-8 in the loop that accepts calls. One request whose path is
not UTF-8, from anybody who can connect, ends that loop: the server takes no further call, for ever. Methods that are
registered are matched in its C core, which only hands over paths that it knows, so all of ours are registered, and what
is left over is refused here before grpcio looks at its path.

This stands on private parts of grpcio. Where they are missing or different, the server runs without the guard and says
so in the log.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeAlias, cast

import grpc
import grpc.aio

from kratos.transport.grpc.options import Options

__all__ = ["Refuse", "new_server"]

logger = logging.getLogger("kratos.grpc")

Refuse: TypeAlias = Callable[[Any], Awaitable[None]]
"""Ends a call of a method that nobody serves, given grpcio's context of it."""

_cygrpc: Final[Any] = importlib.import_module("grpc._cython.cygrpc")
_aio: Final[Any] = importlib.import_module("grpc.aio._server")


def new_server(methods: Mapping[str, Any], refuse: Refuse, options: Options) -> grpc.aio.Server:
    """Returns a server that is not yet started.

    Args:
        methods: grpcio's handlers by the full name of their method.
        refuse: What answers every other method.
        options: grpcio's options.
    """
    try:
        server: Any = _guarded(refuse, options)
    except (AttributeError, TypeError):
        logger.warning("grpcio %s is not known to kratos: a request with a broken path can stop it", grpc.__version__)
        return grpc.aio.server(handlers=(_Generic(methods, refuse),), options=options)
    for name, handler in methods.items():
        service, _, method = name[1:].rpartition("/")
        server.add_registered_method_handlers(service, {method: handler})
    return cast("grpc.aio.Server", server)


class _Generic(grpc.GenericRpcHandler):
    """Finds handlers by name, where they cannot be registered."""

    def __init__(self, methods: Mapping[str, Any], refuse: Refuse) -> None:
        async def unknown(_: object, context: Any) -> None:
            await refuse(context)

        self._methods = methods
        self._unknown: Any = grpc.stream_stream_rpc_method_handler(unknown)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        return self._methods.get(handler_call_details.method, self._unknown)


def _guarded(refuse: Refuse, options: Options) -> Any:
    loop = asyncio.get_running_loop()
    tasks: set[asyncio.Task[None]] = set()
    request_call = _cygrpc.AioServer._request_call
    new_context = _cygrpc._ServicerContext

    async def answer(state: Any) -> None:
        with contextlib.suppress(grpc.aio.BaseError):  # how a refused call ends, or one whose client has left
            await refuse(new_context(state, None, None, loop))

    async def unknown_calls(core: Any) -> None:
        # What grpcio awaits for the next call of an unregistered method. It is never told of one.
        while True:
            state = await request_call(core)
            task = loop.create_task(answer(state), name="kratos grpc unknown method")
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    core = type("GuardedAioServer", (_cygrpc.AioServer,), {"_request_call": unknown_calls})
    server = _aio.Server.__new__(_aio.Server)
    server._loop = loop
    server._server = core(loop, None, (), (), tuple(options), None)
    return server
