"""A configuration that follows its sources: what changes, what is refused, who hears of it."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pytest
from fixtures.gen.fixture.codec.v1.everything_pb import Tree

from kratos.app import App
from kratos.config import Change, Config, ConfigError, Env, File, Source, Values, WatchedSource
from kratos.config import watching as watching_module
from kratos.config.base import Layer, Problem, State
from kratos.live import Live
from kratos.testing import FakeClock


class Wire:
    """A source that changes when the test says so.

    Args:
        values: What it says at first.
        name: What it is called.
    """

    def __init__(self, values: dict[str, Any] | None = None, name: str = "wire") -> None:
        self.name = name
        self.values = values or {}
        self.states: asyncio.Queue[State | Exception | None] = asyncio.Queue()
        self.watches = 0

    async def load(self) -> Layer:
        """Reads."""
        return await Values(self.values, name=self.name).load()

    async def watch(self) -> AsyncIterator[State]:
        """Yields what the test has put there; raises an exception, and ends at None."""
        self.watches += 1
        while (state := await self.states.get()) is not None:
            if isinstance(state, Exception) and not isinstance(state, ConfigError):
                raise state
            yield state


@dataclass
class Server:
    addr: str
    timeout: dt.timedelta = dt.timedelta(seconds=1)

    def __post_init__(self) -> None:
        if self.addr == "nowhere":
            raise ValueError("there is no such place")


async def layer(values: dict[str, Any], name: str = "wire") -> Layer:
    return await Values(values, name=name).load()


async def loaded(*values: dict[str, Any]) -> tuple[Config, Any]:
    """A configuration of some sources, and what changes one of them at once."""
    sources = [Wire(each, f"wire{at}") for at, each in enumerate(values)]
    config = await Config.load(*sources)

    async def change(at: int, said: dict[str, Any] | ConfigError) -> bool:
        state = said if isinstance(said, ConfigError) else await layer(said, f"wire{at}")
        return config._current.take(at, state)

    return config, change


async def test_live() -> None:
    """A live value follows; so does what is mapped from it, before anybody hears."""
    config, change = await loaded({"server": {"addr": "a", "timeout": "1s"}, "level": "info"})
    server = config.live(Server, "server")
    timeout = config.live(dt.timedelta, "server.timeout").map(dt.timedelta.total_seconds)
    level = config.live(str, "level", default="warning")
    assert config.live(str, "level", default="warning") is level
    assert config.live(str, "level", default="error") is not level
    assert config.live(str, "level") is not level
    heard: list[object] = []
    server.observe(lambda value: heard.append((value, timeout.value, level.value)))
    level.observe(lambda value: heard.append((value, server.value.addr)))
    assert await change(0, {"server": {"addr": "b", "timeout": "2s"}, "level": "debug"})
    assert heard == [
        (Server("b", dt.timedelta(seconds=2)), 2.0, "debug"),
        ("debug", "b"),
    ]
    assert config.get(Server, "server") == server.value
    heard.clear()
    assert await change(0, {"server": {"addr": "b", "timeout": "2000ms"}, "level": "debug"})
    assert heard == []


async def test_removal() -> None:
    """A key that is gone is gone: live values are their defaults, observers hear of it, and it cannot go unnoticed."""
    config, change = await loaded({"a": {"b": 1, "c": 2}, "d": 3})
    b = config.live(int, "a.b", default=None)
    d = config.live(int, "d", default=9)
    heard: list[Change] = []
    config.observe(heard.append, "a.b")
    config.observe(heard.append, "e")
    assert await change(0, {"a": {"c": 2}, "e": None})
    assert (b.value, d.value) == (None, 9)
    assert heard == [
        Change("a.b", 1, None, removed=True),
        Change("e", None, None, added=True),
    ]
    assert config.get(dict, "a") == {"c": 2}
    assert "1" not in repr(heard[0]).replace("a.b", "")


async def test_observers() -> None:
    """Several for a key, each with its own end; one that fails keeps nobody from hearing; below counts too."""
    config, change = await loaded({"a": {"b": {"c": 1}}, "x": 1})
    heard: list[str] = []
    stops = [config.observe(lambda change, at=at: heard.append(f"{at}{change.after}"), "a.b") for at in range(2)]

    def fail(change: Change) -> None:
        raise LookupError(change.key)

    config.observe(fail, "a")
    config.observe(lambda change: heard.append(change.key))
    assert await change(0, {"a": {"b": {"c": 2}}, "x": 1})
    assert heard == ["0{'c': 2}", "1{'c': 2}", ""]
    stops[0]()
    stops[0]()
    heard.clear()
    assert await change(0, {"a": {"b": {"c": 2}}, "x": 2})
    assert await change(0, {"a": {"b": {"c": 3}}, "x": 2})
    assert heard == ["", "1{'c': 3}", ""]
    with pytest.raises(ConfigError, match="not a key"):
        config.observe(fail, "a..b")


async def test_failing_observers_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    """What an observer raises is in the log, and the change stands."""
    config, change = await loaded({"a": 1})

    def fail(_: object) -> None:
        raise LookupError("of mine")

    config.live(int, "a").observe(fail)
    config.observe(fail, "a")
    assert await change(0, {"a": 2})
    assert config.get(int, "a") == 2
    assert caplog.text.count("LookupError: of mine") == 2
    assert caplog.text.count("an observer of the configuration failed") == 2


async def test_async_observers(caplog: pytest.LogCaptureFixture) -> None:
    """They run one at a time and end with the last value; what they raise is logged; stop ends them."""
    config, change = await loaded({"a": 0})
    heard: list[int] = []
    go, done = asyncio.Event(), asyncio.Event()

    async def slow(value: int) -> None:
        await go.wait()
        heard.append(value)
        if value == 1:
            raise LookupError("of mine")
        done.set()

    async def never(_: Change) -> None:
        await asyncio.Event().wait()

    config.live(int, "a").map(int).observe(slow)
    config.observe(never, "a")
    assert config._current.tasks == ()
    await change(0, {"a": 1})
    await asyncio.sleep(0)
    await change(0, {"a": 2})
    await change(0, {"a": 3})
    assert len(config._current.tasks) == 2
    go.set()
    await done.wait()
    assert heard == [1, 3]
    assert "LookupError: of mine" in caplog.text
    assert len(config._current.tasks) == 1
    await config.stop()
    await config.stop()
    assert config._current.tasks == ()


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ({"server": {"addr": "a", "timeout": "soon"}}, "wire0: server.timeout: 'soon' is not a duration"),
        ({"server": {"addr": "nowhere"}}, "server: a mapping is refused: there is no such place"),
        ({"server": {}}, "wire0: server.addr: missing"),
        ({"server": {"addr": "a", "adr": "b"}}, "server.adr: no such key; did you mean addr?"),
        ({}, "server: no such key"),
        ({"server": {"addr": "${b}"}}, "wire0: server.addr: ${b} is not set"),
        ({"server": {"addr": "${b}"}, "b": "${server.addr}"}, "refers to itself: server.addr → b → server.addr"),
        ({"server": {"addr": "a"}, "port": "x"}, "wire0: port: 'x' is not a whole number"),
        ({"server": {"addr": "a"}, "port": -1}, "wire0: port: -1 is refused: a port is positive"),
        ({"server": {"addr": "a"}, "port": 13}, "wire0: port: 13 is refused: ZeroDivisionError"),
        ({"server": {"addr": "a"}, "pin": "x"}, "wire0: pin: 'x' is not a whole number"),
        ({"server": {"addr": "a"}, "tree": {"nme": 1}}, "wire0: tree.nme: no such key; did you mean name?"),
    ],
)
async def test_refused(bad: dict[str, Any], said: str, caplog: pytest.LogCaptureFixture) -> None:
    """A change that leaves somebody without what was asked for changes nothing, and one line says why."""
    good = {"server": {"addr": "a"}, "port": 1, "level": "info"}
    config, change = await loaded(good)
    server = config.get(Server, "server")
    config.get(int, "pin", default=None)
    config.get(Tree, "tree", default=None)
    config.get(dict[str, object] | None, "tree", default=None)

    def checked(value: int) -> int:
        if value < 0:
            raise ValueError("a port is positive")
        return 1 // (value - 13) or value

    port = config.live(int, "port", default=5)
    port.map(checked)
    level = config.live(str, "level")
    level.observe(lambda _: pytest.fail("nothing has changed"))
    config.observe(lambda _: pytest.fail("nothing has changed"))
    assert config.refused is None
    assert not await change(0, {"level": "debug", **bad})
    assert (config.get(Server, "server"), port.value, level.value) == (server, 1, "info")
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("kratos.config", "ERROR")
    assert said in record.getMessage()
    assert "\n" not in record.getMessage()
    assert said in str(config.refused)
    assert await change(0, good)
    assert config.refused is None


async def test_defaults_are_refused_too(caplog: pytest.LogCaptureFixture) -> None:
    """A removal whose default somebody refuses is refused, and said so."""
    config, change = await loaded({"port": 1})
    config.live(int, "port", default=0).map(lambda value: 1 // value)
    assert not await change(0, {})
    assert "port: the default is refused: ZeroDivisionError" in caplog.text


async def test_secrets_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A refusal shows no secret, and a change shows keys only."""
    caplog.set_level(logging.DEBUG)
    config, change = await loaded({"db": {"password": "1", "url": "x"}})
    config.get(int, "db.password")
    assert not await change(0, {"db": {"password": "hunter2"}})
    assert await change(0, {"db": {"password": "4711", "url": "postgres://u:hunter2@h"}})
    assert "db.password, db.url" in caplog.text
    assert "hunter2" not in caplog.text
    assert "4711" not in caplog.text


