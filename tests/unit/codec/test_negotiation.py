"""Which codec a request and a reply are written in."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kratos.codec import DEFAULT_CODECS, Codec, CodecSet, JsonCodec, JsonOptions, Negotiated, ProtoCodec
from kratos.codec.base import CACHED, CACHED_LENGTH
from kratos.codec.negotiate import MAX_RANGES, accepted, media_type

OFFERS = ("application/json", "application/protojson", "application/proto", "text/plain", "image/x-y")


def reply_type(accept: str | bytes | list[str] | None) -> str | None:
    found = DEFAULT_CODECS.for_reply(accept)
    return None if found is None else found.content_type


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        (None, "application/json"),
        ("", "application/json"),
        (" ", "application/json"),
        (",, ,", "application/json"),
        ("*/*", "application/json"),
        ("application/*", "application/json"),
        ("application/json", "application/json"),
        ("application/protojson", "application/protojson"),
        ("application/PROTOJSON", "application/protojson"),
        (b"Application/Proto", "application/proto"),
        ("application/x-protobuf", "application/x-protobuf"),
        ("application/protojson, */*;q=0.1", "application/protojson"),
        ("application/protojson, */*", "application/json"),
        ("application/proto, application/json", "application/json"),
        ("application/json;q=0.5, application/proto", "application/proto"),
        ("application/json;q=0.5,application/proto;q=0.501", "application/proto"),
        ("application/json;q=0, */*", "application/protojson"),
        ("application/*;q=0, */*", None),
        ("*/*;q=0", None),
        ("*/*;q=0.000", None),
        ("text/html", None),
        ("text/html, application/xhtml+xml, application/xml;q=0.9, image/avif, */*;q=0.8", "application/json"),
        ("application/json; charset=utf-8", "application/json"),
        ("application/json ;\tcharset=utf-8 ; q=0.1, application/proto;q=0.2", "application/proto"),
        ('application/json;note="a, b;q=0", text/html', "application/json"),
        ('application/json;note="\\", q=0", application/proto;q=0.5', "application/json"),
        ("application/json;charset=utf-8;q=0.1, application/json, application/proto;q=0.5", "application/proto"),
        ("application/json;q=0.1;ext=1, application/proto;q=0.2", "application/proto"),
        ("application/json;Q=0.1, application/proto;q=0.2", "application/proto"),
        ("application/json;q=1.000, application/proto;q=1", "application/json"),
        ("application/json;q=0.", None),
        # What cannot be read is skipped.
        ("json, application/proto", "application/proto"),
        ("*/json, application/proto", "application/proto"),
        ("application/json;q=2, application/proto", "application/proto"),
        ("application/json;q=0.1234, application/proto;q=0.1", "application/proto"),
        ("application/json;q=, application/proto;q=0.1", "application/proto"),
        ("application/json;q=-1, application/proto;q=0.1", "application/proto"),
        ("application/json;q, application/proto;q=0.1", "application/proto"),
        ("application/json;;, application/proto;q=0.1", "application/json"),
        ("application/json; ;q=0.01, application/proto;q=0.1", "application/proto"),
        (";application/json, application/proto;q=0.1", "application/proto"),
        ("; , application/proto;q=0.1", "application/proto"),
        ('application/json;a="open, application/proto', "application/json"),
        ('application/proto, application/json;a="open\\', "application/proto"),
        ("application / json, application/proto", "application/proto"),
        ("nonsense", "application/json"),
        (["application/json;q=0.1", "application/proto"], "application/proto"),
        ([], "application/json"),
    ],
)  # fmt: skip
def test_replies(accept: str | bytes | list[str] | None, content_type: str | None) -> None:
    """Quality first, then the server's order; the content type is the one that was asked for."""
    assert reply_type(accept) == content_type
    assert reply_type(accept) == content_type  # from the cache


