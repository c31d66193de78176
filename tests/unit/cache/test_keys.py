"""Keys: different arguments give different ones, and mistakes are told when the method is made."""

from __future__ import annotations

import datetime as dt
import enum
import uuid
from collections.abc import Sequence
from typing import Annotated, Any, Literal, NewType, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.cache.repositories import User

from kratos.cache import Cache, MemoryStore, Options, Paging, cacheable, cached, invalidates, part
from kratos.cache.plan import Plan


class Color(enum.Enum):
    RED = "red"
    ONE = 1


class Status(enum.IntEnum):
    OK = 200


class Word(enum.StrEnum):
    YES = "yes"


@given(st.tuples(st.text(), st.text()), st.tuples(st.text(), st.text()))
def test_parts_do_not_run_into_each_other(one: tuple[str, str], other: tuple[str, str]) -> None:
    keys = [":".join(map(part, each)) for each in (one, other)]
    assert (keys[0] == keys[1]) == (one == other)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "%N"), ("%N", "%25N"), ("", ""), (True, "true"), (-1, "-1"), (1.5, "1.5"), (b"\x00\xff", "%X00ff"),
        (Color.RED, "%KColor(red)"), (Status.OK, "200"), (Word.YES, "yes"),
        (dt.timedelta(1), "%T1%20day,%200%3A00%3A00"),
        ("42", "%S42"), ("true", "%Strue"), ("truest", "truest"), ("2026-01-02", "%S2026-01-02"), ("(a", "%S(a"),
        ("nan", "%Snan"), (str(uuid.UUID(int=0xABCDEF12 << 96)), "%Sabcdef12-0000-0000-0000-000000000000"),
        (uuid.UUID(int=1), str(uuid.UUID(int=1))), (dt.date(2026, 1, 2), "2026-01-02"),
        (("a", 1), "(a:1:)"), (["a:b"], "(a%3Ab:)"), ("ü ß", "ü%20ß"),
    ],
)  # fmt: skip
def test_parts(value: object, said: str) -> None:
    assert part(value) == said


UserId = NewType("UserId", str)
PLAIN: list[tuple[Any, object, str]] = [
    (int, 42, "42"), (int, "42", "%S42"), (int, True, "true"), (str, "42", "42"), (str, "%N", "%25N"),
    (str, 42, "%O42"),
    (str | None, None, "%N"), (UserId | None, "42", "42"), (UserId | None, "(a:", "(a%3A"), (bytes, b"ab", "6162"),
    (bytes, "6162", "%O%S6162"), (float, 1, "1.0"), (float, 1.0, "1.0"), (float, "1.0", "%O%S1.0"),
    (Color, Color.RED, "red"), (Color, "red", "%Ored"), (Status, Status.OK, "200"), (Word, Word.YES, "yes"),
    (Word, "yes", "yes"), (Literal["1", "2"], "1", "1"), (Literal["1", 1], "1", "%S1"), (int | str, "1", "%S1"),
    (int | str, 1, "1"), (Annotated[str, "a name"], "1", "1"), (Any, "1", "%S1"), (list[str], ["1"], "(%S1:)"),
    (float, 2**60 + 1, f"%O{2**60 + 1}"), ([], "1", "%S1"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "value", "said"), PLAIN)
def test_parts_of_a_type(kind: Any, value: object, said: str) -> None:
    """What is of the type of its parameter is plain, as Kratos' generators have it; what is not is marked."""
    assert part(value, kind) == said


VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(), st.uuids(), st.dates(),
        st.datetimes(), st.times(), st.timedeltas(), st.sampled_from([Color.RED, Color.ONE]),
        st.sampled_from(["1", "true", "(a:", ")", "(", "1.0", "nan", "2026-01-02", "%N", "%S1", "red", "6162", "None"]),
    ),
    lambda inner: st.lists(inner, max_size=3).map(tuple),
    max_leaves=5,
)  # fmt: skip


@given(VALUES, VALUES)
def test_different_values_are_different_parts(one: object, other: object) -> None:
    """Whatever they are."""
    assert (part(one) == part(other)) == (repr(one) == repr(other))


@given(st.lists(VALUES, min_size=2, max_size=2), st.lists(VALUES, min_size=2, max_size=2))
def test_different_calls_have_different_keys(one: list[object], other: list[object]) -> None:
    keys = [":".join(map(part, each)) for each in (one, other)]
    assert (keys[0] == keys[1]) == (repr(one) == repr(other))


