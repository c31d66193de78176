"""Generated modules at work: names, constants, base classes, clients, errors."""

from __future__ import annotations

import inspect
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from fixtures.gen.fixture.helloworld.v1.error_reason_errors import ERRORS, UserNotFound
from fixtures.gen.fixture.helloworld.v1.greeter_kratos import GREETER_SAY_HELLO, GreeterClient, GreeterService
from fixtures.gen.fixture.helloworld.v1.greeter_pb import HelloReply, HelloRequest
from fixtures.gen.fixture.kinds.v1 import kinds_errors
from fixtures.gen.fixture.kinds.v1.kinds_kratos import KINDS_CHAT, KINDS_COLLECT, KINDS_ECHO, KINDS_WATCH, KindsClient
from fixtures.gen.fixture.kinds.v1.kinds_pb import Ping, Pong
from fixtures.gen.fixture.left.v1 import left_errors, left_kratos
from fixtures.gen.fixture.left.v1.common_pb import Common as LeftCommon
from fixtures.gen.fixture.names.v1 import names_kratos
from fixtures.gen.fixture.names.v1.names_pb import Keywords
from fixtures.gen.fixture.options.v1 import options_kratos
from fixtures.gen.fixture.prose.v1 import prose_kratos
from fixtures.gen.fixture.reasons.v1 import more_errors, reasons_errors, reasons_kratos
from fixtures.gen.fixture.right.v1 import common_errors
from fixtures.gen.fixture.right.v1.common_pb import Common as RightCommon
from fixtures.gen.fixture.types.v1 import types_kratos
from protobuf.wkt import Empty, Timestamp

from kratos.errors import ClientError, Conflict, NotFound, ServerError, Unimplemented, by_reason, error_class, restore
from kratos.operation import Bidi, ClientStream, Http, ServerStream, Unary
from kratos.service import CONTRACT
from kratos.tools.codegen import services
from kratos.wire.google.api.httpbody_pb import HttpBody

ALL_SERVICES = [
    value
    for module in (names_kratos, options_kratos, prose_kratos, left_kratos, reasons_kratos, types_kratos)
    for value in vars(module).values()
    if isinstance(value, type) and "__operations__" in vars(value) and value.__module__ == module.__name__
]


def test_constants() -> None:
    """A constant is what the contract says of an RPC."""
    assert isinstance(GREETER_SAY_HELLO, Unary)
    assert GREETER_SAY_HELLO.name == "/fixture.helloworld.v1.Greeter/SayHello"
    assert (GREETER_SAY_HELLO.request, GREETER_SAY_HELLO.reply) == (HelloRequest, HelloReply)
    assert GREETER_SAY_HELLO.http == (Http("GET", "/helloworld/{name}"), Http("POST", "/helloworld", body="*"))
    assert [type(operation) for operation in (KINDS_ECHO, KINDS_WATCH, KINDS_COLLECT, KINDS_CHAT)] == [
        Unary, ServerStream, ClientStream, Bidi,
    ]  # fmt: skip


def test_http_rules() -> None:
    """Custom verbs, response bodies and rules without a path are kept; the primary rule is first."""
    assert [rule.method for rule in options_kratos.OPTIONS_GET_SHELF.http] == ["GET", "GET", "HEAD"]
    assert options_kratos.OPTIONS_MOVE_SHELF.http == (Http("MOVE", "/v1/{name=shelves/*}:move", "theme", "books"),)
    assert options_kratos.OPTIONS_ANY_VERB.http == (Http("*", "/v1/any", "*"),)
    assert options_kratos.OPTIONS_WITHOUT_PATH.http == (Http("POST", "/fixture.options.v1.Options/WithoutPath", "*"),)
    assert options_kratos.OPTIONS_GUARDED.http == ()


