"""Trace Context as the W3C has it: what counts, and what is ignored."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kratos.middleware.tracing.w3c import Parent, parent_of, state_of, traceparent

TRACE = "12345678901234567890123456789012"
SPAN = "1234567890123456"


def read(*values: str, states: tuple[str, ...] = ()) -> Parent | None:
    pairs = [(b"traceparent", value.encode("latin-1")) for value in values]
    return parent_of(pairs + [(b"tracestate", value.encode("latin-1")) for value in states])


@pytest.mark.parametrize(
    ("value", "sampled"),
    [
        (f"00-{TRACE}-{SPAN}-01", True),
        (f"00-{TRACE}-{SPAN}-00", False),
        (f"00-{TRACE}-{SPAN}-03", True),  # the flag of level 2
        (f"00-{TRACE}-{SPAN}-ff", True),  # flags that are not known yet
        (f"00-{TRACE}-{SPAN}-fe", False),
        (f"cc-{TRACE}-{SPAN}-01", True),  # a later version
        (f"cc-{TRACE}-{SPAN}-01-what-the-future-will-be-like", True),
        (f"01-{TRACE}-{SPAN}-00-", False),
        (f" 00-{TRACE}-{SPAN}-01\t", True),
    ],
)
def test_parents(value: str, sampled: bool) -> None:
    """Version 00 to the letter, and later ones as far as they are known."""
    assert read(value) == Parent(TRACE, SPAN, sampled)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "00",
        f"ff-{TRACE}-{SPAN}-01",  # the version that is none
        f"0-{TRACE}-{SPAN}-01",
        f"000-{TRACE}-{SPAN}-01",
        f".0-{TRACE}-{SPAN}-01",
        f"0A-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE[:-1]}-{SPAN}-01",
        f"00-{TRACE}1-{SPAN}-01",
        f"00-{TRACE}-{SPAN[:-1]}-01",
        f"00-{TRACE}-{SPAN}1-01",
        f"00-{TRACE[:-1]}A-{SPAN}-01",  # upper case
        f"00-{TRACE[:-1]}.-{SPAN}-01",
        f"00-{TRACE}-{SPAN[:-1]}F-01",
        f"00-{TRACE}-{SPAN}-0",
        f"00-{TRACE}-{SPAN}-001",
        f"00-{TRACE}-{SPAN}-0A",
        f"00-{TRACE}-{SPAN}-.0",
        f"00-{TRACE}-{SPAN}-01-",
        f"00-{TRACE}-{SPAN}-01-what-the-future-will-be-like",
        f"00-{TRACE}-{SPAN}-01.",
        f"cc-{TRACE}-{SPAN}-01.what-the-future-will-be-like",
        f"00_{TRACE}_{SPAN}_01",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-01,00-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01\n",
        f"00-{TRACE[:-1]}\xfc-{SPAN}-01",
    ],
)
def test_no_parents(value: str) -> None:
    """A wrong version, length, letter or id is no parent."""
    assert read(value) is None


def test_one_parent_only() -> None:
    """Two headers are no parent, even if they agree; nor is none."""
    value = f"00-{TRACE}-{SPAN}-01"
    assert read(value, value) is None
    assert read() is None
    assert read(states=("a=1",)) is None


@given(trace=st.integers(1, 2**128 - 1), span=st.integers(1, 2**64 - 1), sampled=st.booleans())
def test_what_is_written_is_read(trace: int, span: int, sampled: bool) -> None:
    """Every parent that we write is one, and the same."""
    parent = Parent(f"{trace:032x}", f"{span:016x}", sampled)
    assert read(traceparent(parent.trace_id, parent.span_id, sampled=sampled)) == parent


@pytest.mark.parametrize(
    ("values", "state"),
    [
        (("foo=1",), "foo=1"),
        (("foo=1,bar=2",), "foo=1,bar=2"),
        (("foo=1 \t , \t bar=2", "baz=3"), "foo=1,bar=2,baz=3"),
        (("foo=1,,bar=2,", ""), "foo=1,bar=2"),
        (("fw529a3039@dt=FfuuXbaXbb",), "fw529a3039@dt=FfuuXbaXbb"),
        (("0tenant@v=a b",), "0tenant@v=a b"),
        ((f"{'z' * 256}={'y' * 256}",), f"{'z' * 256}={'y' * 256}"),
        ((",".join(f"k{number}=1" for number in range(32)),), ",".join(f"k{number}=1" for number in range(32))),
    ],
)
def test_states(values: tuple[str, ...], state: str) -> None:
    """Members of all headers go on in their order."""
    assert state_of([value.encode() for value in values]) == state
    parent = read(f"00-{TRACE}-{SPAN}-00", states=values)
    assert parent is not None
    assert parent.state == state


@pytest.mark.parametrize(
    "value",
    [
        "foo",
        "foo=",
        "=1",
        "Foo=1",
        "foo =1",
        "0foo=1",
        "foo=1=2",
        "foo=\xfc",
        "foo=1,foo=2",
        "foo@=1",
        "@v=1",
        "foo@0v=1",
        "foo@@bar=1",
        f"{'z' * 257}=1",
        f"{'t' * 242}@v=1",
        f"t@{'v' * 15}=1",
        f"foo={'v' * 257}",
        ",".join(f"k{number}=1" for number in range(33)),
    ],
)
def test_wrong_states_go(value: str) -> None:
    """One wrong member takes all others with it, and leaves the parent as it is."""
    assert read(f"00-{TRACE}-{SPAN}-01", states=("good=1", value)) == Parent(TRACE, SPAN, sampled=True)
