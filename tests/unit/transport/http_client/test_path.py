"""Messages to targets and bodies, and back through the server's own router and binding."""

from __future__ import annotations

import copy
import json
import re
from typing import Any
from urllib.parse import parse_qsl

import pytest
from fixtures.gen.fixture.codec.v1.everything_pb import (
    Choice,
    Color,
    Everything,
    Item,
    Keywords,
    Lists,
    Maps,
    Mood,
    Optionals,
    Scalars,
    Tree,
    WellKnown,
)
from fixtures.gen.fixture.helloworld.v1.greeter_kratos import GREETER_SAY_HELLO
from fixtures.gen.fixture.helloworld.v1.greeter_pb import HelloRequest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from protobuf.wkt import (
    BoolValue,
    BytesValue,
    DoubleValue,
    Duration,
    Empty,
    FieldMask,
    Int64Value,
    StringValue,
    Timestamp,
)
from strategies import SCALARS, messages_of

from kratos.codec import JsonCodec, JsonOptions, ProtoCodec
from kratos.codec.messages import Message, assign, clear, get, has, shape
from kratos.errors import BadRequest, InternalServer, Unimplemented
from kratos.operation import Bidi, Http, Unary
from kratos.pathtemplate import Template
from kratos.transport.http.bind import Binding
from kratos.transport.http.path import Rule, rule_of
from kratos.transport.http.route import Router

NAME = "/test.v1.Things/Do"
JSON = JsonCodec()


def rule(path: str, body: str = "", method: str = "GET", **more: Any) -> Rule:
    return Rule(Unary(NAME, Everything, Everything, http=(Http(method, path, body, **more),)))


def text(value: str) -> Everything:
    return Everything(optionals=Optionals(a_string=value))


@pytest.mark.parametrize(
    ("template", "message", "target"),
    [
        ("/things", Everything(), "/things"),
        ("/", Everything(), "/"),
        ("/things/{page_size}", Everything(page_size=3), "/things/3"),
        ("/things/{page_size}", Everything(), "/things/0"),
        ("/things/{pageSize}", Everything(page_size=3), "/things/3"),
        ("/things/{scalars.a_bool}", Everything(scalars=Scalars()), "/things/false"),
        ("/things/{scalars.a_color}", Everything(scalars=Scalars(a_color=Color.RED)), "/things/COLOR_RED"),
        ("/things/{scalars.a_bytes}", Everything(scalars=Scalars(a_bytes=b"\xff\xef?")), "/things/%2F%2B8%2F"),
        ("/things/{optionals.an_int64}:go", Everything(optionals=Optionals(an_int64=-5)), "/things/-5:go"),
        ("/things/{optionals.a_string}", text("a b/c?d%&e#é"), "/things/a%20b%2Fc%3Fd%25%26e%23%C3%A9"),
        ("/things/{optionals.a_string}", text("-._~Z9"), "/things/-._~Z9"),
        ("/things/{optionals.a_string}", text(".a"), "/things/.a"),
        ("/things/{optionals.a_string}", text("a\n"), "/things/a%0A"),
        ("/things/{optionals.a_string=**}", text("a b/c?d%&e#é"), "/things/a%20b/c%3Fd%25%26e%23%C3%A9"),
        ("/things/{optionals.a_string=**}", text(""), "/things/"),
        ("/v1/{optionals.a_string=shelves/*/books/*}/x", text("shelves/1/books/b c"), "/v1/shelves/1/books/b%20c/x"),
        ("/v1/{optionals.a_string=shelves/**}", text("shelves"), "/v1/shelves"),
        ("/v1/{optionals.a_string=shelves/**}", text("shelves/a/b"), "/v1/shelves/a/b"),
        ("/v1/{optionals.a_string=all}", text("all"), "/v1/all"),
        ("/a ü/{page_size}", Everything(page_size=1), "/a%20%C3%BC/1"),
        (
            "/t/{well_known.time}/{well_known.string_value}",
            Everything(well_known=WellKnown(time=Timestamp(), string_value=StringValue(value="x"))),
            "/t/1970-01-01T00%3A00%3A00Z/x",
        ),
    ],
)
def test_paths(template: str, message: Everything, target: str) -> None:
    """Path variables are found by proto and JSON names, zero is a value, and what they hold is escaped."""
    assert rule(template).target(message) == target


