"""Drafts of protos: where they go, what they are called, and that they are right."""

from __future__ import annotations

from pathlib import Path

import pytest

from kratos.tools.codegen.project import Project, generate
from kratos.tools.failure import USAGE, Failure
from kratos.tools.lint.families import check
from kratos.tools.stubs.contract import camel, draft, place, plural


@pytest.mark.parametrize(
    ("stem", "name"),
    [
        ("hello_world", "HelloWorld"),
        ("v2_kratos_dev", "V2KratosDev"),
        ("www_Google_com", "WwwGoogleCom"),
        ("wwwBaidu_com", "WwwBaiduCom"),
        ("HelloWorld", "HelloWorld"),
        ("hello-world", "HelloWorld"),
        ("hello__world_", "HelloWorld"),
    ],
)
def test_names(stem: str, name: str) -> None:
    """Kratos' table, and dashes besides."""
    assert camel(stem) == name


@pytest.mark.parametrize(
    ("noun", "nouns"),
    [("Order", "Orders"), ("Category", "Categories"), ("Bus", "Buses"), ("Box", "Boxes"), ("Day", "Days"),
     ("Branch", "Branches"), ("HelloWorld", "HelloWorlds")],
)  # fmt: skip
def test_plurals(noun: str, nouns: str) -> None:
    """English, as far as it is regular."""
    assert plural(noun) == nouns


@pytest.mark.parametrize(
    ("cwd", "typed", "path", "package", "moved"),
    [
        (".", "api/shop/v1/order.proto", "api/shop/v1/order.proto", "shop.v1", False),
        (".", "other/shop/order.proto", "other/shop/order.proto", "shop", False),
        (".", "shop/v1/order.proto", "api/shop/v1/order.proto", "shop.v1", True),
        ("api/shop", "v1/order.proto", "api/shop/v1/order.proto", "shop.v1", False),
        ("api/shop/v1", "order.proto", "api/shop/v1/order.proto", "shop.v1", False),
        ("src", "../api/shop/order.proto", "api/shop/order.proto", "shop", False),
        ("api", "./shop/../pay/order.proto", "api/pay/order.proto", "pay", False),
    ],
)
def test_places(tmp_path: Path, cwd: str, typed: str, path: str, package: str, moved: bool) -> None:
    """Where it was typed, if protos live there; else below the first root."""
    project = Project(tmp_path, protos=("api", "other"), out="gen")
    found = place(project, Path(typed), tmp_path / cwd)
    assert (found.path, found.package, found.moved) == (tmp_path / path, package, moved)


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("shop/v1/order", "ends in .proto"),
        ("order.proto", "needs a folder"),
        ("api/order.proto", "needs a folder"),
        ("my-shop/order.proto", "'my-shop' cannot be part of a package"),
        ("a/1/order.proto", "'1' cannot be part of a package"),
        ("a b/order.proto", "'a b' cannot be part of a package"),
        ("shop/2fa.proto", "no service can be called after '2fa.proto'"),
        ("shop/_.proto", "no service can be called after"),
        ("shop/bücher.proto", "no service can be called after"),
        ("../../shop/order.proto", "is in no proto root"),
        ("/shop/v1/order.proto", "is in no proto root"),
    ],
)
def test_wrong_places(tmp_path: Path, typed: str, words: str) -> None:
    """What cannot be a proto is refused as wrong usage."""
    with pytest.raises(Failure, match=words) as failure:
        place(Project(tmp_path, out="gen"), Path(typed), tmp_path)
    assert failure.value.code == USAGE


def test_paths() -> None:
    """Routes are plural, in dashes, and begin with the version if the package has one."""
    assert '"/v1/orders/{id}"' in draft("shop.v1", "order")
    assert '"/hello-worlds"' in draft("shop", "hello_world")
    assert '"/v1beta1/categories"' in draft("shop.v1beta1", "category_service")


STEMS = ["order", "hello_world", "user_service", "category", "service", "list", "order_reply", "message", "api", "bus"]


def test_drafts_are_right(tmp_path: Path) -> None:
    """Every draft is clean and generates, whatever it is called."""
    project = Project(tmp_path, out="gen")
    for stem in STEMS:
        path = tmp_path / "api" / f"{stem}s" / "v1" / f"{stem}.proto"
        path.parent.mkdir(parents=True)
        path.write_text(draft(f"{stem}s.v1", stem))
    assert check(project) == []
    generate(project)
    assert len(list((tmp_path / "gen").rglob("*_kratos.py"))) == len(STEMS)


def test_draft_of_a_file_with_dashes(tmp_path: Path) -> None:
    """A dash in the file's name is no obstacle."""
    path = tmp_path / "api" / "shop" / "v1" / "hello-world.proto"
    path.parent.mkdir(parents=True)
    path.write_text(draft("shop.v1", "hello-world"))
    generate(Project(tmp_path, out="gen"))
    text = next((tmp_path / "gen").rglob("*_kratos.py")).read_text()
    assert "class HelloWorldService(Service):" in text
