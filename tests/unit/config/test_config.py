"""``Config``: sources in, typed values out."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fixtures.gen.fixture.codec.v1.everything_pb import Tree

from kratos.config import Config, ConfigError, Env, File, Source, Values
from kratos.config.base import Layer
from kratos.config.keys import join, parse


@dataclass
class Server:
    addr: str
    timeout: dt.timedelta = dt.timedelta(seconds=1)


async def test_load(tmp_path: Path) -> None:
    """Later sources win, key by key."""
    (tmp_path / "a.yaml").write_text("server:\n  addr: ${HOST:127.0.0.1}:8000\n  timeout: 1s\n")
    sources: list[Source] = [File(tmp_path), Env("SHOP_", environ={"SHOP_SERVER__TIMEOUT": "1m30s"})]
    config = await Config.load(*sources)
    assert config.get(Server, "server") == Server("127.0.0.1:8000", dt.timedelta(seconds=90))
    config = await Config.load(*sources, Values({"host": "::1"}))
    assert config.get(str, "server.addr") == "::1:8000"
    assert (await Config.load()).get(dict) == {}


async def test_all_sources_that_fail(tmp_path: Path) -> None:
    """What is wrong with sources is told at once; an error of another kind is passed on."""
    (tmp_path / "a.yaml").write_text("a: [")
    with pytest.raises(ConfigError) as caught:
        await Config.load(File(tmp_path), File(tmp_path / "b.yaml"), Values({}))
    assert len(caught.value.problems) == 2
    assert str(caught.value).startswith("2 problems:\n  ")
    copy = pickle.loads(pickle.dumps(caught.value))  # noqa: S301 - our own bytes
    assert (str(copy), copy.problems) == (str(caught.value), caught.value.problems)

    class Broken:
        name = "broken"

        async def load(self) -> Layer:
            raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        await Config.load(Values({}), Broken())


async def test_keys() -> None:
    """Paths with dots, indices and quotes; spellings do not matter; what is missing is told with what is near."""
    config = await Config.load(
        Values({"server": {"http": [{"addr": "a"}, {"addr": "b"}]}, "labels": {'"a.b"': 1}, "readTimeout": 5})
    )
    assert config.get(str, "server.http[1].addr") == config.get(str, "server.http.1.addr") == "b"
    assert config.get(int, 'labels."a.b"') == 1
    assert config.get(int, "read_timeout") == config.get(int, "READ-TIMEOUT") == 5
    for key, said in [
        ("server.htp", "values of the program: server.htp: no such key; did you mean http?"),
        ("sever", "sever: no such key; did you mean server?"),
        ("xyz", "xyz: no such key"),
        ("server.http[2]", "no such key"),
        ("server.http.x", "no such key"),
        ("server[0]", "no such key"),
        ("server.http[0].addr.x", "no such key"),
        ("server..http", "not a key"),
        ("aasasdg=234l.asdfk,", "no such key"),
        ("server.", "not a key"),
        ('"', "not a key"),
    ]:
        with pytest.raises(ConfigError) as caught:
            config.get(str, key)
        assert said in str(caught.value), key


@pytest.mark.parametrize("segments", [("a", "b"), ("a.b", "c"), ("a b", "[x]"), ("ä",)])
def test_paths_come_back(segments: tuple[str, ...]) -> None:
    """What is joined is parsed to the same segments."""
    path = ""
    for segment in segments:
        path = join(path, segment)
    assert parse(path) == segments


async def test_defaults() -> None:
    """A default stands for what is missing or null, never for what is wrong."""
    config = await Config.load(Values({"a": None, "b": "x", "c": 0}))
    assert config.get(int, "a", default=5) == 5
    assert config.get(int, "z.y", default=None) is None
    assert config.get(int, "c", default=5) == 0
    assert config.get(int | None, "a") is None
    with pytest.raises(ConfigError, match="b: 'x' is not a whole number"):
        config.get(int, "b", default=5)
    with pytest.raises(ConfigError, match="a: there has to be a value"):
        config.get(int, "a")


async def test_values_are_kept() -> None:
    """A value of a class is made once, and a default is not kept."""
    config = await Config.load(Values({"x": {"name": "a"}, "y": {"addr": "b"}}))
    assert config.get(Tree, "x") is config.get(Tree, "x")
    assert config.get(Server, "y") is config.get(Server, "y")
    assert config.get(Server, "z", default=1) == 1
    assert config.get(Server, "z", default=2) == 2
    assert config.get(dict[str, str], "y") == {"addr": "b"}


async def test_many_readers() -> None:
    """Threads read and loads run beside each other."""
    sources = [Values({"server": {"addr": f"${{n}}:{number}"}, "n": number}) for number in range(80)]
    configs = await asyncio.gather(*(Config.load(source) for source in sources))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda config: config.get(Server, "server"), configs * 2))
    assert [server.addr for server in found] == [f"{number}:{number}" for number in range(80)] * 2


def test_light(tmp_path: Path) -> None:
    """Configuration without YAML and messages loads neither library."""
    (tmp_path / "a.json").write_text('{"a": 1}')
    script = (
        "import asyncio, sys\nfrom kratos.config import Config, Env, File, Values\n"
        "config = asyncio.run(Config.load(File('a.json'), Env('X_'), Values({})))\n"
        "assert config.get(int, 'a') == 1\nprint(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert not {"yaml", "protobuf", "kratos.app"} & set(done.stdout.split())


def test_facade() -> None:
    """The façade has its names, and no others."""
    import kratos.config

    assert all(getattr(kratos.config, name) for name in kratos.config.__all__)
    name: Any = "Nothing"
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        getattr(kratos.config, name)


async def test_the_tree_comes_back() -> None:
    """All there is, as plain data, is what was said."""
    config = await Config.load(Values({"a": {"b": {"X": 1}}}), Values({}))
    assert json.dumps(config.get(dict), separators=(",", ":")) == '{"a":{"b":{"X":1}}}'
    assert (await Config.load(Values({}))).get(dict) == {}
