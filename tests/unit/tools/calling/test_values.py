"""Where one JSON value ends and the next begins, however the text arrives."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import json_scalars, json_values

from kratos.tools.calling.values import Input, Splitter, split
from kratos.tools.failure import Failure

OBJECTS = st.dictionaries(st.text(max_size=5), json_values, max_size=3)
SIZES = st.lists(st.integers(1, 5), max_size=30)


def in_pieces(data: bytes, sizes: list[int]) -> list[bytes]:
    """Splits a text that arrives in pieces."""
    splitter = Splitter()
    found: list[bytes] = []
    for size in sizes:
        found += splitter.feed(data[:size])
        data = data[size:]
    return [*found, *splitter.feed(data), *splitter.close()]


@given(st.lists(OBJECTS, max_size=4), SIZES, st.booleans(), st.sampled_from(["", " ", "\n", "\r\n\t"]))
def test_one_after_the_other(values: list[object], sizes: list[int], ascii: bool, between: str) -> None:
    """Objects are found whatever is in them, whatever stands between them and however they are cut."""
    text = between.join(json.dumps(value, ensure_ascii=ascii) for value in values)
    data = text.encode("utf-8", "replace")
    values = [json.loads(json.dumps(value, ensure_ascii=ascii).encode("utf-8", "replace")) for value in values]
    assert [json.loads(value) for value in in_pieces(data, sizes)] == values


@given(st.lists(json_values, max_size=4), SIZES, st.none() | st.integers(1, 3))
def test_a_list(values: list[object], sizes: list[int], indent: int | None) -> None:
    """The elements of one list are values as well, of any kind."""
    data = json.dumps(values, indent=indent).encode()
    assert [json.loads(value) for value in in_pieces(data, sizes)] == values


@given(st.lists(json_scalars))
def test_words(values: list[object]) -> None:
    """Between white space anything may stand."""
    data = "\n".join(map(json.dumps, values)).encode()
    assert [json.loads(value) for value in split(data)] == values


def test_at_once() -> None:
    """A value is there as soon as its last byte is, not when the next one begins."""
    splitter = Splitter()
    assert list(splitter.feed(b'{"a": "}')) == []
    assert list(splitter.feed(b'\\"{"}')) == [b'{"a": "}\\"{"}']
    assert list(splitter.feed(b"12")) == []
    assert list(splitter.feed(b" ")) == [b"12"]
    assert list(splitter.feed(b'"x"')) == [b'"x"']


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[1 2]", "lacks a comma"),
        ("[1,,2]", "a comma too many"),
        ("[,1]", "a comma too many"),
        ("[1,]", "a comma too many"),
        ("[1", "has no end"),
        ("[", "has no end"),
        ("[1] 2", "something follows"),
        ("[1]]", "something follows"),
    ],
)
def test_no_list(text: str, said: str) -> None:
    """A list that is none is wrong usage."""
    with pytest.raises(Failure, match=said) as failure:
        split(text.encode())
    assert failure.value.code == 2


@pytest.mark.parametrize("text", ["{]", "}", "{", '{"a', "1}", "nonsense", "{} ,", "\\"])
def test_rubbish(text: str) -> None:
    """What is no JSON is left to the decoder, and nothing of it is lost."""
    assert b"".join(split(text.encode())).replace(b" ", b"") == text.replace(" ", "").encode()


def test_given(tmp_path: Path) -> None:
    """JSON on the command line, or in a file, with or without the mark that Windows programs put first."""
    assert Input.given('{"a": 1}', several=False).whole() == b'{"a": 1}'
    (tmp_path / "ä b.json").write_bytes(b"\xef\xbb\xbf{}")
    assert Input.given(f"@{tmp_path / 'ä b.json'}", several=False).whole() == b"{}"
    with pytest.raises(Failure, match="cannot read") as failure:
        Input.given(f"@{tmp_path}", several=False)
    assert failure.value.code == 2


@pytest.mark.skipif(os.name == "nt", reason="terminals of POSIX")
def test_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal is read where there may be several requests, or where that was asked for."""
    main, terminal = os.openpty()
    with os.fdopen(terminal) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        assert Input.given(None, several=False) == Input(b"")
        for several in Input.given("-", several=False), Input.given(None, several=True):
            assert several == Input(None, terminal)
            assert several.typed
        assert not Input.given("{}", several=True).typed
    monkeypatch.setattr(sys, "stdin", None)
    assert Input.given("-", several=True) == Input(b"")
    os.close(main)


async def test_read_while_it_comes() -> None:
    """Values are read from a pipe one by one, before its end."""
    reading, writing = os.pipe()
    values = Input(None, reading).values()
    os.write(writing, b'\xef\xbb\xbf{"a":')
    first = asyncio.ensure_future(anext(values))
    os.write(writing, b"1}2")
    assert await asyncio.wait_for(first, 10) == b'{"a":1}'
    os.close(writing)
    assert [each async for each in values] == [b"2"]
    os.close(reading)


async def test_nobody_waits_for_a_reader() -> None:
    """Whoever stops waiting is not held by a read that cannot be interrupted."""
    reading, writing = os.pipe()
    waiting = asyncio.ensure_future(anext(Input(None, reading).values()))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(waiting, 10)
    os.close(writing)


async def test_a_broken_reader(tmp_path: Path) -> None:
    """What the system says of a read that failed is raised."""
    handle = os.open(tmp_path, os.O_RDONLY)
    with pytest.raises(IsADirectoryError):
        await anext(Input(None, handle).values())
    os.close(handle)
