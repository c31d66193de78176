"""What a running HTTP server tells its connections."""

from __future__ import annotations

from uvicorn.config import Config

from kratos.live import Live
from kratos.metrics.calls import Refusals
from kratos.metrics.noop import NoopMeter
from kratos.transport.http.lane import Lane
from kratos.transport.http.limits import Limits

__all__ = ["ServerConfig"]


class ServerConfig(Config):
    """uvicorn's settings and our limits, for the protocols that uvicorn makes from them.

    Attributes:
        limits: What a client may take.
        lane: What answers unary calls; None is the application, as all others.
        refusals: Counts what cannot be read.
        stopping: Whether the server stops: what still comes is answered, and told that it was the last.
        closed: Whether it has stopped: a connection whose TLS handshake ends now finds nobody.
    """

    limits: Live[Limits] = Live(Limits())
    lane: Lane | None = None
    refusals = Refusals(NoopMeter(), "http")
    stopping = False
    closed = False
