"""The contract of registries, held by ZooKeeper: a real server, its own client, and faults of all kinds."""

from __future__ import annotations

import asyncio
import itertools
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from alone import run_alone
from contracts.zookeeping import NEEDED, ZooKeeper
from kazoo.client import KazooClient
from kazoo.handlers.threading import KazooTimeoutError
from kazoo.security import OPEN_ACL_UNSAFE, make_digest_acl
from killable import PATIENCE_SECONDS, Relay, until

from kratos.contrib.zookeeper import ZooKeeperRegistry
from kratos.contrib.zookeeper.session import Options, Session
from kratos.registry import Instance, InvalidInstance, Patience
from kratos.testing.registry import PATIENCE, NetworkContract, RecordContract, watching

pytestmark = NEEDED

MINIMAL = b'{"id":"0","name":"helloworld","version":"","metadata":null,"endpoints":null}'
FULL = (
    b'{"id":"u1","name":"helloworld","version":"v1.0.0","metadata":{"color":"x","zone":"a\\u003cb"},'
    b'"endpoints":["http://127.0.0.1:8000?a=1\\u0026b=2","grpc://127.0.0.1:9000"]}'
)
ENDPOINTS = ("http://127.0.0.1:8000?a=1&b=2", "grpc://127.0.0.1:9000")
SHOP = Instance("u1", "helloworld", "v1.0.0", {"zone": "a<b", "color": "x"}, ENDPOINTS)
BELOW = "/microservices/helloworld"
SECONDS = 2.0  # a session lasts

Make = Callable[..., ZooKeeperRegistry]

_roots = itertools.count()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ZooKeeper]:
    """A server that is ready."""
    zookeeper = ZooKeeper(tmp_path_factory.mktemp("zookeeper"))
    try:
        zookeeper.start()
        yield zookeeper
    finally:
        zookeeper.kill()


@pytest.fixture
def relay(server: ZooKeeper) -> Iterator[Relay]:
    """A stretch of network in front of the server of all."""
    between = Relay(server.address)
    yield between
    between.close()


@pytest.fixture
def zookeeper(tmp_path: Path) -> Iterator[ZooKeeper]:
    """A server of one's own."""
    zookeeper = ZooKeeper(tmp_path)
    try:
        zookeeper.start()
        yield zookeeper
    finally:
        zookeeper.kill()


@pytest.fixture
async def registry(zookeeper: ZooKeeper) -> AsyncIterator[Make]:
    """Makes registries, and looks whether threads are left of them."""
    made: list[ZooKeeperRegistry] = []
    before = {*threading.enumerate()}

    def make(endpoints: str = zookeeper.address, **options: Any) -> ZooKeeperRegistry:
        made.append(ZooKeeperRegistry(endpoints, **{"session": SECONDS, "patience": PATIENCE, **options}))
        return made[-1]

    yield make
    for each in made:
        await each.aclose()
    await until(lambda: not kazoo_threads() - before)


@pytest.fixture
def plain(zookeeper: ZooKeeper) -> Iterator[KazooClient]:
    """A client that knows nothing of us."""
    with client(zookeeper) as known:
        yield known


@contextmanager
def client(zookeeper: ZooKeeper, **options: Any) -> Iterator[KazooClient]:
    known = KazooClient(zookeeper.address, connection_retry={"max_tries": -1}, **options)
    known.start()
    try:
        yield known
    finally:
        known.stop()
        known.close()


def kazoo_threads() -> set[threading.Thread]:
    """Returns the threads of kazoo's that there are, and ours that end them."""
    return {each for each in threading.enumerate() if "asyncio" not in each.name and each.daemon}