async def test_what_is_said_of_changes(caplog: pytest.LogCaptureFixture) -> None:
    """Keys are named, up to ten; a source that is well again is said to be so."""
    caplog.set_level(logging.INFO, "kratos.config")
    _, change = await loaded({})
    assert await change(0, {f"k{number:02}": 1 for number in range(12)})
    assert "the configuration has changed: k00, k01" in caplog.text
    assert "k09 and 2 more" in caplog.text
    assert not await change(0, ConfigError(config_problem()))
    caplog.clear()
    assert await change(0, {f"k{number:02}": 1 for number in range(12)})
    assert [record.getMessage() for record in caplog.records] == [
        "the configuration can be used again, and is as it was"
    ]


def config_problem() -> list[Any]:
    with pytest.raises(ConfigError) as caught:
        Values({"a..b": 1})
    return list(caught.value.problems)


async def test_order_of_sources_decides() -> None:
    """A low source that changes later does not win; what it says shows where the others say nothing."""
    config, change = await loaded({"a": "low", "b": "low"}, {"a": "high"})
    assert await change(0, {"a": "low2", "b": "low2"})
    assert config.get(dict) == {"a": "high", "b": "low2"}
    assert await change(1, {})
    assert config.get(dict) == {"a": "low2", "b": "low2"}


