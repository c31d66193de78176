"""``kratos cache``: what it writes is always the same, is checked by others, and runs; mistakes have a place."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from commandline import Kratos, kratos
from unit.cache.stores import FarStore

from kratos.cache import Cache, MemoryStore

__all__ = ["kratos"]

HERE = Path(__file__).parent


@pytest.fixture
def users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the file with the Protocol, in the current folder."""
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copy(HERE / "users.py", tmp_path / "users.py"))


@pytest.fixture
def clashes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Protocol with all the names that generated code has itself."""
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copy(HERE / "clashes.py.given", tmp_path / "clashes.py"))


@pytest.mark.parametrize("name", ["users", "clashes"])
def test_it_is_the_same_each_time(name: str, request: pytest.FixtureRequest, kratos: Kratos) -> None:
    """The golden file, to the byte; the user's own is not touched."""
    given: Path = request.getfixturevalue(name)
    before = given.read_bytes(), given.stat().st_mtime_ns
    assert kratos("cache", f"{name}.py") == (0, f"wrote {name}_cache.py\n", "")
    written = (given.parent / f"{name}_cache.py").read_bytes()
    golden = HERE / f"{name}_cache.py.golden"
    if os.environ.get("KRATOS_GOLDEN") == "write":
        golden.write_bytes(written)
    assert written == golden.read_bytes()
    assert kratos("cache", f"{name}.py", "--check") == (0, f"{name}_cache.py is up to date\n", "")
    assert kratos("cache", f"{name}.py") == (0, f"{name}_cache.py is up to date\n", "")
    assert (given.read_bytes(), given.stat().st_mtime_ns) == before
    assert sorted(path.name for path in given.parent.iterdir()) == [f"{name}.py", f"{name}_cache.py"]


def test_check_writes_nothing(users: Path, kratos: Kratos) -> None:
    assert kratos("cache", "users.py", "--check") == (1, "users_cache.py would change\n", "")
    assert not (users.parent / "users_cache.py").exists()


def test_what_is_not_ours_stays(users: Path, kratos: Kratos) -> None:
    other = users.parent / "users_cache.py"
    other.write_text("mine = True\n")
    done = kratos("cache", "users.py")
    assert (done.code, other.read_text()) == (1, "mine = True\n")
    assert "users_cache.py is in the way: it was not generated" in done.err


def test_others_check_it(users: Path, clashes: Path, kratos: Kratos) -> None:
    """mypy, basedpyright and ruff, as strict as they are, have nothing to say; mypy of odd names neither."""
    kratos("cache", "users.py")
    kratos("cache", "clashes.py")
    odd = ("clashes.py", "clashes_cache.py")
    where = users.parent
    (where / "pyrightconfig.json").write_text(json.dumps({"typeCheckingMode": "strict", "exclude": [*odd]}))
    for command in (
        ("mypy", "--strict", "--config-file=", f"--cache-dir={where / 'mypy'}", "users.py", "users_cache.py", *odd),
        ("basedpyright", "--pythonpath", sys.executable, "-p", str(where)),
        (
            "ruff",
            "check",
            "--isolated",
            "--select=E,F,I,UP,B,SIM,RUF,PL",
            "--ignore=PLR0913",
            "--line-length=88",
            "users_cache.py",
        ),
        ("ruff", "format", "--isolated", "--check", "users_cache.py", "clashes_cache.py"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", *command], cwd=where, capture_output=True, text=True, check=False, timeout=300
        )
        assert done.returncode == 0, done.stdout + done.stderr


@contextmanager
def _imported(file: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Any, Any]]:
    """Has what is written for a file, and the file itself, as modules; nobody finds them afterwards."""
    monkeypatch.syspath_prepend(file.parent)
    names = (f"{file.stem}_cache", file.stem)
    made, types = map(import_module, names)
    try:
        yield made, types
    finally:
        for name in names:
            del sys.modules[name]


