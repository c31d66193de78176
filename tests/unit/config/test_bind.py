"""Binding: plain values, containers and dataclasses."""

from __future__ import annotations

import datetime as dt
import enum
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, NewType, Optional, Union

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kratos.config import Config, ConfigError, Env, Values
from kratos.config.base import Layer, Place, node
from kratos.config.document import read

UTC = dt.timezone.utc  # noqa: UP017 - the parametrised tables read better with it
Port = NewType("Port", int)


class Level(enum.Enum):
    LOW = 1
    HIGH = 2


class Colour(enum.StrEnum):
    RED = "r"


@dataclass
class Http:
    addr: str
    read_timeout: dt.timedelta = dt.timedelta(seconds=1)
    tls: bool = False


@dataclass
class Server:
    http: Http
    names: list[str] = field(default_factory=list)
    limits: dict[str, int] = field(default_factory=dict)
    level: Level = Level.LOW
    mode: Literal["fast", "safe"] = "safe"
    path: Path | None = None
    hidden: int = field(default=5, init=False)


@dataclass
class Even:
    number: int

    def __post_init__(self) -> None:
        if self.number % 2:
            raise ValueError("odd")


class Foreign:
    pass


class Pretender:
    from_json = 1


def of(values: Mapping[str, Any]) -> Config:
    return Config([Layer(node(values, Place("values of the program")))])


def yaml(text: str) -> Config:
    return Config([Layer(read(text.encode(), "yaml", "a.yaml"))])


def bound(type_: Any, value: Any) -> Any:
    return of({"x": value}).get(type_, "x")