async def test_placeholders_are_rendered_anew() -> None:
    """When what a placeholder names changes, so does the value, in whatever source it is."""
    config, change = await loaded({"addr": "${host:none}:${port}"}, {"port": 1})
    addr = config.live(str, "addr")
    assert await change(1, {"port": 2, "host": "h"})
    assert addr.value == "h:2"
    assert await change(1, {"port": 3})
    assert addr.value == "none:3"


async def test_sources_that_need_each_other(caplog: pytest.LogCaptureFixture) -> None:
    """A change that needs another source's is refused until that one comes; then both count."""
    config, change = await loaded({"a": 1}, {"b": 1})
    assert not await change(0, {"a": "${c}"})
    assert "${c} is not set" in caplog.text
    assert await change(1, {"b": 2})
    assert config.get(dict) == {"a": 1, "b": 2}
    assert config.refused is not None
    assert await change(1, {"b": 2, "c": 3})
    assert config.get(dict) == {"a": 3, "b": 2, "c": 3}
    assert config.refused is None


async def test_what_was_asked_for() -> None:
    """Required once is required; what failed, or was made up by the program, binds nobody for ever."""
    config, change = await loaded({"a": 1})
    assert config.get(int, "a", default=0) == 1
    assert config.live(int, "a", default=0).value == 1
    unhashable: Any = Annotated[int, []]
    assert config.get(unhashable, "a", default=0) == 1
    assert await change(0, {"b": 1})
    assert await change(0, {"a": 1})
    assert config.get(int, "a", default=0) == config.get(int, "a") == 1
    assert not await change(0, {"b": 1})
    config, change = await loaded({"b": 1})
    with pytest.raises(ConfigError):
        config.get(int, "a")
    assert await change(0, {"b": "x"})
    assert config.get(list[int], "c", default=None) is None
    for number in range(10_010):
        config.get(int, f"made.up{number}", default=None)
    assert len(config._current._asked) == 10_000
    assert await change(0, {"b": 1, "made": {"up10009": "x"}})
    assert not await change(0, {"b": 1, "made": {"up0": "x"}})


