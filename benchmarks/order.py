"""A POST of an order of twenty lines that comes back, over HTTP: ours beside its peers.

    python benchmarks/order.py [--rounds 3] [--seconds 3] [--json FILE]

Measured as ``unary.py``. Field names are those of Python for FastAPI, Litestar and Starlette, and those of protobuf's
JSON for the others. Starlette has no types: it reads and writes JSON and checks nothing. Four minutes.
"""

from __future__ import annotations

from loads import CONNECT_ORDER, ORDER, SNAKE_ORDER
from measure import Contest, Entry, finish, options, run
from record import Goal
from roster import CONNECT_WEB, FASTAPI, GO_WEB, LITESTAR, STARLETTE, WEB


def http() -> Contest:
    """Returns who takes orders."""
    entries = [
        *(Entry(each, SNAKE_ORDER) for each in (FASTAPI, LITESTAR, STARLETTE)),
        Entry(CONNECT_WEB, CONNECT_ORDER),
        *(Entry(each, ORDER) for each in (GO_WEB, *WEB.values())),
    ]
    goals = [Goal(WEB["fast", "full"].name, FASTAPI.name, "rate", 2.5)]
    return Contest("HTTP POST of an order of twenty lines", FASTAPI.name, entries, goals)


if __name__ == "__main__":
    wanted = options(__doc__)
    finish(run("order", [http()], wanted), wanted)