@pytest.mark.parametrize(
    ("content_type", "name"),
    [
        (None, None),
        ("", None),
        ("application/json", "json"),
        ("application/protojson", "json"),
        (b"application/json; charset=utf-8", "json"),
        ("Application/JSON ;charset=utf-8", "json"),
        ('application/json; a="x;y"', "json"),
        (" application/proto ", "proto"),
        ("application/x-protobuf", "proto"),
        ("text/json", "json"),
        ("foo/protobuf", "proto"),
        ("text/html; charset=utf-8", None),
        ("application", None),
        ("json", None),
        (";application/json", None),
        ("/json", None),
        ("application/json, application/json", None),
        (["application/json"], "json"),
        (("application/json", "application/proto"), None),
    ],
)
def test_requests(content_type: str | bytes | list[str] | None, name: str | None) -> None:
    """The media type decides, else the subtype; parameters, case and space do not matter."""
    for _ in range(2):
        found = DEFAULT_CODECS.for_request(content_type)
        assert (found.name if found else None) == name


@dataclass(frozen=True)
class Element:
    """One element of a generated header, and how it is written."""

    type: str
    subtype: str
    params: tuple[str, ...]
    thousandths: int | None
    text: str

    def precedence(self, offer: str) -> int | None:
        """RFC 9110, 12.5.1, read aloud: how specific the range is if it matches, else None."""
        wanted = f"{self.type}/{self.subtype}".lower()
        if wanted == offer:
            return 4 if self.params else 3
        if wanted == offer.split("/", maxsplit=1)[0] + "/*":
            return 2
        return 1 if wanted == "*/*" else None


def reference(elements: list[Element], offers: tuple[str, ...]) -> str | None:
    """The straightforward way: for each offer its quality, then sort."""
    if not elements:
        return offers[0]
    scored = []
    for position, offer in enumerate(offers):
        matches: dict[int, list[int]] = {}
        for element in elements:
            precedence = element.precedence(offer)
            if precedence is not None:
                quality = 1000 if element.thousandths is None else element.thousandths
                matches.setdefault(precedence, []).append(quality)
        quality = max(matches[max(matches)]) if matches else 0
        if quality > 0:
            scored.append((-quality, position, offer))
    return min(scored)[2] if scored else None


spaces = st.sampled_from(["", " ", "\t", "  "])
parameters = st.sampled_from(
    ["charset=utf-8", 'a=","', 'b="x;q=0"', 'c="\\""', 'd="\\\\"', "version=1", 'e=""', 'title="q=0, */*;q=1"', "_q=0"]
)


def _cased(text: str) -> st.SearchStrategy[str]:
    return st.sampled_from([text, text.upper(), text.title()])


@st.composite
def elements(draw: st.DrawFn) -> Element:
    """Draws an element of Accept together with what it means."""
    type_ = draw(st.sampled_from(["application", "text", "image", "*", "x.y+z"]))
    subtypes = ["json", "protojson", "proto", "plain", "x-y", "*"]
    subtype = "*" if type_ == "*" else draw(st.sampled_from(subtypes))
    params = tuple(draw(st.lists(parameters, max_size=2)))
    thousandths = draw(st.none() | st.integers(0, 1000))
    parts = [draw(_cased(type_)) + "/" + draw(_cased(subtype)), *params]
    if thousandths is not None:
        digits = f"{thousandths // 1000}.{thousandths % 1000:03}"
        short = digits.rstrip("0")
        forms = [digits, short] if not short.endswith(".") else [digits, short, short[:-1]]
        parts.append(draw(st.sampled_from(["q=", "Q="])) + draw(st.sampled_from(forms)))
        parts.extend(draw(st.lists(st.sampled_from(["ext=1", 'ext="q=0,"']), max_size=1)))
    text = draw(spaces)
    for part in parts:
        text += (draw(spaces) + ";" + draw(spaces) if text.strip() else "") + part
    return Element(type_, subtype, params, thousandths, text + draw(spaces))


broken = st.sampled_from(
    ["", " ", "json", "*/json", "a/b;q=2", "a/b;q", 'a/b;c="x"y', "a b/c", "/", "a/", ";q=1", "é/x"]
)


