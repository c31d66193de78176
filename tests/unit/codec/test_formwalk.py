"""Names of a form and the fields they mean."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fixtures.gen.fixture.codec.v1.everything_pb import Choice, Everything, Item, Lists, Maps, Tree, WellKnown
from hypothesis import given
from hypothesis import strategies as st
from protobuf.wkt import FieldMask
from strategies import messages_of
from unit.transport.http_vectors import vectors

from kratos.codec import JsonCodec
from kratos.codec.formwalk import MAX_DEPTH, Form, UnwritableError, form_of, split
from kratos.codec.messages import Message, clear, get, has, shape
from kratos.errors import BadRequest

ROWS = [row for group in vectors("queries") for row in group["rows"]]
JSON = JsonCodec()


def read(query: str, into: Message | None = None, **options: Any) -> Any:
    message = Everything() if into is None else into
    Form(type(message), **options).read(message, split(query, 1000, "the query"), "query parameter")
    return message


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_queries(row: list[Any]) -> None:
    """A query is the message it should be, or is refused with the field as it was spelled and the reason."""
    query, outcome, *reason = row
    if isinstance(outcome, dict):
        expected = JSON.decode(json.dumps(outcome).encode(), Everything)
        # NaN differs from itself, so what is compared is text. Twice: the second time names are remembered.
        assert JSON.encode(read(query)) == JSON.encode(expected)
        form = form_of(Everything)
        for _ in range(2):
            message = Everything()
            form.read(message, split(query, 1000, "the query"), "query parameter")
            assert JSON.encode(message) == JSON.encode(expected)
        return
    with pytest.raises(BadRequest) as refused:
        read(query)
    assert refused.value.reason == "CODEC"
    assert reason[0] in refused.value.message
    if outcome is not None:
        assert refused.value.metadata == {"field": outcome}
        assert refused.value.message.startswith(f"query parameter {outcome}: ")


def test_lists_and_maps_are_replaced() -> None:
    """What is named takes the place of what was there; the rest stays."""
    message = Everything(lists=Lists(strings=["a"], int32s=[1]), maps=Maps(numbers={"a": 1}))
    read("lists.strings=b&maps.numbers[b]=2", message)
    assert message == Everything(lists=Lists(strings=["b"], int32s=[1]), maps=Maps(numbers={"b": 2}))


def test_a_oneof_that_is_set_already_changes() -> None:
    """A member takes the place of the one that was there."""
    message = read("choice.a_text=x", Everything(choice=Choice(target=Choice(target=None).target, beside="b")))
    assert (message.choice.target.field, message.choice.beside) == ("a_text", "b")
    read("choice.a_number=1", message)
    assert (message.choice.target.field, message.choice.target.value) == ("a_number", 1)


@pytest.mark.parametrize(
    "query",
    ["nope=1", "page_size.x=1", "scalars=1", "lists.items=1", "maps.numbers=1", "page_size[0]=1", "lists.strings[x]=1"],
)
def test_strict(query: str) -> None:
    """A form may mind what it does not know."""
    assert read(query) == Everything()
    with pytest.raises(BadRequest, match="Everything has no such field, or none that text can fill") as refused:
        read(query, unknown="reject")
    assert refused.value.metadata == {"field": query.partition("=")[0]}
    assert read("page_size=1", unknown="reject") == Everything(page_size=1)


def test_limits() -> None:
    """Names that lead too deep, and too many parameters, are refused."""
    deep = "tree." + "left." * (MAX_DEPTH - 2)
    assert read(f"{deep}name=x").tree.left is not None
    with pytest.raises(BadRequest, match="leads through more than 32 fields"):
        read(f"{deep}left.name=x")
    with pytest.raises(BadRequest, match="the query has more than 1000 parameters"):
        read("&".join(["a=1"] * 1001))
    assert read("&".join(["a=1"] * 1000)) == Everything()
    with pytest.raises(BadRequest) as refused:
        read(f"lists.int32s[{'0' * 500}]=x")
    assert len(refused.value.metadata["field"]) == 100


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever invents names does not fill the memory: only those with a meaning are kept, and not too many."""
    monkeypatch.setattr("kratos.codec.formwalk._NAMES", 8)
    form = Form(Tree)
    for number in range(30):
        pairs = [
            ("left." * number + "name", "x"),
            (f"nope{number}", "x"),
            (f"named[{number}]", "x"),
            (f"named.{number}", "x"),
        ]
        form.read(Tree(), pairs, "query parameter")
        assert set(form._places) <= {"left." * depth + "name" for depth in range(30)}
        assert 1 <= len(form._places) <= 8


