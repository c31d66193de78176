"""What clients may be told to connect to."""

from __future__ import annotations

import pytest

from kratos.transport.target import Target


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("localhost:8000", Target(("localhost:8000",))),
        ("127.0.0.1:9000", Target(("127.0.0.1:9000",))),
        ("[::1]:9000", Target(("[::1]:9000",))),
        ("http://localhost:8000", Target(("localhost:8000",), secure=False)),
        ("http://localhost:8000/", Target(("localhost:8000",), secure=False)),
        ("http://localhost", Target(("localhost:80",), secure=False)),
        ("https://example.org", Target(("example.org:443",), secure=True)),
        ("grpc://10.0.0.7:9000", Target(("10.0.0.7:9000",), secure=False)),
        ("grpcs://10.0.0.7:9000", Target(("10.0.0.7:9000",), secure=True)),
        ("unix:/run/shop.sock", Target(("unix:/run/shop.sock",), secure=False)),
        ("unix:/run/shop.sock?mode=660", Target(("unix:/run/shop.sock",), secure=False)),
        ("unix:///run/shop.sock", Target(("unix:/run/shop.sock",), secure=False)),
        ("http+unix:/run/shop.sock", Target(("unix:/run/shop.sock",), secure=False)),
        ("grpc+unix:/run/shop.sock", Target(("unix:/run/shop.sock",), secure=False)),
        ("direct:///a:1,b:2", Target(("a:1", "b:2"))),
        ("direct:///a:1, b:2", Target(("a:1", "b:2"))),
        ("discovery:///helloworld", Target(service="helloworld")),
    ],
)
def test_forms(text: str, target: Target) -> None:
    """Every form is understood."""
    assert Target.parse(text) == target


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not host:port"),
        ("localhost", "is not host:port"),
        ("localhost:99999", "is not host:port"),
        ("localhost:8000/path", "is not host:port"),
        ("user@localhost:8000", "is not host:port"),
        ("127.0.0.1:8888:xxxxa", "is not host:port"),
        ("grpc://host", "is not host:port"),
        ("ftp://host:1", "unknown scheme"),
        ("http://host:1/base", "has a path"),
        ("direct:///", "three slashes"),
        ("direct:///a:1,", "is not host:port"),
        ("unix:", "has no path"),
        ("http+unix:///", "has no path"),
        ("discovery://name", "three slashes"),
        ("discovery:///", "three slashes"),
    ],
)
def test_refused(text: str, message: str) -> None:
    """Anything else is refused, with the forms."""
    with pytest.raises(ValueError, match=message):
        Target.parse(text)
