"""Documents: which operations, parameters, bodies and responses they have."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fixtures.gen.catalog.v1.catalog_kratos import BookService, ShelfService
from fixtures.gen.fixture.helloworld.v1.greeter_kratos import GreeterService
from fixtures.gen.fixture.options.v1.options_kratos import OptionsService
from fixtures.gen.fixture.prose.v1.prose_kratos import ProseService
from fixtures.gen.fixture.reasons.v1.reasons_kratos import ReasonsService
from fixtures.gen.fixture.streams.v1.streams_kratos import StreamsService
from fixtures.gen.fixture.types.v1.types_kratos import TypesService
from fixtures.gen.fixture.upload.v1.upload_kratos import AlbumService
from openapi_spec_validator import OpenAPIV31SpecValidator

from kratos.codec import DEFAULT_CODECS, MultipartCodec
from kratos.codec.base import CodecSet
from kratos.codec.json import JsonCodec, JsonOptions
from kratos.openapi import Info, Security, document, to_json, to_yaml
from kratos.operation import AnyOperation, Http, Unary
from kratos.service import Service

EVERYTHING = [BookService, ShelfService, GreeterService, OptionsService, StreamsService, ReasonsService, ProseService]
INFO = Info("Test")
VERBS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")


def operations(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Returns the operations of a document by verb and path."""
    return {f"{verb} {path}": item[verb] for path, item in found["paths"].items() for verb in VERBS if verb in item}


def parameter(operation: dict[str, Any], name: str) -> dict[str, Any]:
    """Returns a parameter of an operation."""
    return next(each for each in operation["parameters"] if each["name"] == name)


@pytest.mark.parametrize(
    ("exact", "options"),
    [
        (False, JsonOptions()),
        (True, JsonOptions(names="proto", enums="number", zero_values=False, unknown="reject")),
    ],
)
def test_is_openapi(exact: bool, options: JsonOptions) -> None:
    """A stranger that knows the specification finds nothing wrong."""
    found = document(EVERYTHING, info=Info("All", "1", "*All* of it."), servers=["/"], json=options, exact=exact)
    OpenAPIV31SpecValidator(found).validate()
    assert len(operations(found)) > 50


def test_of_nothing() -> None:
    """A document of no services is a document."""
    found = document([], info=INFO)
    OpenAPIV31SpecValidator(found).validate()
    assert found["paths"] == {}


def test_operation_ids_are_unique(catalog: dict[str, Any]) -> None:
    """Every binding of an RPC has a name of its own."""
    ids = [operation["operationId"] for operation in operations(catalog).values()]
    assert len(ids) == len(set(ids)) == 39
    assert operations(catalog)["get /v1/shelves/{shelf}/books/{id}"]["operationId"] == "BookService_GetBook_2"


def test_bytes_are_stable() -> None:
    """The same services give the same bytes, and instances the same as classes."""
    again = [type("Mine", (cls,), {})() for cls in (BookService, ShelfService)]
    first = to_json(document([BookService, ShelfService], info=INFO))
    assert to_json(document(again, info=INFO)) == first
    assert json.loads(first)["openapi"] == "3.1.1"


def test_yaml_says_the_same(catalog: dict[str, Any]) -> None:
    """YAML holds the same document, texts of several lines as such, and no anchors."""
    import yaml

    text = to_yaml(catalog)
    assert yaml.safe_load(text) == catalog
    assert "description: |-" in text
    assert "&id" not in text


def test_services_are_tags(catalog: dict[str, Any]) -> None:
    """A tag is a service, with its comment."""
    assert catalog["tags"][0] == {
        "name": "BookService",
        "description": "Keeps the books.\n\nBooks live on shelves; a *shelf* has a theme.",
    }
    assert operations(catalog)["get /v1/now"]["tags"] == ["ShelfService"]


def test_services_of_one_name_are_told_apart() -> None:
    """Where two services share their short name, their full names are used."""
    here = _service("a.v1.Same", Http("GET", "/a"))
    there = _service("b.v1.Same", Http("GET", "/b"))
    found = document([here, there], info=INFO)
    assert [tag["name"] for tag in found["tags"]] == ["a.v1.Same", "b.v1.Same"]
    assert found["paths"]["/b"]["get"]["operationId"] == "b_v1_Same_Do"
    OpenAPIV31SpecValidator(found).validate()


def _service(name: str, *rules: Http) -> type[Service]:
    from fixtures.gen.fixture.streams.v1.streams_pb import Note

    operation: AnyOperation = Unary(f"/{name}/Do", Note, Note, http=rules)
    return type("SameService", (Service,), {"__operations__": (("do", operation),)})


