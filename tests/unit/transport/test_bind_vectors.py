"""Rules, messages and requests from the vector files: what a client builds and what a server binds."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fixtures.gen.fixture.binding.v1.binding_pb import Book, Odd, UpdateBookRequest
from unit.transport.http_vectors import vectors

from kratos.codec import JsonCodec, JsonOptions, ProtoCodec
from kratos.codec.messages import Message
from kratos.errors import BadRequest
from kratos.operation import Http, Unary
from kratos.pathtemplate import Template
from kratos.transport.http.bind import Binding
from kratos.transport.http.path import Rule
from kratos.transport.http.route import Router

NAME = "/test.v1.Books/Update"
JSON = JsonCodec()
TERSE = JsonCodec(JsonOptions(zero_values=False))


def cases(name: str) -> Any:
    rows = [row for group in vectors(name) for row in group["rows"]]
    return pytest.mark.parametrize(
        "row", rows, ids=[f"{row['rule']} {row.get('request') or json.dumps(row['message'])}" for row in rows]
    )


def message_of(row: dict[str, Any]) -> UpdateBookRequest:
    return JSON.decode(json.dumps(row["message"]).encode(), UpdateBookRequest)


def http_of(row: dict[str, Any]) -> Http:
    method, path = row["rule"].split(" ", 1)
    return Http(method, path, row.get("body", ""))


def bound(http: Http, method: str, target: str, body: bytes | None, type_: type[Message] = UpdateBookRequest) -> Any:
    """Reads a request as the server does."""
    operation = Unary(NAME, type_, type_, http=(http,))
    template = Template(http.path)
    path, _, query = target.partition("?")
    match = Router([(http.method, template, "found")]).match(method, path)
    return Binding(operation, http).build(JSON if body else None, body or b"", query, match.values)


@cases("builds")
def test_builds(row: dict[str, Any]) -> None:
    """A client writes path, query and body as they should be, and a server reads the message again."""
    http, message = http_of(row), message_of(row)
    rule = Rule(Unary(NAME, UpdateBookRequest, UpdateBookRequest, http=(http,)))
    if "refused" in row:
        with pytest.raises(BadRequest) as refused:
            rule.target(message)
        assert refused.value.metadata["field"] == row["refused"]
        return
    assert rule.target(message) == row["target"]
    assert rule.has_body == ("sent" in row)
    body = rule.encode(message, TERSE) if rule.has_body else None
    if body:
        assert json.loads(body) == row["sent"]
    assert bound(http, rule.method, rule.target(message), body) == message


@cases("binds")
def test_binds(row: dict[str, Any]) -> None:
    """A server makes the right message of a request, or says which field cannot be read."""
    http = http_of(row)
    body = json.dumps(row["sent"]).encode() if "sent" in row else None
    if "refused" in row:
        with pytest.raises(BadRequest) as refused:
            bound(http, http.method, row["request"], body)
        assert (refused.value.reason, refused.value.metadata["field"]) == ("CODEC", row["refused"])
        return
    assert bound(http, http.method, row["request"], body) == message_of(row)


def test_masks_are_for_json() -> None:
    """In binary nobody can tell what a client has left out, so the mask stays unset."""
    http = Http("PATCH", "/v1/x", "book")
    operation = Unary(NAME, UpdateBookRequest, UpdateBookRequest, http=(http,))
    message = Binding(operation, http).build(ProtoCodec(), Book(name="n").to_binary(), "", ())
    assert message.book.name == "n"
    assert message.update_mask is None


def test_a_field_that_is_no_mask() -> None:
    """Only a FieldMask is filled."""
    assert bound(Http("PATCH", "/v1/x", "book"), "PATCH", "/v1/x", b'{"name":"n"}', Odd).update_mask == ""
