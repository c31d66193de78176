"""Unary calls over sockets: a greeting over HTTP and over gRPC, ours beside its peers.

    python benchmarks/unary.py [--rounds 3] [--seconds 3] [--json FILE]

How it is measured stands in ``measure.py``. *full* has ``recovery()``, ``access_log()`` as JSON to a file and
``metadata()``; *bare* and the peers have no middleware and log nothing. Every request has twelve headers. HTTP has 32
connections with one request at a time, gRPC 8 connections with 16 streams. Seven minutes.

It needs h2load, ``pip install --group bench``, and the fixtures that the tests generate. Peers that are not installed
are left out; the one in Go is built by ``go`` from its module proxy, in the user's cache.
"""

from __future__ import annotations

from loads import CONNECT_GET, GET, UNARY
from measure import Contest, Entry, finish, options, run
from record import Goal
from roster import AIO, CONNECT, CONNECT_WEB, FASTAPI, GO, GO_WEB, GRPC, GRPCLIB, LITESTAR, STARLETTE, WEB


def http() -> Contest:
    """Returns who greets over HTTP."""
    fast, asgi = WEB["fast", "full"].name, WEB["asgi", "full"].name
    entries = [Entry(each, GET) for each in (FASTAPI, LITESTAR, STARLETTE, GO_WEB, *WEB.values())]
    entries.insert(3, Entry(CONNECT_WEB, CONNECT_GET))
    goals = [
        Goal(fast, FASTAPI.name, "rate", 3.0),
        Goal(fast, GO_WEB.name, "cpu", 1.0),
        Goal(asgi, FASTAPI.name, "rate", 2.3),
    ]
    return Contest("HTTP GET of a greeting", FASTAPI.name, entries, goals)


def grpc() -> Contest:
    """Returns who greets over gRPC."""
    native, grpcio = GRPC["native", "full"].name, GRPC["grpcio", "full"].name
    entries = [Entry(each, UNARY) for each in (AIO, GRPCLIB, CONNECT, GO, *GRPC.values())]
    goals = [
        Goal(native, AIO.name, "rate", 6.0),
        Goal(native, GO.name, "work", 0.6),
        Goal(grpcio, AIO.name, "rate", 0.9),
    ]
    return Contest("gRPC unary greeting", AIO.name, entries, goals)


if __name__ == "__main__":
    wanted = options(__doc__)
    finish(run("unary", [http(), grpc()], wanted), wanted)
