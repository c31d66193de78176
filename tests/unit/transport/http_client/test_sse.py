"""Server-sent events from bytes that are cut anywhere."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kratos.errors import InternalServer
from kratos.transport.http.frames import sse_event
from kratos.transport.http.sse import Event, EventParser


def parse(data: bytes, *cuts: int, limit: int = 1000) -> list[Event]:
    """Feeds ``data`` in pieces that end at ``cuts``."""
    parser = EventParser(limit)
    events: list[Event] = []
    at = 0
    for cut in (*sorted(cuts), len(data)):
        events += parser.feed(data[at:cut])
        at = cut
    return events


STREAM = (
    b"\xef\xbb\xbf: a comment\r\n"
    b"event: message\ndata: one\n\n"
    b"id: 7\nretry: 5\nunknown\nunknown: x\ndata: two\r\ndata:  lines\r\n\r\n"
    b"event:spaced  \rdata:three\r\r"
    b":\n\n\n"
    b"event: nothing\n\n"
    b"data\n\n"
    b"data:\ndata: \n\n"
    b"event: error\ndata: {}\n\n"
    b"data: unfinished\n"
)
EVENTS = [
    Event("message", b"one"),
    Event("", b"two\n lines"),
    Event("spaced", b"three"),
    Event("", b""),
    Event("", b"\n"),
    Event("error", b"{}"),
]


@given(st.lists(st.integers(0, len(STREAM)), max_size=20))
def test_any_cut(cuts: list[int]) -> None:
    """Where the bytes are cut does not matter: inside of a line, a name, a CRLF, the byte order mark."""
    assert parse(STREAM, *cuts) == EVENTS


def test_byte_by_byte() -> None:
    """The smallest pieces, and empty ones in between."""
    parser = EventParser(1000)
    events = [event for byte in STREAM for piece in (bytes([byte]), b"") for event in parser.feed(piece)]
    assert events == EVENTS
    assert parser.unfinished


payloads = st.text(st.characters(exclude_characters="\r", exclude_categories=["Cs"]), max_size=40)


@given(st.lists(st.tuples(st.sampled_from(["message", "error", "x"]), payloads), max_size=5), st.data())
def test_what_servers_write_is_read(events: list[tuple[str, str]], data: st.DataObject) -> None:
    """What our own server writes comes out as it went in, line feeds in the data included."""
    wire = b"".join(sse_event(name, text.encode()) for name, text in events)
    cuts = data.draw(st.lists(st.integers(0, len(wire)), max_size=8))
    assert parse(wire, *cuts) == [Event(name, text.encode()) for name, text in events]


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=5))
def test_noise(data: bytes, cuts: list[int]) -> None:
    """Any bytes are read the same in one piece and in many, and never fail."""
    assert parse(data, *(cut for cut in cuts if cut <= len(data))) == parse(data)


def test_unfinished() -> None:
    """An event that has begun is told apart from the space between events."""
    parser = EventParser(100)
    for piece, unfinished in ((b"", False), (b":\n", False), (b"data: a\n", True), (b"\n", False), (b"da", True)):
        parser.feed(piece)
        assert parser.unfinished is unfinished, piece


@pytest.mark.parametrize(
    "data",
    [b"x" * 101, b": " + b"x" * 100, b"data: " + b"x" * 101 + b"\n", b"data: 12345\n" * 20, b"data:\n" * 101],
)
def test_limits(data: bytes) -> None:
    """A line or an event over the limit is refused as soon as that is known, also in small pieces."""
    for size in (1, 7, len(data)):
        with pytest.raises(InternalServer, match="an event of more than 100 bytes") as raised:
            parse(data, *range(0, len(data), size), limit=100)
        assert raised.value.reason == "REPLY_TOO_LARGE"
    assert parse(b"data: " + b"x" * 90 + b"\n\n", limit=100) == [Event("", b"x" * 90)]