def refused(type_: Any, value: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        bound(type_, value)
    return str(caught.value).removeprefix("values of the program: ")


TRUE = ["1", "t", "T", "true", "TRUE", "True", True, 1]
FALSE = ["0", "f", "F", "false", "FALSE", "False", False, 0]


@pytest.mark.parametrize(
    ("type_", "value", "expected"),
    [
        *((bool, value, True) for value in TRUE),
        *((bool, value, False) for value in FALSE),
        *((int, value, 123123) for value in ("123123", 123123.0, 123123, " 123123 ", "+123123")),
        (int, "-5", -5),
        (int, 9007199254740993, 9007199254740993),
        (float, "123123.1", 123123.1),
        (float, 1, 1.0),
        (float, "1e3", 1000.0),
        (float, "-.inf", -math.inf),
        (float, "Infinity", math.inf),
        (Decimal, "1.10", Decimal("1.10")),
        (Decimal, 3, Decimal(3)),
        (str, 1, "1"),
        (str, 1.5, "1.5"),
        (str, "1", "1"),
        (str, True, "true"),
        (str, dt.date(2026, 1, 31), "2026-01-31"),
        (str, Path("a"), "a"),
        (bytes, "aGk=", b"hi"),
        (bytes, "aGk", b"hi"),
        (bytes, "-_8", b"\xfb\xff"),
        (Path, "/etc/x", Path("/etc/x")),
        (dt.timedelta, "1s", dt.timedelta(seconds=1)),
        (dt.timedelta, "250ms", dt.timedelta(milliseconds=250)),
        (dt.timedelta, "1m30s", dt.timedelta(seconds=90)),
        (dt.timedelta, "0.2s", dt.timedelta(milliseconds=200)),
        (dt.timedelta, "-1.5h", -dt.timedelta(minutes=90)),
        (dt.timedelta, "+1µs", dt.timedelta(microseconds=1)),
        (dt.timedelta, 0, dt.timedelta()),
        (dt.timedelta, dt.timedelta(days=1), dt.timedelta(days=1)),
        (dt.datetime, "2026-01-31T12:00:00Z", dt.datetime(2026, 1, 31, 12, tzinfo=UTC)),
        (dt.datetime, dt.datetime(2026, 1, 31, tzinfo=UTC), dt.datetime(2026, 1, 31, tzinfo=UTC)),
        (dt.date, "2026-01-31", dt.date(2026, 1, 31)),
        (dt.date, dt.date(2026, 1, 31), dt.date(2026, 1, 31)),
        (dt.time, "12:30:00", dt.time(12, 30)),
        (dt.time, dt.time(12), dt.time(12)),
        (Level, "HIGH", Level.HIGH),
        (Level, "high", Level.HIGH),
        (Level, 2, Level.HIGH),
        (Colour, "r", Colour.RED),
        (Colour, "RED", Colour.RED),
        (Literal["a", 5], "5", 5),
        (Literal["a", 5], "A", "a"),
        (list[int], ["1", 2], [1, 2]),
        (list[int], "[1, 2]", [1, 2]),
        (list, [1, "a"], [1, "a"]),
        (Sequence[int], [1], [1]),
        (tuple[int, ...], [1, 2], (1, 2)),
        (tuple[int, str], [1, 2], (1, "2")),
        (set[str], ["a", "a"], {"a"}),
        (frozenset[int], [1], frozenset({1})),
        (dict[str, int], {"a": "1"}, {"a": 1}),
        (dict[int, bool], {"1": "t"}, {1: True}),
        (Mapping[str, list[int]], '{"a": [1]}', {"a": [1]}),
        (dict, {"a": {"b": None}}, {"a": {"b": None}}),
        (Any, [1, {"a": 2}], [1, {"a": 2}]),
        (object, None, None),
        (int | None, None, None),
        (Optional[int], "5", 5),  # noqa: UP045 - this spelling too
        (type(None), None, None),
        (int | str, "5", "5"),
        (int | str, "x", "x"),
        (Union[Level, int], 2, 2),  # noqa: UP007 - this spelling too
        (Port, "80", 80),
        (Annotated[int, "port"], "80", 80),
    ],
)
def test_values(type_: Any, value: Any, expected: Any) -> None:
    """What stands for a value of a type, and the value."""
    found = bound(type_, value)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("type_", "value", "said"),
    [
        (bool, "bbb", "x: 'bbb' is neither true nor false"),
        (bool, "-1", "x: '-1' is neither true nor false"),
        (bool, [1], "x: a list is neither true nor false"),
        (bool, "yes", "x: 'yes' is neither true nor false"),
        (int, "bbb", "x: 'bbb' is not a whole number"),
        (int, "-x1", "x: '-x1' is not a whole number"),
        (int, True, "x: True is not a whole number"),
        (int, 1.9, "x: 1.9 is not a whole number"),
        (int, "1_000", "x: '1_000' is not a whole number"),
        (int, "٣", "x: '٣' is not a whole number"),
        (int, None, "x: there has to be a value"),
        (float, "x", "x: 'x' is not a number"),
        (float, True, "x: True is not a number"),
        (float, 10**400, "is too large a number"),
        (Decimal, "inf", "x: 'inf' is not a number"),
        (str, ["a"], "x: a list is not text"),
        (str, {"a": 1}, "x: a mapping is not text"),
        (bytes, "ä", "x: 'ä' is not base64"),
        (bytes, "a", "x: 'a' is not base64"),
        (dt.timedelta, "1x", "x: '1x' is not a duration (1s, 250ms, 1m30s)"),
        (dt.timedelta, "", "x: '' is not a duration (1s, 250ms, 1m30s)"),
        (dt.timedelta, "-", "x: '-' is not a duration (1s, 250ms, 1m30s)"),
        (dt.timedelta, 10, "x: 10 has no unit (1s, 250ms, 1m30s)"),
        (dt.timedelta, "1.5", "x: '1.5' has no unit (1s, 250ms, 1m30s)"),
        (dt.timedelta, ["1s"], "x: a list is not a duration"),
        (dt.timedelta, "99999999999h", "is too long a duration"),
        (dt.timedelta, "1" * 40 + "s", "is not a duration"),
        (dt.datetime, "2026", "x: '2026' is not a time (2026-01-31T12:00:00Z)"),
        (dt.datetime, "2026-01-31T12:00:00", "has no time zone"),
        (dt.date, "2026", "x: '2026' is not a date (2026-01-31)"),
        (dt.time, "noon", "x: 'noon' is not a time of day (12:30:00)"),
        (Level, "MIDDLE", "x: 'MIDDLE' is none of LOW, HIGH"),
        (Level, [1], "x: a list is none of LOW, HIGH"),
        (Literal["a", 5], 6, "x: 6 is none of a, 5"),
        (list[int], ["a", 1, "b"], "2 problems:"),
        (list[int], "a,b", "x: 'a,b' is not a list"),
        (list[int], "[1,", "x: '[1,' is not JSON: "),
        (tuple[int, str], [1], "x: a list has 1 elements, not 2"),
        (dict[str, int], {"a": "x"}, "x.a: 'x' is not a whole number"),
        (dict[int, int], {"a": 1}, "x.a: 'a' is not a whole number"),
        (dict[str, int], 5, "x: 5 is not a mapping"),
        (dict[str, int], "{1}", "x: the text is not JSON: "),
        (int | None, "x", "x: 'x' is not a whole number"),
        (int | float, "x", "x: 'x' is not a whole number"),
        (type(None), 1, "x: 1 is not null"),
        (Http, "x", "x: 'x' is not a mapping"),
        (Even, {"number": 3}, "x: a mapping is refused: odd"),
    ],
)
def test_values_that_are_refused(type_: Any, value: Any, said: str) -> None:
    """What is said of a value that is none."""
    assert said in refused(type_, value)