def test_the_primary_rule_counts() -> None:
    """Of several bindings the first one is called."""
    compiled = rule_of(GREETER_SAY_HELLO)
    assert compiled is rule_of(GREETER_SAY_HELLO)
    assert (compiled.method, compiled.target(HelloRequest(name="a"))) == ("GET", "/helloworld/a")
    assert not compiled.has_body


@pytest.mark.parametrize(
    ("template", "message", "told"),
    [
        ("/x/{optionals.a_string}", text(""), "field optionals.a_string is empty, and {optionals.a_string} needs"),
        ("/x/{optionals.a_string}", Everything(), "field optionals.a_string is not set"),
        ("/x/{optionals.an_int32}", Everything(optionals=Optionals()), "field optionals.an_int32 is not set"),
        (
            "/x/{optionals.a_string=shelves/*}",
            text("books/1"),
            "is 'books/1', which does not match {optionals.a_string=sh",
        ),
        ("/x/{optionals.a_string=shelves/*}", text("shelves/"), "does not match"),
        ("/x/{optionals.a_string=shelves/*}", text("shelves/a/b"), "does not match"),
        ("/x/{optionals.a_string=shelves/*}", text(""), "is empty"),
        ("/x/{optionals.a_string=all}", text("some"), "does not match"),
        ("/x/{optionals.a_string}", text("."), ". and .. cannot be sent"),
        ("/x/{optionals.a_string}", text(".."), ". and .. cannot be sent"),
        ("/x/{optionals.a_string=**}", text("a/../b"), ". and .. cannot be sent"),
        (
            "/x/{well_known.time}/{optionals.a_bool}",
            Everything(well_known=WellKnown(time=Timestamp(seconds=2**60))),
            "field well_known.time cannot be written",
        ),
    ],
)
def test_variables_that_do_not_fit(template: str, message: Everything, told: str) -> None:
    """A value that the template does not allow is refused here; the error names field and template."""
    with pytest.raises(BadRequest, match=re.escape(told)) as raised:
        rule(template).target(message)
    assert raised.value.reason == "PATH_VARIABLE"
    assert raised.value.metadata["field"].startswith(("optionals.", "well_known."))
    assert NAME in raised.value.message


