"""A connection to a cluster of etcd: one member at a time, the next one where that fails, and a token for each.

It is an invoker, so generated clients stand on it as on any other connection.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import TracebackType
from typing import Any, Final, NoReturn, Self, TypeVar

from kratos.call import CallOptions
from kratos.errors import Error, GatewayTimeout, KnownErrors, ServiceUnavailable, Unauthorized
from kratos.operation import Bidi, ClientStream, ServerStream, Unary
from kratos.service import BidiCall, ClientStreamCall, ServerStreamCall
from kratos.transport.grpc.client import GRPCClient
from kratos.transport.grpc.options import KeepAlive, Limits
from kratos.transport.tls import TLS
from kratos.wire.etcd.etcdserverpb.rpc_kratos import AuthClient
from kratos.wire.etcd.etcdserverpb.rpc_pb import AuthenticateRequest

__all__ = ["AWAY", "Connection"]

AWAY: Final = (ServiceUnavailable, GatewayTimeout)
"""What is raised when a member cannot be reached, does not answer in time, or has no leader."""

# A server takes no offence at pings that are five seconds apart.
_PINGS: Final = KeepAlive(every=6.0, timeout=4.0)
_LIMITS: Final = Limits(max_message=64 * 1024 * 1024)  # a page of keys, each of which may hold a megabyte
_SIGN_IN: Final = ("invalid auth token", "revision of auth store is old", "user name is empty")
_NO_AUTH: Final = "authentication is not enabled"

Req = TypeVar("Req")
Rep = TypeVar("Rep")


class Connection:
    """Makes calls to a cluster. It is open while somebody is inside of it as an async context manager.

    Args:
        endpoints: ``host:port`` or a URL, or several of them, in a list or with commas between them.
        user: Who we are; empty where the cluster has no authentication.
        password: The user's password.
        tls: As for ``GRPCClient``; ``https://`` and ``grpcs://`` are TLS without it.
        timeout: Seconds for one attempt of one call.

    Raises:
        ValueError: An endpoint cannot be read, a file of ``tls`` cannot be used, or ``timeout`` is not positive.
    """

    def __init__(
        self, endpoints: str | Sequence[str], *, user: str, password: str, tls: TLS | None, timeout: float
    ) -> None:
        if not timeout > 0:
            raise ValueError(f"timeout is {timeout!r}: it must be a positive number of seconds")
        listed = endpoints.split(",") if isinstance(endpoints, str) else endpoints
        self._targets = [each.strip() for each in listed]
        self.timeout = timeout
        self.name = ",".join(self._targets)
        self._user = user
        self._password = password
        self._tls = tls
        if not self._targets:
            raise ValueError("etcd needs an endpoint, such as 127.0.0.1:2379")
        for target in self._targets:
            self._client(target)  # what is wrong with it is said now
        self._at = random.randrange(len(self._targets))  # noqa: S311 - so that not all choose the same member
        self._member: _Member | None = None
        self._users = 0

    async def __aenter__(self) -> Self:
        self._users += 1
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._users -= 1
        member = self._member
        if not self._users and member is not None:
            self._member = None
            await member.client.aclose()

    async def unary(self, operation: Unary[Req, Rep], request: Req, options: CallOptions, known: KnownErrors, /) -> Rep:
        """Makes a call, if need be at one member after the other; see ``Invoker``."""
        tries = len(self._targets) + 1  # so that a connection which has broken meanwhile counts for none
        while True:
            tries -= 1
            try:
                async with self._lent() as (client, headers):
                    limited: CallOptions = {"timeout": self.timeout, **options, "headers": headers}
                    return await client.unary(operation, request, limited, known)
            except Error as error:
                if not tries or not (isinstance(error, AWAY) or (self._user and _signed_out(error))):
                    raise

    @asynccontextmanager
    async def bidi(
        self, operation: Bidi[Req, Rep], options: CallOptions, known: KnownErrors, /
    ) -> AsyncGenerator[BidiCall[Req, Rep]]:
        """Opens a stream to one member; see ``Invoker``."""
        async with (
            self._lent() as (client, headers),
            client.bidi(operation, {**options, "headers": headers}, known) as call,
        ):
            yield call

    def server_stream(
        self, operation: ServerStream[Req, Rep], request: Req, options: CallOptions, known: KnownErrors, /
    ) -> AbstractAsyncContextManager[ServerStreamCall[Rep]]:
        """Is not needed here."""
        _unused(operation, request, options, known)

    def client_stream(
        self, operation: ClientStream[Req, Rep], options: CallOptions, known: KnownErrors, /
    ) -> AbstractAsyncContextManager[ClientStreamCall[Req, Rep]]:
        """Is not needed here."""
        _unused(operation, options, known)

    @asynccontextmanager
    async def _lent(self) -> AsyncGenerator[tuple[GRPCClient, dict[str, str]]]:
        """Lends the member of now, and says what calls to it have to carry."""
        member = self._member
        if member is None:
            member = self._member = _Member(self._client(self._targets[self._at]))
        member.uses += 1
        headers = {"hasleader": "true"}  # a member that has lost the others says so, and does not just fall silent
        try:
            if self._user and (token := await self._token(member)):
                headers["token"] = token
            yield member.client, headers
        except Error as error:
            if _signed_out(error):
                self._sign_out(member, headers.get("token", ""), error)
            elif isinstance(error, AWAY) and member is self._member:
                # Calls that are under way there may end; what has died finds that out by its pings.
                self._member = None
                self._at = (self._at + 1) % len(self._targets)
            raise
        finally:
            member.uses -= 1
            if member is not self._member and not member.uses:
                await member.client.aclose()

    async def _token(self, member: _Member) -> str:
        async with member.signing_in:  # not all at once: checking a password is dear
            if not member.token:
                request = AuthenticateRequest(name=self._user, password=self._password)
                try:
                    reply = await AuthClient(member.client).authenticate(request, timeout=self.timeout)
                except Error as error:
                    if _NO_AUTH not in error.message:
                        raise
                    return ""
                member.token = reply.token
            return member.token

    def _sign_out(self, member: _Member, token: str, error: Error) -> None:
        if not self._user:
            raise Unauthorized(f"etcd at {self.name} wants to know who asks: pass user= and password=") from error
        if member.token == token:  # else somebody has a new one already
            member.token = ""

    def _client(self, target: str) -> GRPCClient:
        return GRPCClient(target, tls=self._tls, timeout=self.timeout, limits=_LIMITS, keepalive=_PINGS)


class _Member:
    """The connection to one member.

    Attributes:
        client: What calls it.
        uses: How many calls are under way.
        token: Shows who we are; empty if that is not known.
        signing_in: Held while a token is fetched.
    """

    def __init__(self, client: GRPCClient) -> None:
        self.client = client
        self.uses = 0
        self.token = ""
        self.signing_in = asyncio.Lock()


def _signed_out(error: Error) -> bool:
    return any(words in error.message for words in _SIGN_IN)


def _unused(*asked: Any) -> NoReturn:
    raise NotImplementedError(f"no call of this kind is made to etcd: {asked[0]}")
