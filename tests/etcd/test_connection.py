"""The way to a real etcd: several members, users, TLS, and a network that is cut."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from alone import run_alone
from etcd.serving import NEEDED, Etcd
from etcd.test_registry import FULL, SHOP, watching
from killable import until
from unit.transport.certificates import Certificates

from kratos.contrib.etcd import EtcdRegistry
from kratos.contrib.etcd import connection as connection_module
from kratos.contrib.etcd.connection import Connection
from kratos.contrib.etcd.span import Span, follow
from kratos.errors import BadRequest, Error, ServiceUnavailable, Unauthorized
from kratos.transport.tls import TLS
from kratos.wire.etcd.etcdserverpb.rpc_kratos import KVClient
from kratos.wire.etcd.etcdserverpb.rpc_pb import PutRequest, RangeRequest

pytestmark = NEEDED

Make = Callable[..., EtcdRegistry]
BELOW = "/microservices/helloworld"
ROOT, ANN, GUEST = (
    {"user": name, "password": word} for name, word in (("root", "root!"), ("ann", "ann!"), ("ann", "?"))
)


def connect(endpoints: Any, **options: Any) -> Connection:
    return Connection(endpoints, **{"user": "", "password": "", "tls": None, "timeout": 30.0, **options})


async def get(connection: Connection, key: bytes = b"a") -> list[bytes]:
    return [kv.value for kv in (await KVClient(connection).range(RangeRequest(key=key))).kvs]


@pytest.mark.parametrize("first", [0, 1])
async def test_one_of_them_is_down(etcd: Etcd, first: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not matter which one is asked first."""
    monkeypatch.setattr(connection_module.random, "randrange", lambda count: first)
    etcd.ctl("put", "a", "1")
    async with connect(f"127.0.0.1:1, {etcd.address}") as connection:
        assert await get(connection) == [b"1"]


async def test_none_is_there() -> None:
    """It says who could not be reached."""
    async with connect(["127.0.0.1:1", "127.0.0.1:2"]) as connection:
        with pytest.raises(ServiceUnavailable, match="cannot reach 127.0.0.1:"):
            await get(connection)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[list[Etcd]]:
    """Three members."""
    members = [Etcd(tmp_path, name) for name in ("one", "two", "three")]
    whole = ",".join(member.cluster for member in members)
    try:
        for member in members:
            member.cluster = whole
            member.start(wait=False)
        for member in members:
            member.wait(member.answers)
        yield members
    finally:
        for member in members:
            member.kill()


@pytest.mark.parametrize("how", [Etcd.kill, Etcd.pause], ids=["killed", "paused"])
async def test_the_member_in_use_goes(cluster: list[Etcd], registry: Make, how: Callable[[Etcd], None]) -> None:
    """Registration and watch go on at another one; the record never goes away."""
    ours, theirs = (registry([member.address for member in cluster], ttl=15) for _ in range(2))
    await ours.register(SHOP)
    async with watching(theirs) as seen:
        await seen.until(u1="v1.0.0")
        used = theirs._etcd._targets[theirs._etcd._at]
        (gone,) = (member for member in cluster if member.address == used)
        how(gone)
        (other, _) = (member for member in cluster if member is not gone)
        await until(lambda: other.ctl("put", f"{BELOW}/0", '{"id":"0","name":"helloworld"}', check=False))
        await seen.until(u1="v1.0.0", **{"0": ""})
        assert all(found for found in seen.lists)
        await ours.deregister(SHOP)
        await seen.until(**{"0": ""})


async def test_users(etcd: Etcd, registry: Make, caplog: pytest.LogCaptureFixture) -> None:
    """A user who may read and write below the namespace is enough; tokens that etcd has forgotten are fetched anew."""
    protect(etcd)
    etcd.ctl("role", "add", "shops")
    etcd.ctl("role", "grant-permission", "shops", "--prefix=true", "readwrite", "/microservices/")
    etcd.ctl("user", "add", "ann:ann!")
    etcd.ctl("user", "grant-role", "ann", "shops")
    ours = registry(**ANN)
    await ours.register(SHOP)
    async with watching(ours) as seen:
        await seen.until(u1="v1.0.0")
        etcd.kill()
        await until(lambda: "the last list stands until then" in caplog.text)
        await asyncio.to_thread(etcd.start)
        await until(lambda: not ours.trouble(SHOP))
        etcd.ctl("put", "/microservices/helloworld/0", '{"id":"0","name":"helloworld"}')
        await seen.until(u1="v1.0.0", **{"0": ""})
        etcd.ctl("role", "grant-permission", "shops", "read", "/elsewhere")  # makes every token too old
        await ours.deregister(SHOP)
        await seen.until(**{"0": ""})