@pytest.mark.parametrize(
    ("message", "query"),
    [
        (Everything(page_size=5), "pageSize=5"),
        (Everything(scalars=Scalars(a_bool=True, a_double=0.1)), "scalars.aBool=true&scalars.aDouble=0.1"),
        (Everything(optionals=Optionals(a_bool=False, an_int32=0)), "optionals.aBool=false&optionals.anInt32=0"),
        (Everything(optionals=Optionals(a_string="")), "optionals.aString="),
        (Everything(optionals=Optionals(a_string="a b&c=+/é")), "optionals.aString=a%20b%26c%3D%2B%2F%C3%A9"),
        (Everything(optionals=Optionals(scalars=Scalars(a_uint32=1))), "optionals.scalars.aUint32=1"),
        (Everything(optionals=Optionals()), ""),
        (Everything(scalars=Scalars(a_color=Color.BLUE)), "scalars.aColor=COLOR_BLUE"),
        (Everything(scalars=Scalars(a_color=Color(99))), "scalars.aColor=99"),
        (Everything(inner=Everything.Inner(mood=Mood.GLAD)), "inner.mood=MOOD_GLAD"),
        (Everything(scalars=Scalars(a_bytes=b"\xff\xef")), "scalars.aBytes=%2F%2B8%3D"),
        (Everything(scalars=Scalars(a_double=float("inf"))), "scalars.aDouble=Infinity"),
        (Everything(scalars=Scalars(a_float=float("nan"))), "scalars.aFloat=NaN"),
        (Everything(lists=Lists(strings=["a", "", "b"])), "lists.strings=a&lists.strings=&lists.strings=b"),
        (Everything(lists=Lists(colors=[Color.RED])), "lists.colors=COLOR_RED"),
        (Everything(maps=Maps(numbers={"a b": 1, "c": 2})), "maps.numbers%5Ba%20b%5D=1&maps.numbers%5Bc%5D=2"),
        (Everything(maps=Maps(by_bool={True: "x"})), "maps.byBool%5Btrue%5D=x"),
        (Everything(maps=Maps(by_int32={-1: 2})), "maps.byInt32%5B-1%5D=2"),
        (Everything(keywords=Keywords(renamed="x")), "keywords.other-name=x"),
        (Everything(choice=Choice(target=None, beside="x")), "choice.beside=x"),
        (Everything(tree=Tree(left=Tree(left=Tree(name="x")))), "tree.left.left.name=x"),
        (
            Everything(well_known=WellKnown(time=Timestamp(seconds=1700000000, nanos=120000000))),
            "wellKnown.time=2023-11-14T22%3A13%3A20.120Z",
        ),
        (Everything(well_known=WellKnown(span=Duration(seconds=1, nanos=500000000))), "wellKnown.span=1.5s"),
        (Everything(well_known=WellKnown(span=Duration(seconds=90))), "wellKnown.span=90s"),
        (Everything(well_known=WellKnown(mask=FieldMask(paths=["a_b", "c.d_e"]))), "wellKnown.mask=a_b%2Cc.d_e"),
        (Everything(well_known=WellKnown(bool_value=BoolValue())), "wellKnown.boolValue=false"),
        (Everything(well_known=WellKnown(int64_value=Int64Value(value=-5))), "wellKnown.int64Value=-5"),
        (Everything(well_known=WellKnown(bytes_value=BytesValue(value=b"\xff"))), "wellKnown.bytesValue=%2Fw%3D%3D"),
        (Everything(well_known=WellKnown(double_value=DoubleValue(value=1.5))), "wellKnown.doubleValue=1.5"),
        (Everything(well_known=WellKnown(nothing=Empty())), ""),
    ],
)
def test_queries(message: Everything, query: str) -> None:
    """Populated fields go into the query by JSON names; unset ones do not, set zeros do."""
    assert rule("/q").target(message) == (f"/q?{query}" if query else "/q")


def test_several_times_and_a_struct() -> None:
    """Lists of messages with a text form repeat; a Struct is one parameter of JSON."""
    known = WellKnown(times=[Timestamp(seconds=1), Timestamp(seconds=2)])
    assert parse_qsl(rule("/q").target(Everything(well_known=known)).partition("?")[2]) == [
        ("wellKnown.times", "1970-01-01T00:00:01Z"),
        ("wellKnown.times", "1970-01-01T00:00:02Z"),
    ]
    known = JSON.decode(b'{"facts": {"a": [1, null]}}', WellKnown)
    (pair,) = parse_qsl(rule("/q").target(Everything(well_known=known)).partition("?")[2])
    assert (pair[0], json.loads(pair[1])) == ("wellKnown.facts", {"a": [1, None]})


@pytest.mark.parametrize(
    ("message", "field"),
    [
        (Everything(lists=Lists(items=[Item(sku="a")])), "lists.items"),
        (Everything(maps=Maps(items={"a": Item()})), "maps.items"),
        (Everything(choices=[Choice()]), "choices"),
    ],
)
def test_queries_that_cannot_be_written(message: Everything, field: str) -> None:
    """Lists and maps of messages have no form in a query, and are not dropped in silence."""
    with pytest.raises(BadRequest, match=f"field {field} holds") as raised:
        rule("/q").target(message)
    assert (raised.value.reason, raised.value.metadata) == ("QUERY_PARAMETER", {"field": field})


def test_the_query_leaves_out_what_is_elsewhere() -> None:
    """Fields of the path and of the body are not repeated; their neighbours are there."""
    message = Everything(page_size=3, optionals=Optionals(a_string="a", a_bool=True), scalars=Scalars(a_bool=True))
    assert rule("/x/{optionals.a_string}").target(message) == (
        "/x/a?optionals.aBool=true&pageSize=3&scalars.aBool=true"
    )
    assert rule("/x/{page_size}", "scalars", "PUT").target(message) == ("/x/3?optionals.aBool=true&optionals.aString=a")
    assert rule("/x", "*", "POST").target(message) == "/x"


