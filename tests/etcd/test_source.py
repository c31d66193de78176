"""Configuration in a real etcd: what is read, what is followed, and what happens when the server goes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from etcd.serving import NEEDED, Etcd
from killable import until

from kratos.config import Config, ConfigError, Values, WatchedSource
from kratos.contrib.etcd import EtcdSource

pytestmark = NEEDED


@pytest.mark.parametrize(
    ("key", "document"),
    [
        ("/shop.yaml", "server: {timeout: 2s}"),
        ("/shop.yml", "server:\n  timeout: 2s"),
        ("/shop.JSON", '{"server": {"timeout": "2s"}}'),
        ("/größe.toml", "[server]\ntimeout = '2s'"),
    ],
)
async def test_a_key(etcd: Etcd, key: str, document: str) -> None:
    """The end of the key says what it is written in, and values know where they stand."""
    etcd.ctl("put", key, document)
    config = await Config.load(EtcdSource(etcd.address, key))
    assert config.get(str, "server.timeout") == "2s"
    (entry,) = config.entries()
    assert str(entry.place).startswith(f"etcd:{key}")


async def test_keys_below_a_prefix(etcd: Etcd) -> None:
    """Documents and single texts, later keys over earlier ones; of others nothing."""
    for key, value in {
        "/shop/": "",
        "/shop/10-base.yaml": "db: {host: a, port: 1}\nname: base",
        "/shop/20-more.json": '{"db": {"host": "b"}}',
        "/shop/db/": "",
        "/shop/db/password": "${not} a placeholder",
        "/shop/db/pool.size": "5",
        "/shop2/name": "other",
        "/shop.yaml": "name: another",
    }.items():
        etcd.ctl("put", key, value)
    config = await Config.load(EtcdSource(etcd.address, "/shop/"))
    assert config.get(dict[str, object]) == {
        "db": {"host": "b", "port": 1, "password": "${not} a placeholder", "pool.size": "5"},
        "name": "base",
    }
    assert config.get(int, 'db."pool.size"') == 5


async def test_nothing_there(etcd: Etcd) -> None:
    """That is an error, unless it may be so."""
    with pytest.raises(ConfigError, match=rf"^etcd:/shop.yaml: there is no such key in etcd \(http://{etcd.address}\)"):
        await EtcdSource(etcd.url, "/shop.yaml").load()
    with pytest.raises(ConfigError, match="^etcd:/shop/: there is no key below this prefix"):
        await EtcdSource(etcd.url, "/shop/").load()
    for path in ("/shop.yaml", "/shop/"):
        config = await Config.load(EtcdSource(etcd.url, path, optional=True))
        assert config.get(dict[str, object]) == {}


async def test_bad_documents(etcd: Etcd) -> None:
    """All that is wrong is told at once, with key, line and column."""
    etcd.ctl("put", "/shop/a.json", "{\n  1}")
    etcd.ctl("put", "/shop/b.yaml", "[1]")
    etcd.ctl("put", "/shop/c", "\udcff")
    with pytest.raises(ConfigError) as failure:
        await EtcdSource(etcd.address, "/shop/").load()
    first, second, third = map(str, failure.value.problems)
    assert first.startswith("etcd:/shop/a.json:2:3: not JSON")
    assert second.startswith("etcd:/shop/b.yaml:1: not a mapping")
    assert third == "etcd:/shop/c: not UTF-8"


async def test_no_etcd() -> None:
    """It says who could not be reached; that the key may be missing does not matter here."""
    with pytest.raises(ConfigError, match=r"^etcd:/a\.yaml: cannot be read from 127\.0\.0\.1:1: cannot reach 127"):
        await EtcdSource("127.0.0.1:1", "/a.yaml", optional=True).load()


async def test_it_is_followed(etcd: Etcd, caplog: pytest.LogCaptureFixture) -> None:
    """Changes count; a bad document, and one that is gone, do not."""
    etcd.ctl("put", "/shop.yaml", "level: info")
    source = EtcdSource(etcd.address, "/shop.yaml")
    assert isinstance(source, WatchedSource)
    config = await Config.load(Values({"level": "none"}), source)
    level = config.live(str, "level")
    async with config:
        put = _putting(etcd)
        await put("level: debug")
        await until(lambda: level.value == "debug")
        await put("level: [")
        await until(lambda: config.refused)
        assert "etcd:/shop.yaml:1" in str(config.refused)
        await put("level: warn")
        await until(lambda: level.value == "warn" and not config.refused)
        etcd.ctl("del", "/shop.yaml")
        await until(lambda: config.refused)
        assert "there is no such key" in str(config.refused)
        assert level.value == "warn"
        await put("level: error")
        await until(lambda: level.value == "error" and not config.refused)
    assert not [record for record in caplog.records if record.exc_info]


async def test_keys_come_and_go(etcd: Etcd) -> None:
    """Below a prefix a key that is gone takes its values with it."""
    etcd.ctl("put", "/shop/a.yaml", "a: 1")
    config = await Config.load(EtcdSource(etcd.address, "/shop/"))
    one, two = config.live(int, "a", default=0), config.live(str, "b.c", default="")
    async with config:
        etcd.ctl("put", "/shop/b/c", "text")
        await until(lambda: two.value == "text")
        etcd.ctl("del", "/shop/a.yaml")
        await until(lambda: one.value == 0)
        assert two.value == "text"


async def test_what_changed_before_it_is_followed(etcd: Etcd) -> None:
    """Between reading and following nothing is missed; both may happen in event loops of their own."""
    etcd.ctl("put", "/shop.yaml", "level: info")
    config = await asyncio.to_thread(lambda: asyncio.run(Config.load(EtcdSource(etcd.address, "/shop.yaml"))))
    level = config.live(str, "level")
    etcd.ctl("put", "/shop.yaml", "level: debug")
    async with config:
        await until(lambda: level.value == "debug")


@pytest.mark.parametrize("wiped", [False, True], ids=["with its data", "empty"])
async def test_an_etcd_that_comes_back(etcd: Etcd, wiped: bool, caplog: pytest.LogCaptureFixture) -> None:
    """What was read last counts while it is away, and when it has lost everything; then changes count again."""
    etcd.ctl("put", "/shop.yaml", "level: info")
    config = await Config.load(EtcdSource(etcd.address, "/shop.yaml"))
    level = config.live(str, "level")
    async with config:
        etcd.ctl("put", "/shop.yaml", "level: debug")
        await until(lambda: level.value == "debug")
        etcd.kill()
        await until(lambda: "is not watched" in caplog.text)
        if wiped:
            etcd.wipe()
        await asyncio.to_thread(etcd.start)
        if wiped:
            await until(lambda: config.refused)
        assert level.value == "debug"
        await _putting(etcd)("level: warn")
        await until(lambda: level.value == "warn" and not config.refused)
    assert not [record for record in caplog.records if record.exc_info]


def _putting(etcd: Etcd) -> Callable[[str], object]:
    async def put(document: str) -> None:
        await asyncio.to_thread(etcd.ctl, "put", "/shop.yaml", document)

    return put
