"""Reflection: google's client learns enough from it to make calls, each question is answered, production is silent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from fixtures.gen.fixture.apart.v1.apart_kratos import ApartService
from fixtures.gen.fixture.apart.v1.shelf_pb import Shelf
from fixtures.gen.fixture.codec.v1.order_pb import Order
from google.protobuf import wrappers_pb2
from google.protobuf.descriptor_pb2 import FileDescriptorProto, MethodDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from roundtrip.service import Counting
from unit.transport.grpc.rig import Served, no_task_left, until

from kratos.call import Call
from kratos.codec.files import Files
from kratos.codec.messages import Oneof
from kratos.errors import ServiceUnavailable, Unimplemented
from kratos.handler import Messages
from kratos.operation import AnyOperation, Bidi, ServerStream, Unary
from kratos.service import Service
from kratos.transport.grpc.reflection import ALPHA_INFO, INFO, Reflection
from kratos.wire.grpc.reflection.v1.reflection_pb import (
    ExtensionRequest,
    ServerReflectionRequest,
    ServerReflectionResponse,
)

APART = "fixture.apart.v1.Apart"
OLD = "fixture.legacy.v1.Old"
OWN = ["grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"]


class Apart(ApartService):
    """Gives back what it is given."""

    async def get_shelf(self, request: Shelf, call: Call) -> Shelf:
        return request

    async def chat(self, requests: Messages[Shelf], call: Call) -> AsyncIterator[Shelf]:
        async for request in requests:
            yield request


class ByHand(Service):
    """Operations that no proto declares, on messages of both runtimes."""

    __operations__ = (
        ("get", Unary("/demo.Hand/Get", wrappers_pb2.StringValue, Order, idempotent=True, deprecated=True)),
        ("watch", ServerStream("/demo.Hand/Watch", Order, Order)),
        ("odd", Unary("/demo.Hand/Odd", bytes, bytes)),
    )

    async def get(self, request: wrappers_pb2.StringValue, call: Call) -> Order:
        return Order(order_id=request.value)

    async def watch(self, request: Order, call: Call) -> AsyncIterator[Order]:
        yield request

    async def odd(self, request: bytes, call: Call) -> bytes:
        return request


@pytest.fixture(autouse=True)
def development(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests run on a developer's machine, where they do not say otherwise."""
    monkeypatch.setenv("KRATOS_ENV", "development")


async def ask(
    served: Served, *questions: Oneof[Any, Any] | None, operation: AnyOperation = INFO
) -> list[ServerReflectionResponse]:
    """Asks one question after the other in one stream."""
    answers = []
    async with served.client().bidi(operation, {}, {}) as stream:
        for question in questions:
            request = ServerReflectionRequest(host="here", message_request=question)
            await stream.send(request)
            answers.append(await anext(aiter(stream)))
            assert (answers[-1].valid_host, answers[-1].original_request) == ("here", request)
        await stream.done()
        assert [left async for left in stream] == []
    return answers


def files(answer: ServerReflectionResponse) -> list[FileDescriptorProto]:
    """Returns the files of an answer; each stands there once, with all that they import."""
    assert answer.message_response is not None
    assert answer.message_response.field == "file_descriptor_response", answer
    found = [FileDescriptorProto.FromString(file) for file in answer.message_response.value.file_descriptor_proto]
    names = [file.name for file in found]
    assert len(names) == len(set(names))
    assert {imported for file in found for imported in file.dependency} <= set(names)
    return found


def code(answer: ServerReflectionResponse) -> int:
    """Returns the code of an answer that is an error."""
    assert answer.message_response is not None
    assert answer.message_response.field == "error_response", answer
    assert answer.message_response.value.error_message
    return int(answer.message_response.value.error_code)


def named(*names: str) -> list[Oneof[Any, Any]]:
    """Asks for symbols."""
    return [Oneof("file_containing_symbol", name) for name in names]


def google_calls(address: str) -> None:
    """Has google's client read the contract and call by nothing else."""
    with grpc.insecure_channel(address) as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        assert list(database.get_services()) == [APART, *OWN]
        pool = DescriptorPool(database)
        method = pool.FindServiceByName(APART).FindMethodByName("GetShelf")
        assert (method.input_type.full_name, method.containing_service.file.name) == (
            "fixture.apart.v1.Shelf",
            "fixture/apart/v1/apart.proto",
        )
        assert list(database.FindAllExtensionNumbers(OLD)) == [100]
        nick = pool.FindExtensionByNumber(pool.FindMessageTypeByName(OLD), 100)
        assert nick.full_name == "fixture.legacy.v1.nick"
        shelf = GetMessageClass(method.input_type)(name="shelves/1", size="SIZE_SMALL", room="ROOM_HALL", boards=0)
        shelf.books["a"].author.name = "Ursula"
        shelf.origin.name = "attic"
        GetMessageClass(nick.containing_type)
        shelf.origin.Extensions[nick] = "ned"
        call = channel.unary_unary(
            f"/{APART}/GetShelf",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=GetMessageClass(method.output_type).FromString,
        )
        reply = call(shelf, timeout=30)
        assert reply == shelf
        assert reply.origin.Extensions[nick] == "ned"
        options(pool, method)