def test_bodies() -> None:
    """The body is the whole message or one field of it: a message, a list, a map or a scalar, whatever it holds."""
    message = Everything(
        page_size=3, scalars=Scalars(an_int64=7), lists=Lists(int64s=[1]), choices=[Choice(beside="x")]
    )

    def body(field: str, of: Everything = message, codec: Any = JSON) -> Any:
        data = rule("/x", field, "POST").encode(of, codec)
        return json.loads(data) if codec is not PROTO and data else data

    assert JSON.decode(rule("/x", "*", "POST").encode(message, JSON), Everything) == message
    assert body("scalars")["anInt64"] == "7"
    assert body("page_size") == body("pageSize") == 3
    assert [choice["beside"] for choice in body("choices")] == ["x"]
    assert body("scalars", Everything()) == b""
    assert body("choices", Everything()) == []
    assert body("page_size", Everything(), JsonCodec(JsonOptions(zero_values=False))) == b""
    assert body("page_size", message, JsonCodec(JsonOptions(names="proto"))) == 3
    assert body("scalars", message, PROTO) == Scalars(an_int64=7).to_binary()
    with pytest.raises(BadRequest, match="only the json codec can carry it"):
        body("page_size", message, PROTO)


PROTO = ProtoCodec()


def test_the_body_does_not_repeat_a_bound_field_with_presence() -> None:
    """Go Kratos refuses an optional field that comes by path and by body; the caller's message stays as it is."""
    message = Everything(page_size=3, optionals=Optionals(a_string="a", a_bool=True))
    sent = JSON.decode(rule("/x/{optionals.a_string}", "*", "POST").encode(message, JSON), Everything)
    assert sent == Everything(page_size=3, optionals=Optionals(a_bool=True))
    sent = JSON.decode(rule("/x/{page_size}", "*", "POST").encode(message, JSON), Everything)
    assert sent == message
    assert message.optionals == Optionals(a_string="a", a_bool=True)
    sub = JSON.decode(rule("/x/{optionals.a_string}", "optionals", "POST").encode(message, JSON), Optionals)
    assert sub == Optionals(a_bool=True)
    lone = rule("/x/{choice.a_text}", "*", "POST").encode(Everything(), JSON)
    assert JSON.decode(lone, Everything) == Everything()


def test_replies() -> None:
    """A reply is the whole body or fills one field; what cannot be read is the server's fault and not the caller's."""
    assert rule("/x").decode(b'{"pageSize": 3}', JSON) == Everything(page_size=3)
    assert rule("/x").decode(b"", JSON) == Everything()
    assert rule("/x", response_body="scalars").decode(b'{"aBool": true}', JSON).scalars == Scalars(a_bool=True)
    assert rule("/x", response_body="page_size").decode(b"3", JSON) == Everything(page_size=3)
    assert rule("/x", response_body="choices").decode(b'[{"beside":"x"}]', JSON).choices == [Choice(beside="x")]
    assert rule("/x", response_body="choices").decode(b"", JSON) == Everything()
    for data, codec in ((b'3,"optionals":{}', JSON), (b"\x18\x03", PROTO)):
        with pytest.raises(InternalServer, match=f"the reply of {NAME} cannot be read") as raised:
            rule("/x", response_body="page_size").decode(data, codec)
        assert raised.value.reason == "CODEC"


def test_operations_without_a_rule() -> None:
    """What the contract does not offer over HTTP is refused by name."""
    with pytest.raises(Unimplemented, match=f"{NAME} has no google.api.http rule") as raised:
        rule_of(Unary(NAME, Everything, Everything))
    assert raised.value.reason == "NO_HTTP_RULE"


@pytest.mark.parametrize(
    ("http", "told"),
    [
        (Http("GET", "x"), "must start with /"),
        (Http("GET", "/x/{nope}"), "'nope' is no field of fixture.codec.v1.Everything"),
        (Http("GET", "/x/{page_size.more}"), "'page_size.more' is no field"),
        (Http("GET", "/x/{lists.strings}"), "'lists.strings' is no field"),
        (Http("GET", "/x/{scalars}"), "'scalars' is no field"),
        (Http("GET", "/x/*"), "a wildcard outside"),
        (Http("GET", "/x/**"), "a wildcard outside"),
        (Http("GET", "/x/*:go"), "a wildcard outside"),
        (Http("POST", "/x", "nope"), "names 'nope', which fixture.codec.v1.Everything does not have"),
        (Http("GET", "/x", "", "nope"), "names 'nope', which fixture.codec.v1.Everything does not have"),
    ],
)
def test_broken_rules(http: Http, told: str) -> None:
    """A rule that cannot be called is refused with its place."""
    with pytest.raises(ValueError, match=re.escape(told)):
        Rule(Unary(NAME, Everything, Everything, http=(http,)))


