"""Cookies and file names: what is written is read, what browsers would drop is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kratos.call import Call, Reply
from kratos.cookies import content_disposition, read_cookies, write_cookie
from kratos.metadata import Metadata
from kratos.operation import Unary

texts = st.text(max_size=50)


@given(texts)
def test_any_text_comes_back(value: str) -> None:
    """A value survives, whatever is in it, and breaks no header."""
    written = write_cookie("a", value)
    assert written.isascii()
    assert written.isprintable()
    assert read_cookies([written.partition("; ")[0]]) == {"a": value}


@given(texts)
def test_any_header_is_read(header: str) -> None:
    """Reading never fails; quotes around a value are not part of it."""
    assert read_cookies(['a="b c"; =x; a=d', "e"]) == {"a": "b c"}
    assert isinstance(read_cookies([header]), dict)


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("a b", {}, "cookie name"),
        ("", {}, "cookie name"),
        ("a\r\nx", {}, "cookie name"),
        ("a", {"path": "/;x"}, "path and domain"),
        ("a", {"domain": "x\r\n"}, "path and domain"),
        ("a", {"same_site": "lax; x"}, "same_site"),
        ("a", {"same_site": "none", "secure": False}, "secure=True"),
        ("__Secure-a", {"secure": False}, "secure=True"),
        ("__Host-a", {"path": "/x"}, "no domain"),
        ("__Host-a", {"domain": "x.org"}, "no domain"),
    ],
)
def test_what_browsers_drop(name: str, options: dict[str, Any], said: str) -> None:
    """A cookie that a browser would drop without a word is refused with one."""
    with pytest.raises(ValueError, match=said):
        write_cookie(name, "x", **options)
    with pytest.raises(ValueError, match="4096"):
        write_cookie("a", "x" * 4096)


@given(texts)
def test_any_file_name(name: str) -> None:
    """A name breaks no header and leads to no other folder."""
    written = content_disposition(name)
    assert written.isascii()
    assert written.isprintable()
    assert "/" not in written
    assert "\\" not in written


def test_file_names() -> None:
    """A name in ASCII stands there once, any other twice."""
    assert content_disposition("a.pdf") == 'attachment; filename="a.pdf"'
    assert content_disposition("../x/é.pdf", inline=True) == "inline; filename=\"_.pdf\"; filename*=UTF-8''%C3%A9.pdf"


def test_replies_and_calls() -> None:
    """The words of a handler; a redirect needs a status of its own and cannot break the header."""
    reply = Reply()
    reply.redirect("https://x.org/a b?c=%20&d=é#f\r\nx: y")
    assert (reply.status, reply.headers.get("location")) == (303, "https://x.org/a%20b?c=%20&d=%C3%A9#f%0D%0Ax:%20y")
    with pytest.raises(ValueError, match="304 is no redirect: use one of 301, 302, 303, 307, 308"):
        reply.redirect("/", 304)
    reply.set_cookie("a", "1")
    reply.delete_cookie("b")
    reply.name_file("a.txt")
    assert len(reply.headers.values("set-cookie")) == 2
    assert reply.headers.get("content-disposition") == 'attachment; filename="a.txt"'
    call = Call(
        Unary("/a.B/C", int, int), kind="http", side="server", headers=Metadata([("cookie", "a=1"), ("cookie", "b=2")])
    )
    assert call.cookies == {"a": "1", "b": "2"}
