"""The codec of forms with files: what browsers, curl and libraries send, and what nobody should."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from fixtures.gen.fixture.upload.v1.upload_pb import Album, Details, Mood, Photo
from hypothesis import given, settings
from hypothesis import strategies as st
from protobuf import Oneof
from protobuf.wkt import BytesValue, Struct, Timestamp, Value
from urllib3.fields import RequestField
from urllib3.filepost import encode_multipart_formdata

from kratos.codec import DEFAULT_CODECS, JsonCodec, JsonOptions, MultipartCodec
from kratos.codec.base import BodyCodec, Codec, CodecSet
from kratos.codec.negotiate import parameter
from kratos.errors import BadRequest
from kratos.wire.google.api.httpbody_pb import HttpBody

FORM = MultipartCodec()
SET = DEFAULT_CODECS.with_(FORM)
TYPE = 'multipart/form-data; charset=utf-8; Boundary="----x y"'
EDGE = b"------x y"
JSON = "application/json"
TYPED = f"Content-Type: {JSON}"


def part(name: str, content: bytes | str = b"", *headers: str, also: str = "") -> bytes:
    """Returns a part as a browser writes it."""
    lines = [f'Content-Disposition: form-data; name="{name}"{also}', *headers]
    text = content.encode() if isinstance(content, str) else content
    return b"\r\n".join([EDGE, *(line.encode() for line in lines), b"", text]) + b"\r\n"


def body(*parts: bytes) -> bytes:
    return b"".join(parts) + EDGE + b"--\r\n"


def read(*parts: bytes, codec: Codec = FORM) -> Album:
    assert isinstance(codec, BodyCodec)
    return codec.for_body(TYPE).decode(body(*parts), Album)


def refused(data: bytes, content_type: str = TYPE, codec: MultipartCodec = FORM) -> BadRequest:
    with pytest.raises(BadRequest) as raised:
        codec.for_body(content_type).decode(data, Album)
    assert (raised.value.code, raised.value.reason) == (400, "CODEC")
    assert raised.value.__suppress_context__ or raised.value.__context__ is None
    return raised.value


def test_it_is_asked_for() -> None:
    """A server that was not told to does not read it; one that was writes in anything else."""
    assert DEFAULT_CODECS.for_request(TYPE) is None
    found = SET.for_request(TYPE)
    assert found is not None
    assert found.name == "multipart"
    assert found.decode(body(part("title", "x")), Album) == Album(title="x")
    assert SET.named("multipart") is FORM
    assert [codec.name for codec in SET.writers] == ["json", "proto"]
    assert SET.for_reply("multipart/form-data") is None
    for accept in ("multipart/*, */*;q=0.1", "*/*"):
        reply = SET.for_reply(accept)
        assert reply is not None
        assert reply.codec.name == "json"


def test_it_reads_only() -> None:
    """Nothing is written, so it cannot be the default."""
    for codec in (FORM, FORM.for_body(TYPE)):
        with pytest.raises(TypeError, match="multipart codec writes no messages, not even a Album; JSON does"):
            codec.encode(Album())
    with pytest.raises(ValueError, match="'multipart' writes nothing, so it cannot be the first one"):
        CodecSet(FORM, JsonCodec())
    with pytest.raises(TypeError, match="reads protobuf-py messages, not dict"):
        FORM.for_body(TYPE).decode(b"x", dict)
    with pytest.raises(ValueError, match="max_parts is 0"):
        MultipartCodec(max_parts=0)


def test_boundaries_are_not_remembered() -> None:
    """Every body has its own, so they must not push out what is asked for again and again."""
    codecs = DEFAULT_CODECS.with_(FORM)
    codecs.for_request(JSON)
    for number in range(2000):
        codecs.for_request(f"multipart/form-data; boundary={number}")
    assert list(codecs._requests) == [JSON]


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("a/b; boundary=x", "x"),
        ("a/b;BOUNDARY = x ; c=d", "x"),
        ('a/b; x="; boundary=no"; boundary="a\\"\\\\b"', 'a"\\b'),
        ("a/b; boundary=----=_Part_1.2:3", "----=_Part_1.2:3"),
        ("a/b; boundary=", ""),
        ('a/b; boundary="', '"'),
        ("a/b; boundary=x; boundary=y", "x"),
        ("a/b", None),
        ("a/b; boundary", ""),
        ("", None),
    ],
)
def test_parameters(line: str, value: str | None) -> None:
    """The first of that name, quoted or not."""
    assert parameter(line, "boundary") == value


FILE = b"\x00\r\n--\xff\r"


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([], Album()),
        (
            [part("title", "größe\r\n"), part("page_count", "7"), part("public", "true")],
            Album(title="größe\r\n", page_count=7, public=True),
        ),
        (
            [part("pageCount", "", "Content-Type: text/plain; charset=UTF-8"), part("mood", "MOOD_GLAD")],
            Album(mood=Mood.GLAD),
        ),
        (
            [
                part("tags", "a"),
                part("tags", ""),
                part("labels[ä.b]", "1"),
                part("labels.c", "2"),
                part("other", b"\xff"),
            ],
            Album(tags=["a", ""], labels={"ä.b": "1", "c": "2"}),
        ),
        ([part("tags[1]", "b"), part("tags[0]", "a")], Album(tags=["a", "b"])),
        (
            [part("cover", FILE), part("blobs", b"1"), part("blobs", b""), part("seal", b"\xff")],
            Album(cover=FILE, blobs=[b"1", b""], seal=BytesValue(value=b"\xff")),
        ),
        (
            [part("details.scan", b"\xff"), part("details.inner.author", "me")],
            Album(details=Details(scan=b"\xff", inner=Details(author="me"))),
        ),
        (
            [part("note", b"hi", "Content-Type: text/plain;  charset=koi8-r", also='; filename="a.txt"')],
            Album(note=HttpBody(content_type="text/plain;  charset=koi8-r", data=b"hi")),
        ),
        ([part("photo", b"", also='; filename="empty.txt"')], Album(photo=Photo(filename="empty.txt"))),
        (
            [part("photo.caption", "c"), part("photo", b"J", "Content-Type: image/jpeg", also='; filename="a.jpg"')],
            Album(photo=Photo(data=b"J", content_type="image/jpeg", filename="a.jpg", caption="c")),
        ),
        (
            [part("photos", b"1", also='; filename="1"'), part("photos", b"2"), part("named[k]", b"3")],
            Album(photos=[Photo(data=b"1", filename="1"), Photo(data=b"2")], named={"k": Photo(data=b"3")}),
        ),
        (
            [
                part("details.year", "5"),
                part("details", '{"author": "me", "year": 1, "new": 1}', TYPED),
                part("more", "{}", f"content-type: {JSON};charset=utf-8"),
                part("more", '{"words": ["a"]}', TYPED),
            ],
            Album(details=Details(author="me", year=5), more=[Details(), Details(words=["a"])]),
        ),
        (
            [
                part("title", '"a\\"b"', TYPED),
                part("pageCount", " 7\n", TYPED),
                part("public", "true", TYPED),
                part("tags", '"x"', TYPED),
            ],
            Album(title='a"b', page_count=7, public=True, tags=["x"]),
        ),
        (
            [part("taken", "1970-01-01T00:00:05Z"), part("facts", '{"a": true}'), part("value", "five")],
            Album(
                taken=Timestamp(seconds=5),
                facts=Struct(fields={"a": Value(kind=Oneof("bool_value", True))}),
                value=Value(kind=Oneof("string_value", "five")),
            ),
        ),
        (
            [part("taken", '"1970-01-01T00:00:05Z"', TYPED), part("facts[a]", "true")],
            Album(taken=Timestamp(seconds=5), facts=Struct(fields={"a": Value(kind=Oneof("bool_value", True))})),
        ),
        (
            [part("shot", b"x", "Content-Type: application/json", also='; filename="x.json"')],
            Album(source=Oneof("shot", Photo(data=b"x", content_type=JSON, filename="x.json"))),
        ),
        ([part("title", "x", "Content-Transfer-Encoding: 8BIT", "Content-Length: 1", "X-Odd: 1")], Album(title="x")),
    ],
)
def test_what_is_read(parts: Sequence[bytes], message: Album) -> None:
    """Files as they are, texts as in forms, JSON where it says so; names mean nothing are left out."""
    assert read(*parts) == message


@pytest.mark.parametrize("name", ["cover", "photo", "shot", "note", "photos", "title", "pageCount", "details"])
def test_no_file_chosen(name: str) -> None:
    """A browser sends an empty file for an input that nobody has touched: nothing is set."""
    empty = part(name, b"", "Content-Type: application/octet-stream", also='; filename=""')
    assert read(empty, empty, part("url", "x")) == Album(source=Oneof("url", "x"))


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ('filename="größe 1.txt"', "größe 1.txt"),
        ('filename="a%22b%0D%0A%20c.txt"', 'a"b%20c.txt'),  # what WHATWG escapes, and nothing else
        ('filename="a\\"b.txt"', 'a"b.txt'),  # curl before 7.81
        ('filename="100%25.txt"', "100%25.txt"),
        ("filename=plain.txt", "plain.txt"),
        ("FileName=plain.txt", "plain.txt"),
        ('filename="../../etc/passwd"', "passwd"),
        ('filename="C:\\\\Users\\\\x.txt"', "x.txt"),
        ('filename="C:\\Users\\x.txt"', "x.txt"),
        ('filename="/"', ""),
        ('filename=".."', ""),
        ('filename="a/."', ""),
        ('filename="a\x00\x1b\x7fb"', "ab"),
        ('filename="a;b=c.txt"', "a;b=c.txt"),
        ("filename*=UTF-8''gr%C3%B6%C3%9Fe%2f.txt", ".txt"),
        ("filename*=UTF-8'de'gr%C3%B6%C3%9Fe.txt", "größe.txt"),
        ("filename=\"a.txt\"; filename*=utf-8''%e2%82%ac.txt", "€.txt"),
        ("filename*=iso-8859-1''%A3.txt; filename=\"a.txt\"", "£.txt"),
        ("filename=\"a.txt\"; filename*=utf-8''%ff.txt", "a.txt"),
        ("filename=\"a.txt\"; filename*=shift-jis''x.txt", "a.txt"),
        ("filename=\"; filename*=utf-8''x.txt\"", "; filename*=utf-8''x.txt"),
    ],
)
def test_file_names(said: str, name: str) -> None:
    """As browsers, curl and older libraries write them, without any path and without control characters."""
    found = read(part("photo", b"x", also=f"; {said}")).photo
    assert found == Photo(data=b"x", filename=name)


@pytest.mark.parametrize(
    ("parts", "what", "field"),
    [
        ([part("title", b"a\xff")], "part title: is not UTF-8: byte 2 is wrong", "title"),
        ([part("title", "a"), part("title", "b")], "part title: stands there more than once", "title"),
        ([part("pageCount", "a")], "part pageCount: expected an integer, not 'a'", "pageCount"),
        (
            [part("pageCount", "1"), part("page_count", "1")],
            "part page_count: stands there more than once",
            "page_count",
        ),
        ([part("photo", b"1"), part("photo", b"2")], "part photo: stands there more than once", "photo"),
        ([part("url", "x"), part("shot", b"y")], "part shot: only one of url and shot may be set", "shot"),
        (
            [part("drawn.year", "1"), part("drawn", "{}", TYPED), part("shot.caption", "y")],
            "only one of drawn and shot.caption may be set",
            "shot.caption",
        ),
        (
            [part("details", "{}")],
            "part details: is a message: send it as application/json, or its fields as details.name each",
            "details",
        ),
        ([part("details", "{", TYPED)], "part details: the body is not JSON: ", "details"),
        ([part("details", '{"inner": {"year": "x"}}', TYPED)], "part details: inner.year: expected an", "details"),
        ([part("details", "[" * 9999, TYPED)], "part details: the body is nested deeper", "details"),
        ([part("title", "null", TYPED)], "part title: expected a single value in JSON", "title"),
        ([part("tags", '["a"]', TYPED)], "part tags: expected a single value in JSON", "tags"),
        ([part("title", "", TYPED)], "part title: the body is not JSON", "title"),
        (
            [part("title", "x", "Content-Type: text/plain; charset=utf-16")],
            "the charset utf-16 is not read here",
            "title",
        ),
        (
            [part("cover", b"eA==", "Content-Transfer-Encoding: base64")],
            "is in the Content-Transfer-Encoding 'base64'",
            "cover",
        ),
        (
            [part("cover", b"eA==", "Content-Encoding: gzip")],
            "is in the Content-Encoding 'gzip', send it as it is",
            "cover",
        ),
        ([part("cover", b"", "X: 1", "x: 2")], "part cover: has the header X twice", "cover"),
        ([part("note", b"x", "Content-Type: nonsense")], "part note: the Content-Type 'nonsense' is none", "note"),
        ([part("note", b"x", "Content-Type: a/b; ü")], "part note: the Content-Type 'a/b; ü' is none", "note"),
        (
            [part("photo.caption.x" + ".y" * 40, "x")],
            "leads through more than 32 fields",
            "photo.caption.x" + ".y" * 40,
        ),
    ],
)
def test_parts_that_do_not_fit(parts: Sequence[bytes], what: str, field: str) -> None:
    """What is wrong is told with the name of the part as it came."""
    error = refused(body(*parts))
    assert what in error.message
    assert error.metadata == {"field": field[:100]}


HEAD = EDGE + b'\r\nContent-Disposition: form-data; name="title"\r\n'


@pytest.mark.parametrize(
    "data",
    [
        b"x",
        EDGE,
        EDGE + b"\r\n",
        HEAD,
        HEAD + b"\r\n",
        HEAD + b"\r\nabc\r\n" + EDGE,
        HEAD + b"\r\nabc\r\n" + EDGE + b"-",
        HEAD + b"\r\nabc\r\n" + EDGE + b"\r\n",
        HEAD + b"\r\nabc\r\n" + EDGE + b"x\r\n",
        HEAD + b"\r\nabc\r\n" + EDGE[:-1] + b"z--\r\n",
        body(HEAD + b"a" * 5000),
        body(HEAD + b"A: " + b"a" * 5000),
        body(HEAD + b"A: b\r\n" * 20 + b"\r\n\r\n"),
        body(HEAD + b" folded\r\n\r\n\r\n"),
        body(HEAD + b"no colon\r\n\r\n\r\n"),
        body(HEAD + b"Bad Name: x\r\n\r\n\r\n"),
        body(HEAD + b"Content-Length: 7\r\n\r\nx\r\n"),
        body(HEAD + b"Content-Length: +1\r\n\r\nx\r\n"),
        body(HEAD.replace(b"\r\n", b"\n") + b"\n\nx\n"),
        body(EDGE + b"\r\n\r\nx\r\n"),
        body(EDGE + b"\r\nContent-Disposition: form-data\r\n\r\nx\r\n"),
        body(EDGE + b'\r\nContent-Disposition: attachment; name="title"\r\n\r\nx\r\n'),
        body(EDGE + b'\r\nContent-Disposition: form-data; name="\xff"\r\n\r\nx\r\n'),
        body(b"preamble" + HEAD + b"\r\nx\r\n"),
    ],
)
def test_bodies_that_are_broken(data: bytes) -> None:
    """Cut off anywhere, or with headers that are none."""
    assert refused(data).message.startswith("the body is not multipart/form-data: ")


@pytest.mark.parametrize("cut", range(len(body(part("title", "abc"))) - 2))
def test_cut_off_anywhere(cut: int) -> None:
    """No prefix of a form is a form, but nothing at all."""
    data = body(part("title", "abc"))[:cut]
    if data:
        refused(data)
    else:
        assert FORM.for_body(TYPE).decode(data, Album) == Album()


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=\xff",
        'multipart/form-data; boundary="a\nb"',
        'multipart/form-data; boundary="a "',
        "multipart/form-data; boundary=" + "x" * 300,
    ],
)
def test_boundaries_that_are_none(content_type: str) -> None:
    """Without a boundary nobody knows where a part ends."""
    assert "Content-Type has no boundary" in refused(body(part("title", "x")), content_type).message
    with pytest.raises(BadRequest, match="no boundary"):
        FORM.decode(b"x", Album)


def test_what_is_around_the_parts() -> None:
    """An empty line may come first, and what follows the last boundary is nobody's."""
    assert FORM.for_body(TYPE).decode(b"\r\n" + body(part("title", "x")) + b"epilogue", Album) == Album(title="x")


