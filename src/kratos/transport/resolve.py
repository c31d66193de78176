"""From a target to channels: which node takes the next call, and what becomes of it.

A channel per node, opened when the first call goes there, closed when nobody has used it for long, or when the node is
gone and its last call has ended. What a registry says last is kept while it says nothing; an empty list is believed
only if it says so.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection
from types import TracebackType
from typing import Any, Final, Literal, Protocol, Self

from kratos.call import ADMIT, TRIED, Call
from kratos.errors import Error, GatewayTimeout, ServiceUnavailable
from kratos.handler import Messages
from kratos.live import Live
from kratos.metrics.base import Counter, Meter
from kratos.registry.base import Discovery
from kratos.selector.balancing import Balancing
from kratos.selector.base import Asked, Flight, Outcome
from kratos.selector.outlier import Ejection
from kratos.selector.pool import Pool
from kratos.transport.channel import HURRIED, Channel
from kratos.transport.lines import Line, Lines
from kratos.transport.members import DEFAULT_BALANCING, Members
from kratos.transport.outcome import outcome_of
from kratos.transport.target import Target

__all__ = ["Attempt", "Channels", "Nodes", "Single"]

logger = logging.getLogger("kratos.resolve")

MOST_NODES: Final = 5
"""How many nodes a call is sent to at once, one after the other, while none of them can be connected to."""
CAUSES: Final = {
    "unreached": "it cannot be connected to",
    "consecutive": "it could not answer several calls in a row",
    "silence": "it has answered nothing for a while",
    "rate": "more of its calls fail than of those to the others",
}
"""What a cause of an ejection means."""


class Attempt(Protocol):
    """One attempt of a call at one node, a context manager: leaving it tells what became of it."""

    @property
    def channel(self) -> Channel:
        """The way to the node."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> bool:
        """Returns whether the failure does not count: nothing was sent, and another node is to be tried."""
        ...


class Channels(Protocol):
    """What a client sends its calls through."""

    @property
    def kind(self) -> str:
        """The transport, ``http`` or ``grpc``."""
        ...

    async def start(self) -> None:
        """Begins to look for nodes; called once, when the client is entered."""
        ...

    async def pick(self, call: Call, request: Any, /) -> Attempt:
        """Returns the attempt of a call at a node; waits until the first nodes are known.

        ``call.state`` may say who admits the call (``ADMIT``), and where it has been (``TRIED``).

        Raises:
            ServiceUnavailable: There is nobody to call, reason ``NODE_NOT_FOUND``; or nobody who admits the call,
                reason ``CIRCUITBREAKER``.
            GatewayTimeout: Nodes were not known in time.
        """
        ...

    def measure(self, meter: Meter) -> None:
        """Takes the meter that shows nodes."""
        ...

    async def aclose(self) -> None:
        """Closes every channel; calls under way fail."""
        ...


class Single:
    """One channel that is always there.

    Args:
        channel: The channel.
    """

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.kind = channel.kind

    async def start(self) -> None:
        """Does nothing; see ``Channels``."""

    async def pick(self, _call: Call, _request: Any, /) -> Attempt:
        """Returns the attempt at the channel, which is this object; see ``Channels``."""
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> Literal[False]:
        return False

    def measure(self, meter: Meter) -> None:
        """Does nothing; see ``Channels``."""

    async def aclose(self) -> None:
        """Closes the channel."""
        await self.channel.aclose()


