"""What is masked: by key, by the look of a value, by the proto."""

from __future__ import annotations

import json
import re
from collections import UserList, deque, namedtuple
from dataclasses import dataclass, field
from datetime import date
from enum import Enum
from http import HTTPStatus
from typing import Any

import pytest
from fixtures.gen.fixture.secret.v1.secret_pb import Card, Mood, OpenRequest
from hypothesis import given
from hypothesis import strategies as st
from protobuf.wkt import Any as AnyMessage
from protobuf.wkt import Struct, Timestamp

from kratos.log.json import value as as_json
from kratos.log.redact import Redaction
from kratos.masking import MASK

USUAL = Redaction()
OPENED = OpenRequest(
    name="a",
    pin="s3cret",
    card=Card(holder="x", number="s3cret"),
    cards=[Card(number="s3cret")],
    by_name={"q": Card(number="s3cret")},
    labels={"password": "s3cret", "x": "y"},
    raw=b"abc",
    count=7,
    mood=Mood.GOOD,
    at=Timestamp(seconds=1700000000),
    what=AnyMessage.pack(Card(number="s3cret")),
    facts=Struct.from_python({"token": "s3cret", "n": 1.0}),
    hints=["s3cret"],
    inner=OpenRequest(pin="s3cret"),
    ratio=0.5,
    access_token="s3cret",  # noqa: S106
)


@dataclass
class User:
    name: str
    password: str = "s3cret"  # noqa: S105
    key: str = field(default="s3cret", repr=False)
    card: Any = None


class Redacting:
    def redact(self) -> object:
        return {"last": "11", "token": "s3cret"}

    def __str__(self) -> str:
        return "s3cret"


class Colour(Enum):
    RED = 1


class Failing:
    def __str__(self) -> str:
        raise RuntimeError

    def redact(self) -> object:
        raise RuntimeError


class Foreign:
    """A message of another runtime, by its shape."""

    def SerializeToString(self) -> bytes:
        return b""

    def __str__(self) -> str:
        return "s3cret"


@pytest.mark.parametrize(
    "key",
    [
        "password", "Password", "PASSWORD", "db_password", "dbPassword", "password2", "passwd", "secret",
        "client-secret", "token", "accessToken", "x-auth-token", "Authorization", "proxy-authorization", "cookie",
        "Set-Cookie", "api_key", "apiKey", "X-API-Key", "private key", "dsn", "SENTRY_DSN", "aws.secret_key", "db_pass",
        "signing_key", "encryption_key", "passcode", "passwords", "tokens", "token_value", "headers.cookie",
    ],
)  # fmt: skip
def test_keys_that_are_masked(key: str) -> None:
    """Case and separators do not matter, nor what stands before."""
    assert USUAL.secret(key)
    assert USUAL.pairs({key: 1}) == {key: MASK}


@pytest.mark.parametrize("key", ["name", "token_count", "max_tokens", "secretary", "keys", "key", "cache_key", ""])
def test_keys_that_are_not(key: str) -> None:
    """A word inside of another is none."""
    assert not USUAL.secret(key)


def test_own_keys() -> None:
    """A name is the whole key, a star stands for any beginning, dots for keys above."""
    rules = Redaction("iban", "*Ref", "user.e_mail")
    user = {"eMail": 5, "pets": [{"iban": 6}]}
    assert rules.value({"IBAN": 1, "my_iban": 2, "orderRef": 3, "email": 4, "user": user}) == {
        "IBAN": MASK, "my_iban": 2, "orderRef": MASK, "email": 4, "user": {"eMail": MASK, "pets": [{"iban": MASK}]},
    }  # fmt: skip
    assert rules.pairs({"big.user.email": 1, "user.email": 2, "email": 3}) == {
        "big.user.email": MASK, "user.email": MASK, "email": 3,
    }  # fmt: skip
    assert rules.secret("password")
    assert not Redaction(defaults=False).secret("password")