class TestZooKeeper(NetworkContract, RecordContract):
    """Each test has a root of its own in one server."""

    seconds = 6.0
    forgets = 9.0

    @pytest.fixture(autouse=True)
    def place(self, server: ZooKeeper, relay: Relay, request: pytest.FixtureRequest) -> None:
        self.server = server
        self.relay = relay
        self.root = f"/contract/{next(_roots)}"
        self.address = relay.address if "network" in request.node.name else server.address

    def make(self) -> ZooKeeperRegistry:
        return ZooKeeperRegistry(self.address, root=self.root, session=self.seconds, patience=PATIENCE)

    async def spoil(self, name: str) -> None:
        with client(self.server) as plain:
            plain.create(f"{self.root}/{name}/bad", b'{"id": 1}')
            plain.create(f"{self.root}/{name}/empty", b"")
            plain.create(f"{self.root}/{name}/secret", MINIMAL, acl=[make_digest_acl("somebody", "else", all=True)])

    async def kill(self) -> None:
        self.server.kill()
        self.server.wipe()

    async def start(self) -> None:
        await asyncio.to_thread(self.server.start)

    async def cut(self) -> None:
        self.relay.cut()

    async def heal(self) -> None:
        self.relay.heal()


async def test_nodes_and_records(zookeeper: ZooKeeper, registry: Make, plain: KazooClient) -> None:
    """They are those of Kratos for Go, byte for byte, and end with the session; what is above them stays."""
    ours = registry()
    await ours.register(SHOP)
    await ours.register(Instance("0", "helloworld"))
    assert (plain.get(f"{BELOW}/u1")[0], plain.get(f"{BELOW}/0")[0]) == (FULL, MINIMAL)
    told = await asyncio.to_thread(zookeeper.cli, "get", "-s", f"{BELOW}/u1")
    assert FULL.decode() in told
    owner = told.partition("ephemeralOwner = ")[2].split()[0]
    assert int(owner, 16) == plain.get(f"{BELOW}/0")[1].ephemeralOwner != 0
    for above in (BELOW, "/microservices"):
        data, stat = plain.get(above)
        assert (data, stat.ephemeralOwner) == (b"", 0)
    assert plain.get_acls(f"{BELOW}/u1")[0] == OPEN_ACL_UNSAFE
    await ours.deregister(SHOP)
    assert plain.get_children(BELOW) == ["0"]
    await ours.aclose()
    assert plain.get_children(BELOW) == []


async def test_records_of_others(registry: Make, plain: KazooClient, caplog: pytest.LogCaptureFixture) -> None:
    """What Go has written is found, and what becomes of it; what nobody can read is told once, and hides nobody."""
    ours = registry(root="/deep/down/shops/")
    async with watching(ours, "helloworld") as watch:
        await watch.ids()
        plain.create("/deep/down/shops/helloworld/u1", FULL, makepath=True)
        assert await watch.ids("u1") == (SHOP,)
        plain.create("/deep/down/shops/helloworld/bad", b'{"id": 1}')
        plain.create("/deep/down/shops/helloworld/0", MINIMAL)
        await watch.ids("0", "u1")
        plain.set("/deep/down/shops/helloworld/u1", FULL.replace(b"v1.0.0", b"v2"))
        await watch.versions("", "v2")
        plain.set("/deep/down/shops/helloworld/bad", MINIMAL.replace(b'"0"', b'"good"'))
        await watch.ids("0", "u1", "good")
        plain.delete("/deep/down/shops/helloworld", recursive=True)
        await watch.ids()
        plain.create("/deep/down/shops/helloworld/u1", FULL, makepath=True)
        await watch.ids("u1")
    skipped = [record.getMessage() for record in caplog.records if "is skipped" in record.getMessage()]
    assert [line.split(" is ")[0] for line in skipped] == ["zookeeper: /deep/down/shops/helloworld/bad"]


async def test_names_have_nodes_of_their_own(registry: Make, plain: KazooClient) -> None:
    """What a path cannot hold is written as in URLs, and what looks like that as well."""
    ours = registry()
    nodes = {
        "a": "a", "a/b": "a%2Fb", "a%2Fb": "a%252Fb", "..": "%2E%2E", ".": "%2E", "%2E": "%252E", "...": "...",
        "100%": "100%", "größe": "größe", "日本": "日本", "a b*": "a b*", "\0": "%00",
        "😀": "%F0%9F%98%80", ".\n": ".%0A",
    }  # fmt: skip
    for name in nodes:
        await ours.register(Instance(name, name, name))
        async with watching(ours, name) as watch:
            await watch.versions(name)
    assert sorted(plain.get_children("/microservices")) == sorted(nodes.values())
    for node in nodes.values():
        assert plain.get_children(f"/microservices/{node}") == [node]


