"""Version ranges, as ``packaging`` judges them."""

from __future__ import annotations

import sys
from importlib import metadata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement as Their
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from kratos.tools.doctor.versions import Requirement, accepts, newer

NUMBERS = st.integers(0, 12).map(str)
RELEASES = st.lists(NUMBERS, min_size=1, max_size=4).map(".".join)
STAGES = st.sampled_from(["", "a1", "b2", "rc1", ".dev3", ".post1", "rc1.dev2", ".post2.dev1"])
VERSIONS = st.tuples(RELEASES, STAGES).map("".join)
CLAUSES = st.tuples(st.sampled_from([">=", "<=", "==", "!=", ">", "<"]), RELEASES).map("".join)
WILD = st.tuples(st.sampled_from(["==", "!="]), RELEASES).map(lambda each: f"{each[0]}{each[1]}.*")
COMPATIBLE = st.lists(NUMBERS, min_size=2, max_size=3).map(lambda parts: f"~={'.'.join(parts)}")
RANGES = st.lists(CLAUSES | WILD | COMPATIBLE, max_size=3).map(",".join)


@given(VERSIONS, VERSIONS)
def test_order(left: str, right: str) -> None:
    """Versions are ordered as everybody orders them."""
    assert newer(left, right) is (Version(left) > Version(right))


@given(RANGES, RELEASES)
def test_ranges(versions: str, version: str) -> None:
    """Released versions are accepted where ``packaging`` accepts them."""
    assert accepts(versions, version) is SpecifierSet(versions).contains(version)


@pytest.mark.parametrize(
    ("versions", "version", "accepted"),
    [
        ("", "1.0", True),
        (">=1.70,<2", "1.75.0", True),
        (">=1.70,<2", "1.9", False),
        (">=1.70, <2", "2.0rc1", False),
        (">=1.70,<2", "2", False),
        (">=0.7,<0.8", "0.7.0.post1", True),
        (">=0.7,<0.8", "0.7rc1", False),
        (">=1", "1.0+local", True),
        (">=1", "unreadable", True),
        (">=unreadable", "1", True),
        ("===odd", "1", True),
    ],
)
def test_cases(versions: str, version: str, accepted: bool) -> None:
    """Cases of our own kind; what is not understood raises no alarm."""
    assert accepts(versions, version) is accepted


def test_our_own_metadata() -> None:
    """Every requirement that we state is read as ``packaging`` reads it."""
    stated = metadata.requires("kratos-py") or []
    assert stated
    for line in stated:
        ours, theirs = Requirement.parse(line), Their(line)
        assert ours.name == theirs.name
        assert SpecifierSet(ours.versions) == theirs.specifier
        extra = ours.extra
        assert ours.here is (theirs.marker is None or theirs.marker.evaluate({"extra": extra}))
        if extra:
            assert theirs.marker is not None
            assert not theirs.marker.evaluate({"extra": "another"})


def test_markers() -> None:
    """Extras and platforms; a line that cannot be read is wanted nowhere."""
    assert Requirement.parse("a[b]>=1; extra == 'x'") == Requirement("a", ">=1", "x", here=True)
    assert Requirement.parse(f"a ; sys_platform != '{sys.platform}'").here is False
    assert Requirement.parse("a (>=1,<2)") == Requirement("a", ">=1,<2", "", here=True)
    assert Requirement.parse("ä b c").here is False
