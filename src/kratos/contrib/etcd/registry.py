"""``EtcdRegistry``: instances as keys with a lease, which goes on for as long as we say that we are there."""

from __future__ import annotations

import asyncio
import logging
import math
import re
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import aclosing, suppress
from typing import Final, Literal, TypeAlias

from kratos.codec.messages import Oneof
from kratos.contrib.etcd.connection import AWAY, Connection
from kratos.contrib.etcd.span import Span, follow
from kratos.errors import NotFound
from kratos.registry.base import Instance
from kratos.registry.patience import Patience
from kratos.registry.record import Neighbours, encode
from kratos.registry.segment import segment
from kratos.registry.supervised import SupervisedRegistry
from kratos.transport.tls import TLS
from kratos.wire.etcd.etcdserverpb.rpc_kratos import KVClient, LeaseClient
from kratos.wire.etcd.etcdserverpb.rpc_pb import (
    Compare,
    DeleteRangeRequest,
    LeaseGrantRequest,
    LeaseKeepAliveRequest,
    LeaseRevokeRequest,
    LeaseTimeToLiveRequest,
    PutRequest,
    RequestOp,
    TxnRequest,
)
from kratos.wire.etcd.mvccpb.kv_pb import KeyValue

__all__ = ["EtcdRegistry"]

logger = logging.getLogger("kratos.registry")

_RETRY_SECONDS: Final = 1.0
_RENEW_SECONDS: Final = 5.0
"""The longest time between two signs of life: it is as long until we learn that etcd has forgotten us."""

_SLASH: Final = re.compile("/")

_Put: TypeAlias = Oneof[Literal["request_put"], PutRequest]