@pytest.mark.parametrize("name", ["", "*", "a*", "**b", "*a.b", ".", "-"])
def test_names_that_are_none(name: str) -> None:
    """What would mask nothing, or something else than was meant, is refused."""
    with pytest.raises(ValueError, match="no name of a key"):
        Redaction(name)
    with pytest.raises(ValueError, match="no pattern"):
        Redaction(patterns=["("])


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("nothing here, at 10.0.0.7:80", "nothing here, at 10.0.0.7:80"),
        ("Authorization: Bearer abc.DEF-123==", "Authorization: Bearer ***"),
        ("bearer of news", "bearer of news"),
        ("Basic QWxhZGRpbjpvcGVu", "Basic ***"),
        ("basic understanding", "basic understanding"),
        ("postgres://me:pa/s3cret@h:5432/db", "postgres://me:***@h:5432/db"),
        ("redis://:s3cret@h", "redis://:***@h"),
        ("http://h:8000/a?mail=x@y.z", "http://h:8000/a?mail=x@y.z"),
        ("x eyJhbGciOi.eyJzdWIi.c2ln y", "x *** y"),
        ("?token=s3cret&a=1", "?token=***&a=1"),
        ("User(name='a', password='s3 cret')", "User(name='a', password='***')"),
        ('{"api_key": "s3\\"cret", "b": 1}', '{"api_key": "***", "b": 1}'),
        ("{'pwd': 17}", "{'pwd': ***}"),
        ('{"pwd": 17, "tokens": ["a]", [1]], "n": 1}', '{"pwd": "***", "tokens": "***", "n": 1}'),
        ("Login(tokens=['a', 'b'], by=Pass(pass=Word('s3cret', x=1)))", "Login(tokens=***, by=Pass(pass=***))"),
        ("ValueError(\"token=s3cret\")\nin 'a'", "ValueError(\"token=***\")\nin 'a'"),
        ('{"token": "s3cret' + "x" * 600, '{"token": "***"'),
        ("password = s3cret user = me", "password = *** user = me"),
        ("Authorization: s3cret", "Authorization: ***"),
        ("authorization: digest s3cret, accept: y", "authorization: digest ***, accept: y"),
        ("Cookie: sid=s3cret; b=s3cret\nAccept: y", "Cookie: ***\nAccept: y"),
        ("X-Api-Key: s3cret, cache-key: a", "X-Api-Key: ***, cache-key: a"),
        ("redis://u:a@s3cret@h", "redis://u:***@h"),
        ("redis://:" + "s3" * 200 + "@h", "redis://:***@h"),
        ("shop:s3@cret@tcp(db)/shop", "shop:***@tcp(db)/shop"),
        ("cache:user:7@eu", "cache:user:7@eu"),
        ("-----BEGIN RSA PRIVATE KEY-----\ns3cret\n-----END", "-----BEGIN RSA PRIVATE KEY-----***-----END"),
        ("-----BEGIN PRIVATE KEY-----\ns3cret", "-----BEGIN PRIVATE KEY-----***"),
    ],
)
def test_texts(text: str, masked: str) -> None:
    """Credentials go, all else stays; masking again changes nothing."""
    assert USUAL.text(text) == masked
    assert USUAL.text(masked) == masked


def test_own_patterns() -> None:
    """The whole of what fits is masked, or the group called secret."""
    rules = Redaction("iban", patterns=[r"\b\d{16}\b", re.compile(r"pin (?P<secret>\d+)")], defaults=False)
    assert rules.text("4111111111111111 pin 1234, iban=DE1 token=x") == "*** pin ***, iban=*** token=x"
    assert rules.text("4111111111111111") == MASK


def test_long_texts_are_cut() -> None:
    """Neither a message nor a value in a line is without end."""
    assert len(USUAL.text("x " * 10**6)) < 70_000
    assert USUAL.value("x" * 5000).endswith("… (5000 letters)")
    assert Redaction(longest=3).value(["abcdef"]) == ["abc… (6 letters)"]


@pytest.mark.parametrize("text", ["a=" * 9000, "'a" * 9000, "://:" * 9000, "bearer " * 5000, "eyJ" * 9000, "a." * 9000])
def test_no_text_takes_long(text: str) -> None:
    """Texts made to keep patterns busy are done with; a pattern that is not linear would not come back."""
    assert isinstance(USUAL.text(text * 3), str)


def test_messages() -> None:
    """Fields with the option are masked at any depth, and keys as everywhere; what is unset is left out."""
    found = USUAL.value(OPENED)
    assert "s3cret" not in json.dumps(found)
    assert found.pop("facts") == {"n": 1.0, "token": MASK}
    assert found.pop("what")["value"] == MASK
    assert found == {
        "name": "a", "pin": MASK, "card": {"holder": "x", "number": MASK}, "cards": [{"number": MASK}],
        "byName": {"q": {"number": MASK}}, "labels": {"password": MASK, "x": "y"}, "raw": "<3 bytes>", "count": 7,
        "mood": "MOOD_GOOD", "at": "2023-11-14T22:13:20Z", "hints": MASK, "inner": {"pin": MASK}, "ratio": 0.5,
        "accessToken": MASK,
    }  # fmt: skip


