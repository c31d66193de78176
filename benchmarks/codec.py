"""JSON of an order of twenty lines: our codec against google's json_format, both ways.

Rounds are interleaved, so that a busy machine slows down both alike; trust the ratios. Run it with
``python benchmarks/codec.py`` from the repository, after the tests have generated the fixtures once.
"""

from __future__ import annotations

import platform
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter_ns

from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from google.protobuf.internal import api_implementation
from google.protobuf.message import Message as GoogleMessage

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from fixtures.gen.fixture.codec.v1 import order_pb
from fixtures.gen.fixture.codec.v1.order_pb import Order, OrderLine

from kratos.codec import DEFAULT_CODECS, JsonCodec

ROUNDS = 40
CALLS = 25
REPEATS = 5
GOAL = 8.0


def order() -> Order:
    return Order(
        order_id="8f14e45f-ceea-467f-9575-1f2f6b4b5c11",
        customer_id=1234567890123,
        lines=[
            OrderLine(
                sku=f"SKU-{n:05}",
                title=f"A thing of kind {n}",
                quantity=n,
                unit_price_cents=1999 + n,
                discount=0.05 * n,
            )
            for n in range(20)
        ],
        labels={"channel": "web", "region": "eu-west-1", "campaign": "spring"},
        gift=True,
        note="please ring twice",
    )


def google_order() -> type[GoogleMessage]:
    """Builds google's class from our descriptor, in a pool of its own."""
    pool = descriptor_pool.DescriptorPool()
    pool.Add(descriptor_pb2.FileDescriptorProto.FromString(order_pb.desc().proto.to_binary()))
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("fixture.codec.v1.Order"))


def microseconds(call: Callable[[], object]) -> float:
    start = perf_counter_ns()
    for _ in range(CALLS):
        call()
    return (perf_counter_ns() - start) / CALLS / 1000


def measure(ours: Callable[[], object], theirs: Callable[[], object]) -> tuple[float, float]:
    """Returns the median microseconds of both over interleaved rounds."""
    pairs = [(microseconds(ours), microseconds(theirs)) for _ in range(ROUNDS)]
    return statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs)


def main() -> None:
    codec = JsonCodec()
    ours = order()
    text = codec.encode(ours)
    google = google_order()
    theirs = google.FromString(ours.to_binary())

    # Both must do the same work before their times may be compared.
    assert codec.decode(text, Order) == ours
    assert json_format.Parse(text, google(), ignore_unknown_fields=True) == theirs
    written = json_format.MessageToJson(theirs, indent=None, always_print_fields_with_no_presence=True)
    assert codec.decode(written.encode(), Order) == ours

    with_unknown = b'{"added_tomorrow": 1,' + text[1:]
    proto = DEFAULT_CODECS.named("proto")
    assert proto is not None
    binary = proto.encode(ours)
    cases: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
        "JSON encode": (
            lambda: codec.encode(ours),
            lambda: json_format.MessageToJson(theirs, indent=None, always_print_fields_with_no_presence=True).encode(),
        ),
        "JSON decode": (
            lambda: codec.decode(text, Order),
            lambda: json_format.Parse(text, google(), ignore_unknown_fields=True),
        ),
        "JSON decode, an unknown key": (
            lambda: codec.decode(with_unknown, Order),
            lambda: json_format.Parse(with_unknown, google(), ignore_unknown_fields=True),
        ),
        "JSON decode, bare from_json": (lambda: Order.from_json(text), lambda: codec.decode(text, Order)),
        "proto encode": (lambda: proto.encode(ours), theirs.SerializeToString),
        "proto decode": (lambda: proto.decode(binary, Order), lambda: google.FromString(binary)),
    }
    print(f"Python {platform.python_version()}, google.protobuf on {api_implementation.Type()}, {len(text)} bytes JSON")
    print(f"{REPEATS} repeats of {ROUNDS} interleaved rounds of {CALLS} calls; microseconds, median [lowest-highest]\n")
    print(f"{'':30} {'first':>24} {'second':>28} {'second / first':>24}")
    for name, (first, second) in cases.items():
        runs = [measure(first, second) for _ in range(REPEATS)]
        columns = [[a for a, _ in runs], [b for _, b in runs], [b / a for a, b in runs]]
        shown = [f"{statistics.median(c):8.2f} [{min(c):.2f}-{max(c):.2f}]" for c in columns]
        print(f"{name:30} {shown[0]:>24} {shown[1]:>28} {shown[2]:>24}")
        if name in ("JSON encode", "JSON decode"):
            ratio = statistics.median(columns[2])
            print(f"{'':30} goal {GOAL}x: {'reached' if ratio >= GOAL else 'MISSED'}")


if __name__ == "__main__":
    main()