def test_rpcs_without_binding_are_left_out(catalog: dict[str, Any]) -> None:
    """What HTTP does not serve is not documented; a service of such RPCs has no tag."""
    assert "BookService_Internal" not in to_json(catalog)
    assert document([TypesService], info=INFO)["tags"] == []


def test_summary_and_description(catalog: dict[str, Any]) -> None:
    """The first sentence of a comment is the summary; what follows is in the description."""
    operation = operations(catalog)["get /v1/books/{id}"]
    assert operation["summary"] == "Returns a book"
    assert operation["description"] == "Returns a book. Unknown ids are an error."
    assert "description" not in operations(catalog)["get /v1/now"]


def test_deprecated(catalog: dict[str, Any]) -> None:
    """Deprecation shows, on operations and on fields."""
    assert operations(catalog)["get /v1/find"]["deprecated"] is True
    assert operations(catalog)["get /v1/find"]["summary"] == "Finds books the old way"
    assert catalog["components"]["schemas"]["catalog.v1.Book"]["properties"]["isbn"]["deprecated"] is True


def test_path_variables(catalog: dict[str, Any]) -> None:
    """A variable is a parameter of its field's type; one of many segments is taken apart, and ** says so."""
    found = operations(catalog)
    assert parameter(found["get /v1/shelves/{number}"], "number")["schema"] == {"type": "string", "format": "uint64"}
    theme = parameter(found["get /v1/themes/{theme}/shelves"], "theme")
    assert theme["schema"] == {"$ref": "#/components/schemas/catalog.v1.Genre"}
    move = found["post /v1/shelves/{name_shelves}/books/{name_books}:move"]
    assert [each["name"] for each in move["parameters"]] == ["name_shelves", "name_books"]
    assert parameter(found["get /v1/pages/{path}"], "path")["x-kratos-spans-segments"] is True


def test_paths_that_differ_in_names_are_one(catalog: dict[str, Any]) -> None:
    """OpenAPI takes /books/{id} and /books/{book.id} for one path: they share the first one's name."""
    patch = catalog["paths"]["/v1/books/{id}"]["patch"]
    assert patch["operationId"] == "BookService_UpdateBook"
    assert parameter(patch, "id")["description"].startswith("Chosen by the caller.")
    assert not [each for each in patch["parameters"] if each["name"] == "book.id"]


def test_verbs_that_openapi_does_not_know(catalog: dict[str, Any]) -> None:
    """A custom verb is in an extension; a rule for every verb is listed under the usual ones."""
    assert [each["method"] for each in catalog["paths"]["/v1/books/{id}"]["x-kratos-operations"]] == ["PURGE"]
    assert list(catalog["paths"]["/v1/any/{id}"]) == ["get", "put", "post", "delete", "patch"]
    assert "content" not in operations(catalog)["head /v1/existing/{id}"]["responses"]["200"]


def test_the_less_specific_rule_does_not_hide(catalog: dict[str, Any]) -> None:
    """Of two rules that OpenAPI cannot tell apart, the first has the place and the other is still there."""
    found = document([_service("a.v1.S", Http("GET", "/f/{text}"), Http("GET", "/f/{room=**}"))], info=INFO)
    item = found["paths"]["/f/{text}"]
    assert item["x-kratos-operations"][0]["method"] == "GET"
    OpenAPIV31SpecValidator(found).validate()


QUERY = {
    "aBool": {"type": "boolean"},
    "anInt64": {"type": "string", "format": "int64"},
    "aGenre": {"$ref": "#/components/schemas/catalog.v1.Genre"},
    "numbers": {"type": "array", "items": {"type": "integer", "format": "int32"}},
    "labels": {"type": "object", "additionalProperties": {"type": "string"}},
    "since": {"type": "string", "format": "date-time"},
    "most": {"type": "string", "format": "int64"},
    "author.born": {"type": "integer", "format": "int32"},
}


@pytest.mark.parametrize("name", list(QUERY))
def test_query_parameters(catalog: dict[str, Any], name: str) -> None:
    """What text in a query can fill is a parameter, nested ones by dots."""
    assert parameter(operations(catalog)["get /v1/filter"], name)["schema"] == QUERY[name]


def test_query_styles(catalog: dict[str, Any]) -> None:
    """Lists repeat their name, maps have their keys in brackets, JSON is JSON."""
    operation = operations(catalog)["get /v1/filter"]
    assert parameter(operation, "numbers")["explode"] is True
    assert parameter(operation, "labels")["style"] == "deepObject"
    assert "application/json" in parameter(operation, "facts")["content"]


