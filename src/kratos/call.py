"""The call: one flight of an operation, with everything that middleware and handlers may ask about it.

Middleware and handlers never see a transport. What they need to know of the wire (peer, headers, deadline) is a field
of the call, whichever protocol brought it.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar, Token
from dataclasses import dataclass, field
from inspect import isawaitable
from types import MappingProxyType
from typing import Any, Final, Literal, Protocol, TypeAlias, TypedDict
from urllib.parse import quote

from kratos.cookies import SameSite, content_disposition, read_cookies, write_cookie
from kratos.errors import Error, KnownErrors
from kratos.live import Live
from kratos.metadata import Metadata
from kratos.metrics.base import Meter
from kratos.metrics.noop import NoopMeter
from kratos.operation import AnyOperation

__all__ = [
    "ADMIT",
    "RECORDED",
    "TRIED",
    "AppInfo",
    "Call",
    "CallOptions",
    "Certificate",
    "Limit",
    "Peer",
    "Reply",
    "current_call",
]

Limit = Literal["client", "server", "method"]
"""Whose time limit a deadline comes from."""


RECORDED: Final = "kratos.trace.recorded"
"""The key in ``call.state`` of a call whose trace is recorded: its ``trace_id`` in ``call.fields`` can be looked up."""

ADMIT: Final = "kratos.admit"
"""The key in ``call.state`` of a function that is told the address of a picked node and returns whether the call may go
there: who decides about nodes knows no balancer. It is asked once per node that an attempt would go to."""

TRIED: Final = "kratos.tried"
"""The key in ``call.state`` of the addresses that the call has been sent to, a set: an attempt more goes elsewhere."""


@dataclass(slots=True)
class AppInfo:
    """Who is serving.

    Attributes:
        name: The service name, as registered.
        version: The version of the service.
        id: Unique per process.
        metadata: Facts published with the instance.
        endpoints: URLs such as ``grpc://10.0.0.7:9000``; the app sets them once the servers have started.
        readiness: Whether calls are welcome: true between registration and the first step of stopping. The app sets it.
        meter: Where measurements go.
    """

    name: str = ""
    version: str = ""
    id: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    endpoints: tuple[str, ...] = ()
    readiness: Live[bool] = field(default_factory=lambda: Live(value=False), compare=False)
    meter: Meter = field(default_factory=NoopMeter, compare=False, repr=False)

    @property
    def ready(self) -> bool:
        """Whether calls are welcome now."""
        return self.readiness.value


@dataclass(frozen=True, slots=True)
class Certificate:
    """Who somebody is by their certificate, which has been verified.

    Attributes:
        common_name: The common name of the subject; empty if it has none.
        names: The alternative names, whatever their kind: hosts, addresses, URIs such as ``spiffe://shop/orders``.
    """

    common_name: str = ""
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Peer:
    """The other end of the connection; for a client that came by a trusted proxy, that client.

    Attributes:
        address: ``10.0.0.7:52114``, ``[::1]:52114``; a client behind a proxy has no port, one on a Unix socket is
            ``unix:``, a server there ``unix:/run/app.sock``; empty if unknown.
        certificate: Who it is by mutual TLS; None for who has shown none to us.
    """

    address: str = ""
    certificate: Certificate | None = None


UNKNOWN_PEER: Final = Peer()
REDIRECTS: Final = frozenset((301, 302, 303, 307, 308))
"""Statuses that send a client elsewhere."""
_IN_URLS: Final = "%/:?#[]@!$&'()*+,;=~"  # what is left as it is: a URL, percent-encoded or not
NO_ERRORS: Final[KnownErrors] = MappingProxyType({})


Late: TypeAlias = Metadata | Callable[[], Metadata]
"""Metadata, or what makes it."""


class Reply:
    """What goes back beside the message. A unary caller passes one as ``reply=Reply()`` to receive it.

    Attributes:
        status: The HTTP status; None is 200. gRPC has no use for it.
    """

    __slots__ = ("_headers", "_trailers", "status")

    def __init__(self) -> None:
        self.status: int | None = None
        self._headers: Late | None = None
        self._trailers: Late | None = None

    @property
    def headers(self) -> Metadata:
        """Reply headers (gRPC: initial metadata)."""
        headers = self._headers
        if not isinstance(headers, Metadata):
            headers = self._headers = Metadata() if headers is None else headers()
        return headers

    @property
    def trailers(self) -> Metadata:
        """What follows the message (gRPC: trailing metadata; HTTP has none)."""
        trailers = self._trailers
        if not isinstance(trailers, Metadata):
            trailers = self._trailers = Metadata() if trailers is None else trailers()
        return trailers

    def set_cookie(
        self,
        name: str,
        value: str,
        *,
        max_age: int | None = None,
        path: str = "/",
        domain: str = "",
        secure: bool = True,
        http_only: bool = True,
        same_site: SameSite = "lax",
    ) -> None:
        """Gives the browser a cookie. gRPC carries it as metadata that nobody reads.

        Args:
            name: Its name.
            value: Any text; ``Call.cookies`` and browsers' ``decodeURIComponent`` give it back.
            max_age: Seconds it is kept; None is until the browser ends.
            path: The paths that it is sent to.
            domain: The domain, with all below it; empty is this host alone.
            secure: It travels over HTTPS only; browsers except localhost.
            http_only: Scripts cannot read it.
            same_site: Which requests from other sites carry it.

        Raises:
            ValueError: Browsers would drop it; the message says why.
        """
        cookie = write_cookie(
            name,
            value,
            max_age=max_age,
            path=path,
            domain=domain,
            secure=secure,
            http_only=http_only,
            same_site=same_site,
        )
        self.headers.add("set-cookie", cookie)

    def delete_cookie(self, name: str, *, path: str = "/", domain: str = "") -> None:
        """Takes a cookie away; path and domain must be those it was given with. Raises as ``set_cookie``."""
        self.set_cookie(name, "", max_age=0, path=path, domain=domain)

    def redirect(self, url: str, status: int = 303) -> None:
        """Sends the client elsewhere: sets the status and ``Location``; what the handler returns is not sent.

        gRPC knows no redirects: there the reply goes out, with ``location`` in its metadata.

        Args:
            url: Where to, absolute or not; what cannot stand in a URL is percent-encoded.
            status: 303 asks again by GET, 307 and 308 as before; 301 and 308 for good.

        Raises:
            ValueError: The status is none of a redirect.
        """
        if status not in REDIRECTS:
            raise ValueError(f"{status} is no redirect: use one of {', '.join(map(str, sorted(REDIRECTS)))}")
        self.headers.set("location", quote(url, safe=_IN_URLS))
        self.status = status

    def name_file(self, name: str, *, inline: bool = False) -> None:
        """Says what the reply is called as a file, by ``Content-Disposition``.

        Args:
            name: The name, in any script; folders before it do not count.
            inline: A browser shows it, and takes the name if somebody saves it.
        """
        self.headers.set("content-disposition", content_disposition(name, inline=inline))

    def header_pairs(self) -> list[tuple[str, str]]:
        """Returns the reply headers; an untouched reply costs nothing."""
        return [] if self._headers is None else self.headers.items()

    def trailer_pairs(self) -> list[tuple[str, str]]:
        """Returns the trailers; an untouched reply costs nothing."""
        return [] if self._trailers is None else self.trailers.items()

    def received(self, *, headers: Late | None = None, trailers: Late | None = None) -> None:
        """Replaces what is there by what the peer sent, None for nothing new; for channels.

        Most callers read neither, so what is here may be made when it is asked for.
        """
        self._headers = self._headers if headers is None else headers
        self._trailers = self._trailers if trailers is None else trailers


class CallOptions(TypedDict, total=False):
    """What a caller may say about one call.

    Attributes:
        timeout: Seconds for the whole call, at most; it can only shorten what a surrounding call has left.
        headers: Request headers to send.
        reply: Receives the headers and trailers of the reply.
        idempotent: This call may be repeated by a retry policy, whatever the contract says.
        hash_key: Calls with the same key go to the same node under a hashing balancer.
        wait_for_ready: Wait for a connection until the deadline, instead of failing at once.
    """

    timeout: float
    headers: Metadata | Mapping[str, str]
    reply: Reply
    idempotent: bool
    hash_key: str
    wait_for_ready: bool


NO_OPTIONS: Final[CallOptions] = CallOptions()


class Timer(Protocol):
    """What enforces a call's deadline.

    Attributes:
        expired: Whether it has interrupted the call's task.
    """

    expired: bool

    def interrupted(self) -> bool:
        """Whether somebody else has asked the task to stop."""
        ...

    def shorten(self, deadline: float) -> None:
        """Moves the end closer; ``deadline`` is in the event loop's time."""
        ...