def test_limits() -> None:
    """So many parts and no more."""
    codec = MultipartCodec(max_parts=3)
    assert read(*[part("tags", "a")] * 3, codec=codec) == Album(tags=["a"] * 3)
    assert "it has too many parts" in refused(body(*[part("tags", "a")] * 4), codec=codec).message
    assert read(*[part("x", "a")] * 1000) == Album()
    assert "it has too many parts" in refused(body(*[part("x", "a")] * 1001)).message


def test_strict() -> None:
    """Names that mean nothing may be refused; parts in JSON go by the options of their codec."""
    codec = MultipartCodec(unknown="reject", json=JsonCodec(JsonOptions(unknown="reject")))
    assert "fixture.upload.v1.Album has no such field" in refused(body(part("titel", "x")), codec=codec).message
    unknown = part("details", '{"new": 1}', TYPED)
    assert "fixture.upload.v1.Details has no such field" in refused(body(unknown), codec=codec).message


# What a client cannot say in a header so that everybody reads the same: a percent sign may begin an escape, a backslash
# escapes or not. Paths and control characters are taken off.
names = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="%\\/"), min_size=1).filter(
    lambda name: name not in (".", "..")
)
texts = st.text(st.characters(exclude_categories=["Cs"]))
types = st.sampled_from(["image/png", "text/plain; charset=x", "application/octet-stream", JSON])
photos = st.builds(Photo, data=st.binary(), content_type=types, filename=names)


