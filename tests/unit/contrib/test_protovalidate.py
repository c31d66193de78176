"""Rules from the proto: everything that is wrong, at once, with its path, on both transports."""

from __future__ import annotations

import subprocess
import sys
from typing import Literal

import pytest
from fixtures.gen.fixture.rules.v1.rules_kratos import RulesClient, RulesService
from fixtures.gen.fixture.rules.v1.rules_pb import Line, Misfit, Order

from kratos.call import Call
from kratos.contrib.protovalidate import ProtoValidate
from kratos.errors import BadRequest, Violation
from kratos.handler import Messages
from kratos.middleware import validate
from kratos.service import ClientStreamCall
from kratos.testing import serve
from kratos.wire.google.rpc.error_details_pb import BadRequest as Details

GOOD = Order(id="abc", lines=[Line(sku="a", count=1)])


class Rules(RulesService):
    """Takes what it is given."""

    async def place(self, request: Order, call: Call) -> Order:
        return request

    async def place_all(self, requests: Messages[Order], call: Call) -> Order:
        taken = [request async for request in requests]
        return taken[-1]


@pytest.mark.parametrize(
    ("order", "found"),
    [
        (GOOD, []),
        (
            Order(id="a"),
            [
                Violation("id", "must be at least 3 characters", "string.min_len"),
                Violation("lines", "must contain at least 1 item(s)", "repeated.min_items"),
            ],
        ),
        (
            Order(id="abc", lines=[Line(sku="a", count=1), Line(sku="A", count=101)]),
            [
                Violation("lines[1].sku", "does not match regex pattern `^[a-z]+$`", "string.pattern"),
                Violation("lines[1].count", "must be greater than 0 and less than or equal to 100", "int32.gt_lte"),
            ],
        ),
        (
            Order(id="abc", lines=[Line(sku="a", count=1)], paid=True),
            [Violation("", "a paid order has a receipt", "order.paid")],
        ),
    ],
)
def test_violations(order: Order, found: list[Violation]) -> None:
    """Each rule that is broken is one violation with the path of its field."""
    assert list(ProtoValidate()(order)) == found


def test_paths_into_maps() -> None:
    """Keys of maps are part of a path, quoted as in protovalidate."""
    bad = Line(sku="A", count=1)
    order = Order(id="abc", lines=[Line(sku="a", count=1)], named={'k"\\': bad}, flags={True: bad})
    assert {violation.field for violation in ProtoValidate()(order)} == {'named["k\\"\\\\"].sku', "flags[true].sku"}


@pytest.mark.parametrize("transport", ["memory", "http", "grpc"])
async def test_served(transport: Literal["memory", "http", "grpc"]) -> None:
    """The caller learns of everything, the same on every transport."""
    async with serve(Rules(), transport=transport, middleware=[validate(ProtoValidate())]) as conn:
        api = RulesClient(conn)
        assert await api.place(GOOD) == GOOD
        with pytest.raises(BadRequest) as failure:
            await api.place(Order(id="a"))
    error = failure.value
    assert (error.code, error.reason) == (400, "VALIDATOR")
    assert error.metadata == {"id": "must be at least 3 characters", "lines": "must contain at least 1 item(s)"}
    if transport != "http":  # Kratos' JSON has no room for details
        assert [violation.reason for violation in error.details[0].field_violations] == [
            "string.min_len",
            "repeated.min_items",
        ]
        assert isinstance(error.details[0], Details)


async def test_streams() -> None:
    """Each message of a stream is checked."""
    async with (
        serve(Rules(), middleware=[validate(ProtoValidate())]) as conn,
        RulesClient(conn).place_all() as stream,
    ):
        await stream.send(GOOD)
        with pytest.raises(BadRequest, match="lines"):
            await _refused(stream)


async def _refused(stream: ClientStreamCall[Order, Order]) -> None:
    await stream.send(Order(id="abc"))
    await stream.reply()


def test_rules_that_cannot_be_followed() -> None:
    """They are found when a server is built."""
    ProtoValidate().prepare(Order)
    with pytest.raises(ValueError, match="the rules of Misfit cannot be followed: .*int32"):
        ProtoValidate().prepare(Misfit)


def test_without_the_library() -> None:
    """What is missing is said, with the way to get it."""
    script = "import sys; sys.modules['protovalidate'] = None; import kratos.contrib.protovalidate"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert 'pip install "kratos-py[protovalidate]"' in done.stderr
