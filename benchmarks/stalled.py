"""A log that nobody reads, beside one that is written: what calls notice of it.

    python benchmarks/stalled.py [--rounds 3] [--seconds 3] [--json FILE]

Measured as ``unary.py``, with the same greetings and the same middleware. One server writes its access log to a file.
The other one writes it into a pipe that nobody reads: once that is full the thread of the log stands still, lines wait
until there is no more room for them, and all that come after them are lost and counted. Two minutes.
"""

from __future__ import annotations

from loads import GET, UNARY
from measure import Contest, Entry, Load, finish, options, run
from record import Goal
from roster import GRPC, OURS, UVICORN, WEB
from servers import Program

FAST = Program("ours, fast, nobody reads", "kratos_web.py", ("stalled", "fast"), (*OURS, *UVICORN), "fast", ours=True)
NATIVE = Program(
    "ours, native, nobody reads", "kratos_app.py", ("stalled", "native"), (*OURS, "pygrpc-native"), "grpc", ours=True
)


def contest(title: str, load: Load, read: Program, stalled: Program) -> Contest:
    """Returns the two servers, and that the one waits no longer than the other."""
    goals = [Goal(stalled.name, read.name, "p99", 1.2), Goal(stalled.name, read.name, "rate", 0.95)]
    return Contest(title, read.name, [Entry(each, load) for each in (read, stalled)], goals)


if __name__ == "__main__":
    wanted = options(__doc__)
    contests = [
        contest("HTTP GET while nobody reads the log", GET, WEB["fast", "full"], FAST),
        contest("gRPC unary while nobody reads the log", UNARY, GRPC["native", "full"], NATIVE),
    ]
    finish(run("stalled", contests, wanted), wanted)