def test_any_method() -> None:
    """A rule for every method is called by the usual one."""
    assert rule("/x", "*", "*").method == "POST"
    assert rule("/x", "", "*").method == "GET"


def test_streamed_requests() -> None:
    """Streams keep their messages out of the query, but for what the frames leave out."""
    bidi = Bidi(NAME, Everything, Everything, http=(Http("GET", "/s/{page_size}"),))
    message = Everything(page_size=3, scalars=Scalars(a_bool=True))
    assert Rule(bidi).target(message) == "/s/3"
    assert Rule(bidi).needs_message
    assert JSON.decode(Rule(bidi).encode(message, JSON), Everything) == message
    framed = Rule(Bidi(NAME, Everything, Everything, http=(Http("GET", "/s", "scalars"),)))
    assert framed.target(message) == "/s?pageSize=3"
    assert JSON.decode(framed.encode(message, JSON), Scalars) == message.scalars
    assert (framed.needs_message, framed.has_variables) == (True, False)
    scalar = Rule(Bidi(NAME, Everything, Everything, http=(Http("GET", "/s", "page_size"),)))
    assert scalar.target(message) == "/s"
    assert JSON.decode(scalar.encode(message, JSON), Everything) == message
    assert not scalar.needs_message


# Round trips with our own server: what the client writes, the router finds and the binding reads.


def returned(http: Http, message: Message, codec: Any = JSON) -> Any:
    operation = Unary(NAME, type(message), Everything, http=(http,))
    compiled = Rule(operation)
    path, _, query = compiled.target(message).partition("?")
    template = Template(http.path)
    match = Router([(http.method, template, "found")]).match(http.method, path)
    body = compiled.encode(message, codec) if compiled.has_body else b""
    return Binding(operation, http).build(codec if body else None, body, query, match.values)


def full(message: Message) -> Message:
    """Drops set but empty messages, which have no form in a query."""
    for field in shape(type(message)).fields:
        if field.singular and field.message is not None and has(message, field):
            inner = full(get(message, field))
            if not any(has(inner, part) for part in shape(type(inner)).fields):
                clear(message, field)
    return message


def queryable(message: Message) -> Message:
    """Drops lists and maps of messages, anywhere."""
    for field in shape(type(message)).fields:
        if field.message is None:
            continue
        if field.singular and has(message, field):
            queryable(get(message, field))
        elif not field.singular:
            clear(message, field)
    return message


@given(messages_of(Scalars) | messages_of(Optionals) | messages_of(Lists).map(queryable))
def test_queries_come_back(message: Message) -> None:
    """Whatever scalars, lists and nested messages hold, the server reads the same from the query."""
    assert returned(Http("GET", "/q"), message) == full(message)


@given(messages_of(Everything, depth=1))
def test_bodies_come_back(message: Everything) -> None:
    """A whole message comes back by the body, in JSON and in binary."""
    for codec in (JSON, PROTO):
        assert returned(Http("POST", "/q", "*"), message, codec) == message


def without_form(message: Message, body: str) -> Message:
    """Drops what neither query nor path can say, but from the field that is the body."""
    for field in shape(type(message)).fields:
        if field.name == body or field.message is None or shape(field.message).well_known not in (None, "Any"):
            continue
        if not field.singular:
            clear(message, field)
        elif has(message, field):
            inner = without_form(get(message, field), "")
            if not any(has(inner, part) for part in shape(type(inner)).fields):
                clear(message, field)
    return message


