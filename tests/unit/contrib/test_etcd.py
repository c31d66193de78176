"""The etcd driver as far as it needs no etcd; the rest is in tests/etcd."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kratos.contrib.etcd import EtcdRegistry, EtcdSource
from kratos.contrib.etcd.span import Span
from kratos.registry import Instance, InvalidInstance
from kratos.transport.tls import TLS


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ttl": 0.5}, "ttl is 0.5: etcd counts in whole seconds, from 1 on"),
        ({"ttl": float("nan")}, "ttl is nan"),
        ({"endpoints": []}, "etcd needs an endpoint"),
        ({"endpoints": "127.0.0.1:2379,,"}, "is not host:port"),
        ({"endpoints": "127.0.0.1"}, "'127.0.0.1' is not host:port"),
        ({"endpoints": "http://127.0.0.1:2379", "tls": TLS()}, "has no TLS"),
        ({"endpoints": "https://127.0.0.1:2379", "tls": TLS(ca="/nowhere.pem")}, "/nowhere.pem cannot be read"),
    ],
)
def test_options(options: dict[str, Any], message: str) -> None:
    """What cannot work is said when the registry is made."""
    with pytest.raises(ValueError, match=message):
        EtcdRegistry(**options)


@pytest.mark.parametrize("path", ["", "/shop", "/shop.xml", "shop.yaml.bak"])
def test_paths(path: str) -> None:
    """A path that is neither a document nor a prefix is refused, with what it may be."""
    with pytest.raises(ValueError, match=r"has to end in one of \.yaml, .*, and a prefix of keys in a slash"):
        EtcdSource("127.0.0.1:2379", path)


def test_a_limit_that_is_none() -> None:
    """A time limit is positive."""
    with pytest.raises(ValueError, match="timeout is 0: it must be a positive number of seconds"):
        EtcdSource("127.0.0.1:2379", "/shop/", timeout=0)


def test_names() -> None:
    """They are what a person looks for."""
    assert str(EtcdRegistry("127.0.0.1:2379, 127.0.0.1:2380")) == "etcd at 127.0.0.1:2379,127.0.0.1:2380"
    assert EtcdSource("127.0.0.1:2379", "/shop/").name == "etcd:/shop/"


@pytest.mark.parametrize(
    "instance", [Instance("", "shop"), Instance("1", ""), Instance("1", "\ud800"), Instance("\ud800", "shop")]
)
async def test_instances_that_cannot_be(instance: Instance) -> None:
    """They are refused at once; nobody waits for an etcd."""
    with pytest.raises(InvalidInstance):
        await EtcdRegistry("127.0.0.1:1").hold(instance, lambda: None)


@given(st.text(min_size=1), st.text())
def test_spans(prefix: str, key: str) -> None:
    """The end of a span is the first key that does not begin like it."""
    start, each = (text.encode("utf-8", "replace") for text in (prefix, key))
    span = Span(start, below=True)
    assert (start <= each < span.end) == each.startswith(start)
    assert start + each < span.end
    assert Span(start).end == b""
