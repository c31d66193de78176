"""``kratos proto``: drafts and what is said about them."""

from __future__ import annotations

from pathlib import Path

import pytest
from commandline import Kratos


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "my shop"  # with a space
    root.mkdir()
    (root / "pyproject.toml").write_text('[tool.kratos]\nout = "shop/gen"\n')
    (root / "shop").mkdir()
    monkeypatch.chdir(root)
    return root


def test_from_nothing_to_a_service(kratos: Kratos, shop: Path) -> None:
    """The way a contract begins: a proto, its code, what implements it; everything a second time is nothing."""
    ran = kratos("proto", "add", "api/shop/v1/order.proto")
    assert ran == (
        0,
        "created api/shop/v1/order.proto, package shop.v1\n",
        "  try: kratos proto server api/shop/v1/order.proto\n",
    )
    assert kratos("lint").code == 0
    assert "generated 5 files" in kratos("proto", "client", "api/shop/v1/order.proto").out
    ran = kratos("proto", "server", "api/shop/v1/order.proto")
    assert (ran.code, ran.out) == (0, "shop/order.py: OrderServicer is new, with 5 methods\n")
    ran = kratos("proto", "server", "shop/v1/order.proto")
    assert (ran.code, ran.out) == (0, "shop/order.py: OrderServicer already has all 5 methods\n")


def test_add_elsewhere(kratos: Kratos, shop: Path) -> None:
    """A path that is in no proto root goes below the first, and that is said."""
    ran = kratos("proto", "add", "pay/v1/bill.proto")
    assert ran.out == "created api/pay/v1/bill.proto, package pay.v1\n"
    assert ran.err.startswith("pay/v1/bill.proto is in no proto root: it goes below the first one\n")


def test_add_twice(kratos: Kratos, shop: Path) -> None:
    """What is there stays."""
    path = shop / "api" / "a" / "b.proto"
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    assert kratos("proto", "add", "api/a/b.proto") == (1, "", "error: api/a/b.proto already exists\n")
    assert path.read_text() == "mine"


def test_add_wrongly(kratos: Kratos, shop: Path) -> None:
    """A path that cannot be is wrong usage."""
    ran = kratos("proto", "add", "order.proto")
    assert ran.code == 2
    assert "needs a folder" in ran.err
    assert not (shop / "api").exists()


def test_add_where_nobody_may_write(kratos: Kratos, shop: Path) -> None:
    """What the file system refuses is told."""
    (shop / "api").write_text("a file")
    ran = kratos("proto", "add", "api/shop/order.proto")
    assert ran.code == 1
    assert "cannot write api/shop/order.proto" in ran.err


def test_client(kratos: Kratos, shop: Path) -> None:
    """``client`` is ``generate``, with its options; what is not there is wrong usage."""
    kratos("proto", "add", "api/shop/v1/order.proto")
    assert kratos("proto", "client", "--check").code == 1
    assert kratos("proto", "client", "api").code == 0
    assert kratos("proto", "client", "api/shop", "--check").code == 0
    ran = kratos("proto", "client", "api/none.proto")
    assert (ran.code, ran.out) == (2, "")
    assert "there is no api/none.proto" in ran.err


ADDED = "  rpc Watch(GetOrderRequest) returns (stream Order);\n}\n\n// What is kept."


def test_server_adds(kratos: Kratos, shop: Path) -> None:
    """Methods that a contract has gained are added and named; generating comes first."""
    kratos("proto", "add", "api/shop/v1/order.proto")
    kratos("proto", "server", "api/shop/v1/order.proto")
    proto = shop / "api" / "shop" / "v1" / "order.proto"
    proto.write_text(proto.read_text().replace("}\n\n// What is kept.", ADDED))
    ran = kratos("proto", "server", "api/shop/v1/order.proto")
    assert (ran.code, ran.out) == (0, "shop/order.py: OrderServicer gets watch\n")


def test_server_folders(kratos: Kratos, shop: Path) -> None:
    """internal/service is taken where it exists; another folder may be named and has to be there."""
    kratos("proto", "add", "api/shop/v1/order.proto")
    (shop / "shop" / "internal" / "service").mkdir(parents=True)
    assert "shop/internal/service/order.py" in kratos("proto", "server", "shop/v1/order.proto").out
    ran = kratos("proto", "server", "shop/v1/order.proto", "-t", "shop/other")
    assert ran.code == 1
    assert "there is no folder shop/other\n  try: mkdir -p shop/other" in ran.err


def test_server_of_what(kratos: Kratos, shop: Path) -> None:
    """A file that is no proto of the project is wrong usage."""
    kratos("proto", "add", "api/shop/v1/order.proto")
    ran = kratos("proto", "server", "api/none.proto")
    assert ran.code == 2
    assert "api/none.proto is no proto of" in ran.err


def test_server_of_a_broken_proto(kratos: Kratos, shop: Path) -> None:
    """What does not compile is told by its places."""
    kratos("proto", "add", "api/shop/v1/order.proto")
    (shop / "api" / "shop" / "v1" / "order.proto").write_text("syntax")
    ran = kratos("proto", "server", "api/shop/v1/order.proto")
    assert ran.code == 1
    assert ran.err.startswith("api/shop/v1/order.proto:1:")
    assert "nothing was written" in ran.err


def test_server_beside_a_broken_file(kratos: Kratos, shop: Path) -> None:
    """A Python file that does not parse stops it, with file and line."""
    kratos("proto", "add", "api/shop/v1/order.proto")
    (shop / "shop" / "broken.py").write_text("x = 1\nclass\n")
    ran = kratos("proto", "server", "api/shop/v1/order.proto")
    assert ran.code == 1
    assert "broken.py:2: " in ran.err
    assert not (shop / "shop" / "order.py").exists()


def test_help(kratos: Kratos) -> None:
    """Each command has help that fits a terminal."""
    assert kratos("proto").code == 2
    for name in ("add", "client", "server"):
        ran = kratos("proto", name, "--help")
        assert ran.code == 0
        assert max(map(len, ran.out.splitlines())) <= 80