async def test_it_runs(users: Path, kratos: Kratos, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same runtime as decorated methods have."""
    kratos("cache", "users.py")
    with _imported(users, monkeypatch) as (made, types):
        await _play(made, types)


async def _play(made: Any, types: Any) -> None:  # noqa: C901 - a source has many methods
    born = dt.date(2000, 1, 1)
    asked: list[object] = []
    people = {number: types.User(number, f"u{number}", born) for number in range(1, 6)}

    class Source:
        async def user(self, id: int) -> Any:
            asked.append(id)
            return people.get(id)

        async def users(self, ids: Sequence[int]) -> Mapping[int, Any]:
            asked.append(tuple(ids))
            return {each: people[each] for each in ids if each in people}

        async def abroad(self, ids: Sequence[int], country: str, *, deep: bool = False) -> Mapping[int, Any]:
            asked.append((*ids, country, deep))
            return {each: people[each] for each in ids}

        async def names(self, ids: Sequence[int]) -> Mapping[int, str]:
            asked.append(("names", *ids))
            return {each: "" if each == 1 else f"u{each}" for each in ids}

        async def ages(self, names: Sequence[str]) -> Mapping[str, int]:
            asked.append(("ages", *names))
            return {each: len(each) for each in names}

        async def heights(self, ids: Sequence[int]) -> Mapping[int, float]:
            asked.append(("heights", *ids))
            return {each: 0.0 if each == 1 else each / 2 for each in ids if each < 5}

        async def everybody(self) -> list[Any]:
            asked.append("all")
            return [*people.values()]

        async def named(self, name: str, country: str = "de") -> Any:
            asked.append((name, country))

        async def born(self, day: dt.date, page: int = 1, size: int = 20) -> list[Any]:
            asked.append(day)
            return [*people.values()]

        async def save(self, user: Any) -> None:
            people[user.id] = user

        async def delete(self, ids: Sequence[int]) -> int:
            return sum(people.pop(each, None) is not None for each in ids)

        async def ping(self, times: int = 3) -> str:
            return "pong" * times

    cached = made.CachedUsers(Source(), Cache(MemoryStore()))
    assert [await cached.user(1), await cached.user(1), await cached.user(9), await cached.user(9)] == [
        people[1], people[1], None, None,
    ]  # fmt: skip
    assert await cached.users([1, 2, 9]) == {1: people[1], 2: people[2]}
    assert await cached.abroad([1], "de", deep=True) == await cached.abroad([1], "de") == {1: people[1]}
    assert [len(await cached.everybody()), len(await cached.everybody())] == [5, 5]
    assert [each.id for each in (*await cached.born(born, 2, 2), *await cached.born(born, page=1, size=1))] == [3, 4, 1]
    assert [await cached.named("x"), await cached.ping(1)] == [None, "pong"]
    assert asked == [1, 9, (2,), (1, "de", True), "all", born, ("x", "de")]
    asked.clear()
    await cached.save(types.User(1, "new", born))
    assert (await cached.user(1)).name == "new"
    assert await cached.delete([1, 2]) == 2
    assert await cached.users([1, 2]) == {}
    await cached.refresh_user(3)
    await cached.invalidate_users([3])
    await cached.invalidate_user(3)
    await cached.user(3)
    assert asked == [1, (1, 2), 3, 3]
    asked.clear()
    for _ in range(2):  # what the second generator of Kratos v1 does not compile
        assert await cached.names([1, 2]) == {1: "", 2: "u2"}
        assert await cached.ages(["", "42"]) == {"": 0, "42": 2}
        assert await cached.heights([1, 3, 9]) == {1: 0.0, 3: 1.5}
    assert asked == [("names", 1, 2), ("ages", "", "42"), ("heights", 1, 3, 9)]
    asked.clear()
    people.update({number: types.User(number, f"u{number}", born) for number in range(1, 121)})
    await cached.invalidate_users(range(1, 121))
    assert await cached.users(range(1, 121)) == people
    assert asked == [tuple(range(1, 51)), tuple(range(51, 101)), tuple(range(101, 121))]


async def test_odd_names_run(clashes: Path, kratos: Kratos, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody gets what somebody else has asked for."""
    kratos("cache", "clashes.py")
    with _imported(clashes, monkeypatch) as (made, types):
        await _play_odd(made.CachedPrices, types)


async def _play_odd(cached: Any, types: Any) -> None:  # noqa: C901 - a source has many methods
    class Source:
        def __init__(self) -> None:
            self.version = 1

        async def prices(self, ids: Sequence[int], each: str) -> dict[int, str]:
            return {number: f"{number} in {each} {self.version}" for number in ids}

        others = prices

        async def source(self, part: int, stale: bool) -> Any:
            return types.Options(f"{part} {stale} {self.version}")

        async def made(self, key: str, other: str) -> str:
            return f"{key} {other} {self.version}"

        async def user(self, user: str, key: str) -> str:
            return f"{user} {key}"

        async def typed(self, *arguments: object) -> str:
            return repr(arguments)

        async def pages(self, whole: int, number: int, size: int) -> list[int]:
            return [*range(whole)]

        async def save(self, stale: Any, each: Sequence[int], each_: str, key: str, other: str) -> None:
            self.version += 1

    store = FarStore(turns=10)
    prices = cached(Source(), Cache(store, timeout=60, pause=0.01))
    for method in (prices.prices, prices.others):
        assert [await method([1, 2], "EUR"), await method([1], "USD")] == [
            {1: "1 in EUR 1", 2: "2 in EUR 1"}, {1: "1 in USD 1"},
        ]  # fmt: skip
    assert [await prices.user("a", "b"), await prices.user("b", "a")] == ["a b", "b a"]
    assert await prices.typed("1", "2", types.Unit.EURO, "a") != await prices.typed("1", "2", None, "a")
    assert [await prices.pages(9, 2, 4), await prices.pages(9, 3, 4)] == [[4, 5, 6, 7], [8]]

    async def seen() -> list[str]:
        found = await prices.prices([1, 2], "EUR"), (await prices.source(1, True)).id, await prices.made("k", "o")
        await settled(prices)
        return [text[-1] for text in (*found[0].values(), *found[1:])]

    assert await seen() == ["1"] * 4
    await prices.save(types.Stale(1, True), [1, 2], "EUR", "k", "o")
    assert await seen() == ["2"] * 4
    writing = asyncio.create_task(prices.save(types.Stale(1, True), [1, 2], "EUR", "k", "o"))
    store.calls.clear()
    while "invalidate" not in store.calls:
        await asyncio.sleep(0)
    writing.cancel()  # in the first of three invalidations: the others are still made
    await asyncio.wait([writing])
    assert writing.cancelled()
    assert await seen() == ["3"] * 4
    await settled(prices)


async def settled(prices: Any) -> None:
    """Waits until what was loaded is kept."""
    await asyncio.gather(*prices._made_._shared.flights._tasks)


HEAD = """from collections.abc import Sequence
from typing import Protocol
from kratos.cache import Paging, cacheable, invalidates
SIZE = "ps"
class Base: ...
"""

# $ is a class with one mark, & one without, | a new line in it.
WRONG = {
    "a name of ours": (
        "$async def a(self) -> int: ...|async def refresh_a(self) -> int: ...",
        9, "refresh_a, which is what is written for a: rename one",
    ),
    "a writer that does not wait": (
        '$async def a(self) -> int: ...|@invalidates("a")|def w(self) -> None: ...', 10, "w is no `async def`",
    ),
    "parts that run together": (
        '&@cacheable("k{x}{y}", ttl=1)|async def a(self, x: int, y: int) -> int: ...', 7, 'put a ":" between them',
    ),
    "no Protocol": ("class A:|@cacheable(ttl=1)|async def a(self) -> int: ...", 6, "and is no Protocol"),
    "another base": (
        "class A(Base, Protocol):|@cacheable(ttl=1)|async def a(self) -> int: ...", 6, "inherits from Base",
    ),
    "an attribute": ("&x: int|@cacheable(ttl=1)|async def a(self) -> int: ...", 7, "more"),
    "no ttl": ("&@cacheable()|async def a(self) -> int: ...", 7, "a: ttl is missing"),
    "not async": ("$def a(self) -> int: ...", 8, "no `async def`"),
    "no type": ("$async def a(self): ...", 8, "does not say what it returns"),
    "no self": ("$async def a() -> int: ...", 8, "takes no self"),
    "stars": ("$async def a(self, *x: int) -> int: ...", 8, "takes *args"),
    "a decorator": (
        "$async def a(self) -> int: ...|@property|def p(self) -> int: ...",
        9, "@property, which cannot be passed on",
    ),
    "a key of nothing": (
        '&@cacheable("k:{y}", ttl=1)|async def a(self, x: int) -> int: ...', 7, "has {y}",
    ),
    "a parameter too few": (
        '&@cacheable("k", ttl=1)|async def a(self, x: int) -> int: ...', 7, 'ignore=("x",)',
    ),
    "a key that is none": (
        '&@cacheable("k:{x", ttl=1)|async def a(self, x: int) -> int: ...', 7, "cannot be read",
    ),
    "paging from elsewhere": (
        "&@cacheable(ttl=1, paging=PAGES)|async def a(self, pn: int, ps: int) -> list[int]: ...",
        7, "written out here",
    ),
    "a size from elsewhere": (
        "&@cacheable(ttl=1, paging=Paging(size=SIZE))|async def a(self, pn: int, ps: int) -> list[int]: ...",
        7, "size is to be written out here, not SIZE",
    ),
    "no such target": (
        '$async def a(self) -> int: ...|@invalidates("b")|async def w(self) -> None: ...',
        9, "no cacheable method 'b'",
    ),
    "an open parameter": (
        '$async def a(self, x: int) -> int: ...|@invalidates("a")|async def w(self, y: int) -> None: ...',
        9, 'what is \'x\' of a? Say x="..." with a parameter of w',
    ),
    "a parameter of nobody": (
        '$async def a(self) -> int: ...|@invalidates("a", z="y")|async def w(self, y: int) -> None: ...',
        9, "a has no parameter 'z'",
    ),
    "two of a name": (
        "$async def a(self) -> int: ...|async def a(self) -> int: ...",
        6, "two methods of one name",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", [*WRONG])
def test_mistakes_have_a_place(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kratos: Kratos) -> None:
    code, line, said = WRONG[case]
    monkeypatch.chdir(tmp_path)
    Path("a.py").write_text(
        HEAD
        + code.replace("$", "&@cacheable(ttl=1)|").replace("&", "class A(Protocol):|").replace("|", "\n    ")
        + "\n"
    )
    done = kratos("cache", "a.py")
    assert done.code == 1
    assert f"a.py:{line}: " in done.err
    assert said in done.err
    assert not Path("a_cache.py").exists()


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.py", "x = 1\n", "a.py has nothing to cache: mark methods of a Protocol with @cacheable"),
        ("a.py", "x = (\n", "a.py:1: no Python"),
        ("a_cache.py", "", "is what kratos cache writes: name the file with the Protocol"),
        ("a.py", None, "cannot read a.py: No such file or directory"),
    ],
)
def test_files_that_are_none(
    name: str, text: str | None, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kratos: Kratos
) -> None:
    monkeypatch.chdir(tmp_path)
    if text is not None:
        Path(name).write_text(text)
    done = kratos("cache", name)
    assert (done.code, said in done.err) == (1, True), done.err


SPELLINGS: list[Callable[[str], str]] = [
    lambda body: "from kratos.cache import cacheable as kept\n" + body.replace("@cacheable", "@kept"),
    lambda body: "from kratos import cache\n" + body.replace("@cacheable", "@cache.cacheable"),
    lambda body: "import kratos.cache as c\n" + body.replace("@cacheable", "@c.cacheable"),
]


@pytest.mark.parametrize("spell", SPELLINGS)
def test_however_it_is_imported(
    spell: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kratos: Kratos
) -> None:
    """And inside of a package the import of the file is relative, and quotes around types are none of the type."""
    monkeypatch.chdir(tmp_path)
    Path("__init__.py").touch()
    body = (
        'class A(Protocol):\n    @cacheable(ttl=1, null_value=B(), is_null=B.none)\n    async def a(self) -> "B": ...\n'
    )
    Path("a.py").write_text("from typing import Protocol\n" + spell("class B:\n    none = bool\n" + body))
    assert kratos("cache", "a.py").code == 0
    text = Path("a_cache.py").read_text()
    assert "from .a import A, B\n" in text
    assert "async def a(self) -> B:" in text
    assert "null_value=B(), is_null=B.none, null_ttl=300" in " ".join(text.split())
