"""``kratos cache``: what it writes is always the same, is checked by others, and runs; mistakes have a place."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from commandline import Kratos, kratos

from kratos.cache import Cache, MemoryStore

__all__ = ["kratos"]

HERE = Path(__file__).parent
GOLDEN = HERE / "users_cache.py.golden"


@pytest.fixture
def users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the file with the Protocol, in the current folder."""
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copy(HERE / "users.py", tmp_path / "users.py"))


def test_it_is_the_same_each_time(users: Path, kratos: Kratos) -> None:
    """The golden file, to the byte; the user's own is not touched."""
    before = users.read_bytes(), users.stat().st_mtime_ns
    assert kratos("cache", "users.py") == (0, "wrote users_cache.py\n", "")
    written = (users.parent / "users_cache.py").read_bytes()
    if os.environ.get("KRATOS_GOLDEN") == "write":
        GOLDEN.write_bytes(written)
    assert written == GOLDEN.read_bytes()
    assert kratos("cache", "users.py", "--check") == (0, "users_cache.py is up to date\n", "")
    assert kratos("cache", "users.py") == (0, "users_cache.py is up to date\n", "")
    assert (users.read_bytes(), users.stat().st_mtime_ns) == before
    assert sorted(path.name for path in users.parent.iterdir()) == ["users.py", "users_cache.py"]


def test_check_writes_nothing(users: Path, kratos: Kratos) -> None:
    assert kratos("cache", "users.py", "--check") == (1, "users_cache.py would change\n", "")
    assert not (users.parent / "users_cache.py").exists()


def test_what_is_not_ours_stays(users: Path, kratos: Kratos) -> None:
    other = users.parent / "users_cache.py"
    other.write_text("mine = True\n")
    done = kratos("cache", "users.py")
    assert (done.code, other.read_text()) == (1, "mine = True\n")
    assert "users_cache.py is in the way: it was not generated" in done.err


def test_others_check_it(users: Path, kratos: Kratos) -> None:
    """mypy, basedpyright and ruff, as strict as they are, have nothing to say."""
    kratos("cache", "users.py")
    where = users.parent
    (where / "pyrightconfig.json").write_text(json.dumps({"typeCheckingMode": "strict"}))
    for command in (
        ("mypy", "--strict", "--config-file=", f"--cache-dir={where / 'mypy'}", "users.py", "users_cache.py"),
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
        ("ruff", "format", "--isolated", "--check", "users_cache.py"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", *command], cwd=where, capture_output=True, text=True, check=False, timeout=300
        )
        assert done.returncode == 0, done.stdout + done.stderr


async def test_it_runs(users: Path, kratos: Kratos, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same runtime as decorated methods have."""
    kratos("cache", "users.py")
    monkeypatch.syspath_prepend(users.parent)
    made: Any = import_module("users_cache")
    types: Any = import_module("users")
    try:
        await _play(made, types)
    finally:
        for name in ("users", "users_cache"):
            del sys.modules[name]


async def _play(made: Any, types: Any) -> None:
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


HEAD = """from collections.abc import Sequence
from typing import Protocol
from kratos.cache import Paging, cacheable, invalidates
SIZE = "ps"
class Base: ...
"""

# $ is a class with one mark, & one without, | a new line in it.
WRONG = {
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
