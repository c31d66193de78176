"""Path templates and the table of routes."""

from __future__ import annotations

import pytest

from kratos.errors import Error
from kratos.pathtemplate import Template
from kratos.transport.http.route import Router


def router(*routes: tuple[str, str]) -> Router[str]:
    return Router((method, Template(text), text) for method, text in routes)


@pytest.mark.parametrize(
    ("template", "path", "values"),
    [
        ("/v1/users", "/v1/users", ()),
        ("/v1/users/{id}", "/v1/users/7", ("7",)),
        ("/v1/users/{user.id}", "/v1/users/7", ("7",)),
        ("/v1/{name=shelves/*}", "/v1/shelves/3", ("shelves/3",)),
        ("/v1/{name=shelves/*/books/*}", "/v1/shelves/3/books/a", ("shelves/3/books/a",)),
        ("/v1/{name=shelves/**}", "/v1/shelves/a/b/c", ("shelves/a/b/c",)),
        ("/v1/{name=shelves/**}", "/v1/shelves", ("shelves",)),
        ("/v1/{rest=**}", "/v1/a/b", ("a/b",)),
        ("/v1/{rest=**}", "/v1", ("",)),
        ("/v1/{id}:cancel", "/v1/7:cancel", ("7",)),
        ("/v1/{name=shelves/*}:move", "/v1/shelves/3:move", ("shelves/3",)),
        ("/v1/*/{id}", "/v1/anything/7", ("7",)),
        ("/v1/files/**", "/v1/files/a/b", ()),
        ("/a.b/{x}", "/a.b/1", ("1",)),
        ("/{n=x/*}", "/x/1", ("x/1",)),
        ("/v1/{name}", "/v1/a%20b%C3%A9", ("a bé",)),
        ("/v1/{name}", "/v1/a%2Fb", ("a/b",)),
        ("/v1/{name}", "/v1/100%25", ("100%",)),
        ("/v1/{name}", "/v1/%252F", ("%2F",)),
        ("/v1/{name=**}", "/v1/a%2Fb/c%25", ("a%2Fb/c%",)),
        ("/v1/{name=fixed}", "/v1/fixed", ("fixed",)),
        ("/v1/{name=**}", "/v1/a%0Ab/c", ("a\nb/c",)),
        ("/", "/", ()),
    ],
)
def test_match(template: str, path: str, values: tuple[str, ...]) -> None:
    """A template matches a path and yields its variables."""
    match = router(("GET", template)).match("GET", path)
    assert (match.target, match.values) == (template, values)


@pytest.mark.parametrize(
    ("template", "path"),
    [
        ("/v1/users", "/v1/users/"),
        ("/v1/users/{id}", "/v1/users/"),
        ("/v1/users/{id}", "/v1/users/1/2"),
        ("/v1/{name=shelves/*}", "/v1/rooms/3"),
        ("/v1/{id}:cancel", "/v1/7"),
        ("/a.b/{x}", "/aXb/1"),
        ("/v1/users", "/V1/users"),
    ],
)
def test_no_match(template: str, path: str) -> None:
    """What a template does not mean is a 404 with a message."""
    with pytest.raises(Error, match="nothing at") as failure:
        router(("GET", template)).match("GET", path)
    assert failure.value.code == 404


def test_most_specific_wins_in_any_order() -> None:
    """Literals go before *, * before **, a verb before none, whatever was declared first."""
    routes = [("GET", text) for text in ("/{a=**}", "/v1/{b}", "/v1/{b}:go", "/v1/me", "/{c}/me", "/v1/{d=x/**}")]
    for order in (routes, routes[::-1]):
        table = router(*order)
        for path, expected in {
            "/v1/me": "/v1/me",
            "/v1/you": "/v1/{b}",
            "/v1/you:go": "/v1/{b}:go",
            "/v2/me": "/{c}/me",
            "/v1/x/y/z": "/v1/{d=x/**}",
            "/else/where/at/all": "/{a=**}",
        }.items():
            assert table.match("GET", path).target == expected


def test_method_not_allowed() -> None:
    """A known path under an unknown method is a 405 that names the known ones."""
    table = router(("GET", "/v1/{a}"), ("PUT", "/v1/{b}"), ("POST", "/v1/x"))
    assert table.match("PUT", "/v1/7").target == "/v1/{b}"
    with pytest.raises(Error) as failure:
        table.match("DELETE", "/v1/x")
    assert failure.value.code == 405
    assert failure.value.metadata["allow"] == "GET, HEAD, OPTIONS, POST, PUT"


def test_any_method() -> None:
    """``*`` answers every method that has no route of its own."""
    table = router(("*", "/v1/{a}"), ("GET", "/v1/{a}"), ("*", "/fixed"))
    assert table.match("BREW", "/v1/7").target == "/v1/{a}"
    assert table.match("BREW", "/fixed").target == "/fixed"


def test_path_must_be_utf8() -> None:
    """Bytes that are no text are a 400."""
    with pytest.raises(Error, match="UTF-8"):
        router(("GET", "/v1/{a}")).match("GET", "/v1/%ff")


def test_raw_bytes() -> None:
    """What nobody escaped are the bytes of UTF-8, one character each."""
    table = router(("GET", "/v1/{a}"), ("GET", "/v1/café/{b=**}"))
    assert table.match("GET", "/v1/é".encode().decode("latin-1")).values == ("é",)
    assert table.match("GET", "/v1/café/é/%C3%A9".encode().decode("latin-1")).values == ("é/é",)
    with pytest.raises(Error, match="UTF-8"):
        table.match("GET", "/v1/\xff")


@pytest.mark.parametrize("path", ["*", "", "v1/x", "http://host/v1/x"])
def test_what_is_no_path(path: str) -> None:
    """A request target of another form is nowhere."""
    with pytest.raises(Error, match="nothing at"):
        router(("GET", "/{a=**}"), ("GET", "/v1/x")).match("GET", path)


def test_clash_names_both() -> None:
    """Two routes for the same requests are refused when the server is built."""
    with pytest.raises(ValueError, match=r"GET /v1/\{b\} of .* means the same paths as GET /v1/\{a\}"):
        router(("GET", "/v1/{a}"), ("GET", "/v1/{b}"))
    router(("GET", "/v1/{a}"), ("POST", "/v1/{b}"))


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("v1", "must start with /"),
        ("/v1//x", "empty segment"),
        ("/v1/{a", "braces"),
        ("/v1/a}", "braces"),
        ("/v1/{{a}}", "braces"),
        ("/v1/{}", "neither"),
        ("/v1/{a=}/x", "empty segment"),
        ("/v1/{a=x//y}", "empty segment"),
        ("/v1/**/x", "must come last"),
        ("/v1/x{a}", "neither"),
    ],
)
def test_bad_template(template: str, message: str) -> None:
    """A template that breaks the grammar says how."""
    with pytest.raises(ValueError, match=message):
        Template(template)