async def test_updates_are_seen_by_watchers_of_children(registry: Make, plain: KazooClient) -> None:
    """Kratos for Go watches the children of a service, and not what they hold: each update is a change of them."""
    ours = registry()
    await ours.register(SHOP)
    changes: list[set[str]] = []

    @plain.ChildrenWatch(BELOW)
    def changed(children: list[str]) -> None:
        changes.append({*children})

    for version in ("v2", "v3"):
        seen = len(changes)
        await ours.register(Instance("u1", "helloworld", version))
        await until(lambda seen=seen: len(changes) > seen)
        assert version.encode() in plain.get(f"{BELOW}/u1")[0]
    assert all(each == {"u1"} for each in changes)
    node = plain.get(f"{BELOW}/u1")[1].czxid
    await ours.register(Instance("u1", "helloworld", "v3"))
    assert plain.get(f"{BELOW}/u1")[1].czxid == node  # what says the same stays as it is


async def test_what_an_earlier_process_has_left(registry: Make, zookeeper: ZooKeeper, plain: KazooClient) -> None:
    """The node of a process that is dead, and whose session is not, is taken over; it does not go with the session."""
    with client(zookeeper) as dead:
        dead.create(f"{BELOW}/u1", MINIMAL, ephemeral=True, makepath=True)
        ours = registry()
        await ours.register(SHOP)
        assert plain.get(f"{BELOW}/u1")[0] == FULL
    assert plain.get(f"{BELOW}/u1")[0] == FULL
    await ours.deregister(SHOP)
    plain.create(f"{BELOW}/u1", FULL)
    await ours.deregister(SHOP)
    assert plain.get_children(BELOW) == []


async def test_two_writers(registry: Make, plain: KazooClient, caplog: pytest.LogCaptureFixture) -> None:
    """The later one of two with one id stands, and the earlier one does not take it along when it leaves."""
    first, second = registry(), registry()
    await first.register(SHOP)
    await second.register(Instance("u1", "helloworld", "v2"))
    await until(lambda: "is this id used twice?" in caplog.text)
    assert b'"v2"' in plain.get(f"{BELOW}/u1")[0]
    await second.deregister(SHOP)
    await until(lambda: plain.exists(f"{BELOW}/u1") and plain.get(f"{BELOW}/u1")[0] == FULL)  # the first is still there
    await second.register(Instance("u1", "helloworld", "v3"))
    await first.deregister(SHOP)
    assert b'"v3"' in plain.get(f"{BELOW}/u1")[0]


async def test_a_deleted_record(registry: Make, plain: KazooClient, caplog: pytest.LogCaptureFixture) -> None:
    """What somebody has deleted by hand is written again, with all that was above it."""
    await registry().register(SHOP)
    plain.delete("/microservices", recursive=True)
    await until(lambda: plain.exists(f"{BELOW}/u1"))
    assert plain.get(f"{BELOW}/u1")[0] == FULL
    assert f"{BELOW}/u1 was deleted by somebody" in caplog.text


async def test_a_server_that_is_killed(zookeeper: ZooKeeper, registry: Make, caplog: pytest.LogCaptureFixture) -> None:
    """One that comes back with its data has lost nothing: the session goes on, and nobody has to register anew."""
    ours = registry(session=10.0)
    await ours.register(SHOP)
    async with watching(registry(session=10.0), "helloworld") as watch:
        await watch.ids("u1")
        with client(zookeeper) as plain:
            node = plain.exists(f"{BELOW}/u1")
        zookeeper.kill()
        await until(lambda: "the last list stands until then" in caplog.text)
        await asyncio.to_thread(zookeeper.start)
        with client(zookeeper) as plain:
            assert plain.exists(f"{BELOW}/u1") == node
            plain.create(f"{BELOW}/0", MINIMAL)
            await watch.ids("0", "u1")
            await until(lambda: ours._session and ours._session._is_connected)
            assert plain.exists(f"{BELOW}/u1").czxid == node.czxid
        await ours.deregister(SHOP)
        await watch.ids("0")
    assert all(watch.lists[1:])
    assert "not registered any more" not in caplog.text