async def test_snapshot() -> None:
    """A snapshot stays as it is."""
    config, change = await loaded({"a": 1, "b": 1})
    snapshot = config.snapshot
    assert await change(0, {"a": 2, "b": 2})
    assert (snapshot.get(int, "a"), snapshot.get(int, "b"), config.get(int, "a")) == (1, 1, 2)


async def test_protocol() -> None:
    """What can change says so, by its type."""
    sources: list[Source] = [File("x"), Wire(), Env("X_"), Values({})]
    assert [isinstance(source, WatchedSource) for source in sources] == [True, True, False, False]
    watched: WatchedSource = File("x")
    assert watched.name == "x"


async def test_watching(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Watches run while somebody is inside; one that breaks begins anew, one that ends is over; stop ends them all."""
    monkeypatch.setattr(watching_module, "FIRST_PAUSE_SECONDS", 0.001)
    wires = [Wire({"a": 0}, "wire"), Wire({}, "other")]
    config = await Config.load(*wires, Values({}))
    a = config.live(int, "a")
    news: asyncio.Queue[int] = asyncio.Queue()
    a.observe(news.put_nowait)
    before = asyncio.all_tasks()
    async with config, config.watching() as same:
        assert same is config
        assert len(asyncio.all_tasks() - before) == 2
        wires[0].states.put_nowait(await layer({"a": 1}))
        assert await news.get() == 1
        wires[0].states.put_nowait(ConnectionError("no line"))
        wires[0].states.put_nowait(RuntimeError("a defect"))
        wires[0].states.put_nowait(await layer({"a": 2}))
        assert await news.get() == 2
        assert wires[0].watches == 3
        assert "wire is not watched: no line; again in 0.001 s" in caplog.text
        assert "wire is not watched: a defect" in caplog.text
        assert [bool(record.exc_info) for record in caplog.records] == [False, True]
        wires[1].states.put_nowait(None)
        (over,) = [task for task in asyncio.all_tasks() if task.get_name() == "kratos config other"]
        await over
    assert asyncio.all_tasks() == before
    await config.stop()
    async with config:
        await config.start()
        wires[0].states.put_nowait(await layer({"a": 3}))
        assert await news.get() == 3
    assert asyncio.all_tasks() == before


async def test_a_lost_watch_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as a source is not watched ``refused`` says so, without what defects tell and without passwords."""
    monkeypatch.setattr(watching_module, "FIRST_PAUSE_SECONDS", 1.0)
    wires = [Wire({"a": 0}, "wire"), Wire({"b": 0}, "other")]
    with FakeClock() as clock:
        config = await Config.load(*wires)
        a = config.live(int, "a")
        async with config:
            await clock.advance(0.1)
            assert config.refused is None
            wires[0].states.put_nowait(ConnectionError("no line to https://eva:hunter2@config/"))
            wires[1].states.put_nowait(RuntimeError("hunter2"))
            await clock.advance(0.1)
            refused = config.refused
            assert str(refused).splitlines() == [
                "2 problems:", "  wire is not watched: no line to https://eva:***@config/",
                "  other is not watched: RuntimeError",
            ]  # fmt: skip
            await clock.advance(1.1)  # both are watched again; one of them has something to say
            assert [wire.watches for wire in wires] == [2, 2]
            wires[0].states.put_nowait(await layer({"a": 1}))
            await clock.advance(0.1)
            assert a.value == 1
            assert str(config.refused) == "other is not watched: RuntimeError"
            wires[1].states.put_nowait(ConnectionError("no line"))
            await clock.advance(0.1)
            assert str(config.refused) == "other is not watched: no line"
            wires[0].states.put_nowait(ConfigError([Problem("not understood")]))
            await clock.advance(0.1)
            assert str(config.refused).splitlines()[1:] == ["  not understood", "  other is not watched: no line"]
            await clock.advance(10)
            assert config.refused is not None
            assert len(config.refused.problems) == 2
            await clock.advance(10)  # the other watch lasts
            assert str(config.refused) == "not understood"
            wires[0].states.put_nowait(await layer({"a": 2}))
            wires[1].states.put_nowait(ConnectionError("no line"))
            wires[1].states.put_nowait(None)  # it will not change any more, says the next watch
            await clock.advance(30)
            assert config.refused is None
            wires[0].states.put_nowait(ConnectionError("no line"))
            await clock.advance(0.1)
            assert config.refused is not None
        assert config.refused is None


async def test_shared() -> None:
    """Of two apps that share a configuration, the first to leave does not end it for the other."""
    wire = Wire({"a": 0})
    config = await Config.load(wire)
    apps = [App(name=name, hooks=[config.watching]) for name in "ab"]
    news: asyncio.Queue[int] = asyncio.Queue()
    config.live(int, "a").observe(news.put_nowait)
    async with apps[0]:
        async with apps[1]:
            pass
        wire.states.put_nowait(await layer({"a": 1}))
        assert await news.get() == 1
    async with config:
        await config.stop()
    async with config:
        async with config:
            pass
        wire.states.put_nowait(await layer({"a": 2}))
        assert await news.get() == 2
    assert config._watching.leave() == []


async def test_stop_whatever_fails() -> None:
    """A watch that raises when it is cancelled keeps no other from ending, nor does who stops from where."""

    class Stubborn(Wire):
        async def watch(self) -> AsyncIterator[State]:
            try:
                await asyncio.Event().wait()
            finally:
                raise RuntimeError("no")
            yield

    config = await Config.load(Stubborn(), Wire())
    before = asyncio.all_tasks()
    async with config:
        await asyncio.sleep(0)
    while asyncio.all_tasks() != before:
        await asyncio.sleep(0)

    wire = Wire({"a": 0})
    config = await Config.load(wire)
    stopped = asyncio.Event()

    async def stop(_: int) -> None:
        await config.stop()
        stopped.set()

    config.live(int, "a").observe(stop)
    async with config:
        wire.states.put_nowait(await layer({"a": 1}))
        await stopped.wait()


def test_loops_come_and_go() -> None:
    """A configuration that was loaded, or watched, in a loop that is closed can be watched in another."""
    config = asyncio.run(Config.load(Values({"a": 0}), Values({})))

    async def forgotten() -> Config:
        wire = Wire({"a": 0})
        config = await Config.load(wire)
        config.live(int, "a").observe(hang)
        await config.start()
        config._current.take(0, await layer({"a": 1}))
        await asyncio.sleep(0)
        return config

    async def hang(_: int) -> None:
        await asyncio.Event().wait()

    async def again(config: Config) -> None:
        config._current.take(0, await layer({"a": 2}))
        async with config:
            pass

    config = asyncio.run(forgotten())
    asyncio.run(again(config))


async def test_real_files(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """With the real watcher: edits count, also one from before; a bad one is refused with its line."""
    path = tmp_path / "config.yaml"
    path.write_text("server:\n  timeout: 1s\n")
    config = await Config.load(File(tmp_path, every=0.01), Env("X_", environ={}))
    timeout: Live[dt.timedelta] = config.live(dt.timedelta, "server.timeout")
    news: asyncio.Queue[dt.timedelta] = asyncio.Queue()
    timeout.observe(news.put_nowait)
    path.write_text("server:\n  timeout: 2s\n")  # before anybody watches
    async with App(name="x", hooks=[config.watching]):
        assert await news.get() == dt.timedelta(seconds=2)
        path.write_text("server:\n  timeout: soon\n")
        while config.refused is None:
            await asyncio.sleep(0.01)
        assert f"{path}:2: server.timeout: 'soon' is not a duration" in caplog.text
        fresh = tmp_path / ".config.yaml.swp"
        fresh.write_text("server:\n  timeout: 3s\n")
        fresh.replace(path)
        assert await news.get() == dt.timedelta(seconds=3)
        assert config.refused is None
    assert len(caplog.records) == 1