@pytest.mark.parametrize("kind", [int, str, bytes, float, Color, UserId, int | str, Any])
@given(one=VALUES, other=VALUES)
def test_no_stranger_has_the_key_of_another(kind: Any, one: object, other: object) -> None:
    """Nor where a caller gives what the parameter is not."""
    if part(one, kind) == part(other, kind):
        assert one == other or repr(one) == repr(other)


def test_what_is_no_part() -> None:
    with pytest.raises(TypeError, match=r'a User cannot be part of a key: name a field of it in the key, as in "user'):
        part(User(1, "u"))


async def one(a: int, b: str = "x", *, c: bool = False) -> int:
    return a


def plan(key: Any, function: Any = one, **settings: Any) -> Plan:
    options = {"ignore": (), "paging": None, **{name: settings.pop(name) for name in ("ignore",) if name in settings}}
    return Plan(function, key, method=False, settings=cast("Any", {"ttl": 1, **settings}), **cast("Any", options))


def test_arguments_find_their_places() -> None:
    made = plan("k:{a}:{b}:{c}")
    calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
        ((1,), {}), ((1, "x"), {}), ((1,), {"b": "x"}), ((), {"a": 1, "c": False}),
    ]  # fmt: skip
    assert {made.key(made.arguments(args, kwargs)) for args, kwargs in calls} == {"k:1:x:false"}
    with pytest.raises(TypeError, match="missing a required argument"):
        made.arguments((), {})


def test_keys_of_functions_and_fields() -> None:
    made = plan(lambda a, b, c: f"{a}-{b}-{c}")
    assert made.key(made.arguments((1,), {"c": True})) == "1-x-True"

    async def of(user: User) -> int:
        return user.id

    assert plan("u:{user.id}:{user.name}", of).key((User(1, "n"),)) == "u:1:n"
    assert plan(None).key((1, "x", False)) == "one:1:x:false"


MISTAKES: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"key": "k:{a}"}, ValueError, r'one: the key .* has no \{b\}.*ignore=\("b",\)'),
    ({"key": "k:{d}"}, ValueError, r"has \{d\}; it may have \{a\}, \{b\}, \{c\}"),
    ({"key": "k:{a!r}"}, ValueError, "it may have"),
    ({"key": "k:{"}, ValueError, "cannot be read"),
    ({"key": None, "ignore": ("z",)}, ValueError, "one has no parameter 'z': it has a, b, c"),
    ({"key": None, "ttl": 0}, ValueError, "one: ttl=0 keeps nothing: give seconds above 0"),
    ({"key": None, "jitter": 1}, ValueError, "jitter=1"),
    ({"key": None, "stale": -1}, ValueError, "stale=-1 is less than nothing"),
    ({"key": None, "null_value": 1, "null_ttl": 0}, ValueError, "give null_ttl"),
    ({"key": None, "is_null": bool}, ValueError, "None is known as absent by itself"),
    ({"key": None, "max_concurrency": 1}, ValueError, "give batch_size"),
    ({"key": None, "batch_size": 1}, TypeError, "batch_size is for methods whose first parameter is a sequence"),
    ({"key": None, "backfill": "later"}, ValueError, "backfill='later' is none of sync and async"),
    ({"key": None, "expire": 1}, TypeError, "there is no option 'expire'; there are backfill, batch_size"),
]


@pytest.mark.parametrize(("given_", "kind", "said"), MISTAKES)
def test_mistakes(given_: dict[str, Any], kind: type[Exception], said: str) -> None:
    settings = dict(given_)
    with pytest.raises(kind, match=said):
        plan(settings.pop("key"), **settings)


@pytest.mark.parametrize("key", ["{a}{b}", "{a}-{b}", "{b}-{a}", "{d.day}/{a}", "{c}x{a}", "{e}-{a}", "k{a}%{b}"])
def test_parts_that_run_into_each_other(key: str) -> None:
    async def of(a: int | str, b: int, c: int, d: dt.date, e: uuid.UUID) -> int:
        return b

    async def numbers(a: str, b: str, c: int, d: dt.date, e: uuid.UUID) -> int:
        return c

    left = tuple(each for each in "abcde" if f"{{{each}" not in key)
    function = numbers if key == "{b}-{a}" else of
    with pytest.raises(ValueError, match=r'does not say where .* begins, .*: put a ":" between them'):
        plan(key, function, ignore=left)