def test_other_values() -> None:
    """Dataclasses, mappings, sequences and everything else are what JSON has a form for."""
    pair = namedtuple("pair", "left token")  # noqa: PYI024 - as people write them
    found = USUAL.value(
        {
            "user": User("a", card=Card(number="s3cret")), 7: (1, {2}, None, True), "named": pair(1, "s3cret"),
            "colour": Colour.RED, "status": HTTPStatus.OK, "day": date(2026, 1, 2), "nan": float("nan"), "half": 0.5,
            "data": bytearray(b"s3cret"), "own": Redacting(), "broken": Failing(), "other": Foreign(), "class": User,
        }
    )  # fmt: skip
    assert found == {
        "user": {"name": "a", "password": MASK, "key": MASK, "card": {"number": MASK}}, "7": [1, [2], None, True],
        "named": {"left": 1, "token": MASK}, "colour": "RED", "status": 200, "day": "2026-01-02", "nan": "nan",
        "half": 0.5, "data": "<6 bytes>", "own": {"last": "11", "token": MASK},
        "broken": "<Failing that cannot be shown>", "other": "<Foreign>", "class": str(User),
    }  # fmt: skip


def test_arguments() -> None:
    """What is looked into prints the same by ``%s`` and ``%r``; all else is what it was."""
    user = USUAL.argument(User("a"))
    assert f"{user} {user!r}" == "User(name='a', password='***', key='***', card=None) " + repr(user)
    assert str(USUAL.argument(Card(number="s3cret", holder="x"))) == "Card(holder='x', number='***')"
    assert str(USUAL.argument(Redacting())) == "{'last': '11', 'token': '***'}"
    assert str(USUAL.argument(Timestamp(seconds=1700000000))) == "2023-11-14T22:13:20Z"
    assert str(USUAL.argument([{"token": 1}])) == "[{'token': '***'}]"
    assert USUAL.argument({"token": 1}) == {"token": MASK}
    day = date(2026, 1, 2)
    assert USUAL.argument(day) is day
    assert USUAL.argument(1.5) == 1.5


def test_exceptions_and_views() -> None:
    """An exception says what it was raised with as all else does; views, queues and the like are sequences."""
    card = Card(number="s3cret")
    told = USUAL.argument(ValueError("no", card))
    assert f"{told} {told!r}" == "('no', Card(number='***')) ValueError('no', Card(number='***'))"
    assert str(USUAL.argument(ValueError(KeyError(card)))) == "Card(number='***')"
    plain = ValueError("no", 7)
    assert USUAL.argument(plain) is plain
    many: list[Any] = [deque([card]), {"a": card}.values(), {"a": card}.items(), UserList([card])]
    for each in many:
        assert "s3cret" not in f"{USUAL.argument(each)}"
        assert "s3cret" not in json.dumps(USUAL.value(each))
    assert USUAL.value(ValueError(card)) == "Card(number='***')"
    assert USUAL.argument(range(3)) == range(3)
    assert USUAL.pairs({"user": [{"email": 1}]}) == {"user": [{"email": 1}]}
    assert Redaction("user.email").pairs({"user": {"email": 1}}) == {"user": {"email": MASK}}


def test_size_of_a_record() -> None:
    """Elements and letters are those of the whole record, however many fields it has."""
    many = USUAL.pairs({str(n): "v" * 4000 for n in range(2000)})
    assert len(many) == 501
    assert many["…"] == "more is left out"
    assert sum(map(len, many.values())) < 100_000
    lists = USUAL.pairs({str(n): list(range(300)) for n in range(10)})
    assert sum(len(each) for each in lists.values()) < 600
    assert len(json.dumps(USUAL.pairs({str(n): ["v" * 4000] * 20 for n in range(10)}))) < 100_000


def test_size() -> None:
    """Elements are counted over all levels, cycles end, and it says that there is more."""
    few = Redaction(most=3)
    assert few.value(list(range(9))) == [0, 1, 2, "…"]
    assert few.value({str(n): n for n in range(9)}) == {"0": 0, "1": 1, "2": 2, "…": "more is left out"}
    cycle: list[Any] = []
    cycle.append(cycle)
    assert "…" in json.dumps(USUAL.value(cycle), ensure_ascii=False)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner),
    )
)
def test_any_value_has_a_form(value: Any) -> None:
    """Whatever it is, JSON can hold the result, which is masked as it is again."""
    found = USUAL.value(value)
    json.loads(as_json(found), parse_constant=pytest.fail)
    assert USUAL.value(found) == found