@settings(deadline=None)
@given(
    title=texts,
    cover=st.binary(),
    tags=st.lists(texts),
    labels=st.dictionaries(names, texts),
    pictures=st.lists(photos),
    photo=st.none() | photos,
    details=st.builds(Details, author=texts, words=st.lists(texts), scan=st.binary()),
    boundary=st.text(st.sampled_from("-abAB01'()+_,./:=?"), min_size=1, max_size=10),
)
def test_what_others_write_is_read(
    title: str,
    cover: bytes,
    tags: list[str],
    labels: dict[str, str],
    pictures: list[Photo],
    photo: Photo | None,
    details: Details,
    boundary: str,
) -> None:
    """What urllib3 writes, as requests does, arrives as it was."""
    fields: list[RequestField] = []

    def add(name: str, data: str | bytes, filename: str | None = None, content_type: str | None = None) -> None:
        field = RequestField(name, data, filename)
        field.make_multipart(content_type=content_type)
        fields.append(field)

    add("title", title)
    add("cover", cover)
    for tag in tags:
        add("tags", tag)
    for key, text in labels.items():
        add(f"labels[{key}]", text)
    for picture in pictures:
        add("photos", picture.data, picture.filename, picture.content_type)
    if photo is not None:
        add("photo", photo.data, photo.filename, photo.content_type)
    add("details", JsonCodec().encode(details), content_type=JSON)
    data, _ = encode_multipart_formdata(fields, boundary)
    content = [field.data if isinstance(field.data, bytes) else field.data.encode() for field in fields]
    if any(f"--{boundary}".encode() in each for each in content):
        return
    quoted = boundary.replace('"', '\\"')
    found = FORM.for_body(f'multipart/form-data; boundary="{quoted}"').decode(data, Album)
    assert found == Album(
        title=title, cover=cover, tags=tags, labels=labels, photos=pictures, photo=photo, details=details
    )


@settings(deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [EDGE, b"\r\n", b"--", b"\r", b"\n", b"-", HEAD, b"\r\n\r\n", b"title", b": ", b";", b'"', b"\xff", b" "]
        )
    )
)
def test_noise_is_refused(pieces: list[bytes]) -> None:
    """Bytes of any kind are a message or a 400; nothing else comes out."""
    refusal = None
    try:
        FORM.for_body(TYPE).decode(b"".join(pieces), Album)
    except BadRequest as error:
        refusal = error
    assert refusal is None or refusal.reason == "CODEC"