def test_options() -> None:
    """Extensions of a method are plain data by full name, ours and a user's alike; google's are not repeated."""
    assert options_kratos.OPTIONS_GUARDED.options["kratos.options.v1.auth"] == {
        "scopes": ["shelves.read", "shelves.write"]
    }
    assert options_kratos.OPTIONS_GUARDED.options["kratos.options.v1.envelope"] == "ENVELOPE_RAW"
    assert options_kratos.OPTIONS_RULED.options == {
        "fixture.options.v1.Scope.owner": "team 'x'",
        "fixture.options.v1.level": "LEVEL_HIGH",
        "fixture.options.v1.quota": 2**64 - 1,
        "fixture.options.v1.tags": ["a", "b\\c"],
        "fixture.options.v1.rule": {
            "name": "first",
            "limits": [1, 2**63 - 1],
            "weights": {"a": 1.5},
            "level": "LEVEL_HIGH",
            "levels": ["LEVEL_HIGH", "LEVEL_UNSPECIFIED"],
            "raw": "AQI=",
            "every": "3.500s",
            "next": {"flag": True},
            "text": "chosen",
        },
    }
    assert not options_kratos.OPTIONS_GET_SHELF.options
    assert (options_kratos.OPTIONS_GET_SHELF.idempotent, options_kratos.OPTIONS_ANY_VERB.idempotent) == (True, False)
    assert (options_kratos.OPTIONS_RULED.deprecated, options_kratos.OPTIONS_GUARDED.deprecated) == (True, False)


@pytest.mark.parametrize("service", ALL_SERVICES, ids=lambda service: service.__name__)
async def test_services_answer_unimplemented(service: type) -> None:
    """Every RPC has a method; until it is overridden, it says so."""
    instance: Any = service()
    for name, operation in instance.__operations__:
        with pytest.raises(Unimplemented, match=operation.name):
            await getattr(instance, name)(None, None)
    assert len({name for name, _ in instance.__operations__}) == len(instance.__operations__)


def test_names() -> None:
    """Awkward names are Python names, in the order of the contract."""
    names = [name for name, _ in names_kratos.NamesService.__operations__]
    assert names == [
        "import_", "class_", "from_", "none", "self", "close", "request", "requests", "send", "call", "options",
        "require", "unimplemented", "hello", "pb___init__", "pb__invoker", "pb__known", "get_http_info", "list_urls",
        "snake_case",
    ]  # fmt: skip
    assert names_kratos.LibraryService.__operations__[0][0] == "get_book"
    assert names_kratos.EmptyService.__operations__ == ()


def test_keywords_as_fields() -> None:
    """Every Python keyword is a field that travels there and back."""
    values = {field.local_name: f"value of {field.name}" for field in Keywords.desc().fields}
    assert {"None_", "from_", "class_", "self_", "match", "print"} <= {*values}
    message = Keywords(**values)  # type: ignore[arg-type]  # the names are only known here
    again = Keywords.from_binary(message.to_binary())
    assert {name: getattr(again, name) for name in values} == values
    assert Keywords.from_json(message.to_json()) == message


class Recording:
    """An invoker that keeps what it is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []

    async def unary(self, *asked: Any) -> Any:
        self.asked.append(("unary", *asked))
        return asked[0].reply()

    def _stream(self, kind: str, *asked: Any) -> AbstractAsyncContextManager[Any]:
        self.asked.append((kind, *asked))
        return None  # type: ignore[return-value]  # nobody enters it

    def server_stream(self, *asked: Any) -> AbstractAsyncContextManager[Any]:
        return self._stream("server_stream", *asked)

    def client_stream(self, *asked: Any) -> AbstractAsyncContextManager[Any]:
        return self._stream("client_stream", *asked)

    def bidi(self, *asked: Any) -> AbstractAsyncContextManager[Any]:
        return self._stream("bidi", *asked)


async def test_clients() -> None:
    """A client hands everything to its connection: operation, request, options, known errors."""
    connection = Recording()
    client = KindsClient(connection, errors=(UserNotFound,))
    ping = Ping(text="a")
    assert await client.echo(ping, timeout=1.0) == Pong()
    client.watch(ping)
    client.collect(hash_key="k")
    client.chat()
    known = by_reason((UserNotFound, *kinds_errors.ERRORS))
    assert connection.asked == [
        ("unary", KINDS_ECHO, ping, {"timeout": 1.0}, known),
        ("server_stream", KINDS_WATCH, ping, {}, known),
        ("client_stream", KINDS_COLLECT, {"hash_key": "k"}, known),
        ("bidi", KINDS_CHAT, {}, known),
    ]


async def test_awkward_clients() -> None:
    """Methods named as the client's own attributes do not disturb it."""
    connection = Recording()
    client = names_kratos.NamesClient(connection)
    await client.pb__invoker(Keywords())
    await client.self(names_kratos.NAMES_SELF.request())
    await client.close(names_kratos.NAMES_CLOSE.request())
    assert [asked[1].method for asked in connection.asked] == ["_invoker", "Self", "Close"]


