"""Faults that were planted are found, each of them and no others; where there are none, none is found."""

from __future__ import annotations

from pathlib import Path

import pytest

import kratos
from kratos.tools.codegen.project import Project, generate
from kratos.tools.lint.base import Finding
from kratos.tools.lint.families import RULES, check
from kratos.tools.scaffold.addition import add
from kratos.tools.scaffold.names import Names
from kratos.tools.scaffold.project import fill, make
from kratos.tools.scaffold.template import LAYOUTS, Template
from kratos.tools.stubs.contract import draft
from kratos.tools.stubs.services import default_folder, implement

from .planting import PLANTED, plant, shop

EXAMPLES = sorted(path.parent for path in (Path(__file__).parents[3] / "examples").glob("*/pyproject.toml"))

ELSEWHERE = {"COMPILE", "KRP100", "KRP121", "KRP122"}
"""Rules that need another project: see test_protos and test_breaking."""


BLOCKING = """
import time


async def planted() -> None:
    time.sleep(1)
"""


def catalogue(name: str) -> list[str]:
    return (PLANTED / f"{name}.txt").read_text().splitlines()


def told(found: list[Finding]) -> list[str]:
    return [f"{each.path}:{each.line}:{each.column} {each.severity} {each.rule}" for each in found]


def test_contract(tmp_path: Path) -> None:
    """What is wrong with protos."""
    assert told(check(plant("contract", tmp_path))) == catalogue("contract")


def test_code(tmp_path: Path) -> None:
    """What is wrong with code, configuration and caches."""
    assert told(check(shop(tmp_path))) == catalogue("shop")


def test_every_rule_is_planted() -> None:
    """No rule is there that nothing breaks, and there are at least thirty faults."""
    lines = catalogue("contract") + catalogue("shop")
    assert len(lines) >= 30
    assert {line.split()[-1] for line in lines} >= {*RULES} - ELSEWHERE


def test_ids() -> None:
    """An id says the family; it and the name are nobody else's, and each rule says why and what to do."""
    assert len({rule.name for rule in RULES.values()}) == len(RULES)
    for name, rule in RULES.items():
        assert rule.id == name
        assert name == "COMPILE" or name[:4] in {"KRP1", "KRY2", "KRC3", "KRA4", "KRX9"}
        assert all(text.endswith(".") for text in (rule.summary, rule.why, rule.fix))


@pytest.mark.parametrize("folder", EXAMPLES, ids=lambda folder: folder.name)
def test_examples(folder: Path) -> None:
    """Our examples are clean."""
    assert check(Project.load(folder)) == []


@pytest.mark.parametrize("layout", LAYOUTS)
def test_scaffolds(tmp_path: Path, layout: str) -> None:
    """New projects are clean, and so are further apps and drafted services in them."""
    root = fill(make(Names.of(str(tmp_path / "my-shop")), Template.built_in(layout))).names.root
    assert check(Project.load(root)) == []
    drafted(root, "shop.orders.v1", "order")
    assert check(Project.load(root)) == []
    add(Project.load(root), Names.of(str(root / "users")))
    generate(Project.load(root))
    assert check(Project.load(root)) == []


def test_services(tmp_path: Path) -> None:
    """A project of many drafted services is clean."""
    root = fill(make(Names.of(str(tmp_path / "things")), Template.built_in("layered"))).names.root
    for noun in ("category", "box", "key"):
        drafted(root, f"{noun}.v1", noun)
    assert check(Project.load(root)) == []


def drafted(root: Path, package: str, noun: str) -> None:
    """Does what ``kratos proto add`` and ``kratos proto server`` do."""
    proto = f"{package.replace('.', '/')}/{noun}.proto"
    (root / "api" / proto).parent.mkdir(parents=True)
    (root / "api" / proto).write_text(draft(package, noun))
    project = Project.load(root)
    generate(project)
    implement(project, proto, default_folder(project))


def test_writes_nothing(tmp_path: Path) -> None:
    """A judgement changes nothing in the project."""
    project = shop(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    check(project)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_many_files(tmp_path: Path) -> None:
    """Five hundred files are judged, each of them."""
    root = fill(make(Names.of(str(tmp_path / "big")), Template.built_in("layered"))).names.root
    sources = [path for path in Path(kratos.__file__).parent.joinpath("tools").rglob("*.py") if "{{" not in str(path)]
    planted: set[str] = set()
    for number in range(500):
        target = root / "big" / "more" / f"part{number // 50}" / f"file{number}.py"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(f"{sources[number % len(sources)].read_text()}\n{BLOCKING}")
        planted.add(target.relative_to(root).as_posix())
    assert {str(each.path) for each in check(Project.load(root)) if each.rule == "KRY203"} == planted