@settings(deadline=None, max_examples=500)
@given(st.lists(elements() | broken, max_size=6), st.data())
def test_against_a_reference(parts: list[Element | str], data: st.DataObject) -> None:
    """Generated headers are decided as a plain reading of RFC 9110 decides them, broken elements apart."""
    meant = [part for part in parts if isinstance(part, Element)]
    texts = [part.text if isinstance(part, Element) else part for part in parts]
    assert accepted(",".join(texts), OFFERS) == reference(meant, OFFERS)
    cut = data.draw(st.integers(0, len(texts)))
    lines = [",".join(texts[:cut]), ",".join(texts[cut:])]
    offers = tuple(content_type for codec in DEFAULT_CODECS for content_type in codec.content_types)
    assert reply_type(lines) == reference(meant, offers)


@settings(deadline=None)
@given(st.text(max_size=60) | st.text(alphabet='aA/*;,=q"\\01. \t', max_size=40))
def test_any_header(text: str) -> None:
    """No header is too strange."""
    assert accepted(text, OFFERS) in (*OFFERS, None)
    media_type(text)
    DEFAULT_CODECS.for_request(text)
    DEFAULT_CODECS.for_reply(text.encode())


@pytest.mark.parametrize("piece", ["application/json;q=0.5,", '"', '\\"', 'a/b;c="', ",", ";", "a/b;", "a", '"\\'])
def test_long_headers(piece: str) -> None:
    """Long headers cost linear time, and only their beginning counts."""
    accepted(piece * 20_000, OFFERS)
    ranges = ",".join(["text/x"] * MAX_RANGES)
    assert accepted(f"{ranges},application/json", OFFERS) is None
    assert accepted(f"{ranges[7:]},application/json", OFFERS) == "application/json"


def test_caches_are_bounded() -> None:
    """Clients choose the keys of the caches, so neither number nor length may grow."""
    codecs = CodecSet(JsonCodec(), ProtoCodec())
    for number in range(3 * CACHED):
        codecs.for_reply(f"application/json;n={number}")
        codecs.for_request(f"application/json;n={number}")
        assert len(codecs._replies) <= CACHED
        assert len(codecs._requests) <= CACHED
    long = "application/json;n=" + "1" * CACHED_LENGTH
    for header in (long, long.encode(), [long], (long,)):
        assert codecs.for_reply(header) == Negotiated(codecs.default, "application/json")
        assert codecs.for_request(header) is codecs.default
    assert not any(len(key) > CACHED_LENGTH for key in (*codecs._replies, *codecs._requests) if key)
    assert codecs.for_reply(None) is codecs.for_reply(None)


class Shouting:
    """A codec that somebody else has written."""

    name = "shout"
    content_types = ("text/shout",)

    def encode(self, message: object, /) -> bytes:
        return str(message).upper().encode()

    def decode(self, data: bytes, into: type, /) -> object:
        return into(data)


def test_adding_codecs() -> None:
    """A set is extended by making a new one; a namesake takes the place of the old one."""
    shout: Codec = Shouting()
    more = DEFAULT_CODECS.with_(shout)
    assert [codec.name for codec in more] == ["json", "proto", "shout"]
    assert more.for_request("text/shout") is more.named("shout") is shout
    assert DEFAULT_CODECS.named("shout") is None
    snake = JsonCodec(JsonOptions(names="proto"))
    replaced = more.with_(snake)
    assert [codec.name for codec in replaced] == ["json", "proto", "shout"]
    assert replaced.default is replaced.named("json") is snake
    assert reply_type("text/shout") is None


def test_sets_that_cannot_be() -> None:
    """A set has a default, and names and content types mean one codec each."""
    with pytest.raises(ValueError, match="at least one codec"):
        CodecSet()
    with pytest.raises(ValueError, match="two codecs are called 'json'"):
        CodecSet(JsonCodec(), JsonCodec())
    greedy = Shouting()
    greedy.content_types = ("application/json",)
    with pytest.raises(ValueError, match="codecs 'json' and 'shout' both claim application/json"):
        CodecSet(JsonCodec(), greedy)


def test_default_codecs() -> None:
    """JSON comes first, then binary."""
    assert [codec.name for codec in DEFAULT_CODECS] == ["json", "proto"]
    assert isinstance(DEFAULT_CODECS.default, JsonCodec)