IN_PATHS = [
    ("page_size", "{page_size}"),
    ("optionals.a_string", "{optionals.a_string=**}"),
    ("optionals.a_color", "{optionals.aColor}"),
    ("scalars.a_double", "x/{scalars.aDouble}"),
    ("choice.a_number", "{choice.a_number}/y"),
    ("well_known.time", "{well_known.time}"),
    ("tree.left.name", "{tree.left.name}"),
]
BODIES = ["", "*", *(field.name for field in shape(Everything).fields)]


@settings(max_examples=300)
@given(
    messages_of(Everything, depth=2),
    st.lists(st.sampled_from(IN_PATHS), unique=True, max_size=3),
    st.sampled_from(BODIES),
    st.sampled_from(["", ":go"]),
)
def test_any_rule_comes_back(message: Everything, variables: list[tuple[str, str]], body: str, verb: str) -> None:
    """Whatever the rule and the message, what a client can build at all, a server reads back as it was."""
    variables = sorted(variables, key=lambda variable: "**" in variable[1])
    template = f"/v1/{'/'.join(text for _, text in variables)}" if variables else "/v1"
    if body != "*":
        message = without_form(message, body)  # type: ignore[assignment]
    expected = copy.deepcopy(message)
    http = Http("POST" if body else "GET", template + verb, body)
    try:
        back = returned(http, message)
    except BadRequest as refused:
        assert refused.reason == "PATH_VARIABLE"  # noqa: PT017 - a path needs values, and not every message has them
        return
    assert message == expected
    assert without_form(back, body) == expected if body != "*" else back == expected


segments = st.text(min_size=1, max_size=12).filter(lambda value: value not in (".", ".."))


@given(segments, st.integers(-(2**31), 2**31 - 1), messages_of(Scalars))
def test_single_segments_come_back(value: str, number: int, scalars: Scalars) -> None:
    """Any text fills one segment, slashes included; the rest comes by query or body field."""
    message = Everything(page_size=number, optionals=Optionals(a_string=value), scalars=scalars)
    for http in (
        Http("GET", "/v1/{page_size}/{optionals.a_string}"),
        Http("PUT", "/v1/{optionals.a_string}/x/{page_size}:go", "*"),
        Http("PUT", "/{optionals.a_string}/{page_size}", "scalars"),
    ):
        assert full(returned(http, message)) == full(copy.deepcopy(message))


@pytest.mark.parametrize("kind", sorted(SCALARS.keys() - {"string"}))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(data=st.data())
def test_every_scalar_comes_back(kind: str, data: st.DataObject) -> None:
    """A path variable may be of any scalar kind, and keeps its value."""
    field = next(field for field in shape(Optionals).fields if field.kind == kind)
    value = data.draw(SCALARS[kind])  # type: ignore[index]
    assume(value != b"")
    message = Optionals()
    assign(message, field, value)
    assert returned(Http("GET", f"/x/{{{field.name}}}"), message) == message


@given(st.lists(segments.filter(lambda value: "/" not in value and "\n" not in value), min_size=1, max_size=4))
def test_many_segments_come_back(parts: list[str]) -> None:
    """Any text with slashes fills a variable of many segments."""
    value = "/".join(parts)
    assert returned(Http("GET", "/v1/{optionals.a_string=**}"), text(value)) == text(value)
    assert returned(Http("GET", "/v1/{optionals.a_string=shelves/**}"), text(f"shelves/{value}")) == text(
        f"shelves/{value}"
    )


@given(st.text(max_size=8))
def test_refusals_are_ours(value: str) -> None:
    """A path variable is written so that the server finds the route, or refused; nothing else happens."""
    for template in ("/v1/{optionals.a_string}", "/v1/{optionals.a_string=a/*}", "/v1/{optionals.a_string=*/b/**}"):
        http = Http("GET", template)
        try:
            rule(template).target(text(value))
        except BadRequest:
            continue
        assert returned(http, text(value)).optionals.a_string is not None


@pytest.mark.parametrize("value", ["%2F", "a%2fb", "%25", "%", "%252F", "a/%2F"])
def test_escapes_in_values_come_back(value: str) -> None:
    """Text that looks like an escape is text."""
    assert returned(Http("GET", "/v1/{optionals.a_string=**}"), text(value)) == text(value)
    assert returned(Http("GET", "/v1/{optionals.a_string}"), text(value)) == text(value)