async def test_a_connection_that_is_back_at_once(
    registry: Make, plain: KazooClient, caplog: pytest.LogCaptureFixture
) -> None:
    """Watches have ended with it, and what they would have told is asked for; registrations stay as they are."""
    ours = registry(session=10.0)
    await ours.register(SHOP)
    plain.create(f"{BELOW}/0", MINIMAL)
    node = plain.exists(f"{BELOW}/u1")
    async with watching(ours, "helloworld") as watch:
        await watch.ids("0", "u1")
        for version in ("v2", "v3"):
            assert ours._session is not None
            ours._session._client._connection._socket.shutdown(socket.SHUT_RDWR)
            plain.set(f"{BELOW}/0", MINIMAL.replace(b'"version":""', b'"version":"%s"' % version.encode()))
            await watch.versions(version, "v1.0.0")
    assert all(len(each) == 2 for each in watch.lists)
    assert plain.exists(f"{BELOW}/u1") == node
    assert "not registered any more" not in caplog.text


async def test_no_password_in_the_log(registry: Make, caplog: pytest.LogCaptureFixture) -> None:
    """Not even in all its details."""
    caplog.set_level(1)
    ours = registry(digest=("user", "pass-word"))
    await ours.register(SHOP)
    await ours.deregister(SHOP)
    assert "helloworld" in caplog.text
    assert "pass-word" not in caplog.text + repr(ours._options)


async def test_a_server_that_sleeps(zookeeper: ZooKeeper, registry: Make, caplog: pytest.LogCaptureFixture) -> None:
    """It says nothing for longer than a session lasts, and its connections stay open: who has lost it comes back."""
    ours = registry(session=1.0)
    await ours.register(SHOP)
    async with watching(registry(session=1.0), "helloworld") as watch:
        await watch.ids("u1")
        zookeeper.pause()
        try:
            await until(lambda: ours.trouble(SHOP) and "the last list stands until then" in caplog.text)
        finally:
            zookeeper.resume()
        await until(lambda: not ours.trouble(SHOP))
        with client(zookeeper) as plain:
            assert plain.get(f"{BELOW}/u1")[0] == FULL
            plain.create(f"{BELOW}/0", MINIMAL)
            await watch.ids("0", "u1")
    assert all(watch.lists[1:])


async def test_a_process_that_sleeps(zookeeper: ZooKeeper, plain: KazooClient) -> None:
    """One that was stopped for longer than its session lasts is back when it goes on."""
    guest = str(Path(__file__).with_name("zookeepers_guest.py"))
    process = await asyncio.create_subprocess_exec(
        sys.executable, guest, zookeeper.address, stdin=asyncio.subprocess.PIPE
    )
    try:
        await until(lambda: plain.exists(f"{BELOW}/u1"))
        process.send_signal(signal.SIGSTOP)
        await until(lambda: not plain.exists(f"{BELOW}/u1"))
        process.send_signal(signal.SIGCONT)
        await until(lambda: plain.exists(f"{BELOW}/u1"))
        assert process.stdin is not None
        process.stdin.close()
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert await process.wait() == 0
        assert plain.get_children(BELOW) == []
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_a_session_that_is_lost(
    zookeeper: ZooKeeper, registry: Make, plain: KazooClient, caplog: pytest.LogCaptureFixture
) -> None:
    """The instance is told anew, once; after leaving, no session brings it back."""
    ours = registry()
    await ours.register(SHOP)
    session = ours._session
    assert session is not None
    await lose(zookeeper, session)
    await until(lambda: ours.trouble(SHOP) == "" and ours._session is not session)
    assert plain.get(f"{BELOW}/u1")[0] == FULL
    await ours.deregister(SHOP)
    session = ours._session
    assert session is not None
    await lose(zookeeper, session)
    async with watching(ours, "helloworld") as watch:
        await watch.ids()
    assert sum("is registered again" in record.getMessage() for record in caplog.records) == 1


async def test_leaving_without_a_server(zookeeper: ZooKeeper, registry: Make) -> None:
    """It is an error, within bounds; a server that wakes up in time does not keep what was to go."""
    ours = registry(session=10.0, patience=Patience(attempt=1.0))
    other = Instance("2", "helloworld")
    await ours.register(SHOP)
    await ours.register(other)
    zookeeper.pause()
    try:
        with pytest.raises(TimeoutError, match="was not deregistered within 1 s"):
            await ours.deregister(SHOP)
    finally:
        zookeeper.resume()
    with client(zookeeper) as plain:
        await until(lambda: plain.get_children(BELOW) == ["2"])
        await until(lambda: not ours.trouble(other))
        assert plain.get_children(BELOW) == ["2"]