@pytest.mark.parametrize(
    ("message", "field"),
    [
        (Everything(lists=Lists(items=[Item()])), "lists.items"),
        (Everything(maps=Maps(items={"a": Item()})), "maps.items"),
        (Everything(well_known=WellKnown(mask=FieldMask(paths=["fooBar"]))), "well_known.mask"),
    ],
)
def test_what_has_no_form(message: Everything, field: str) -> None:
    """Lists and maps of messages, and values without a text, are refused by name."""
    with pytest.raises(UnwritableError, match=f"field {field} ") as refused:
        form_of(Everything).write(message)
    assert refused.value.field == field


def test_too_deep_to_write() -> None:
    """What could not be read is not written."""
    tree = Tree(name="x")
    for _ in range(MAX_DEPTH - 1):
        tree = Tree(left=tree)
    pairs = form_of(Tree).write(tree)
    message = Tree()
    form_of(Tree).read(message, pairs, "query parameter")
    assert message == tree
    with pytest.raises(UnwritableError, match="nested deeper than 32 fields"):
        form_of(Tree).write(Tree(left=tree))


def formable(message: Message) -> Message:
    """Drops what has no form: lists and maps of messages, and messages that are set and empty."""
    for field in shape(type(message)).fields:
        if field.message is None or shape(field.message).well_known not in (None, "Any"):
            continue
        if not field.singular:
            clear(message, field)
        elif has(message, field):
            inner = formable(get(message, field))
            if not any(has(inner, part) for part in shape(type(inner)).fields):
                clear(message, field)
    return message


@given(messages_of(Everything, depth=3).map(formable))
def test_messages_come_back(message: Everything) -> None:
    """Whatever has a form is read as it was written, every kind of field and every well-known type."""
    pairs = form_of(Everything).write(message)
    assert [name for name, _ in pairs] == sorted(name for name, _ in pairs)
    back = Everything()
    form_of(Everything).read(back, pairs, "query parameter")
    assert back == message


names = st.from_regex(r"(lists|maps|strings|by_bool|wellKnown|facts|choice|[.\[\]a0]){1,6}", fullmatch=True)


@given(st.lists(st.tuples(names | st.text(max_size=8), st.text(max_size=6)), max_size=4))
def test_nothing_crashes(pairs: list[tuple[str, str]]) -> None:
    """Any names and values are a message or a 400."""
    message = Everything()
    try:
        form_of(Everything).read(message, pairs, "query parameter")
    except BadRequest as refused:
        assert refused.reason == "CODEC"  # noqa: PT017 - both ends are fine


@given(st.text(max_size=40))
def test_any_query_is_read(query: str) -> None:
    """Any query is taken apart, or is not UTF-8."""
    try:
        assert all(isinstance(part, str) for pair in split(query, 100, "the query") for part in pair)
    except BadRequest as refused:
        assert "UTF-8" in refused.message  # noqa: PT017 - both ends are fine


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("wellKnown.mask.paths=%00", "wellKnown.mask.paths"),
        ("wellKnown.mask.paths=a&wellKnown.mask.paths=b+c", "wellKnown.mask.paths"),
        ("wellKnown.time.seconds=253402300800", "wellKnown.time.seconds"),
        ("wellKnown.time.nanos=-1", "wellKnown.time.nanos"),
        ("wellKnown.span.seconds=315576000001", "wellKnown.span.seconds"),
        ("wellKnown.span.seconds=1&wellKnown.span.nanos=-1", "wellKnown.span.nanos"),
        ("wellKnown.span.nanos=-1&wellKnown.span.seconds=1", "wellKnown.span.seconds"),
    ],
)
def test_parts_that_make_no_whole(query: str, field: str) -> None:
    """A time, duration or mask that is filled part by part is one that can be written, too."""
    with pytest.raises(BadRequest, match="that can be written") as refused:
        read(query)
    assert refused.value.metadata == {"field": field}
    assert read("wellKnown.span.nanos=-1&wellKnown.span.seconds=-1").well_known.span.nanos == -1