async def test_parts_that_are_kept_apart() -> None:
    async def of(a: int | None, b: str, c: bool, d: dt.date, e: uuid.UUID) -> int:
        return 0

    for key in ("{a}-{c}/{d}.{e}_{b}", "{a}:{b}:{c}:{d}:{e}", "{b} {a} x {c} y {d}\t{e}", "{e}#{d}#{a}#{c}#{b}"):
        assert plan(key, of).options.ttl == 1

    async def several(ids: Sequence[int], name: str) -> dict[int, str]:
        return {}

    assert plan("{ids}-{name}", several).key((1, "x")) == "1-x"
    with pytest.raises(ValueError, match="does not say where"):
        plan("{name}-{ids}", several)


async def test_unions_are_told_apart() -> None:
    cache = Cache(MemoryStore())

    @cache.cached(ttl=60)
    async def find(ref: int | str) -> str:
        return f"{type(ref).__name__} {ref}"

    for _ in range(2):
        assert [await find(1), await find("1")] == ["int 1", "str 1"]


def test_more_mistakes() -> None:
    async def stars(*ids: int) -> int:
        return 0

    async def silent(a: int):  # type: ignore[no-untyped-def]
        return a

    def plain(a: int) -> int:
        return a

    async def several(self: object, ids: Sequence[int], pn: int, ps: int) -> dict[int, int]:
        return {}

    async def odd(a: int) -> object | int:
        return a

    for function, said in (
        (stars, r"takes \*ids: 'int': give each parameter a name"),
        (silent, "does not say what it returns"),
        (plain, "is no `async def` function"),
    ):
        with pytest.raises(TypeError, match=said):
            plan(None, function)
    with pytest.raises(TypeError, match="paging is for one list"):
        cacheable(ttl=1, paging=Paging())(several)
    with pytest.raises(ValueError, match="says which page"):
        cacheable("{ids}:{pn}", ttl=1, paging=Paging())(several)
    with pytest.raises(TypeError, match="may be one of several types"):
        Cache(MemoryStore()).cached(ttl=1)(odd)
    with pytest.raises(TypeError, match="ttl is missing"):
        cached("k")(one)  # type: ignore[call-arg]


def test_options_are_those_of_one_method() -> None:
    """Kratos' second generator hands key and expiry on to the next method that has none."""
    first, second = plan("a:{a}:{b}:{c}", ttl=5), plan(None)
    assert (first.options.ttl, second.options.ttl) == (5, 1)
    assert second.key((1, "x", False)).startswith("one:")


def test_types_that_come_later() -> None:
    class Inner(User): ...

    async def lost(id: int) -> Inner:
        return Inner(id, "")

    with pytest.raises(TypeError, match="lost: the type Inner is not known to its module"):
        Cache(MemoryStore()).cached(ttl=1)(lost)
    assert EARLY.kind is None
    EARLY.settle()
    assert EARLY.kind is Later


async def early(id: int) -> Later:
    return Later(id, "")


EARLY = plan(None, early)


class Later(User): ...


class Writes:
    cache = Cache(MemoryStore())

    @cached("w:{id}", ttl=1)
    async def value(self, id: int) -> int:
        return id

    async def plain(self, id: int) -> int:
        return id

    @invalidates("plain")
    async def wrong(self, id: int) -> None: ...

    @invalidates("value")
    async def open(self, number: int) -> None: ...


async def test_writers_say_what_they_change() -> None:
    with pytest.raises(TypeError, match="Writes has no cached method 'plain'"):
        await Writes().wrong(1)
    with pytest.raises(TypeError, match=r'what is \'id\' of Writes\.value\? Say id="\.\.\."'):
        await Writes().open(1)
    with pytest.raises(TypeError, match="has no parameter 'other'"):
        invalidates(Writes.value, other="id")(Writes.plain)
    with pytest.raises(TypeError, match="id='user' is no parameter: there are id"):
        invalidates("value", id="user.id")(Writes.plain)


async def test_keyword_only_and_positional() -> None:
    cache = Cache(MemoryStore())
    asked: list[object] = []

    @cache.cached("{ids}:{country}:{deep}", ttl=9)
    async def values(ids: list[int], country: str, /, *, deep: bool = False) -> dict[int, str]:
        asked.append((tuple(ids), country, deep))
        return dict.fromkeys(ids, country)

    assert await values([1], "de", deep=True) == await values([1], "de", deep=True) == {1: "de"}
    await values.invalidate([1], "de", deep=True)
    assert await values([1, 2], "de", deep=True) == {1: "de", 2: "de"}
    assert asked == [((1,), "de", True), ((1, 2), "de", True)]
    assert (values.__name__, Options(ttl=1).name) == ("values", "")
