"""Logs by the forward protocol, judged by Fluent's own server."""

from __future__ import annotations

import logging
import os
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from kratos.contrib import fluentd as driver
from kratos.contrib.fluentd import FluentdHandler

Start = Callable[..., Any]


@contextmanager
def logger_of(handler: FluentdHandler) -> Iterator[logging.Logger]:
    """Yields a logger that nobody else listens to."""
    logger = logging.Logger("shop", logging.DEBUG)  # noqa: LOG001 - that is the point
    logger.addHandler(handler)
    try:
        yield logger
    finally:
        handler.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "_LONGEST_WAIT", 0.2)


def test_what_arrives(fluentd: Start) -> None:
    """Time, tag and facts, whatever they are; no secret is among them."""
    peer = fluentd()
    with logger_of(FluentdHandler(peer.address, tag="shop.log")) as logger:
        logger.info(
            "sold %d", 3, extra={"sku": "a", "n": 1, "token": "s3cret", "big": 2**70, "logger": "x", "bad": "\ud800"}
        )
        try:
            raise ValueError("no password=s3cret")
        except ValueError:
            logger.exception("lost")
        assert logger.handlers[0].drain(60)  # type: ignore[attr-defined]
        peer.records(2)
        first, second = peer.entries()
    assert first["tag"] == "shop.log"
    assert first["seconds"] > 1_700_000_000
    record = first["record"]
    assert (record["msg"], record["level"], record["logger"], record["fields.logger"]) == (
        "sold 3",
        "INFO",
        "shop",
        "x",
    )
    assert (record["token"], record["big"], record["sku"]) == ("***", str(2**70), "a")
    assert second["record"]["error"] == "ValueError: no password=***"
    assert second["record"]["stack"].startswith("Traceback")
    assert "s3cret" not in str(peer.entries())


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_a_restart_loses_nothing(fluentd: Start, impatient: None, kind: str) -> None:
    """Fluentd is stopped and started again while threads log: all arrives, some of it perhaps twice."""
    folder = tempfile.TemporaryDirectory(prefix="k")  # pytest's own names are too long for a socket
    with folder:
        peer = fluentd() if kind == "tcp" else fluentd(os.path.join(folder.name, "s"))
        handler = FluentdHandler(peer.address, limit=100_000)
        with logger_of(handler) as logger:
            for turn in range(3):
                log = lambda turn, who: [logger.info("%d", turn * 2000 + who * 1000 + n) for n in range(1000)]  # noqa: E731
                threads = [threading.Thread(target=log, args=(turn, who)) for who in range(2)]
                for thread in threads:
                    thread.start()
                peer.stop()
                for thread in threads:
                    thread.join()
                assert not handler.drain(0.01)
                peer.start()
            assert handler.drain(60)
            assert (handler.dropped, handler.failure) == (0, "")
        assert {int(record["msg"]) for record in peer.records(6000)} == set(range(6000))
        peer.stop()


def test_what_does_not_fit_is_counted(fluentd: Start, impatient: None) -> None:
    """While Fluentd is away no more waits than was said, and it is told how much that was."""
    peer = fluentd()
    peer.stop()
    handler = FluentdHandler(peer.address, limit=50)
    with logger_of(handler) as logger:
        for number in range(1000):
            logger.info("%d", number)
        assert not handler.drain(0.01)
        assert "refused" in handler.failure
        dropped = handler.dropped
        assert dropped >= 900
        peer.start()
        assert handler.drain(60)
    records = peer.records(1001 - dropped)
    assert sum(record["lost"] for record in records if record["msg"] == "log lines lost") == dropped
    assert len({record["msg"] for record in records}) == 1001 - dropped


def test_shared_key(fluentd: Start, impatient: None) -> None:
    """Both ends prove that they know the key; one that is wrong is told."""
    peer = fluentd(key="open sesame")
    with logger_of(FluentdHandler(peer.address, shared_key="open sesame")) as logger:
        logger.info("hello")
        assert logger.handlers[0].drain(60)  # type: ignore[attr-defined]
    assert [record["msg"] for record in peer.records(1)] == ["hello"]
    handler = FluentdHandler(peer.address, shared_key="open barley")
    with logger_of(handler) as logger:
        logger.info("hello")
        assert not handler.drain(1)
        assert "it refused the shared key" in handler.failure
    assert handler.dropped == 1


def test_without_acknowledgements(fluentd: Start) -> None:
    """Chunks may go out without waiting for an answer."""
    peer = fluentd()
    with logger_of(FluentdHandler(peer.address, acknowledged=False)) as logger:
        logger.info("hello")
        assert logger.handlers[0].drain(60)  # type: ignore[attr-defined]
        assert [record["msg"] for record in peer.records(1)] == ["hello"]


def test_a_peer_that_accepts_and_never_reads() -> None:
    """Nobody who logs waits for it, and neither does the end."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        handler = FluentdHandler(f"tcp://127.0.0.1:{server.getsockname()[1]}", timeout=0.2, limit=100)
        with logger_of(handler) as logger:
            for number in range(10_000):
                logger.info("%d %s", number, "x" * 200)
            assert not handler.drain(0.5)
            assert handler.failure
        assert handler.dropped >= 9800


@pytest.mark.parametrize(
    "answer", [b"\xc0", b"\x81\xa3ack\xa1x", b"\x93\x01", b"\xc1", b"\xdb\x7f\xff\xff\xff" + b"x" * (2 << 20), b""]
)
def test_answers_that_are_none(answer: bytes) -> None:
    """Whatever it answers, the chunk counts as not acknowledged, and is sent again."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def talk() -> None:
            for _ in range(2):
                peer, _address = server.accept()
                with peer:
                    peer.recv(10)
                    try:
                        peer.sendall(answer)
                    except OSError:
                        continue
            connected.set()

        connected = threading.Event()
        talking = threading.Thread(target=talk)
        talking.start()
        handler = FluentdHandler(f"tcp://127.0.0.1:{server.getsockname()[1]}", timeout=1)
        with logger_of(handler) as logger:
            logger.info("hello")
            assert connected.wait(60)
            assert handler.failure
        talking.join()
    assert handler.dropped == 1


@pytest.mark.parametrize(
    "address", ["foo", "tcp://", "tcp://h:x", "https://h:1", "unix://foo/bar", "unix:", "tcp://h:1/p", "tcp://:1"]
)
def test_wrong_addresses(address: str) -> None:
    """An address that is none is told when the handler is made."""
    with pytest.raises(ValueError, match="no address of Fluentd"):
        FluentdHandler(address)


def test_the_usual_port(tmp_path: Path) -> None:
    """It is Fluentd's own."""
    assert driver._Address("tcp://logs").port == 24224
    assert driver._Address(f"unix://{tmp_path}/s").path == f"{tmp_path}/s"
    assert driver._Address("unix:/run/s").path == "/run/s"
