"""What a document says is what a server does: every operation is asked as the document tells, over a socket."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp
import pytest
from fixtures.gen.catalog.v1.catalog_kratos import BookService, ShelfService
from jsonschema import Draft202012Validator
from openapi_schema_validator import oas31_format_checker
from protobuf import Oneof
from protobuf.wkt import Value

from kratos.app import App, Shutdown
from kratos.call import Call
from kratos.openapi import Info, document
from kratos.operation import AnyOperation
from kratos.service import Service
from kratos.transport.http.server import HTTPServer

DOCUMENT = document([BookService, ShelfService], info=Info("Catalogue"), exact=True)
REF = "#/components/schemas/"
VERBS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
OPERATIONS = {
    f"{verb} {path}": item[verb]
    for path, item in DOCUMENT["paths"].items()
    for verb in VERBS
    if verb in item and "x-websocket" not in item[verb]
}


def answering(base: type[Service]) -> Service:
    """Returns a service whose methods answer with what they were asked, or with an empty reply."""

    def unary(operation: AnyOperation) -> Any:
        async def method(self: object, request: Any, call: Call) -> Any:
            return request if operation.request is operation.reply else operation.reply()

        return method

    def streaming(operation: AnyOperation) -> Any:
        async def method(self: object, request: Any, call: Call) -> AsyncIterator[Any]:
            yield operation.reply()

        return method

    methods = {
        name: (streaming if operation.server_streams else unary)(operation)
        for name, operation in base.__operations__
        if not operation.client_streams
    }
    made: Service = type(base.__name__, (base,), methods)()
    return made


@asynccontextmanager
async def served() -> AsyncIterator[tuple[aiohttp.ClientSession, str]]:
    """Serves the catalogue on a free port."""
    server = HTTPServer("127.0.0.1:0")
    app = App(
        name="catalog",
        services=[answering(BookService), answering(ShelfService)],
        servers=[server],
        middleware=[],
        shutdown=Shutdown(finish=1, drain=0),
    )
    async with app, aiohttp.ClientSession() as session:
        yield session, app.info.endpoints[0]


def sample(schema: dict[str, Any]) -> Any:
    """Returns a value that a schema allows and that is none of the zeros."""
    if "$ref" in schema:
        schema = DOCUMENT["components"]["schemas"][schema["$ref"].removeprefix(REF)]
    if "examples" in schema:
        return schema["examples"][0]
    if "anyOf" in schema:
        return sample(schema["anyOf"][0])
    match schema.get("type"):
        case "array":
            return [sample(schema["items"])] if "$ref" not in schema["items"] else []
        case "object":
            properties = schema.get("properties", {"1": schema.get("additionalProperties")})
            plain = {name: each for name, each in properties.items() if isinstance(each, dict) and "$ref" not in each}
            return {name: sample(each) for name, each in plain.items() if name != "@type"}
        case "string":
            if "enum" in schema:
                return schema["enum"][-1]
            known = {"int64": "7", "uint64": "7", "byte": "AAE=", "date-time": "2026-01-31T12:00:00Z"}
            return known.get(schema.get("format", ""), "word")
        case "boolean":
            return True
        case "integer" | "number":
            return 7
    return "anything"


def spelled(value: Any) -> str:
    """Returns a value as it stands in a URL."""
    return value if isinstance(value, str) else json.dumps(value)


def query(parameter: dict[str, Any]) -> list[tuple[str, str]]:
    """Returns a parameter of the query as its style says."""
    name = parameter["name"]
    if "content" in parameter:
        return [(name, json.dumps(sample(parameter["content"]["application/json"]["schema"])))]
    schema = parameter["schema"]
    value = sample(schema)
    if schema.get("type") == "array":
        return [(name, spelled(sample(schema["items"])))] * 2
    if parameter.get("style") == "deepObject":
        return [(f"{name}[{key}]", spelled(each)) for key, each in value.items()]
    return [(name, spelled(value))]


def address(key: str, *, alone: str = "") -> str:
    """Returns a path and query for an operation, with all of its parameters or a single one of the query."""
    path = key.partition(" ")[2]
    pairs: list[tuple[str, str]] = []
    for parameter in OPERATIONS[key].get("parameters", ()):
        if parameter["in"] == "path":
            path = path.replace(f"{{{parameter['name']}}}", quote(spelled(sample(parameter["schema"])), safe=""))
        elif parameter["name"] == alone:
            pairs += query(parameter)
    return f"{path}?{urlencode(pairs)}" if pairs else path


def check(content: dict[str, Any], body: Any) -> list[str]:
    """Returns what is wrong with a JSON body."""
    schema = {**content["application/json"]["schema"], "components": DOCUMENT["components"]}
    judge = Draft202012Validator(schema, format_checker=oas31_format_checker)
    return [error.message for error in judge.iter_errors(body)]


@pytest.mark.parametrize("key", list(OPERATIONS))
async def test_operations_are_served(key: str) -> None:
    """Asked as documented, every operation answers, and with what is documented."""
    operation = OPERATIONS[key]
    content = operation.get("requestBody", {}).get("content", {})
    body = json.dumps(sample(content["application/json"]["schema"])) if "application/json" in content else None
    headers = {"content-type": "application/json"} if body else {}
    async with (
        served() as (session, url),
        session.request(key.partition(" ")[0].upper(), f"{url}{address(key)}", data=body, headers=headers) as response,
    ):
        text = await response.text()
        assert response.status == 200, text
        documented = operation["responses"]["200"].get("content", {})
        assert not documented or "*/*" in documented or response.content_type in documented
        if response.content_type == "application/json" and "application/json" in documented:
            assert check(documented, json.loads(text)) == []


FILTERS = [each["name"] for each in OPERATIONS["get /v1/filter"]["parameters"]]


async def test_query_parameters_are_bound() -> None:
    """Every parameter of the query, sent as its style says, is in the message."""
    key = "get /v1/filter"
    async with served() as (session, url):
        async with session.get(f"{url}/v1/filter") as response:
            empty = await response.json()
        for name in FILTERS:
            async with session.get(f"{url}{address(key, alone=name)}") as response:
                told = await response.json()
                assert response.status == 200, (name, told)
                first, _, rest = name.partition(".")
                assert told.get(first) != empty.get(first), name
                assert not rest or rest in told[first], name


ERRORS = {
    "400": ("GET", "/v1/filter?anInt32=x", b"", {}),
    "415": ("POST", "/v1/filter", b"x", {"content-type": "text/odd"}),
    "413": ("POST", "/v1/filter", b"x" * (5 * 2**20), {"content-type": "application/json"}),
    "426": ("GET", "/v1/sum", b"", {}),
}


@pytest.mark.parametrize("code", list(ERRORS))
async def test_errors_are_as_documented(code: str) -> None:
    """What goes wrong is answered by the response that the document has for it, with a reason that it lists."""
    verb, path, body, headers = ERRORS[code]
    async with (
        served() as (session, url),
        session.request(verb, f"{url}{path}", data=io.BytesIO(body) if body else None, headers=headers) as response,
    ):
        told = await response.json()
        assert response.status == int(code)
    found = DOCUMENT["components"]["responses"][f"Error.{code}"]["content"]
    assert check(found, told) == []
    assert told["reason"] in found["application/json"]["examples"]


async def test_a_value_stands_for_any_json() -> None:
    """Anything comes back as it went; no body is null, and what JSON cannot write back is refused."""
    schema = DOCUMENT["paths"]["/v1/echo"]["post"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert schema == {"description": "Any JSON value."}
    headers = {"content-type": "application/json"}
    async with served() as (session, url):
        for body, status in [("", 200), ("[1, null]", 200), ('{"a": -1e999}', 400)]:
            async with session.post(f"{url}/v1/echo", data=body, headers=headers) as response:
                told = await response.json()
                assert response.status == status, body
                assert told == json.loads(body or "null") if status == 200 else told["reason"] == "CODEC"
        async with session.post(f"{url}/v1/echo") as response:
            assert await response.text() == "null"


async def test_what_only_binary_can_say_is_no_broken_json() -> None:
    """NaN in a Value comes back in the binary form; in JSON it is a failure with an id to find it by."""
    sent = Value(kind=Oneof("number_value", float("nan"))).to_binary()
    headers = {"content-type": "application/proto"}
    async with served() as (session, url):
        async with session.post(
            f"{url}/v1/echo", data=sent, headers={**headers, "accept": "application/proto"}
        ) as response:
            assert (response.status, await response.read()) == (200, sent)
        async with session.post(
            f"{url}/v1/echo", data=sent, headers={**headers, "accept": "application/json"}
        ) as response:
            told = await response.json()
            assert (response.status, told["code"], told["reason"]) == (500, 500, "UNKNOWN")
            assert told["metadata"]["error_id"]