def test_messages_of_one_name() -> None:
    """Two packages may each have a Common, in a file of the same name."""
    assert left_kratos.LEFT_BOTH.request is LeftCommon
    assert left_kratos.LEFT_BOTH.reply is RightCommon
    assert RightCommon(right="x").to_binary() == LeftCommon(left="x").to_binary()


def test_shared_messages() -> None:
    """Well-known types and google's are the one class that everybody has."""
    assert (types_kratos.TYPES_NOW.request, types_kratos.TYPES_NOW.reply) == (Empty, Timestamp)
    assert types_kratos.TYPES_DOWNLOAD.reply is HttpBody


def test_errors_by_code() -> None:
    """An error class stands under the class of its code, and says its code only where that differs."""
    assert issubclass(UserNotFound, NotFound)
    assert "code" not in vars(UserNotFound)
    assert kinds_errors.OddCode.__bases__ == (ClientError,)
    assert (kinds_errors.OddCode.code, kinds_errors.OddCode.reason) == (422, "ODD_CODE")
    assert reasons_errors.Http2Gone.__bases__ == (ServerError,)
    for error in (*reasons_errors.ERRORS, *kinds_errors.ERRORS, *ERRORS):
        assert error.__base__ is error_class(error.code)


def test_default_codes() -> None:
    """A value without a code takes the enum's; without either it is no error; nested enums count."""
    codes = {error.reason: error.code for error in reasons_errors.ERRORS}
    assert codes == {
        "DEFAULT_UNSPECIFIED": 500, "DEFAULT_BROKEN": 500, "DEFAULT_BUSY": 503, "DEFAULT_TEAPOT": 418,
        "NOT_FOUND": 404, "ERROR": 500, "TIMEOUT_ERROR": 504, "NONE": 400,
        "SPELLING_404": 404, "MixedCase": 400, "snake_case_value": 401, "Some_Words": 403, "SPELLING_HTTP2_GONE": 599,
        "REASON_TORN": 412, "SEAL_BROKEN": 499,
    }  # fmt: skip


def test_errors_of_a_service() -> None:
    """A service knows the errors of its package, whatever file they are in, and of the files it imports."""
    assert GreeterService.__errors__ == GreeterClient.__errors__ == (UserNotFound,)
    assert reasons_kratos.ReasonsService.__errors__ == (*more_errors.ERRORS, *reasons_errors.ERRORS)
    assert left_kratos.LeftService.__errors__ == (*left_errors.ERRORS, *common_errors.ERRORS)


def test_remote_errors_are_caught_by_class() -> None:
    """What arrives with a known reason is of the generated class."""
    known = by_reason(left_kratos.LeftClient.__errors__)
    with pytest.raises(common_errors.WentWrong) as caught:
        raise restore(409, "RIGHT_ERROR_WENT_WRONG", known=known)
    assert isinstance(caught.value, Conflict)


def test_docstrings() -> None:
    """Comments arrive as they were written, deprecations are said."""
    assert inspect.getdoc(GreeterService) == "The greeting service."
    prose = prose_kratos.ProseService
    assert (inspect.getdoc(prose.quoted) or "").strip() == '"Starts with a quote, and ends with a quote"'
    assert prose.backslash.__doc__ == "Ends with a backslash \\"
    assert prose.only_quotes.__doc__ == '"""'
    assert prose.trailing.__doc__ == "Said behind."
    assert (prose.silent.__doc__, prose.directed.__doc__) == (None, None)
    assert inspect.getdoc(prose.old) == "Was good once.\n\nDeprecated."
    assert prose.older.__doc__ == "Deprecated."
    assert (inspect.getdoc(prose_kratos.OldProseService) or "").endswith("Deprecated.")
    assert '"""triple quotes"""' in (prose.__doc__ or "")


def test_contract() -> None:
    """The generator writes for the contract that this library fulfils."""
    assert services.CONTRACT <= CONTRACT