async def test_tokens(etcd: Etcd) -> None:
    """Many calls share one; one that is of no use any more is replaced without anybody hearing of it."""
    protect(etcd)
    async with connect(etcd.url, **ROOT) as connection:
        await KVClient(connection).put(PutRequest(key=b"a", value=b"1"))
        assert connection._member is not None
        token = connection._member.token
        assert token
        connection._member.token = token[::-1]
        assert await asyncio.gather(*(get(connection) for _ in range(10))) == [[b"1"]] * 10
        assert connection._member.token not in (token, token[::-1], "")


async def test_who_is_not_let_in(etcd: Etcd) -> None:
    """It is said what is wrong: nobody, a wrong password, or no right to it."""
    protect(etcd)
    etcd.ctl("user", "add", "ann:ann!")
    async with connect(etcd.url) as connection:
        with pytest.raises(Unauthorized, match=r"pass user= and password="):
            await get(connection)
    async with connect(etcd.url, **GUEST) as connection:
        with pytest.raises(BadRequest, match="invalid user ID or password"):
            await get(connection)
    async with connect(etcd.url, **ANN) as connection:
        with pytest.raises(Error, match="permission denied"):
            await get(connection)


async def test_a_user_where_there_are_none(etcd: Etcd) -> None:
    """Who says who it is, is not refused by an etcd that does not ask."""
    async with connect(etcd.url, **ANN) as connection:
        assert await get(connection) == []


def protect(etcd: Etcd) -> None:
    """Turns authentication on."""
    etcd.ctl("user", "add", "root:root!")
    etcd.ctl("user", "grant-role", "root", "root")
    etcd.ctl("auth", "enable")
    etcd.ctl_flags = ["--user=root:root!"]


async def test_tls(tmp_path: Path) -> None:
    """Certificates on both ends; strangers are told what is wrong."""
    certificates = Certificates(tmp_path)
    own, ours = certificates.issue("server", "127.0.0.1"), certificates.issue("client", "shop")
    flags = [f"--cert-file={own.cert}", f"--key-file={own.key}", f"--trusted-ca-file={certificates.ca}"]
    etcd = Etcd(tmp_path, scheme="https", flags=[*flags, "--client-cert-auth"])
    etcd.ctl_flags = [f"--cacert={certificates.ca}", f"--cert={ours.cert}", f"--key={ours.key}"]
    try:
        await asyncio.to_thread(etcd.start)
        etcd.ctl("put", "a", "1")
        async with connect(etcd.url, tls=certificates.mutual(ours)) as connection:
            assert await get(connection) == [b"1"]
        async with connect(etcd.url) as connection:
            with pytest.raises(ServiceUnavailable, match=r"its certificate is not accepted.*TLS\(ca="):
                await get(connection)
        async with connect(etcd.address) as connection:
            with pytest.raises(ServiceUnavailable):
                await get(connection)
        async with connect(etcd.address, tls=TLS(ca=certificates.ca)) as connection:
            with pytest.raises(ServiceUnavailable):
                await get(connection)
    finally:
        etcd.kill()


async def test_compaction(etcd: Etcd) -> None:
    """A watch that wants to know of what is forgotten already reads all of it anew."""

    class Late(Connection):
        """Opens its first stream late."""

        late = True

        def bidi(self, *asked: Any) -> Any:
            if self.late:
                self.late = False
                etcd.ctl("put", "/a", "2")
                etcd.ctl("put", "/b", "3")
                etcd.ctl("compact", revision(etcd))
            return super().bidi(*asked)

    etcd.ctl("put", "/a", "1")
    async with (
        Late(etcd.url, user="", password="", tls=None, timeout=30.0) as connection,
        aclosing(follow(connection, Span(b"/", below=True), lambda kv: kv.value)) as states,
    ):
        while await anext(states) != {b"/a": b"2", b"/b": b"3"}:
            pass
        etcd.ctl("del", "/a")
        assert await anext(states) == {b"/b": b"3"}
    assert not connection.late


def revision(etcd: Etcd) -> str:
    return etcd.ctl("get", "", "--prefix", "--write-out=json").partition('"revision":')[2].partition(",")[0]


async def test_bursts_are_one_change(etcd: Etcd) -> None:
    """Thousands of changes are few lists."""
    async with (
        connect(etcd.url) as connection,
        aclosing(follow(connection, Span(b"k", below=True), lambda kv: kv.value)) as states,
    ):
        assert await anext(states) == {}
        client = KVClient(connection)
        puts = (PutRequest(key=f"k{number}".encode(), value=b"x" * 1000) for number in range(2000))
        await asyncio.gather(*(client.put(put) for put in puts))
        count = 1
        while len(await anext(states)) < 2000:
            count += 1
    assert count < 500


def test_the_network_is_cut(tmp_path: Path) -> None:
    """No packet passes for longer than a lease lasts, and no connection is reset: all is as before afterwards."""
    told = run_alone(Path(__file__).with_name("cutting.py"), str(tmp_path))
    assert told.splitlines()[-1] == FULL
