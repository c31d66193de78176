"""Operations: four kinds, names, defaults."""

from __future__ import annotations

import dataclasses

import pytest

from kratos.operation import AnyOperation, Bidi, ClientStream, Http, Operation, ServerStream, Unary


@pytest.mark.parametrize(
    ("kind", "client", "server"),
    [(Unary, False, False), (ServerStream, False, True), (ClientStream, True, False), (Bidi, True, True)],
)
def test_kinds(kind: type[AnyOperation], client: bool, server: bool) -> None:
    """The four kinds differ in who streams, and carry nothing else."""
    operation = kind("/shop.v1.Orders/Get", int, str)
    assert (operation.client_streams, operation.server_streams) == (client, server)
    assert isinstance(operation, Operation)
    assert not hasattr(operation, "__dict__")


def test_names() -> None:
    """Service and method are parts of the name, which is also the text."""
    operation = Unary("/shop.v1.Orders/Get", int, str)
    assert (operation.service, operation.method, str(operation)) == ("shop.v1.Orders", "Get", "/shop.v1.Orders/Get")


def test_defaults() -> None:
    """Without rules there is no HTTP binding and no option."""
    operation = Unary("/a.B/C", int, str)
    assert (operation.http, dict(operation.options), operation.idempotent, operation.deprecated) == (
        (),
        {},
        False,
        False,
    )
    assert Http("GET", "/v1") == Http("GET", "/v1", body="", response_body="")


def test_identity() -> None:
    """An operation is a constant: frozen, and equal to itself alone, so that it can be a key."""
    one, other = Unary("/a.B/C", int, str), Unary("/a.B/C", int, str)
    assert one != other
    assert len({one: 1, other: 2}) == 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.name = "/x.Y/Z"  # type: ignore[misc]
    assert one.options is not other.options


@pytest.mark.parametrize(
    ("kind", "streams"), [(Unary, False), (ServerStream, True), (ClientStream, True), (Bidi, True)]
)
def test_only_unary_does_not_stream(kind: type[AnyOperation], streams: bool) -> None:
    """Whatever streams in one direction or both says so."""
    assert kind("/a.B/C", str, str).streams is streams
