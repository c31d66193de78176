"""Forms with files over a socket, as aiohttp, curl and a browser send them."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import shutil
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from fixtures.gen.fixture.upload.v1.upload_kratos import AlbumService
from fixtures.gen.fixture.upload.v1.upload_pb import AddRequest, Album, Details, Photo

from kratos.app import App, Shutdown
from kratos.call import Call
from kratos.codec import DEFAULT_CODECS, CodecSet, FormCodec, MultipartCodec
from kratos.transport.http import HTTPServer, Limits

pytestmark = pytest.mark.usefixtures("engine")  # over both fronts, with the same answers

CURL = shutil.which("curl")
FORMS = DEFAULT_CODECS.with_(FormCodec(), MultipartCodec())
PNG = b"\x89PNG\r\n\x1a\n\x00"
BROWSER = (
    "------WebKitFormBoundaryA1b2C3\r\n"
    'Content-Disposition: form-data; name="title"\r\n\r\nÜber "uns"\r\n'
    "------WebKitFormBoundaryA1b2C3\r\n"
    'Content-Disposition: form-data; name="public"\r\n\r\ntrue\r\n'
    "------WebKitFormBoundaryA1b2C3\r\n"
    'Content-Disposition: form-data; name="photo"; filename="größe %22x%22.png"\r\n'
    "Content-Type: image/png\r\n\r\nPNG\r\n"
    "------WebKitFormBoundaryA1b2C3\r\n"
    'Content-Disposition: form-data; name="shot"; filename=""\r\nContent-Type: application/octet-stream\r\n\r\n\r\n'
    "------WebKitFormBoundaryA1b2C3--\r\n"
).encode()
BROWSER_TYPE = "multipart/form-data; boundary=----WebKitFormBoundaryA1b2C3"


class Albums(AlbumService):
    """Keeps what it was given, and gives it back."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    async def create(self, request: Album, call: Call) -> Album:
        self.seen.append(request)
        return request

    async def add(self, request: AddRequest, call: Call) -> AddRequest:
        self.seen.append(request)
        return request


@asynccontextmanager
async def serving(
    codecs: CodecSet = FORMS, **limits: Any
) -> AsyncGenerator[tuple[aiohttp.ClientSession, str, list[Any]]]:
    """Serves albums on a free port."""
    albums = Albums()
    app = App(
        name="albums",
        services=[albums],
        servers=[HTTPServer("127.0.0.1:0", codecs=codecs, limits=Limits(**limits))],
        middleware=[],
        shutdown=Shutdown(finish=1, drain=0),
    )
    async with app, aiohttp.ClientSession() as session:
        yield session, app.info.endpoints[0], albums.seen


def form() -> aiohttp.FormData:
    data = aiohttp.FormData()
    data.add_field("title", "größe")
    data.add_field("page_count", "7")
    data.add_field("cover", PNG, filename="cover.png", content_type="image/png")
    data.add_field("photos", io.BytesIO(b"1"), filename="one.jpg", content_type="image/jpeg")
    data.add_field("photos", io.BytesIO(b"2"), filename="two.jpg")
    data.add_field("details", json.dumps({"author": "me", "words": ["a"]}), content_type="application/json")
    data.add_field("details.year", "1984")
    return data


ALBUM = Album(
    title="größe",
    page_count=7,
    cover=PNG,
    photos=[
        Photo(data=b"1", content_type="image/jpeg", filename="one.jpg"),
        Photo(data=b"2", content_type="application/octet-stream", filename="two.jpg"),
    ],
    details=Details(author="me", words=["a"], year=1984),
)


async def test_aiohttp() -> None:
    """A form of another library becomes the message; the reply is JSON, or what was asked for."""
    async with serving() as (session, url, seen):
        async with session.post(f"{url}/v1/albums", data=form()) as response:
            assert (response.status, response.content_type) == (200, "application/json")
            assert (await response.json())["pageCount"] == 7
        async with session.post(
            f"{url}/v1/albums", data=form(), headers={"accept": "multipart/form-data, application/proto;q=0.5"}
        ) as response:
            assert response.content_type == "application/proto"
            assert Album.from_binary(await response.read()) == ALBUM
        assert seen == [ALBUM, ALBUM]