def options(pool: DescriptorPool, method: Any) -> None:
    """Asserts that options of others are there, for those who know what they mean."""
    proto = MethodDescriptorProto()
    method.CopyToProto(proto)
    known = GetMessageClass(pool.FindMessageTypeByName("google.protobuf.MethodOptions"))
    http = pool.FindExtensionByName("google.api.http")
    tags = pool.FindExtensionByName("fixture.options.v1.tags")
    GetMessageClass(http.message_type)
    said = known.FromString(proto.options.SerializeToString())
    assert said.Extensions[http].get == "/v1/{name=shelves/*}"
    assert list(said.Extensions[tags]) == ["apart"]
    assert said.idempotency_level == 1


async def test_google_learns_and_calls(serve: Any) -> None:
    """Google's client builds descriptors from it, extensions and options included, and calls by them."""
    served = await serve(Apart())
    await asyncio.to_thread(google_calls, served.address)


@pytest.mark.parametrize("operation", [INFO, ALPHA_INFO])
async def test_every_question(serve: Any, operation: AnyOperation) -> None:
    """All that the protocol can ask is answered, under both names."""
    served = await serve(Apart())
    listed, by_name, numbers, none, extension = await ask(
        served,
        Oneof("list_services", ""),
        Oneof("file_by_filename", "google/protobuf/timestamp.proto"),
        Oneof("all_extension_numbers_of_type", OLD),
        Oneof("all_extension_numbers_of_type", "fixture.apart.v1.Shelf"),
        Oneof("file_containing_extension", ExtensionRequest(containing_type=OLD, extension_number=100)),
        operation=operation,
    )
    assert [service.name for service in listed.message_response.value.service] == [APART, *OWN]
    assert [file.name for file in files(by_name)] == ["google/protobuf/timestamp.proto"]
    assert numbers.message_response.value.base_type_name == OLD
    assert numbers.message_response.value.extension_number == [100]
    assert none.message_response.value.extension_number == []
    assert files(extension)[0].name == "fixture/legacy/v1/legacy.proto"


async def test_every_symbol(serve: Any) -> None:
    """Whatever has a full name is found, and its file comes first."""
    served = await serve(Apart())
    shelf = "fixture.apart.v1.Shelf"
    expected = {
        APART: "fixture/apart/v1/apart.proto",
        f"{APART}.GetShelf": "fixture/apart/v1/apart.proto",
        shelf: "fixture/apart/v1/shelf.proto",
        f"{shelf}.name": "fixture/apart/v1/shelf.proto",
        f"{shelf}.place": "fixture/apart/v1/shelf.proto",
        f"{shelf}.Size": "fixture/apart/v1/shelf.proto",
        f"{shelf}.SIZE_SMALL": "fixture/apart/v1/shelf.proto",
        f"{shelf}.Book.Author": "fixture/apart/v1/shelf.proto",
        f"{shelf}.BooksEntry.value": "fixture/apart/v1/shelf.proto",
        "fixture.apart.v1.Room": "fixture/apart/v1/shelf.proto",
        "fixture.apart.v1.ROOM_HALL": "fixture/apart/v1/shelf.proto",
        "fixture.legacy.v1.nick": "fixture/legacy/v1/legacy.proto",
        "fixture.options.v1.Scope.owner": "fixture/options/v1/options.proto",
        "google.api.http": "google/api/annotations.proto",
        "google.rpc.ErrorInfo": "google/rpc/error_details.proto",
        **{name: f"{name.rpartition('.')[0].replace('.', '/')}/reflection.proto" for name in OWN[1:]},
        OWN[0]: "grpc/health/v1/health.proto",
    }
    answers = await ask(served, *named(*expected))
    assert {name: files(answer)[0].name for name, answer in zip(expected, answers, strict=True)} == expected


async def test_unknown_and_nothing(serve: Any) -> None:
    """What is not known is NOT_FOUND, nothing asked is INVALID_ARGUMENT, and the stream goes on."""
    served = await serve(Apart())
    *unknown, nothing, fine = await ask(
        served,
        *named("", "fixture", f"{APART}.Nope", f".{APART}"),
        Oneof("file_by_filename", ""),
        Oneof("file_by_filename", "../etc/passwd"),
        Oneof("all_extension_numbers_of_type", "nope.Nope"),
        Oneof("file_containing_extension", ExtensionRequest(containing_type=OLD, extension_number=101)),
        Oneof("file_containing_extension", ExtensionRequest()),
        None,
        *named(APART),
    )
    assert [code(answer) for answer in unknown] == [5] * 9
    assert code(nothing) == 3
    assert files(fine)