class Nodes:
    """The nodes of a target, chosen by a balancer.

    Args:
        target: Fixed addresses or a service.
        kind: The transport, ``http`` or ``grpc``.
        connect: Opens a channel to ``host:port`` or ``unix:/path``.
        discovery: Where services are looked up.
        scheme: The scheme of the endpoints to look for; ``kind`` if it is empty.
        balancing: How calls are spread; a live one may change.

    Raises:
        ValueError: The target is a service and there is no discovery.
    """

    def __init__(
        self,
        target: Target,
        *,
        kind: str,
        connect: Callable[[str], Channel],
        discovery: Discovery | None = None,
        scheme: str = "",
        balancing: Balancing | Live[Balancing] = DEFAULT_BALANCING,
    ) -> None:
        if target.service and discovery is None:
            raise ValueError(f"discovery:///{target.service} needs a registry to ask: pass discovery=")
        self.kind = kind
        self._scheme = scheme or kind
        self._target = target
        self._loop: asyncio.AbstractEventLoop | None = None
        self._meter: Meter | None = None
        self._ejections: Counter | None = None
        self._unseen: Callable[[], None] | None = None
        self._members = Members(target, self._scheme, discovery, balancing, left=self._keep, ejected=self._ejected)
        self._lines = Lines(connect, lambda: self._members.balancing.idle)

    async def start(self) -> None:
        """Begins to watch the registry; see ``Channels``."""
        self._members.start()

    async def pick(self, call: Call, request: Any, /) -> Attempt:
        """Returns the attempt at the node that the balancer picks; see ``Channels``."""
        members = self._members
        if not members.there.is_set():
            await self._wait(call)
        loop = self._loop
        if loop is None:
            loop = self._loop = asyncio.get_running_loop()
        pool, state = members.pool, call.state
        flight: Flight | None = None
        if len(pool.nodes) > 1 or ADMIT in state:
            asked = Asked(call.operation.name, call.options.get("hash_key"), call.operation.streams)
            flight = pool.pick(asked, loop.time(), admit=state.get(ADMIT), tried=state.get(TRIED, ()))
            if flight is None:
                raise self._nobody(call)
            address = flight.node.address
            state[HURRIED] = self._others(call, address)
        else:
            address = pool.nodes[0].address
        try:
            return _Attempt(self, self._lines.take(address), call, request, pool=pool, flight=flight)
        except BaseException:
            if flight is not None:
                pool.done(flight, Outcome.LEFT, loop.time())
            raise

    def measure(self, meter: Meter) -> None:
        """Shows how many nodes there are, and counts those that are left alone; see ``Channels``.

        Raises:
            ValueError: A name is something else already.
        """
        if self._meter is None:
            self._meter = meter
            self._ejections = meter.counter(
                "client_ejections_total",
                "Nodes that were left alone for a while, by cause: unreached, consecutive, silence, rate.",
                labels=("kind", "target", "cause"),
            )
            self._unseen = meter.observed(
                "client_nodes", "Nodes that a client knows, by state.", self._states, labels=("kind", "target", "state")
            )

    async def aclose(self) -> None:
        """Stops watching and closes every channel; see ``Channels``."""
        if self._unseen is not None:
            self._unseen()
            self._unseen = None
        await self._members.aclose()
        await self._lines.aclose()

    def left(self, attempt: _Attempt, failure: BaseException | None) -> bool:
        """Takes the end of an attempt; returns whether another node is to be tried at once."""
        assert self._loop is not None  # noqa: S101 - there was a pick
        call, flight, now = attempt.call, attempt.flight, self._loop.time()
        self._lines.release(attempt.line, now)
        if failure is None:
            if flight is not None:
                attempt.pool.done(flight, Outcome.GOOD, now)
            return False
        if self._meter is None and call.parent is not None and call.parent.app is not None:
            self._measure(call.parent.app.meter)
        outcome = outcome_of(failure, call)
        again = False
        if outcome is not Outcome.LEFT:
            address, tried = attempt.channel.peer.address, call.state.setdefault(TRIED, set())
            again = outcome is Outcome.UNREACHED and address not in tried
            tried.add(address)
        if flight is not None:
            attempt.pool.done(flight, outcome, now)
        request = attempt.request
        if not again or (isinstance(request, Messages) and request.begun):
            return False
        return len(call.state[TRIED]) < MOST_NODES and self._others(call)

    def _others(self, call: Call, address: str = "") -> bool:
        """Tells whether there is a node that a call has not been to, beside the one at an address."""
        tried = call.state.get(TRIED, ())
        return any(node.address != address and node.address not in tried for node in self._members.pool.nodes)

    async def _wait(self, call: Call) -> None:
        """Waits until the registry has answered; with ``wait_for_ready``, until there is a node."""
        members = self._members
        if not members.watching and self._target.service:
            raise RuntimeError("a client that discovers its nodes has to be entered first: `async with client:`")
        began = asyncio.get_running_loop().time()
        try:
            await (members.there if call.options.get("wait_for_ready") else members.known).wait()
        except asyncio.CancelledError:
            if call.overdue:
                raise self._late(call, asyncio.get_running_loop().time() - began) from None
            raise
        if not members.pool.nodes:
            raise self._nobody(call)

    def _nobody(self, call: Call) -> Error:
        found = len(self._members.found)
        if self._members.pool.nodes:
            why = f"the balancer wants none of the nodes of {self._name}"
        elif found:
            why = f"the filters of the client leave none of the {found} nodes of {self._name}"
        else:
            why = f"nobody serves {self._name} over {self._scheme}"
        return ServiceUnavailable(f"{call.operation.name}: {why}", reason="NODE_NOT_FOUND")

    def _late(self, call: Call, seconds: float) -> Error:
        why = "it knows nobody" if self._members.known.is_set() else "the registry has not answered"
        limit = call.limit or "method"
        return GatewayTimeout(
            f"{call.operation.name}: nobody who serves {self._name} over {self._scheme} was found within "
            f"{seconds:.3g} s, which is what the {limit} allows: {why}",
            reason="DEADLINE_EXCEEDED",
            metadata={"limit": limit},
        )

    @property
    def _name(self) -> str:
        return self._target.service or ",".join(self._target.addresses)

    def _keep(self, addresses: Collection[str]) -> None:
        self._lines.keep(addresses)

    def _ejected(self, ejection: Ejection) -> None:
        address, cause, seconds = ejection
        logger.warning("%s: %s is left alone for %g s, %s", self._name, address, seconds, CAUSES[cause])
        if self._ejections is not None:
            self._ejections.labels(self.kind, self._name, cause).add()
        if cause == "unreached":
            self._lines.drop(address)  # grpcio would go on waiting before it tries again, and fail all calls meanwhile

    def _measure(self, meter: Meter) -> None:
        try:
            self.measure(meter)
        except Exception:  # it is better not to count than not to call
            logger.exception("the nodes of %s cannot be counted", self._name)

    def _states(self) -> dict[tuple[str, ...], float]:
        pool = self._members.pool
        alone = len(pool.ejections.alone)
        calls = sum(1 for node in pool.nodes if node.address not in pool.ejections.alone)
        counts = {"found": len(self._members.found), "called": calls, "ejected": alone}
        return {(self.kind, self._name, state): float(count) for state, count in counts.items()}

    def __repr__(self) -> str:
        return f"<Nodes {self._name} over {self._scheme}: {self._members.pool!r}>"


class _Attempt:
    """One attempt of a call at one of the nodes; see ``Attempt``."""

    __slots__ = ("_nodes", "call", "channel", "flight", "line", "pool", "request")

    def __init__(
        self, nodes: Nodes, line: Line, call: Call, request: Any, *, pool: Pool, flight: Flight | None
    ) -> None:
        self._nodes = nodes
        self.pool = pool
        self.flight = flight
        self.line = line
        self.channel = line.channel
        self.call = call
        self.request = request

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> bool:
        return self._nodes.left(self, failure)
