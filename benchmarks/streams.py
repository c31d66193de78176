"""Streamed replies over gRPC: ours beside its peers, in messages per second.

    python benchmarks/streams.py [--rounds 3] [--seconds 3] [--json FILE]

Measured as ``unary.py``. A call brings 100 replies of some bytes; there are 4 connections with 2 calls each. Rates and
CPU are per message, latencies are of a whole call. Events over HTTP are another script, ``events.py``. Four minutes.
"""

from __future__ import annotations

from loads import STREAM
from measure import Contest, Entry, finish, options, run
from record import Goal
from roster import AIO, CONNECT, GO, GRPC, GRPCLIB


def grpc() -> Contest:
    """Returns who streams."""
    entries = [Entry(each, STREAM) for each in (AIO, GRPCLIB, CONNECT, GO, *GRPC.values())]
    goals = [Goal(GRPC["native", "full"].name, AIO.name, "rate", 3.0)]
    return Contest("gRPC stream of 100 replies", AIO.name, entries, goals, unit="message", waited="stream")


if __name__ == "__main__":
    wanted = options(__doc__)
    finish(run("streams", [grpc()], wanted), wanted)