async def test_nobody_there(zookeeper: ZooKeeper, registry: Make) -> None:
    """That no server answers is what stands in the log, with its address."""
    zookeeper.kill()
    ours = registry()
    registering = asyncio.create_task(ours.register(SHOP))
    await until(lambda: f"no ZooKeeper answers at {zookeeper.address}" in ours.trouble(SHOP))
    await asyncio.to_thread(zookeeper.start)
    await registering


async def test_digest(registry: Make, zookeeper: ZooKeeper, caplog: pytest.LogCaptureFixture) -> None:
    """With a user nodes are for that user only; whoever is another one is told so."""
    ours = registry(digest=("user", "password"))
    await ours.register(SHOP)
    with client(zookeeper, auth_data=[("digest", "user:password")]) as plain:
        for path in (f"{BELOW}/u1", BELOW, "/microservices"):
            assert plain.get_acls(path)[0] == [make_digest_acl("user", "password", all=True)]
    async with watching(registry(digest=("user", "password")), "helloworld") as watch:
        await watch.ids("u1")
        await ours.register(Instance("u1", "helloworld", "v2"))
        await watch.versions("v2")
    stranger = registry()
    registering = asyncio.create_task(stranger.register(Instance("2", "helloworld")))
    async with watching(registry(digest=("user", "wrong")), "helloworld") as watch:
        await until(lambda: "does not let us" in stranger.trouble(Instance("2", "helloworld")))
        await until(lambda: f"ZooKeeper does not let us at {BELOW}" in caplog.text)
        assert not watch.lists
    registering.cancel()
    await ours.deregister(SHOP)


async def test_a_session_ends_with_its_last_use(registry: Make, zookeeper: ZooKeeper) -> None:
    """Whoever has left and watches nothing has no connection any more, without being closed."""
    ours = registry()
    await ours.register(SHOP)
    async with watching(ours, "helloworld") as watch:
        await watch.ids("u1")
        await ours.deregister(SHOP)
        await watch.ids()
        assert ours._session is not None
    await until(lambda: ours._session is None)
    await until(lambda: zookeeper.say("cons").count("sid=") == 0)
    await ours.register(SHOP)
    await ours.deregister(SHOP)


async def test_ten_thousand(registry: Make, plain: KazooClient) -> None:
    """A service of ten thousand is one list, and changes of it are few and ask for what has changed only."""
    many = [f"{number:05}" for number in range(10_000)]
    plain.ensure_path("/microservices/many")
    for at in range(0, len(many), 500):
        transaction = plain.transaction()
        for each in many[at : at + 500]:
            transaction.create(f"/microservices/many/{each}", b'{"id":"%s","name":"many"}' % each.encode())
        transaction.commit()
    async with watching(registry(session=10.0), "many") as watch:
        await watch.ids(*many)
        assert len(watch.lists) == 1
        transaction = plain.transaction()
        for each in many[:1000]:
            transaction.delete(f"/microservices/many/{each}")
        transaction.commit()
        await watch.ids(*many[1000:])
        assert len(watch.lists) < 100