class EtcdRegistry(SupervisedRegistry):
    """Registrar and discovery in etcd, with the keys and records of Kratos for Go.

    The key of an instance is ``<namespace>/<name>/<id>``. A slash in an id is written ``%2F``.

    Args:
        endpoints: ``127.0.0.1:2379`` or ``https://etcd-1:2379``, or several members of one cluster, in a list or with
            commas between them. One of them is used, and the next one when that fails.
        namespace: What the keys begin with.
        ttl: For how many seconds, rounded up, an instance is known that is not heard of any more.
        user: Who we are, where etcd has authentication. The user has to read and write below the namespace.
        password: The user's password.
        tls: Whom to trust, and who we are; as for ``GRPCClient``.
        patience: How long etcd is waited for. A member that has not answered after two thirds of an attempt is left.

    Raises:
        ValueError: An endpoint cannot be read, a file of ``tls`` cannot be used, or a time is too short.

    Example:
        ``App(name="shop", registrar=EtcdRegistry("127.0.0.1:2379"))``
    """

    def __init__(
        self,
        endpoints: str | Sequence[str] = "127.0.0.1:2379",
        *,
        namespace: str = "/microservices",
        ttl: float = 15.0,
        user: str = "",
        password: str = "",
        tls: TLS | None = None,
        patience: Patience | None = None,
    ) -> None:
        patience = patience or Patience()
        super().__init__("etcd", patience)
        if not ttl >= 1:
            raise ValueError(f"ttl is {ttl!r}: etcd counts in whole seconds, from 1 on")
        timeout = patience.attempt * 2 / 3  # so that an attempt is not over before the next member has been asked
        self._etcd = Connection(endpoints, user=user, password=password, tls=tls, timeout=timeout)
        self._namespace = namespace.rstrip("/")
        self._ttl = math.ceil(ttl)
        self._leases: dict[bytes, list[int]] = {}
        self._taken: set[bytes] = set()
        self._neighbours = Neighbours("etcd")

    def __str__(self) -> str:
        return f"etcd at {self._etcd.name}"

    async def hold(self, instance: Instance, found: Callable[[], None], /) -> None:
        """Writes the record with a lease and keeps that alive; see ``Keeper``."""
        value = encode(instance)
        record = PutRequest(key=self._key(instance), value=value)
        leases = self._leases.setdefault(record.key, [])
        async with self._etcd:
            lease = (await LeaseClient(self._etcd).lease_grant(LeaseGrantRequest(TTL=self._ttl))).ID
            earlier = [*leases]
            leases.append(lease)
            record.lease = lease
            await KVClient(self._etcd).put(record)
            found()
            with suppress(*AWAY):
                for each in earlier:  # what is still on its way with one of them comes too late now
                    await self._revoke(record.key, each)
            await self._keep(record)

    async def forget(self, instance: Instance, /) -> None:
        """Ends the lease, and the record with it; see ``Keeper``."""
        key = self._key(instance)
        leases = [*self._leases.get(key, ())]
        async with self._etcd:
            for lease in leases:
                await self._revoke(key, lease)
            if not leases:  # somebody else's word, such as this process' before it was started anew
                await KVClient(self._etcd).delete_range(DeleteRangeRequest(key=key))
        self._leases.pop(key, None)

    async def lists(self, name: str, /) -> AsyncGenerator[Iterable[Instance], None]:
        """Yields who serves; see ``Lister``."""
        span = Span(self._below(name), below=True)
        async with self._etcd, aclosing(follow(self._etcd, span, self._read)) as states:
            async for state in states:
                yield state.values()

    def _read(self, kv: KeyValue) -> Instance | None:
        return self._neighbours.read(kv.key.decode("utf-8", "backslashreplace"), kv.value)

    def _below(self, name: str) -> bytes:
        return f"{self._namespace}/{name}/".encode()

    def _key(self, instance: Instance) -> bytes:
        return self._below(instance.name) + segment(instance.id, _SLASH).encode()

    async def _keep(self, record: PutRequest) -> None:
        """Keeps a record for as long as that is possible.

        Raises:
            ConnectionError: The lease is lost, and the record with it.
            Error: etcd was away for so long that it must be.
        """
        loop = asyncio.get_running_loop()
        ends = loop.time() + self._ttl
        usual = pause = min(_RENEW_SECONDS, self._ttl / 3)
        while True:
            await asyncio.sleep(pause)
            asked = loop.time()
            try:
                await self._renew(record.lease)
                await self._look(record)
            except AWAY:
                if loop.time() >= ends:
                    raise
                pause = min(_RETRY_SECONDS, usual)
            else:
                ends = asked + self._ttl
                pause = usual

    async def _renew(self, lease: int) -> None:
        async with LeaseClient(self._etcd).lease_keep_alive(timeout=self._etcd.timeout) as stream:
            await stream.send(LeaseKeepAliveRequest(ID=lease))
            await stream.done()
            lasts = [reply.TTL async for reply in stream]
        if not any(lasts):
            raise ConnectionError(f"etcd does not know the lease any more; it lasts {self._ttl} s, or etcd has lost it")

    async def _look(self, record: PutRequest) -> None:
        """Looks whether the record is still there; one that somebody has deleted is written again."""
        asked = LeaseTimeToLiveRequest(ID=record.lease, keys=True)
        if record.key in (await LeaseClient(self._etcd).lease_time_to_live(asked)).keys:
            self._taken.discard(record.key)
            return
        nothing = Compare(key=record.key)  # its version is 0
        put = RequestOp(request=_Put("request_put", record))
        done = await KVClient(self._etcd).txn(TxnRequest(compare=[nothing], success=[put]))
        if done.succeeded:
            logger.warning("etcd: %s was deleted by somebody, and is there again", record.key.decode())
        elif record.key not in self._taken:
            self._taken.add(record.key)
            logger.warning("etcd: %s was written by somebody else; is this id used twice?", record.key.decode())

    async def _revoke(self, key: bytes, lease: int) -> None:
        with suppress(NotFound):  # it has ended by itself
            await LeaseClient(self._etcd).lease_revoke(LeaseRevokeRequest(ID=lease))
        self._leases.get(key, []).remove(lease)
