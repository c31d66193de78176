"""``grpc.reflection``, v1 and v1alpha: what is served, told to tools that have no ``.proto`` files.

Descriptors hold no comments, and all else that a contract says: names, numbers, options. On a developer's machine that
is shown to everybody, elsewhere only where it was asked for.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any, Final, TypeAlias

from kratos.call import AppInfo, Call
from kratos.codec.files import Files
from kratos.codec.messages import Message, Oneof
from kratos.handler import Messages
from kratos.operation import Bidi
from kratos.service import Service
from kratos.transport.grpc.handlers import stopping
from kratos.transport.grpc.own import OwnService
from kratos.wire.google.rpc.error_details_pb import ErrorInfo
from kratos.wire.grpc.reflection.v1.reflection_pb import (
    ErrorResponse,
    ExtensionNumberResponse,
    ExtensionRequest,
    FileDescriptorResponse,
    ListServiceResponse,
    ServerReflectionRequest,
    ServerReflectionResponse,
    ServiceResponse,
)
from kratos.wire.grpc.reflection.v1alpha.reflection_pb import ServerReflectionRequest as AlphaRequest

__all__ = ["ALPHA_INFO", "INFO", "Reflection"]

INFO: Final = Bidi(
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", ServerReflectionRequest, ServerReflectionResponse
)
"""Questions and their answers, in order."""
# The two versions differ in the name of their package, which is not on the wire: one set of classes does for both.
ALPHA_INFO: Final = Bidi(
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", ServerReflectionRequest, ServerReflectionResponse
)
"""The same under its older name, for older tools."""

_INVALID_ARGUMENT: Final = 3
_NOT_FOUND: Final = 5
# What a tool meets beside messages of the services: this service's older name, and the details of errors.
_ALWAYS: Final = (AlphaRequest, ErrorInfo)

_Answer: TypeAlias = (
    Oneof[Any, FileDescriptorResponse]
    | Oneof[Any, ExtensionNumberResponse]
    | Oneof[Any, ListServiceResponse]
    | Oneof[Any, ErrorResponse]
)


class Reflection(OwnService):
    """Tells clients the services of a server and their descriptors, under both names that tools know.

    A ``GRPCServer`` has one where ``KRATOS_ENV=development``. Pass one among the server's ``services`` to have it
    elsewhere: anybody who can connect can then read the whole contract, for it passes no middleware.

    Args:
        types: Further message types that tools should know: those that travel inside of a ``google.protobuf.Any``, or
            in the details of errors.

    Example:
        ``GRPCServer(services=[Reflection()])``
    """

    __operations__ = (("info", INFO), ("info", ALPHA_INFO))

    def __init__(self, *, types: Iterable[type[Message]] = ()) -> None:
        self._types = (*_ALWAYS, *types)
        self._names: tuple[str, ...] = ()
        self._files = Files(())
        self._open = True
        self._waiting: set[asyncio.Timeout] = set()

    def attach(self, services: Sequence[Service], app: AppInfo) -> None:  # noqa: ARG002  # only readiness is there
        """Takes what is told of; see ``OwnService``."""
        names = {operation.service for service in services for _, operation in service.__operations__}
        self._names = tuple(sorted(names))
        self._files = Files([type(service) for service in services], self._types)

    def open(self) -> None:
        """Answers; see ``OwnService``."""
        self._open = True

    def close(self) -> None:
        """Sends those away who think about their next question; see ``OwnService``."""
        self._open = False
        while self._waiting:
            self._waiting.pop().reschedule(0)

    async def info(
        self,
        requests: Messages[ServerReflectionRequest],
        call: Call,  # noqa: ARG002  # the shape of a method
    ) -> AsyncIterator[ServerReflectionResponse]:
        """Answers one question after the other; what is not known is an answer too, and the stream goes on.

        Raises:
            ServiceUnavailable: The server stops.
        """
        questions = aiter(requests)
        while (request := await self._next(questions)) is not None:
            yield ServerReflectionResponse(
                valid_host=request.host, original_request=request, message_response=self._answer(request)
            )

    async def _next(self, questions: AsyncIterator[ServerReflectionRequest]) -> ServerReflectionRequest | None:
        """Waits for a question; returns None if there is no more."""
        if not self._open:
            raise stopping()
        try:
            async with asyncio.timeout(None) as limit:
                self._waiting.add(limit)
                try:
                    return await anext(questions, None)
                finally:
                    self._waiting.discard(limit)
        except TimeoutError:
            raise stopping() from None

    def _answer(self, request: ServerReflectionRequest) -> _Answer:
        files = self._files
        match request.message_request:
            case Oneof(field="list_services"):
                services = [ServiceResponse(name=name) for name in self._names]
                return Oneof("list_services_response", ListServiceResponse(service=services))
            case Oneof(field="file_by_filename", value=str(name)):
                return _found(files.named(name), f"file {name!r}")
            case Oneof(field="file_containing_symbol", value=str(name)):
                return _found(files.declaring(name), f"symbol {name!r}")
            case Oneof(field="file_containing_extension", value=ExtensionRequest() as asked):
                type_, number = asked.containing_type, asked.extension_number
                return _found(files.extending(type_, number), f"extension {number} of {type_!r}")
            case Oneof(field="all_extension_numbers_of_type", value=str(name)):
                return _numbers(files.extensions(name), name)
            case _:
                return _failed(_INVALID_ARGUMENT, "nothing is asked: set one field of message_request")


def _found(files: tuple[bytes, ...], what: str) -> _Answer:
    if not files:
        return _failed(_NOT_FOUND, f"no {what} is known here")
    return Oneof("file_descriptor_response", FileDescriptorResponse(file_descriptor_proto=list(files)))


def _numbers(numbers: tuple[int, ...] | None, message: str) -> _Answer:
    if numbers is None:
        return _failed(_NOT_FOUND, f"no message {message!r} is known here")
    known = ExtensionNumberResponse(base_type_name=message, extension_number=list(numbers))
    return Oneof("all_extension_numbers_response", known)


def _failed(code: int, message: str) -> _Answer:
    return Oneof("error_response", ErrorResponse(error_code=code, error_message=message))