def test_query_leaves_out_what_comes_elsewhere(catalog: dict[str, Any]) -> None:
    """Fields of the path and the body are no query parameters, and a whole body leaves none."""
    found = operations(catalog)
    create = [each["name"] for each in found["post /v1/shelves/{shelf}/books"]["parameters"]]
    assert create == ["shelf", "validateOnly"]
    assert "parameters" not in found["post /v1/filter"]
    assert [each["name"] for each in found["patch /v1/books/{id}"]["parameters"]] == ["id", "updateMask"]


def test_bodies(catalog: dict[str, Any]) -> None:
    """A body is the message or a field of it; what is no message has a form in JSON alone."""
    found = operations(catalog)
    whole = found["put /v1/books/{id}"]["requestBody"]
    assert whole["required"] is True
    assert whole["content"]["application/json"]["schema"]["$ref"].endswith("/catalog.v1.Book.without_id")
    assert whole["content"]["application/proto"]["schema"] == {"type": "string", "format": "binary"}
    tags = found["put /v1/books/{id}/tags"]["requestBody"]["content"]
    assert tags == {"application/json": {"schema": {"type": "array", "items": {"type": "string"}}}}
    change = found["patch /v1/books/{id}"]["requestBody"]
    assert "required" not in change
    assert change["content"]["application/json"]["schema"]["$ref"].endswith("/catalog.v1.Book.without_id.partial")