@pytest.mark.parametrize("type_", [Foreign, Pretender, "text", list[Foreign]])
def test_types_that_configuration_cannot_be(type_: Any) -> None:
    """A type that nothing can be is an error of the program, not of the configuration."""
    with pytest.raises(TypeError, match="configuration cannot be"):
        bound(type_, ["x"] if type_ == list[Foreign] else "x")


def test_type_statements() -> None:
    """What a ``type`` statement names is what it stands for."""

    class Alias:  # as those of Python 3.12 are
        __value__ = int

    assert bound(Alias(), "5") == 5


def test_dataclass() -> None:
    """Nested, with defaults; keys as fields, in camelCase or with dashes."""
    server = yaml(
        "http: {addr: x, readTimeout: 2s, TLS: true}\nnames: [1.10, on]\nlimits: {a: 1}\nlevel: high\npath: /x"
    ).get(Server)
    assert server == Server(
        Http("x", dt.timedelta(seconds=2), True), ["1.10", "on"], {"a": 1}, Level.HIGH, "safe", Path("/x")
    )
    assert yaml("http: {addr: x, read-timeout: null}\npath: null\nmode:").get(Server) == Server(Http("x"))


def test_all_problems_at_once() -> None:
    """Each problem has its place and its key."""
    config = yaml("""\
http:
  adr: x
  read_timeout: 1x
  readTimeout: 1s
names:
- a
- [b]
hidden: 1
path: null
level: null
mode: quick
""")
    with pytest.raises(ConfigError) as caught:
        config.get(Server)
    assert str(caught.value).split("\n  ") == [
        "7 problems:",
        "a.yaml:8: hidden: no such key",
        "a.yaml:2: http.adr: no such key; did you mean addr?",
        "a.yaml:4: http.readTimeout: the same as read_timeout, which is set in a.yaml:3",
        "a.yaml:1: http.addr: missing",
        "a.yaml:3: http.read_timeout: '1x' is not a duration (1s, 250ms, 1m30s)",
        "a.yaml:7: names[1]: a list is not text",
        "a.yaml:11: mode: 'quick' is none of fast, safe",
    ]
    with pytest.raises(ConfigError, match="a.yaml:1: server.http.addr: there has to be a value"):
        yaml("server: {http: {addr: }}").get(Server, "server")


def test_unknown_keys_may_be_ignored() -> None:
    """Unless they matter."""
    config = yaml("addr: x\nother: {a: 1}")
    with pytest.raises(ConfigError, match="a.yaml:2: other: no such key"):
        config.get(Http)
    assert config.get(Http, unknown="ignore") == Http("x")
    assert yaml("x: {addr: a, b: 1}").get(Http | None, "x", unknown="ignore") == Http("a")


async def test_variables_of_others() -> None:
    """What others set with our prefix is let pass at the top; below, it is a mistake."""
    values = Values({"http": {"addr": "x"}})
    kubernetes = Env("SHOP_", environ={"SHOP_SERVICE_HOST": "10.0.0.1", "SHOP_PORT_8000_TCP": "tcp://10.0.0.1:8000"})
    assert (await Config.load(values, kubernetes)).get(Server) == Server(Http("x"))
    wrong = Env("SHOP_", environ={"SHOP_HTTP__ADR": "y", "SHOP_HTPP__ADDR": "y"})
    with pytest.raises(ConfigError) as caught:
        (await Config.load(values, wrong)).get(Server)
    assert [str(problem) for problem in caught.value.problems] == [
        "SHOP_HTPP__ADDR (environment): htpp: no such key; did you mean http?",
        "SHOP_HTTP__ADR (environment): http.adr: no such key; did you mean addr?",
    ]


