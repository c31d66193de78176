"""Hypothesis strategies that more than one test package needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TypeVar

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from protobuf import message_from_json_value
from protobuf.wkt import Any, Duration, FieldMask, ListValue, Struct, Timestamp, Value

from kratos.codec.messages import Field, Kind, Message, assign, new, shape

M = TypeVar("M", bound=Message)

SCALARS: Mapping[Kind, SearchStrategy[object]] = {
    "bool": st.booleans(),
    "int32": st.integers(-(2**31), 2**31 - 1),
    "int64": st.integers(-(2**63), 2**63 - 1),
    "uint32": st.integers(0, 2**32 - 1),
    "uint64": st.integers(0, 2**64 - 1),
    # NaN differs from itself, so messages that hold one cannot be compared.
    "float": st.floats(width=32, allow_nan=False),
    "double": st.floats(allow_nan=False),
    "string": st.text(max_size=20),
    "bytes": st.binary(max_size=20),
}

json_scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**53), 2**53), st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=10),
)  # fmt: skip

json_values: SearchStrategy[object] = st.recursive(
    json_scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
"""Any JSON: for Struct and Value, for unknown keys, and for fields that expect something else."""


def messages_of(type_: type[M], depth: int = 2) -> SearchStrategy[M]:
    """Messages of a type, with any of their fields set and nested up to ``depth``.

    They survive a round trip through binary and JSON: floats are no NaN, times are in the range that JSON can write, an
    Any is empty.
    """
    return _messages(type_, depth)  # type: ignore[return-value]


@lru_cache(256)
def _messages(type_: type[Message], depth: int) -> SearchStrategy[Message]:
    known = shape(type_)
    if known.well_known in WELL_KNOWN:
        return WELL_KNOWN[known.well_known]
    lone = [field for field in known.fields if field.oneof is None and _reachable(field, depth)]
    # Fields go by name: Hypothesis prints what it draws, and a field leads to every descriptor there is.
    content = st.fixed_dictionaries(
        {field.name: _values(field, depth) for field in lone if field.required},
        optional={field.name: _values(field, depth) for field in lone if not field.required},
    )
    choices = [
        st.none() | st.one_of(*(st.tuples(st.just(field.name), _values(field, depth)) for field in members))
        for members in ([field for field in group if _reachable(field, depth)] for group in known.oneofs.values())
        if members
    ]

    def build(values: dict[str, object], chosen: tuple[tuple[str, object] | None, ...]) -> Message:
        message = new(type_)
        for name, value in (*values.items(), *filter(None, chosen)):
            assign(message, known.named[name], value)
        return message

    return st.builds(build, content, st.tuples(*choices))


def _reachable(field: Field, depth: int) -> bool:
    return depth > 0 or field.message is None or shape(field.message).well_known in WELL_KNOWN


def _values(field: Field, depth: int) -> SearchStrategy[object]:
    one = _elements(field, depth)
    if field.key is not None:
        return st.dictionaries(SCALARS[field.key], one, max_size=3)
    return st.lists(one, max_size=3) if field.repeated else one


def _elements(field: Field, depth: int) -> SearchStrategy[object]:
    if field.message is not None:
        return _messages(field.message, depth - 1)
    if field.enum is None:
        return SCALARS[field.kind]
    if field.takes_null:
        return st.just(field.enum.type(0))
    numbers: SearchStrategy[int] = st.sampled_from(list(field.enum.names))
    return (numbers | SCALARS["int32"] if field.enum.open else numbers).map(field.enum.type)


def _from_json(type_: type[M]) -> Callable[[object], M]:
    return lambda value: message_from_json_value(type_, value)  # type: ignore[arg-type]


def _duration(seconds: int, nanos: int) -> Duration:
    return Duration(seconds=seconds, nanos=-nanos if seconds < 0 else nanos)


WELL_KNOWN: Mapping[str | None, SearchStrategy[Message]] = {
    "Any": st.builds(Any),
    "Duration": st.builds(_duration, st.integers(-315_576_000_000, 315_576_000_000), st.integers(0, 999_999_999)),
    "FieldMask": st.builds(
        FieldMask, paths=st.lists(st.from_regex(r"[a-z]{1,5}(_[a-z]{1,5}){0,2}(\.[a-z]{1,5})?", fullmatch=True))
    ),
    "ListValue": st.lists(json_values, max_size=3).map(_from_json(ListValue)),
    "Struct": st.dictionaries(st.text(max_size=5), json_values, max_size=3).map(_from_json(Struct)),
    "Timestamp": st.builds(
        Timestamp, seconds=st.integers(-62_135_596_800, 253_402_300_799), nanos=st.integers(0, 999_999_999)
    ),
    "Value": json_values.map(_from_json(Value)),
}
