"""What exceptions tell of the messages that they were raised with."""

from __future__ import annotations

import traceback
from typing import Any

from fixtures.gen.fixture.secret.v1.secret_pb import Card, OpenRequest

from kratos.log import Redaction
from kratos.log.entry import USUAL
from kratos.log.raised import discreet

WORD = "swordfish77"
REQUEST = OpenRequest(name="eva", pin=WORD, card=Card(number=WORD))
SHOWN = "OpenRequest(name='eva', pin='***', card={'number': '***'})"


def told(failure: BaseException, rules: Redaction = USUAL) -> str:
    return discreet("".join(traceback.format_exception(failure)), failure, rules)


def test_arguments_are_masked() -> None:
    """Alone or beside others, by whatever text the exception has of them; all else stays."""
    assert told(ValueError(REQUEST)) == f"ValueError: {SHOWN}\n"
    assert told(ValueError("no", 7, REQUEST)) == f"ValueError: ('no', 7, {SHOWN})\n"
    assert told(ValueError(OpenRequest(name="eva"))) == "ValueError: OpenRequest(name='eva')\n"
    assert told(KeyError({"user": "eva", "password": WORD})) == "KeyError: {'user': 'eva', 'password': '***'}\n"
    assert told(ValueError({"iban": "DE1"}), Redaction("iban")) == "ValueError: {'iban': '***'}\n"
    assert WORD not in told(ValueError(OpenRequest(labels={str(at): "a" for at in range(1000)}, pin=WORD)))
    assert told(ValueError("", [], {}, ())) == "ValueError: ('', [], {}, ())\n"
    assert told(OSError(2, "no such file", "x")) == "FileNotFoundError: [Errno 2] no such file: 'x'\n"


def test_what_it_keeps_is_masked() -> None:
    """An exception may be raised with names, and make its text of what it keeps."""

    class Refused(Exception):
        def __init__(self, *, request: OpenRequest, by: BaseException) -> None:
            self.request = request
            self.by = by

        def __str__(self) -> str:
            return f"{self.request} by {self.by!r}"

    error = Refused(request=REQUEST, by=ValueError(REQUEST.card))
    assert WORD not in told(error)
    assert str(USUAL.argument(error)) == f"{SHOWN} by ValueError(Card(number='***'))"


def fail() -> None:
    raise ValueError(REQUEST)


def test_what_is_told_with_it() -> None:
    """So it is of causes, of what was handled when it was raised, and in groups; circles end."""
    try:
        try:
            raise KeyError(REQUEST.card)
        except KeyError:
            fail()
    except ValueError as error:
        inner = error
    outer = RuntimeError("no")
    outer.__cause__ = ExceptionGroup("two", [inner, ValueError(OpenRequest(pin=WORD, count=2))])
    inner.__context__.__context__ = outer  # type: ignore[union-attr]
    text = told(outer)
    assert WORD not in text
    assert SHOWN in text
    assert "KeyError: Card(number='***')" in text


def test_a_thing_that_cannot_be_told() -> None:
    """An argument that fails when it is looked at keeps no other from being masked."""

    class Odd(dict[str, Any]):
        def __repr__(self) -> str:
            raise RuntimeError

    failure = ValueError(Odd(), REQUEST)
    assert discreet(f"so it is: {REQUEST}", failure, USUAL) == f"so it is: {SHOWN}"