def test_replies(catalog: dict[str, Any]) -> None:
    """A reply is the message or a field of it."""
    found = operations(catalog)
    whole = found["get /v1/books/{id}"]["responses"]["200"]["content"]
    assert list(whole) == ["application/json", "application/proto"]
    authors = found["get /v1/books/{id}/authors"]["responses"]["200"]["content"]
    assert authors["application/json"]["schema"]["items"] == {"$ref": "#/components/schemas/catalog.v1.Author"}
    assert list(authors) == ["application/json"]
    now = found["get /v1/now"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert now == {"type": "string", "format": "date-time"}


def test_raw_bodies(catalog: dict[str, Any]) -> None:
    """HttpBody is bytes of any type, in both directions."""
    found = operations(catalog)
    binary = {"*/*": {"schema": {"type": "string", "format": "binary"}}}
    assert found["get /v1/books/{id}/cover"]["responses"]["200"]["content"] == binary
    assert found["put /v1/books/{id}/cover"]["requestBody"] == {"required": True, "content": binary}


def test_streams(catalog: dict[str, Any]) -> None:
    """Streamed replies are events or lines, and have no time limit."""
    responses = operations(catalog)["get /v1/count/{to}"]["responses"]
    content = responses["200"]["content"]
    assert list(content) == ["text/event-stream", "application/x-ndjson"]
    message = content["text/event-stream"]["schema"]["oneOf"][0]["properties"]
    assert message["event"] == {"const": "message"}
    assert message["data"]["contentSchema"] == {"$ref": "#/components/schemas/catalog.v1.Counted"}
    assert "504" not in responses


def test_websockets(catalog: dict[str, Any]) -> None:
    """Streamed requests are a GET that opens a WebSocket, whatever verb the rule has."""
    operation = operations(catalog)["get /v1/sum"]
    assert operation["description"].endswith("Opens a WebSocket; each message is one text frame of JSON.")
    assert operation["x-websocket"]["replies"] == "one"
    assert {"101", "426"} <= set(operation["responses"])
    assert "post" not in catalog["paths"]["/v1/sum"]
    assert operations(catalog)["get /v1/talk/{number}"]["x-websocket"]["replies"] == "many"
    twice = document([_bidi()], info=INFO)
    assert list(operations(twice)) == ["get /both"]


def _bidi() -> type[Service]:
    from fixtures.gen.fixture.streams.v1.streams_pb import Note

    from kratos.operation import Bidi

    operation: AnyOperation = Bidi("/a.v1.S/Do", Note, Note, http=(Http("GET", "/both"), Http("POST", "/both")))
    return type("SService", (Service,), {"__operations__": (("do", operation),)})


def test_errors(catalog: dict[str, Any]) -> None:
    """Every code of the error enums is a response with its reasons; what the server says by itself is there too."""
    responses = operations(catalog)["put /v1/books/{id}"]["responses"]
    assert list(responses) == ["200", "400", "404", "409", "413", "415", "422", "504", "default"]
    missing = catalog["components"]["responses"]["catalog.v1.BookService.404"]
    assert "- `CATALOG_ERROR_SHELF_NOT_FOUND`: There is no such shelf." in missing["description"]
    content = missing["content"]["application/json"]
    assert list(content["examples"]) == ["CATALOG_ERROR_BOOK_NOT_FOUND", "CATALOG_ERROR_SHELF_NOT_FOUND"]
    reasons = content["schema"]["allOf"][1]["properties"]["reason"]["anyOf"][0]["enum"]
    assert reasons == ["CATALOG_ERROR_BOOK_NOT_FOUND", "CATALOG_ERROR_SHELF_NOT_FOUND"]
    without_body = operations(catalog)["get /v1/books/{id}"]["responses"]
    assert not {"413", "415"} & set(without_body)


def test_phrases_do_not_depend_on_python(catalog: dict[str, Any]) -> None:
    """Python 3.13 has renamed some statuses; the document has one name for each."""
    responses = catalog["components"]["responses"]
    assert responses["Error.413"]["description"].startswith("Content Too Large.")
    assert responses["catalog.v1.BookService.422"]["description"].startswith("Unprocessable Content.")


def test_odd_codes() -> None:
    """A code that HTTP has no name for is documented by its number."""
    from fixtures.gen.fixture.reasons.v1.reasons_kratos import ReasonsService as Reasons

    operation: AnyOperation = Unary("/r.v1.R/Do", *_notes(), http=(Http("GET", "/r"),))
    service = type("RService", (Service,), {"__operations__": (("do", operation),), "__errors__": Reasons.__errors__})
    found = document([service], info=INFO)
    assert found["components"]["responses"]["r.v1.R.599"]["description"].startswith("Status 599.")
    assert "- `CODEC`:" in found["components"]["responses"]["r.v1.R.400"]["description"]


def _notes() -> tuple[Any, Any]:
    from fixtures.gen.fixture.streams.v1.streams_pb import Note

    return Note, Note


class Wrapping:
    """An envelope."""

    def reply(self, schema: dict[str, Any], /) -> dict[str, Any]:
        return {"type": "object", "properties": {"code": {"const": 0}, "data": schema}}

    def error(self, schema: dict[str, Any], /) -> dict[str, Any]:
        return {"type": "object", "properties": {"error": schema}}


def test_envelope() -> None:
    """Replies and errors are shown as they are wrapped."""
    found = document([GreeterService], info=INFO, wrapping=lambda _: Wrapping())
    content = found["paths"]["/helloworld"]["post"]["responses"]["200"]["content"]
    assert content["application/json"]["schema"]["properties"]["code"] == {"const": 0}
    error = found["components"]["responses"]["Error.wrapped"]["content"]["application/json"]["schema"]
    assert list(error["properties"]) == ["error"]
    assert "examples" not in to_json(found["components"]["responses"])


def test_codecs() -> None:
    """Bodies come in what the server speaks."""
    found = document([GreeterService], info=INFO, codecs=CodecSet(JsonCodec(JsonOptions(names="proto"))))
    assert list(found["paths"]["/helloworld"]["post"]["requestBody"]["content"]) == ["application/json"]


def test_json_options_come_from_the_codec() -> None:
    """Without other options, names are those that the JSON codec writes."""
    found = document([BookService], info=INFO, codecs=CodecSet(JsonCodec(JsonOptions(names="proto"))))
    assert "page_size" in found["components"]["schemas"]["catalog.v1.ListBooksRequest"]["properties"]
    assert parameter(found["paths"]["/v1/books"]["get"], "page_size")


def test_security() -> None:
    """Schemes and requirements are written where they are given."""
    schemes = {"bearer": {"type": "http", "scheme": "bearer"}}
    found = document([GreeterService], info=INFO, security=Security(schemes, lambda _: [{"bearer": ["read"]}]))
    assert found["components"]["securitySchemes"] == schemes
    assert found["paths"]["/helloworld"]["post"]["security"] == [{"bearer": ["read"]}]
    OpenAPIV31SpecValidator(found).validate()
    open_ = document([GreeterService], info=INFO, security=Security())
    assert open_["paths"]["/helloworld"]["post"]["security"] == []


def test_odd_parameters() -> None:
    """Wildcards that fill nothing, deprecated fields, nulls and recursion each have their place, or none."""
    from fixtures.gen.catalog.v1.book_pb import Book
    from fixtures.gen.catalog.v1.catalog_pb import Node
    from fixtures.gen.fixture.codec.v1.everything_pb import Choice

    rules = {
        "Bare": (Book, Http("GET", "/bare/*/{isbn}")),
        "Nested": (Node, Http("GET", "/nested/{left.name}")),
        "Choice": (Choice, Http("GET", "/choice")),
    }
    pairs = tuple(
        (name.lower(), Unary(f"/a.v1.S/{name}", type_, type_, http=(rule,))) for name, (type_, rule) in rules.items()
    )
    found = operations(document([type("S", (Service,), {"__operations__": pairs})], info=INFO))
    bare = found["get /bare/{segment_1}/{isbn}"]
    assert parameter(bare, "segment_1")["description"] == "Matches anything; it is not read."
    assert parameter(bare, "isbn")["deprecated"] is True
    names = {each["name"] for each in bare["parameters"]}
    assert "added" not in names  # the server's own to say
    assert parameter(bare, "title")["required"] is True
    nested = [each["name"] for each in found["get /nested/{left.name}"]["parameters"]]
    assert nested == ["left.name", "name"]
    choice = [each["name"] for each in found["get /choice"]["parameters"]]
    assert "aNull" not in choice
    assert "anItem.sku" in choice
    assert "At most one of the fields of `target` is set." in parameter(found["get /choice"], "aText")["description"]


def test_deprecated_in_queries() -> None:
    """A deprecated field is a deprecated parameter."""
    from fixtures.gen.catalog.v1.book_pb import Book

    operation: AnyOperation = Unary("/a.v1.S/Do", Book, Book, http=(Http("GET", "/q"),))
    found = document([type("S", (Service,), {"__operations__": (("do", operation),)})], info=INFO)
    assert parameter(found["paths"]["/q"]["get"], "isbn")["deprecated"] is True


def test_downloads() -> None:
    """Streamed bytes are bytes."""
    from fixtures.gen.catalog.v1.catalog_pb import CountRequest

    from kratos.operation import ServerStream
    from kratos.wire.google.api.httpbody_pb import HttpBody

    operation: AnyOperation = ServerStream("/a.v1.S/Do", CountRequest, HttpBody, http=(Http("GET", "/file"),))
    found = document([type("S", (Service,), {"__operations__": (("do", operation),)})], info=INFO)
    assert list(found["paths"]["/file"]["get"]["responses"]["200"]["content"]) == ["*/*"]


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("json", [JsonOptions(), JsonOptions(names="proto", unknown="reject")])
def test_forms_with_files(exact: bool, json: JsonOptions) -> None:
    """Where a server reads multipart, its bodies may come as such, files as bytes; its replies never do."""
    codecs = DEFAULT_CODECS.with_(MultipartCodec(), JsonCodec(json))
    found = document([AlbumService], info=INFO, codecs=codecs, exact=exact)
    OpenAPIV31SpecValidator(found).validate()
    operation = operations(found)["post /v1/albums"]
    assert list(operation["responses"]["200"]["content"]) == ["application/json", "application/proto"]
    form = operation["requestBody"]["content"]["multipart/form-data"]
    properties = form["schema"]["properties"]
    binary = {"type": "string", "format": "binary"}
    for name in ("cover", "seal", "note", "photo"):
        assert properties[name] == binary
    for name in ("blobs", "photos"):
        assert properties[name] == {"type": "array", "items": binary}
    assert properties["named"] == {"type": "object", "additionalProperties": binary}
    assert properties["shot"] == {**binary, "description": "At most one of the fields of `source` is set."}
    assert properties["details"] == {"$ref": "#/components/schemas/fixture.upload.v1.Details"}
    assert properties["taken"] == {"type": "string", "format": "date-time"}
    assert "additionalProperties" not in form["schema"]
    in_json = {name for name, each in form["encoding"].items() if each == {"contentType": "application/json"}}
    assert in_json == {"details", "more", "facts", "value", "drawn"}
    by_key = {name for name, each in form["encoding"].items() if each == {"style": "deepObject", "explode": True}}
    assert by_key == {"named", "labels"}
    # A field of the request is a form of its own; no component has been changed by it.
    part = operations(found)["patch /v1/albums/{id}"]["requestBody"]["content"]["multipart/form-data"]
    assert part["schema"]["properties"]["cover"] == binary
    album = found["components"]["schemas"]["fixture.upload.v1.Album"]["properties"]
    assert album["cover"]["format"] == "byte"
    assert "multipart/form-data" not in str(document([AlbumService], info=INFO))