async def test_a_session(zookeeper: ZooKeeper, plain: KazooClient, caplog: pytest.LogCaptureFixture) -> None:
    """What it says to what is there already, is gone, or is not allowed; and once it is over."""
    session = Session(Options(zookeeper.address, SECONDS))
    await session.connected(PATIENCE_SECONDS)
    assert await session.create("/a/b", b"1")
    assert not await session.create("/a/b", b"2")
    assert await session.read("/a/b") == (b"1", session.id)
    assert await session.replace("/a/b", b"3")
    assert (await session.read("/a/c"), await session.owner("/a/c"), await session.children("/c")) == (None, None, None)
    assert not await session.replace("/a/c", b"")
    await session.delete("/a/c")
    with pytest.raises(OSError, match=f"ZooKeeper at {zookeeper.address}: /a/b/c: NoChildrenForEphemeralsError"):
        await session.create("/a/b/c", b"")
    plain.create("/secret")
    plain.create("/secret/a", acl=[make_digest_acl("somebody", "else", all=True)])
    for forbidden in (session.create("/secret/a/b", b""), session.read("/secret/a")):
        with pytest.raises(PermissionError, match="ZooKeeper does not let us at /secret/a"):
            await forbidden
    told: list[tuple[str, str]] = []
    with session.listening("/a/b", lambda path: told.append(("b", path))):
        with session.listening("/a", lambda path: told.append(("a", path))), session.listening("/a/b", lambda _: None):
            await session.read("/a/b")
            plain.set("/a/b", b"")
            await until(lambda: told == [("b", "/a/b"), ("a", "/a/b")])
        session.end()
        assert told[2:] == [("b", "")]
    for question in (session.connected(SECONDS), session.read("/a/b")):
        with pytest.raises(ConnectionError, match=f"the session with ZooKeeper at {zookeeper.address} is lost"):
            await question
    await session.ended(PATIENCE_SECONDS)
    session.end()
    assert plain.get_children("/a") == []
    session._client = None
    session._stop()
    assert "a client of ZooKeeper could not be stopped" in caplog.text


async def test_the_loop_goes_on(zookeeper: ZooKeeper) -> None:
    """A registry whose loop has ended without a word has threads that disturb nobody."""
    ours = ZooKeeperRegistry(zookeeper.address, session=SECONDS)

    def elsewhere() -> None:
        asyncio.run(ours.register(SHOP))

    await asyncio.to_thread(elsewhere)
    session = ours._session
    assert session is not None
    zookeeper.kill()
    await until(lambda: session._client.state == "SUSPENDED")
    await asyncio.to_thread(session._stop)


@pytest.mark.parametrize("root", ["invalid", "", "/", "//", "/a//b", "/a/../b", "/.", "/a\nb", "/😀"])
def test_invalid_roots(root: str) -> None:
    """They are refused at once."""
    with pytest.raises(ValueError, match="it must be an absolute path, such as /microservices"):
        ZooKeeperRegistry(root=root)


@pytest.mark.parametrize(
    "endpoints", ["", "http://127.0.0.1:2181", "127.0.0.1:2181/chroot", ["a:1", ""], "a:b", "a:1,,b:2", [], "::1"]
)
def test_invalid_endpoints(endpoints: Any) -> None:
    with pytest.raises(ValueError, match="it must be host:port, such as 127.0.0.1:2181"):
        ZooKeeperRegistry(endpoints)


def test_invalid_options() -> None:
    fine = ZooKeeperRegistry("zk-1,zk-2:2182, [::1]:2181", root="/a/b/", digest=("user", ""))
    assert str(fine) == "ZooKeeper at zk-1,zk-2:2182,[::1]:2181"
    with pytest.raises(ValueError, match="session is 0: it must be a positive number of seconds"):
        ZooKeeperRegistry(session=0)
    for user in ("", "a:b"):
        with pytest.raises(ValueError, match="it needs a name, without a colon"):
            ZooKeeperRegistry(digest=(user, "password"))


async def test_a_record_that_is_too_large(registry: Make) -> None:
    """It is refused before ZooKeeper closes the connection over it."""
    with pytest.raises(InvalidInstance, match="its record of 10000.. bytes is larger than 1000000"):
        await registry().register(Instance("1", "shop", "x" * 1_000_000))


async def lose(zookeeper: ZooKeeper, session: Any) -> None:
    """Has the server forget a session: whoever takes it over may close it, if its owner does not take it back first."""

    def take_over() -> None:
        with suppress(KazooTimeoutError), client(zookeeper, client_id=known):
            pass

    known = session._client.client_id
    while not session.is_over:
        await asyncio.to_thread(take_over)
        await asyncio.sleep(0.1)


def test_the_network_is_cut(tmp_path: Path) -> None:
    """No packet passes for longer than a session lasts, and no connection is reset: all is as before afterwards."""
    told = run_alone(Path(__file__).with_name("zookeepers_cutting.py"), str(tmp_path))
    assert told.splitlines()[-1] == FULL.decode()