@pytest.mark.parametrize("verb", ["POST", "PATCH"])
async def test_a_form_that_is_one_field(verb: str) -> None:
    """Names are those of the field's message; path and query fill the rest."""
    async with serving() as (session, url, seen):
        async with session.request(verb, f"{url}/v1/albums/a%20b", data=form()) as response:
            assert response.status == 200, await response.text()
        assert seen == [AddRequest(id="a b", album=ALBUM)]


async def test_a_browser() -> None:
    """As the WHATWG says: UTF-8 as it is, quotes as %22, and an empty file where none was chosen."""
    async with serving() as (session, url, seen):
        for body, more in ((BROWSER, {}), (gzip.compress(BROWSER), {"content-encoding": "gzip"})):
            headers = {"content-type": BROWSER_TYPE, **more}
            async with session.post(f"{url}/v1/albums", data=body, headers=headers) as response:
                assert response.status == 200, await response.text()
        photo = Photo(data=b"PNG", content_type="image/png", filename='größe "x".png')
        assert seen == [Album(title='Über "uns"', public=True, photo=photo)] * 2


@pytest.mark.skipif(CURL is None, reason="there is no curl")
async def test_curl(tmp_path: Path) -> None:
    """curl -F, with a file, a type, a name of its own and JSON."""
    (tmp_path / "a b.png").write_bytes(PNG)
    async with serving() as (_, url, seen):
        curl = await asyncio.create_subprocess_exec(
            str(CURL), "-sS", "--noproxy", "*", f"{url}/v1/albums",
            "-F", "title=x y", "-F", "cover=@a b.png", "-F", 'photo=@a b.png;type=image/png;filename="q\\"x.png"',
            "-F", 'details={"year": 5};type=application/json', "-F", "tags=a", "-F", "tags=b", "-F", "labels[k]=v",
            cwd=tmp_path, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        said, _ = await curl.communicate()
        assert curl.returncode == 0, said
        photo = Photo(data=PNG, content_type="image/png", filename='q"x.png')
        assert seen == [
            Album(title="x y", cover=PNG, photo=photo, details=Details(year=5), tags=["a", "b"], labels={"k": "v"})
        ]


def _cut(body: bytes) -> bytes:
    return body[:-30]


def _renamed(body: bytes) -> bytes:
    return body.replace(b'name="title"', b'name="pageCount"')


def _as_it_is(body: bytes) -> bytes:
    return body


@pytest.mark.parametrize(
    ("change", "content_type", "codecs", "status", "reason", "said"),
    [
        (_as_it_is, BROWSER_TYPE, DEFAULT_CODECS, 415, "UNSUPPORTED_MEDIA_TYPE", "this server reads application/json"),
        (_as_it_is, "multipart/form-data", FORMS, 400, "CODEC", "Content-Type has no boundary"),
        (_as_it_is, "multipart/form-data; boundary=other", FORMS, 400, "CODEC", "is not in it"),
        (_cut, BROWSER_TYPE, FORMS, 400, "CODEC", "it ends before its last boundary"),
        (_renamed, BROWSER_TYPE, FORMS, 400, "CODEC", "part pageCount: expected an integer"),
    ],
)
async def test_refused(
    change: Callable[[bytes], bytes], content_type: str, codecs: CodecSet, status: int, reason: str, said: str
) -> None:
    """What cannot be read is told with its reason, and the handler does not hear of it."""
    async with serving(codecs) as (session, url, seen):
        headers = {"content-type": content_type}
        async with session.post(f"{url}/v1/albums", data=change(BROWSER), headers=headers) as response:
            told = await response.json()
        assert (response.status, told["reason"]) == (status, reason)
        assert said in told["message"]
        assert told["metadata"].get("field") == ("pageCount" if change is _renamed else None)
        assert seen == []


async def test_too_large() -> None:
    """All of a form counts against the largest body."""
    async with serving(max_body=1000) as (session, url, seen):
        data = aiohttp.FormData()
        data.add_field("cover", b"x" * 900, filename="x")
        async with session.post(f"{url}/v1/albums", data=data) as response:
            assert (response.status, (await response.json())["reason"]) == (413, "BODY_TOO_LARGE")
        assert seen == []


async def test_nothing_is_an_empty_message() -> None:
    """No body at all, whatever it says it is."""
    async with serving() as (session, url, seen):
        async with session.post(f"{url}/v1/albums", headers={"content-type": BROWSER_TYPE}) as response:
            assert response.status == 200
        assert seen == [Album()]
