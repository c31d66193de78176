"""The words of load balancing: nodes, what a pick knows, what became of it, and what a balancer is.

Nothing here has a clock: whoever picks says what time it is, in seconds of a clock that never goes back.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, Protocol, TypeAlias, runtime_checkable

__all__ = ["DEFAULT_WEIGHT", "Asked", "Balancer", "Draw", "Filter", "Flight", "Learning", "Node", "Outcome"]

DEFAULT_WEIGHT: Final = 100.0
"""The weight of a node that says nothing."""

Draw: TypeAlias = Callable[[], float]
"""Returns a random number, at least 0 and less than 1."""


@dataclass(frozen=True, slots=True)
class Node:
    """Where a call may land.

    Attributes:
        address: ``host:port`` or ``unix:/path``; unique among the nodes of a client.
        scheme: ``http``, ``https``, ``grpc`` or ``grpcs``.
        instance: The id of the process, empty for a fixed address.
        version: The version of the service there.
        weight: Its share of the calls, beside those of the others; 0 is none while there are others.
        metadata: What the instance says of itself, such as its zone.
    """

    address: str
    scheme: str = ""
    instance: str = ""
    version: str = ""
    weight: float = DEFAULT_WEIGHT
    metadata: Mapping[str, str] = field(default_factory=dict[str, str], hash=False)


@dataclass(slots=True)
class Asked:
    """What a pick knows of the call.

    Attributes:
        operation: The name of the operation.
        key: Calls with the same key want the same node; None for any.
        stream: Whether it is a stream: how long it takes says nothing about the node.
        avoid: Addresses that are not to be picked.
    """

    operation: str = ""
    key: str | None = None
    stream: bool = False
    avoid: Collection[str] = ()


class Outcome(Enum):
    """What became of a call, as far as the node is concerned.

    Attributes:
        GOOD: It was answered; an error that is the caller's fault is an answer.
        ERROR: It failed on the node, by the node's fault or by that of the request: a 500.
        DOWN: The node is not able to answer: 502, 503, 504, a lost connection.
        UNREACHED: There was no connection, and nothing was sent.
        LEFT: Nobody knows: the caller gave up before.
    """

    GOOD = "good"
    ERROR = "error"
    DOWN = "down"
    UNREACHED = "unreached"
    LEFT = "left"


class Flight:
    """One call on its way to a node, from pick to feedback.

    Args:
        node: Where it goes.
        began: When it was picked.
        stat: What the balancer keeps of the node.
        slot: Where the balancer has noted its beginning.

    Attributes:
        node: Where it goes.
        began: When it was picked.
    """

    __slots__ = ("began", "node", "slot", "stat")

    def __init__(self, node: Node, began: float, stat: Any = None, slot: int | None = None) -> None:
        self.node = node
        self.began = began
        self.stat = stat
        self.slot = slot


class Balancer(Protocol):
    """Decides which node takes a call. It belongs to one client, and to its event loop.

    What it knows of a node it keeps by address, from update to update, and forgets with the address.

    Attributes:
        whole: Whether all clients should know all nodes, and not each a part of them.
    """

    whole: bool

    def update(self, nodes: Sequence[Node], /) -> None:
        """Takes the nodes that there are now; each address is there once. Flights to others may still end."""
        ...

    def pick(self, asked: Asked, now: float, /) -> Flight | None:
        """Returns a flight to a node that is not to be avoided, None if there is none. ``feedback`` will end it."""
        ...

    def feedback(self, flight: Flight, outcome: Outcome, now: float, /) -> None:
        """Takes what became of a flight; called once for each."""
        ...


@runtime_checkable
class Learning(Protocol):
    """A balancer to which new nodes are work: it is given time to look at them before it takes them."""

    def learn(self, nodes: Sequence[Node], /) -> Iterator[None]:
        """Looks at the nodes of the next update, a few at each step; others run between the steps."""
        ...


Filter: TypeAlias = Callable[[Sequence[Node]], Sequence[Node]]
"""Returns those of some nodes that may be called, in their order.

It is asked when nodes come, go, are ejected or come back, and not for each call.
"""
