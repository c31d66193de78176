"""Records are those of Kratos for Go, byte for byte, and nothing that others write takes us down."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kratos.registry import Instance, InvalidInstance
from kratos.registry.record import Neighbours, decode, encode

MINIMAL = b'{"id":"0","name":"helloworld","version":"","metadata":null,"endpoints":null}'
FULL = (
    b'{"id":"u1","name":"helloworld","version":"v1.0.0","metadata":{"color":"x","zone":"a\\u003cb"},'
    b'"endpoints":["http://127.0.0.1:8000?a=1\\u0026b=2","grpc://127.0.0.1:9000"]}'
)
FULL_INSTANCE = Instance(
    "u1",
    "helloworld",
    "v1.0.0",
    {"zone": "a<b", "color": "x"},
    ("http://127.0.0.1:8000?a=1&b=2", "grpc://127.0.0.1:9000"),
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
NAME = TEXT.filter(bool)
URLS = TEXT.filter(lambda text: "isSecure" not in text)
INSTANCES = st.builds(Instance, NAME, NAME, TEXT, st.dictionaries(TEXT, TEXT), st.lists(URLS).map(tuple[str, ...]))


@pytest.mark.parametrize(("instance", "record"), [(Instance("0", "helloworld"), MINIMAL), (FULL_INSTANCE, FULL)])
def test_golden(instance: Instance, record: bytes) -> None:
    """What Go writes is what we write, and the other way round."""
    assert encode(instance) == record
    assert decode(record) == instance
    assert decode(record.decode()) == instance


@given(INSTANCES)
def test_both_ways(instance: Instance) -> None:
    """Every instance comes back as it was."""
    assert decode(encode(instance)) == instance


def test_null_missing_and_unknown() -> None:
    """Null and missing are empty, whatever it is; unknown keys are nobody's business."""
    assert decode('{"id":"1","name":"n"}') == Instance("1", "n")
    record = '{"id":"1","name":"n","version":null,"metadata":{"a":null},"endpoints":[null,"http://a:1"],"x":{"y":[1]}}'
    assert decode(record) == Instance("1", "n", "", {"a": ""}, ("http://a:1",))


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("http://a:1?isSecure=true", "https://a:1"),
        ("grpc://a:1?isSecure=true", "grpcs://a:1"),
        ("grpc://a:1?isSecure=false", "grpc://a:1"),
        ("grpcs://a:1?isSecure=true", "grpcs://a:1"),
        ("ws://a:1?isSecure=true", "ws://a:1"),
        ("http://a:1?x=1&isSecure=true&y=2", "https://a:1?x=1&y=2"),
        ("http://a:1?x=1", "http://a:1?x=1"),
        ("http://a:1", "http://a:1"),
    ],
)
def test_tls_by_a_query(written: str, read: str) -> None:
    """Kratos before 2.3 told of TLS by a query."""
    assert decode(f'{{"id":"1","name":"n","endpoints":["{written}"]}}').endpoints == (read,)


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (b"", "Expecting value"),
        (b"\xff\xfe", "not a record: "),
        (b"[]", "it is [], not an object"),
        (b"[" * 100_000, "nested too deep"),
        (b"{}", "it has no id"),
        (b'{"id":"1"}', "it has no name"),
        (b'{"id":1,"name":"n"}', "id is 1, not a string"),
        (b'{"id":"1","name":"n","metadata":[]}', "metadata is [], not an object"),
        (b'{"id":"1","name":"n","metadata":{"weight":10}}', "weight is 10, not a string"),
        (b'{"id":"1","name":"n","endpoints":"x"}', "endpoints is 'x', not a list"),
        (b'{"id":"1","name":"n","endpoints":[1]}', "an endpoint is 1, not a string"),
    ],
)
def test_what_is_no_record(record: bytes, why: str, caplog: pytest.LogCaptureFixture) -> None:
    """A record that is none is one clear error; among neighbours it is skipped, and logged once."""
    with pytest.raises(ValueError, match="not a record") as failure:
        decode(record)
    assert why in str(failure.value)
    neighbours = Neighbours("etcd")
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert neighbours.read("/a/1", record) is None
    assert [each.getMessage() for each in caplog.records] == [f"etcd: /a/1 is skipped: {failure.value}"]


def test_neighbours(caplog: pytest.LogCaptureFixture) -> None:
    """A record that is bad again, or in another way, is logged again; not all that ever was is remembered."""
    neighbours = Neighbours("etcd")
    for record in (b"{", MINIMAL, b"{", b"[", b"["):
        neighbours.read("/a/1", record)
    assert len(caplog.records) == 3
    caplog.clear()
    for number in range(2000):
        neighbours.read(str(number), b"{")
    neighbours.read("1999", b"{")
    assert len(caplog.records) == 2000
    neighbours.read("0", b"{")
    assert len(caplog.records) == 2001


@pytest.mark.parametrize(
    ("instance", "why"),
    [
        (Instance("", "n"), "needs an id and a name"),
        (Instance("1", ""), "needs an id and a name"),
        (Instance("1", "n", metadata={"weight": 10}), "metadata 'weight' is 10, not a string"),  # type: ignore[dict-item]
        (Instance("1", "n", metadata={1: "x"}), "is 1, not a string"),  # type: ignore[dict-item]
        (Instance("1", "n", version=2), "version is 2, not a string"),  # type: ignore[arg-type]
        (Instance("1", "n", endpoints=(b"x",)), "endpoints is b'x', not a string"),  # type: ignore[arg-type]
        (Instance("1", "n\ud800"), "no valid text"),
    ],
)
def test_what_cannot_be_written(instance: Instance, why: str) -> None:
    """Whoever registers something that is no text hears which field it is."""
    with pytest.raises(InvalidInstance) as failure:
        encode(instance)
    assert why in str(failure.value)


def test_equality() -> None:
    """An empty value is not a missing one, and comparing changes nothing."""
    one = Instance("1", "n", metadata={"a": ""}, endpoints=("b", "a"))
    two = Instance("1", "n", metadata={"b": ""}, endpoints=("b", "a"))
    assert one != two
    assert one == Instance("1", "n", metadata={"a": ""}, endpoints=("b", "a"))
    assert one.endpoints == ("b", "a")