@dataclass
class Hiding:
    """A class that says itself what nobody is to see."""

    pin: str = field(repr=False)
    code: int = field(default=0, repr=False)
    inner: dict[str, str] = field(default_factory=dict, repr=False)
    name: str = ""


def test_what_a_dataclass_hides() -> None:
    """A field with ``repr=False`` is as one that its proto calls sensitive: in errors, and in what is shown."""
    config = of({"a": {"pin": "hunter2", "code": 5, "inner": {"x": "hunter2"}, "name": "me"}})
    config.get(Hiding, "a")
    assert {entry.key: entry.value for entry in config.entries()} == {
        "a.pin": "***", "a.code": "***", "a.inner.x": "***", "a.name": "me"
    }  # fmt: skip
    with pytest.raises(ConfigError) as caught:
        of({"a": {"pin": ["hunter2"], "code": "hunter2", "inner": "hunter2"}}).get(Hiding, "a")
    assert "hunter2" not in str(caught.value)
    assert "*** is no" in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value", "shown"),
    [
        ("password", "hunter2", "***"),
        ("dbPassword", 12345, "***"),
        ("api-key", "hunter2", "***"),
        ("db_pass", "hunter2", "***"),
        ("tokens.github", "hunter2", "***"),
        ("compass", "north", "'north'"),
        ("db", '{"password": "hunter2"', "the text"),
        ("link", "postgres://shop:hunter2@db:5432/shop", "'postgres://shop:***@db:5432/shop'"),
        ("link", "shop:hunt/er:2@tcp(db)/shop", "'shop:***@tcp(db)/shop'"),
        ("link", "host=db password=hunter2 user=shop", "'host=db password=*** user=shop'"),
        ("url", "https://x/?a=1&api_key=hunter2&b=2", "'https://x/?a=1&api_key=***&b=2'"),
        ("long", "x" * 100, "'" + "x" * 60 + "…'"),
    ],
)
def test_secrets_are_not_shown(key: str, value: Any, shown: str) -> None:
    """Neither by what a key is called nor by what a value looks like."""
    with pytest.raises(ConfigError) as caught:
        above, _, below = key.rpartition(".")
        of({above: {below: value}} if above else {key: value}).get(dt.timedelta, key)
    said = str(caught.value)
    assert "hunter2" not in said
    assert "12345" not in said
    assert f": {shown} " in said


def test_numbers_are_text_as_they_are_written() -> None:
    """Where text is wanted, 1.10 is no 1.1, and a long number has no exponent."""
    config = yaml("a: 1.10\nb: 10000000000000000000000\nc: 0x1F\nd: True")
    assert [config.get(str, key) for key in "abcd"] == ["1.10", "10000000000000000000000", "0x1F", "true"]
    config = Config([Layer(read(b'{"a": 1.10, "b": 1e3}', "json", "a"))])
    assert [config.get(str, key) for key in "ab"] == ["1.10", "1e3"]
    with pytest.raises(ConfigError, match=r"a\.yaml:1: a: 1\.10 is not a whole number"):
        yaml("a: 1.10").get(int, "a")


@settings(deadline=None)
@given(st.integers(-(10**15), 10**15))
def test_durations(microseconds: int) -> None:
    """Any duration is what its parts amount to, however they are written."""
    span = dt.timedelta(microseconds=microseconds)
    rest = abs(microseconds)
    text = "-" if microseconds < 0 else ""
    for unit, size in (("h", 3600 * 10**6), ("m", 60 * 10**6), ("s", 10**6), ("ms", 1000), ("us", 1)):
        text += f"{rest // size}{unit}"
        rest %= size
    assert bound(dt.timedelta, text) == span


def test_places() -> None:
    """A place is written as editors read it."""
    assert [str(Place("a")), str(Place("a", 1)), str(Place("a", 1, 2))] == ["a", "a:1", "a:1:2"]
