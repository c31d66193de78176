"""With an envelope the document still describes the bytes: wrapped, raw by the method's wish, and errors of both."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
import yaml
from fixtures.gen.catalog.v1.book_pb import Book
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from kratos.app import App, Shutdown
from kratos.call import Call
from kratos.codec import DEFAULT_CODECS, YamlCodec
from kratos.errors import NotFound
from kratos.operation import Http, Unary
from kratos.service import Service
from kratos.transport.http import Envelope, Format, HTTPServer

OPTION = "kratos.options.v1.envelope"
SERVER = Unary("/w.v1.Books/Usual", Book, Book, http=(Http("GET", "/usual/{title}"),))
RAW = Unary("/w.v1.Books/Raw", Book, Book, http=(Http("GET", "/raw/{title}"),), options={OPTION: "ENVELOPE_RAW"})
WRAPPED = Unary(
    "/w.v1.Books/Wrapped", Book, Book, http=(Http("GET", "/wrapped/{title}"),), options={OPTION: "ENVELOPE_WRAPPED"}
)


class Books(Service):
    """Answers with an empty book, or does not find it."""

    __operations__ = (("usual", SERVER), ("raw", RAW), ("wrapped", WRAPPED))

    async def _find(self, request: Book, call: Call) -> Book:
        if request.title == "none":
            raise NotFound("no such book", reason="NO_BOOK", metadata={"title": "none"})
        return Book()

    usual = raw = wrapped = _find


@asynccontextmanager
async def served(envelope: Envelope | None) -> AsyncIterator[tuple[HTTPServer, aiohttp.ClientSession]]:
    server = HTTPServer("127.0.0.1:0", format=Format(envelope=envelope), codecs=DEFAULT_CODECS.with_(YamlCodec()))
    app = App(name="books", services=[Books()], servers=[server], middleware=[], shutdown=Shutdown(finish=1, drain=0))
    async with app, aiohttp.ClientSession(server.endpoint) as session:
        yield server, session


def judge(found: dict[str, Any], response: dict[str, Any], body: Any, content_type: str = "application/json") -> None:
    """Fails where a body is not what the response of a document says."""
    if "$ref" in response:
        response = found["components"]["responses"][response["$ref"].rpartition("/")[2]]
    schema = {**response["content"][content_type]["schema"], "components": found["components"]}
    Draft202012Validator(schema).validate(body)


@pytest.mark.parametrize("path", ["usual", "raw", "wrapped"])
@pytest.mark.parametrize("envelope", [None, Envelope(), Envelope(code="ret", data="result", success=200)], ids=str)
async def test_the_schema_is_that_of_the_bytes(envelope: Envelope | None, path: str) -> None:
    """Replies with all their zero values, errors, and other encodings than JSON, which are never wrapped."""
    async with served(envelope) as (server, session):
        found = server.document()
        OpenAPIV31SpecValidator(found).validate()
        responses = found["paths"][f"/{path}/{{title}}"]["get"]["responses"]
        wrapped = path == "wrapped" or (path == "usual" and envelope is not None)
        async with session.get(f"/{path}/x") as response:
            told = await response.json()
        judge(found, responses["200"], told)
        data = (envelope or Envelope()).data
        book = told[data] if wrapped else told
        assert (wrapped, book["title"], book["tags"]) == (set(told) == {*_members(envelope)}, "", [])
        async with session.get(f"/{path}/none") as response:
            told = await response.json()
            assert response.status == 404
        judge(found, responses["default"], told)
        assert (data in told, told["reason"], told["metadata"]) == (wrapped, "NO_BOOK", {"title": "none"})
        async with session.get(f"/{path}/x?price=x") as response:
            assert response.status == 400
            judge(found, responses["400"], await response.json())
        async with session.get(f"/{path}/x", headers={"accept": "application/yaml"}) as response:
            plain = yaml.safe_load(await response.text())
        assert plain["title"] == ""
        judge(found, responses["200"], plain, "application/yaml")
        assert "$ref" in responses["200"]["content"]["application/yaml"]["schema"]


def _members(envelope: Envelope | None) -> tuple[str, str, str]:
    envelope = envelope or Envelope()
    return envelope.code, envelope.message, envelope.data