class Call:
    """One flight of an operation.

    Attributes:
        operation: What is being called.
        kind: The transport, ``http`` or ``grpc``; ``memory`` in tests without one.
        side: ``server`` for a call that came in, ``client`` for one that goes out.
        peer: The other end.
        headers: Request headers: read them on the server, add to them on the client.
        reply: Status, headers and trailers of the reply: write them on the server, read them on the client.
        arrived: When the server had the call, in the event loop's time; None is when dispatch begins.
        intake: Waits until the transport has handed over what has arrived; None where that takes but some turns of the
            event loop.
        deadline: When time is up, in the event loop's time (``loop.time()``); None is never. See ``shorten``.
        limit: Whose limit the deadline is.
        fields: What log lines about this call print: trace ids and the like.
        state: A place for middleware to leave things for handlers.
        app: Who is serving, on the server side.
        parent: The server call inside which this client call was made.
        options: What the caller said about a client call.
        known: The error classes that a client call recognises by reason.
        rejected: Why the request could not be read. The chain still runs, so that the failure is logged and counted,
            and ends in this error instead of the handler; the request is then an empty message, so whatever looks
            into the request (such as validation) steps aside.
    """

    __slots__ = (
        "_loop",
        "_metadata", "_reply_maps", "_sink", "_timer", "app", "arrived", "deadline", "fields", "headers", "intake",
        "kind", "known", "limit", "operation", "options", "parent", "peer", "rejected", "reply", "side", "state",
    )  # fmt: skip

    def __init__(
        self,
        operation: AnyOperation,
        *,
        kind: str,
        side: Literal["server", "client"],
        headers: Metadata,
        peer: Peer = UNKNOWN_PEER,
        reply: Reply | None = None,
        app: AppInfo | None = None,
        parent: Call | None = None,
        sink: Callable[[Any], Awaitable[None]] | None = None,
    ) -> None:
        self.operation = operation
        self.kind = kind
        self.side = side
        self.peer = peer
        self.headers = headers
        self.reply = Reply() if reply is None else reply
        self.arrived: float | None = None
        self.intake: Callable[[], Awaitable[None]] | None = None
        self.deadline: float | None = None
        self.limit: Limit | None = None
        self.fields: dict[str, Any] = {}
        self.state: dict[str, Any] = {}
        self.app = app
        self.parent = parent
        self.options: CallOptions = NO_OPTIONS
        self.known: KnownErrors = NO_ERRORS
        self.rejected: Error | None = None
        self._metadata: Metadata | None = None
        self._timer: Timer | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._sink = sink
        self._reply_maps: tuple[Callable[[Any], Any], ...] = ()

    @property
    def metadata(self) -> Metadata:
        """The facts that travel with the call, as the ``metadata()`` middleware selected them."""
        if self._metadata is None:
            self._metadata = Metadata()
        return self._metadata

    @metadata.setter
    def metadata(self, metadata: Metadata) -> None:
        self._metadata = metadata

    @property
    def meter(self) -> Meter | None:
        """Where to measure: the meter of the app that serves it, or inside of whose call it is made; None for none."""
        serving = self if self.side == "server" else self.parent
        return None if serving is None or serving.app is None else serving.app.meter

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies that came with the request, read anew each time: keep what you need twice."""
        return read_cookies(self.headers.values("cookie"))

    def remaining(self) -> float | None:
        """Returns the seconds left, 0.0 when time is up, None without a deadline."""
        if self.deadline is None:
            return None
        return max(0.0, self.deadline - self._clock().time())

    def shorten(self, seconds: float, limit: Limit = "method", *, since: float | None = None) -> None:
        """Ends the call after so many seconds at the latest; a longer time than is left, or for ever, changes nothing.

        Args:
            seconds: How many.
            limit: Whose limit that is.
            since: From when they count, in the event loop's time; from now if not given.

        Raises:
            ValueError: ``seconds`` is no number.
        """
        if not seconds < math.inf:
            if math.isnan(seconds):
                raise ValueError(f"{self.operation.name}: a time limit of {seconds} s; for no limit leave it out")
            return
        deadline = (self._clock().time() if since is None else since) + seconds
        if self.deadline is not None and self.deadline <= deadline:
            return
        self.deadline = deadline
        self.limit = limit
        if self._timer is None or self._loop is None:
            return
        if _runs_here(self._loop):
            self._timer.shorten(deadline)
        else:  # in the thread of a plain def method
            self._loop.call_soon_threadsafe(self._timer.shorten, deadline)

    def each_reply(self, fn: Callable[[Any], Any]) -> None:
        """Has every streamed reply pass through ``fn``, which returns the message to go on with, or awaits it.

        Replies travel from the handler outward, so the function given last (the innermost middleware's) sees them
        first. Call it before ``next``.
        """
        self._reply_maps = (fn, *self._reply_maps)

    async def stream_reply(self, reply: Any) -> None:
        """Passes one streamed reply on, through the functions given to ``each_reply``; for what pumps a stream.

        Raises:
            RuntimeError: This call has no streamed replies.
        """
        if self._sink is None:
            raise RuntimeError(f"{self.operation.name} answers with one reply, not with a stream")
        for fn in self._reply_maps:
            reply = fn(reply)
            if isawaitable(reply):
                reply = await reply
        await self._sink(reply)

    @property
    def timed(self) -> bool:
        """Whether somebody ends the call at its deadline, so that nobody else has to."""
        return self._timer is not None

    @property
    def overdue(self) -> bool:
        """Whether a CancelledError in the call's task means that time is up, and nothing else."""
        return self._timer is not None and self._timer.expired and not self._timer.interrupted()

    def timed_by(self, timer: Timer, loop: asyncio.AbstractEventLoop) -> None:
        """Names the timer that ``shorten`` must tell, and the event loop it is in; for what enforces deadlines."""
        self._timer = timer
        self._loop = loop

    def untimed(self) -> None:
        """Lets go of the timer, whose time is over.

        The two would hold each other until the garbage collector comes by, and with them task, context and request: 8 %
        of a busy server's time.
        """
        self._timer = None

    def _clock(self) -> asyncio.AbstractEventLoop:
        """Returns the loop whose time counts, also in the thread of a plain def method."""
        return asyncio.get_running_loop() if self._loop is None else self._loop

    def __repr__(self) -> str:
        return f"<Call {self.operation.name} {self.kind} {self.side}>"


def _runs_here(loop: asyncio.AbstractEventLoop) -> bool:
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False


_current: ContextVar[Call | None] = ContextVar("kratos_current_call", default=None)


def current_call() -> Call | None:
    """Returns the server call being served here, None outside of one.

    Inside a client middleware this is still the server call that made the client call.
    """
    return _current.get()


def enter_call(call: Call | None) -> Token[Call | None]:
    """Makes ``call`` the current one, or none; for dispatchers."""
    return _current.set(call)


def leave_call(token: Token[Call | None]) -> None:
    """Undoes ``enter_call``."""
    _current.reset(token)
