"""Addresses said on the command line, and ports kept from one process to the next."""

from __future__ import annotations

import pytest

from kratos.admin import AdminServer
from kratos.tools.failure import Failure
from kratos.tools.reload.addresses import bound, keep, place
from kratos.transport.grpc import GRPCServer
from kratos.transport.http import HTTPServer


class Ticker:
    """A server of somebody's own, which listens nowhere."""

    endpoint = "tick://"


def test_parts() -> None:
    """Only what was said is replaced, and only the first server of a kind."""
    servers = [Ticker(), HTTPServer("127.0.0.1:8000"), HTTPServer("127.0.0.1:9100"), GRPCServer("127.0.0.1:9000")]
    place(servers)
    assert [each.address for each in servers if not isinstance(each, Ticker)] == [
        "127.0.0.1:8000", "127.0.0.1:9100", "127.0.0.1:9000",
    ]  # fmt: skip
    place(servers, host="::1", port=80)
    place(servers, grpc_port=0)
    assert [each.address for each in servers if not isinstance(each, Ticker)] == [
        "[::1]:80", "127.0.0.1:9100", "[::1]:0",
    ]  # fmt: skip


def test_admin() -> None:
    """What is for operators is moved by its own option alone, wherever it stands."""
    servers = [AdminServer("127.0.0.1:9100"), HTTPServer("127.0.0.1:8000")]
    place(servers, host="0.0.0.0", port=0)  # noqa: S104 - what it is about
    assert [each.address for each in servers] == ["127.0.0.1:9100", "0.0.0.0:0"]
    place(servers, admin_port=9101)
    assert [each.address for each in servers] == ["127.0.0.1:9101", "0.0.0.0:0"]


def test_unix_sockets() -> None:
    """A socket is on no host, but gives way to a port."""
    servers = [HTTPServer("unix:/run/h.sock"), GRPCServer("unix:/run/g.sock?mode=660")]
    place(servers, host="10.0.0.7")
    assert [each.address for each in servers] == ["unix:/run/h.sock", "unix:/run/g.sock?mode=660"]
    assert bound(servers) == {}
    place(servers, port=80)
    assert servers[0].address == "127.0.0.1:80"


def test_no_such_server() -> None:
    """A server that is not there is wrong usage; so is a host that is none."""
    with pytest.raises(Failure, match="the app has no HTTP server"):
        place([GRPCServer()], port=1)
    with pytest.raises(Failure, match="the app has no gRPC server"):
        place([HTTPServer(), Ticker()], grpc_port=1)
    with pytest.raises(Failure, match="the app has no server that could listen there"):
        place([Ticker()], host="localhost")


def test_kept() -> None:
    """A port that was free to choose stays what it became; one that the app says now is the app's."""
    before = [HTTPServer("127.0.0.1:8000"), GRPCServer("127.0.0.1:9000"), Ticker()]
    after = [HTTPServer("localhost:0"), GRPCServer("127.0.0.1:9001"), HTTPServer("127.0.0.1:0")]
    keep(after, bound(before))
    assert [each.address for each in after] == ["localhost:8000", "127.0.0.1:9001", "127.0.0.1:0"]