async def test_operations_by_hand(serve: Any) -> None:
    """A service that no proto declares has a file made of its operations; what has no descriptor is left out."""
    served = await serve(ByHand())
    (answer,) = await ask(served, *named("demo.Hand.Get"))
    first, *_ = found = files(answer)
    assert first.package == "demo"
    assert list(first.dependency) == ["google/protobuf/wrappers.proto", "fixture/codec/v1/order.proto"]
    pool = DescriptorPool()
    for file in reversed(found):
        pool.Add(file)
    get, watch = pool.FindServiceByName("demo.Hand").methods
    assert (get.input_type.full_name, get.output_type.full_name) == (
        "google.protobuf.StringValue",
        "fixture.codec.v1.Order",
    )
    assert get.GetOptions().deprecated
    assert get.GetOptions().idempotency_level == 2
    assert (get.server_streaming, watch.client_streaming, watch.server_streaming) == (False, False, True)


async def test_production_is_silent(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without KRATOS_ENV there is no reflection, under either name."""
    monkeypatch.delenv("KRATOS_ENV")
    served = await serve(Apart())
    for operation in (INFO, ALPHA_INFO):
        with pytest.raises(Unimplemented):
            await ask(served, Oneof("list_services", ""), operation=operation)


async def test_asked_for_in_production(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Passed as a service it is there, knows the types it is told, and passes no middleware."""
    monkeypatch.delenv("KRATOS_ENV")
    counting = Counting()
    served = await serve(Apart(), [counting], services=[Reflection(types=[Order])])
    listed, order = await ask(served, Oneof("list_services", ""), *named("fixture.codec.v1.Order"))
    assert [service.name for service in listed.message_response.value.service] == [APART, *OWN]
    assert files(order)[0].name == "fixture/codec/v1/order.proto"
    assert not counting.seen


async def test_users_own_wins(serve: Any) -> None:
    """A service of the user's under that name takes the place of ours."""

    class Mine(Service):
        __operations__ = (("info", INFO),)

        async def info(self, requests: Messages[Any], call: Call) -> AsyncIterator[ServerReflectionResponse]:
            async for request in requests:
                yield ServerReflectionResponse(valid_host=request.host, original_request=request)

    served = await serve(Apart(), services=[Mine()])
    assert [answer.message_response for answer in await ask(served, Oneof("list_services", ""))] == [None]
    with pytest.raises(Unimplemented):
        await ask(served, Oneof("list_services", ""), operation=ALPHA_INFO)


async def test_stop_does_not_wait_for_it(serve: Any) -> None:
    """A client that keeps its stream open does not keep the server from stopping, and no task is left."""
    served = await serve(Apart())
    client = served.client()
    async with no_task_left(), client.bidi(INFO, {}, {}) as stream:
        await stream.send(ServerReflectionRequest(message_request=Oneof("list_services", "")))
        assert await anext(aiter(stream))
        await until(lambda: waiting(served))
        stopping = asyncio.create_task(served.server.stop(None))
        async with asyncio.timeout(30):
            await until(lambda: not waiting(served))
            again = asyncio.create_task(served.server.stop(None))
            with pytest.raises(ServiceUnavailable):
                await anext(aiter(stream))
            await stopping
            await again


def waiting(served: Served) -> bool:
    """Tells whether a stream waits for its next question."""
    (own,) = [service for service in served.server._own if isinstance(service, Reflection)]
    return bool(own._waiting)


def test_generated_code_without_its_messages() -> None:
    """A generated service whose sibling is gone is described by its operations, as one by hand."""
    moved = type("Moved", (Service,), {"__module__": "nowhere.moved_kratos", "__operations__": ByHand.__operations__})
    found = Files([moved])
    assert FileDescriptorProto.FromString(found.declaring("demo.Hand")[0]).name == "demo.Hand.proto"


def test_contract_goes_before_operations() -> None:
    """Operations by hand under the name of a service that has a contract do not make a second file of it."""
    operations = (("chat", Bidi(f"/{APART}/Chat", Shelf, wrappers_pb2.StringValue)),)
    beside = type("Beside", (Service,), {"__module__": "by_hand", "__operations__": operations})
    both = Files([beside, Apart])
    assert FileDescriptorProto.FromString(both.declaring(APART)[0]).name == "fixture/apart/v1/apart.proto"
    assert both.named(f"{APART}.proto") == ()
