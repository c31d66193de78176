"""A service whose bodies are bytes: ``google.api.HttpBody`` in every place it may stand."""

from __future__ import annotations

from collections.abc import AsyncIterator

from fixtures.gen.catalog.v1.book_pb import Book
from fixtures.gen.catalog.v1.catalog_pb import GetBookRequest, SetCoverRequest

from kratos.call import Call
from kratos.errors import Forbidden, NotFound
from kratos.handler import Messages
from kratos.operation import Bidi, ClientStream, Http, ServerStream, Unary
from kratos.service import Service
from kratos.wire.google.api.httpbody_pb import HttpBody

ECHO = Unary("/raw.v1.Files/Echo", HttpBody, HttpBody, http=(Http("POST", "/echo", body="*"),))
SET = Unary("/raw.v1.Files/Set", SetCoverRequest, Book, http=(Http("PUT", "/books/{id}/cover", body="cover"),))
GET = Unary("/raw.v1.Files/Get", GetBookRequest, HttpBody, http=(Http("GET", "/books/{id}/cover"),))
PART = Unary(
    "/raw.v1.Files/Part", GetBookRequest, SetCoverRequest, http=(Http("GET", "/books/{id}/part", "", "cover"),)
)
DOWN = ServerStream("/raw.v1.Files/Down", GetBookRequest, HttpBody, http=(Http("GET", "/books/{id}/file"),))
UP = ClientStream("/raw.v1.Files/Up", SetCoverRequest, Book, http=(Http("POST", "/books/{id}/file", body="cover"),))
UP_ALL = ClientStream("/raw.v1.Files/UpAll", HttpBody, HttpBody, http=(Http("POST", "/all", body="*"),))
TALK = Bidi("/raw.v1.Files/Talk", HttpBody, HttpBody, http=(Http("GET", "/talk"),))

TEXT = b"0123456789" * 300


class Files(Service):
    __operations__ = (
        ("echo", ECHO), ("set", SET), ("get", GET), ("part", PART), ("down", DOWN), ("up", UP), ("up_all", UP_ALL),
        ("talk", TALK),
    )  # fmt: skip

    def __init__(self) -> None:
        self.pieces: list[tuple[str, str, int]] = []

    async def echo(self, request: HttpBody, call: Call) -> HttpBody:
        return request

    async def set(self, request: SetCoverRequest, call: Call) -> Book:
        cover = request.cover
        assert cover is not None
        return Book(id=request.id, title=f"{cover.content_type} {len(cover.data)} {request.artist}")

    async def get(self, request: GetBookRequest, call: Call) -> HttpBody:
        if request.id == "none":
            raise NotFound("no such cover", reason="NO_COVER")
        if request.id == "bad":
            return HttpBody(content_type="text/plain\r\nx: y")
        call.reply.headers.set("etag", '"v1"')
        call.reply.headers.set("last-modified", "Sat, 01 Feb 2025 00:00:00 GMT")
        call.reply.name_file("cover é.txt")
        return HttpBody(content_type="" if request.id == "plain" else "image/png", data=TEXT)

    async def part(self, request: GetBookRequest, call: Call) -> SetCoverRequest:
        return SetCoverRequest(cover=None if request.id == "none" else HttpBody(content_type="text/css", data=b"a{}"))

    async def down(self, request: GetBookRequest, call: Call) -> AsyncIterator[HttpBody]:
        if request.id == "none":
            raise Forbidden("no", reason="NO")
        if request.id == "empty":
            return
        yield HttpBody(content_type="text/csv", data=b"a,")
        yield HttpBody(data=b"")
        yield HttpBody(content_type="ignored/later", data=b"b\n\xff")
        if request.id == "broken":
            raise Forbidden("no more", reason="NO")

    async def up(self, requests: Messages[SetCoverRequest], call: Call) -> Book:
        size = 0
        async for request in requests:
            cover = request.cover
            assert cover is not None
            if cover.data.startswith(b"stop"):
                raise Forbidden("enough", reason="ENOUGH")
            self.pieces.append((request.id, request.artist, len(cover.data)))
            size += len(cover.data)
        return Book(id=str(size), title=cover.content_type)

    async def up_all(self, requests: Messages[HttpBody], call: Call) -> HttpBody:
        pieces = [request async for request in requests]
        return HttpBody(content_type=pieces[0].content_type, data=b"".join(piece.data for piece in pieces))

    async def talk(self, requests: Messages[HttpBody], call: Call) -> AsyncIterator[HttpBody]:
        async for request in requests:
            yield HttpBody(data=request.data[::-1])
