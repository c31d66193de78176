"""What projects may be called."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kratos.tools.failure import USAGE, Failure
from kratos.tools.scaffold.names import Names, slug


@pytest.mark.parametrize(
    ("typed", "name", "package", "host"),
    [
        ("shop", "shop", "shop", "shop"),
        ("my-shop", "my-shop", "my_shop", "my-shop"),
        ("My.Shop_2", "My.Shop_2", "my_shop_2", "my-shop-2"),
        ("deep/down/shop/", "shop", "shop", "shop"),
        ("./shop", "shop", "shop", "shop"),
        ("x" * 40, "x" * 40, "x" * 40, "x" * 40),
    ],
)
def test_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: str, name: str, package: str, host: str) -> None:
    """The last element of the path is the name; the package is that name as an identifier."""
    monkeypatch.chdir(tmp_path)
    names = Names.of(typed)
    assert (names.root, names.name, names.package) == (tmp_path / typed, name, package)
    assert slug(name) == host


def test_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The home folder, the folder one is in, and absolute paths are understood."""
    (tmp_path / "shop").mkdir()
    monkeypatch.chdir(tmp_path / "shop")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    for typed in (".", "~/shop", "../shop", str(tmp_path / "shop")):
        assert Names.of(typed) == Names(tmp_path / "shop", "shop", "shop")


@pytest.mark.parametrize(
    ("typed", "reason", "better"),
    [
        ("", "empty", "shop"),
        ("  ", "empty", "shop"),
        ("/", "empty", "shop"),
        ("class", "keyword", "class-service"),
        ("None", "keyword", "None-service"),
        ("match", "keyword", "match-service"),
        ("json", "Python's own library", "json-service"),
        ("JSON", "Python's own library", "JSON-service"),
        ("deep/json", "Python's own library", "deep/json-service"),
        ("kratos", "every project imports", "kratos-service"),
        ("google", "every project imports", "google-service"),
        ("errors", "every project imports", "errors-service"),
        ("grpc", "kratos imports", "grpc-service"),
        ("tests", "every project has", "tests-service"),
        ("api", "every project has", "api-service"),
        ("3shop", "digit", "app-3shop"),
        ("-r", "only letters and digits", "r"),
        ("_shop", "only letters and digits", "shop"),
        ("shop-", "only letters and digits", "shop"),
        ("my shop", "only letters and digits", "my-shop"),
        ("caf\u00e9", "only letters and digits", "cafe"),
        ("\u5e97", "only letters and digits", "shop"),
        ("a;b", "only letters and digits", "a-b"),
        ("x" * 41, "at most 40", "x" * 40),
    ],
)
def test_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: str, reason: str, better: str) -> None:
    """What cannot work later is refused now, with a name that can be typed instead."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Failure, match=re.escape(reason)) as failure:
        Names.of(typed)
    assert (failure.value.code, failure.value.hint) == (USAGE, f"kratos new {better}")
    Names.of(better)


@given(st.text(st.characters(exclude_characters="/\\\0", exclude_categories=["Cs"]), min_size=1, max_size=60))
def test_suggestions_can_be_taken(typed: str) -> None:
    """Whatever is typed, it is a good name, or the suggestion is one."""
    if typed in (".", "..") or typed.startswith("~"):
        return
    try:
        names = Names.of(typed)
    except Failure as failure:
        kratos, new, better = shlex.split(failure.hint)
        assert (kratos, new) == ("kratos", "new")
        names = Names.of(better)
    assert names.package.isidentifier()
    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", slug(names.name))
