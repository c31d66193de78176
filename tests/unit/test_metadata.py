"""Metadata: the laws of the multimap, against a dictionary of lists."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from kratos.metadata import Metadata, decode_binary, encode_binary

KEYS = st.sampled_from(
    ["accept", "Accept", "x-md-global-tenant", "X-Md-Global-Tenant", "x-md-local-a", "trace-bin", "_"]
)
VALUES = st.text(st.characters(max_codepoint=255, exclude_characters="\0\r\n"), max_size=8)
PAIRS = st.lists(st.tuples(KEYS, VALUES), max_size=6)
RAW = st.lists(st.tuples(KEYS.map(str.lower), VALUES), max_size=6)


class Multimap(RuleBasedStateMachine):
    """The metadata under test beside the simplest model: a dictionary of lists, whose keys remember their order."""

    def __init__(self) -> None:
        super().__init__()
        self.real = Metadata()
        self.model: dict[str, list[str]] = {}

    def append(self, pairs: list[tuple[str, str]]) -> None:
        for key, value in pairs:
            self.model.setdefault(key.lower(), []).append(value)

    def drop(self, keys: list[str]) -> None:
        for key in keys:
            self.model.pop(key.lower(), None)

    @rule(raw=RAW)
    def receive(self, raw: list[tuple[str, str]]) -> None:
        """Starts anew with received headers."""
        self.real = Metadata.from_raw([(key.encode(), value.encode("latin-1")) for key, value in raw])
        self.model = {}
        self.append(raw)

    @rule(key=KEYS, value=VALUES)
    def add(self, key: str, value: str) -> None:
        """Adds one."""
        self.real.add(key, value)
        self.append([(key, value)])

    @rule(key=KEYS, value=VALUES)
    def set(self, key: str, value: str) -> None:
        """Replaces one."""
        self.real.set(key, value)
        self.drop([key])
        self.append([(key, value)])

    @rule(key=KEYS)
    def remove(self, key: str) -> None:
        """Removes one."""
        self.real.remove(key)
        self.drop([key])

    @rule(pairs=PAIRS, as_metadata=st.booleans())
    def update(self, pairs: list[tuple[str, str]], as_metadata: bool) -> None:
        """Replaces several, which may repeat a key."""
        self.real.update(Metadata(pairs) if as_metadata else pairs)
        self.drop([key for key, _ in pairs])
        self.append(pairs)

    @rule(pairs=PAIRS)
    def extend(self, pairs: list[tuple[str, str]]) -> None:
        """Adds several."""
        self.real.extend(pairs)
        self.append(pairs)

    @rule()
    def go_on_with_a_copy(self) -> None:
        """Replaces the metadata by its copy and spoils the original."""
        original, self.real = self.real, self.real.copy()
        original.add("accept", "spoiled")
        original.remove("_")

    @invariant()
    def agrees(self) -> None:
        """Both say the same."""
        assert self.real.copy().keys() == list(self.model)
        for key in ("accept", "x-md-global-tenant", "x-md-local-a", "trace-bin", "_", "absent"):
            values = self.model.get(key, [])
            real = self.real.copy()
            assert real.values(key.upper()) == values
            assert real.get(key.upper()) == (values[0] if values else None)
            assert (key in real) is bool(values)
        assert len(self.real) == sum(map(len, self.model.values()))
        assert sorted(self.real.copy().items()) == sorted((k, v) for k, values in self.model.items() for v in values)


TestMultimap = Multimap.TestCase
TestMultimap.settings = settings(deadline=None, max_examples=50)

READS: dict[str, Any] = {
    "get": lambda md: [md.get(key) for key in ("accept", "ACCEPT", "none", "\u65e5")],
    "get with default": lambda md: md.get("none", "default"),
    "values": lambda md: [md.values(key) for key in ("accept", "X-Md-Global-Tenant", "none")],
    "items": lambda md: md.items(),
    "raw": lambda md: [md.raw(b"x-md-"), md.raw(b"acc"), md.raw(b""), md.raw_of(frozenset({b"accept", b"none"}))],
    "keys": lambda md: md.keys(),
    "with_prefix": lambda md: md.with_prefix("x-md-global-", "acc").items(),
    "with no prefix": lambda md: md.with_prefix().items(),
    "with any prefix": lambda md: md.with_prefix("").items(),
    "contains": lambda md: ["accept" in md, "none" in md, 1 in md],
    "iter": list,
    "len": len,
    "bool": bool,
    "repr": repr,
    "copy": lambda md: md.copy().items(),
    "copied by copy": lambda md: copy.copy(md).items(),
    "equals": lambda md: (md == Metadata(md.items()), md == Metadata({"other": ""}), md == 1),
}


@pytest.mark.parametrize("read", READS.values(), ids=READS)
@given(raw=RAW)
def test_lazy_equals_eager(read: Any, raw: list[tuple[str, str]]) -> None:
    """Received headers read the same whether they were decoded yet or not, and reading changes nothing."""
    lazy = Metadata.from_raw([(key.encode(), value.encode("latin-1")) for key, value in raw])
    assert read(lazy) == read(Metadata(raw)) == read(Metadata.from_wire(raw)) == read(lazy)


@given(PAIRS, KEYS, VALUES)
def test_writing_laws(pairs: list[tuple[str, str]], key: str, value: str) -> None:
    """What was set is got, what was added comes last, what was removed is gone, and other keys stay."""
    md = Metadata()
    md.extend(pairs)
    others = [pair for pair in md if pair[0] != key.lower()]
    before = md.values(key)
    md.add(key, value)
    assert md.values(key) == [*before, value]
    md.set(key, value)
    assert md.values(key) == [value]
    md.remove(key)
    assert key not in md
    assert md.items() == others


@given(PAIRS)
def test_updating_with_itself_changes_nothing(pairs: list[tuple[str, str]]) -> None:
    """``update`` and the constructor keep all values of a key that comes more than once."""
    md = Metadata(pairs)
    assert md.items() == [(key.lower(), value) for key, value in pairs]
    md.update(md)
    assert md.items() == [(key.lower(), value) for key, value in pairs]
    md.extend(md)
    assert len(md) == 2 * len(pairs)


@given(st.binary())
def test_binary(value: bytes) -> None:
    """Bytes survive a ``-bin`` key, in base64 without padding, and padded base64 is read too."""
    md = Metadata()
    md.set_binary("Trace-Bin", value)
    assert md.binary("trace-bin") == value
    text = md.get("trace-bin")
    assert text is not None
    assert "=" not in text
    assert text == encode_binary(value)
    assert decode_binary(text + "=" * (-len(text) % 4)) == value


def test_binary_refuses() -> None:
    """Absent is None; what is not base64, and keys without ``-bin``, are refused."""
    md = Metadata({"trace-bin": "a", "other-bin": "ä"})
    assert md.binary("none-bin") is None
    for key in ("trace-bin", "other-bin"):
        with pytest.raises(ValueError):
            md.binary(key)
    with pytest.raises(ValueError, match="must end in -bin"):
        md.set_binary("trace", b"")


@pytest.mark.parametrize("key", ["", "a b", "a\r\nb", "ä", "a\0", "a(", "日", "a\n"])
def test_bad_keys(key: str) -> None:
    """What is no header name is refused everywhere, and nothing of the batch is taken over."""
    md = Metadata({"accept": "a"})
    for write in (md.add, md.set):
        with pytest.raises(ValueError, match="not a header name"):
            write(key, "v")
    for write_all in (md.update, md.extend, Metadata):
        with pytest.raises(ValueError, match="not a header name"):
            write_all({"fine": "v", key: "v"})
    assert md.items() == [("accept", "a")]


@pytest.mark.parametrize("value", ["a\nb", "a\r", "\0"])
def test_bad_values(value: str) -> None:
    """A value cannot start a header of its own."""
    with pytest.raises(ValueError, match="line break or NUL"):
        Metadata({"key": value})


def test_equality_and_hash() -> None:
    """Equal are those with equal pairs in order; like a dictionary, metadata has no hash."""
    assert Metadata([("a", "1"), ("a", "2")]) != Metadata([("a", "2"), ("a", "1")])
    assert Metadata() != {}
    with pytest.raises(TypeError):
        hash(Metadata())


def test_prefixes_are_anchored() -> None:
    """A prefix counts at the start of a key only; keys were lower-cased when they came in."""
    md = Metadata({"X-Md-Global-A": "1", "x-md-local-b": "2", "a-x-md-global-c": "3"})
    assert md.with_prefix("x-md-global-").items() == [("x-md-global-a", "1")]
