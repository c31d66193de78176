"""Streams as text: errors, events."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kratos.errors import Error, Forbidden
from kratos.transport.http.frames import error_text, parse_error_text, sse_event

GO = "error: code = 403 reason = LATE message = no metadata = map[] cause = <nil>"


def test_as_go_writes_it() -> None:
    """An error reads as Go Kratos' own does, metadata sorted by key as Go prints maps."""
    assert error_text(Forbidden("no", reason="LATE")) == GO
    error = Error("it is late", code=418, reason="LATE", metadata={"b": "2", "a": "x y"})
    assert error_text(error) == (
        "error: code = 418 reason = LATE message = it is late metadata = map[a:x y b:2] cause = <nil>"
    )
    assert error_text(Error(code=7)).startswith("error: code = 500 ")


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        (GO, (403, "LATE", "no", {})),
        (GO.replace("map[]", "map[k:v url:http://x/y?z t:1 2 3 e:]"), (403, "LATE", "no", {
            "k": "v", "url": "http://x/y?z", "t": "1 2 3", "e": "",
        })),
        (GO.replace("<nil>", GO), (403, "LATE", "no", {})),
        (GO.replace("LATE", "").replace("message = no", "message = two\nlines"), (403, "", "two\nlines", {})),
        ("rpc error: code = Unknown desc = x", None),
        ("EOF", None),
        ("", None),
        (GO.replace("403", "99999999999999999999"), None),
    ],
)  # fmt: skip
def test_parse(text: str, parsed: object) -> None:
    """What Go peers write is read back: spaces and colons in metadata, causes, several lines; other texts are None."""
    assert parse_error_text(text) == parsed


@given(
    st.integers(400, 599),
    st.from_regex(r"[A-Z_]{0,20}", fullmatch=True),
    st.text().filter(lambda text: " metadata = map[" not in text),
    st.dictionaries(
        st.from_regex(r"[a-z][a-z0-9_.-]{0,10}", fullmatch=True),
        st.text().filter(lambda text: "] cause = " not in text and not re.search(r" [^\s:]+:", text)),
    ),
)
def test_round_trip(code: int, reason: str, message: str, metadata: dict[str, str]) -> None:
    """Our own errors come back whole, but for the texts that the form cannot tell apart."""
    error = Error(message, code=code, reason=reason, metadata=metadata)
    assert parse_error_text(error_text(error)) == (code, reason, message, metadata)


def test_parsing_is_linear() -> None:
    """A hostile text is not expensive to read."""
    assert parse_error_text("error: code = 1 reason = " + " message = x metadata = map[" * 20_000) is None


@pytest.mark.parametrize(
    ("data", "event"),
    [
        (b"a", b"event: message\ndata: a\n\n"),
        (b"", b"event: message\ndata: \n\n"),
        (b"a\nb", b"event: message\ndata: a\ndata: b\n\n"),
        (b"a\r\nb\rc\n", b"event: message\ndata: a\ndata: b\ndata: c\ndata: \n\n"),
    ],
)
def test_event(data: bytes, event: bytes) -> None:
    """Each line of the payload is a line of the event, whatever ends it."""
    assert sse_event("message", data) == event
