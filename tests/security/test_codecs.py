"""Bodies that lie, nest or swell, in every encoding: each is read or refused, and the server is as it was."""

from __future__ import annotations

import io

import aiohttp
import pytest
from catalogue.process import ServerProcess

MIB = 2**20
FILTER, TREE, BOOK = "/v1/filter", "/v1/shelves/1/tree", "/v1/books/x"
JSON, PROTO, YAML, XML, MSGPACK, FORM = (
    "application/json", "application/proto", "application/yaml", "application/xml", "application/msgpack",
    "application/x-www-form-urlencoded",
)  # fmt: skip
DEEP = 500_000
DIGITS = b"1" * 3_000_000


def varint(number: int) -> bytes:
    """Returns a number as protobuf writes it."""
    data = b""
    while number > 127:
        data += bytes([number & 127 | 128])
        number >>= 7
    return data + bytes([number])


def nested(field: int, depth: int) -> bytes:
    """Returns messages inside of each other, all of their lengths true."""
    heads: list[bytes] = []
    size = 0
    for _ in range(depth):
        heads.append(bytes([field << 3 | 2]) + varint(size))
        size += len(heads[-1])
    return b"".join(reversed(heads))


def joined(form: bytes, count: int) -> bytes:
    """Returns a list of things with numbers."""
    return b",".join(form % number for number in range(count))


DOCTYPE = b"<!DOCTYPE x [%s]><FilterRequest><aString>&a;</aString></FilterRequest>"

# Where it is sent, as what, and the status that answers it.
BODIES: dict[str, tuple[str, str, bytes, int]] = {
    "lists": (FILTER, JSON, b"[" * 4_000_000, 400),
    "objects": (FILTER, JSON, b'{"a":' * DEEP, 400),
    "objects in a tree": (TREE, JSON, b'{"left":' * DEEP, 400),
    "lists in a struct": (FILTER, JSON, b'{"facts":{"a":' + b"[" * DEEP, 400),
    "a struct as deep as it may be": (FILTER, JSON, b'{"facts":' + b'{"a":' * 49 + b"1" + b"}" * 50, 200),
    "a struct that is too deep": (FILTER, JSON, b'{"facts":' + b'{"a":' * 150 + b"1" + b"}" * 151, 400),
    "brackets in a string": (FILTER, JSON, b'{"aString":"' + b"[" * 3_000_000 + b'"}', 200),
    "Any in Any": ("/v1/grants", JSON, b'{"what":' + b'{"@type":"x/google.protobuf.Any","value":' * 60_000, 400),
    "digits": (FILTER, JSON, b'{"anInt64":%s}' % DIGITS, 400),
    "digits in a string": (FILTER, JSON, b'{"anInt64":"%s"}' % DIGITS, 400),
    "digits of a float": (FILTER, JSON, b'{"aDouble":0.%s}' % DIGITS, 200),
    "exponent": (FILTER, JSON, b'{"anInt32":1e400000000}', 400),
    "exponent in a string": (FILTER, JSON, b'{"anInt32":"1e400000000"}', 400),
    "negative exponent": (FILTER, JSON, b'{"anInt32":1e-400000000}', 200),
    "a long string": (FILTER, JSON, b'{"aString":"' + b"a" * 4_000_000 + b'"}', 200),
    "backslashes": (FILTER, JSON, b'{"aString":"' + b"\\" * 4_000_000 + b'"}', 200),
    "quotes": (FILTER, JSON, b'"' * 4_000_000, 400),
    "halves of pairs": (FILTER, JSON, b'{"aString":"' + b"\\ud83d" * DEEP + b'"}', 400),
    "a string without end": (FILTER, JSON, b'{"aString":"' + b"a" * 4_000_000, 400),
    "one key again and again": (FILTER, JSON, b"{" + b",".join([b'"facts":{"a":1}'] * 200_000) + b"}", 200),
    "unknown keys": (FILTER, JSON, b"{" + joined(b'"k%d":1', 200_000) + b"}", 200),
    "wrong keys": (FILTER, JSON, b'{"flags":{' + joined(b'"x%d":true', 200_000) + b"}}", 400),
    "wrong elements": (FILTER, JSON, b'{"numbers":[' + joined(b'"x%d"', 200_000) + b"]}", 400),
    "empty messages": (TREE, JSON, b'{"children":[' + b"{}," * 300_000 + b"{}]}", 200),
    "a long time": (FILTER, JSON, b'{"since":"%s"}' % DIGITS, 400),
    "a long duration": (FILTER, JSON, b'{"within":"%ss"}' % DIGITS, 400),
    "a long mask": (FILTER, JSON, b'{"fields":"' + b"a," * 200_000 + b'a"}', 200),
    "not UTF-8": (FILTER, JSON, b'{"aString":"\xff"}', 400),
    "another encoding": (FILTER, JSON, '{"aString":"x"}'.encode("utf-16"), 400),
    "a field alone, and then more": ("/v1/books/x/copies", JSON, b'"1","id":"y"', 400),
    "proto: messages": (TREE, PROTO, nested(2, DEEP), 400),
    "proto: groups": (TREE, PROTO, b"\x7b" * 4_000_000, 400),
    "proto: groups that end": (TREE, PROTO, b"\x7b" * 2_000_000 + b"\x7c" * 2_000_000, 400),
    "proto: a group that ends another": (TREE, PROTO, b"\x7b\x74", 400),
    "proto: 2 GiB": (TREE, PROTO, b"\x0a" + varint(2**31), 400),
    "proto: 2^63": (TREE, PROTO, b"\x0a" + varint(2**63), 400),
    "proto: 2^64 - 1": (TREE, PROTO, b"\x0a" + varint(2**64 - 1), 400),
    "proto: 2^70": (TREE, PROTO, b"\x0a" + varint(2**70), 400),
    "proto: a packed list that lies": (FILTER, PROTO, b"\x52" + varint(2**40) + bytes(100), 400),
    "proto: a number without end": (FILTER, PROTO, b"\x10" + b"\xff" * 4_000_000, 400),
    "proto: field 0": (FILTER, PROTO, b"\x00\x00", 400),
    "proto: wire type 7": (FILTER, PROTO, b"\x0f", 400),
    "proto: cut off": (FILTER, PROTO, b"\x3a\x05ab", 400),
    "proto: no text": (FILTER, PROTO, b"\x3a\x01\xff", 400),
    "proto: unknown fields": (FILTER, PROTO, b"\xf8\x07\x01" * 200_000, 200),
    "proto: empty messages": (TREE, PROTO, b"\x1a\x00" * 300_000, 200),
    "proto: numbers": (FILTER, PROTO, b"\x52" + varint(4_000_000) + b"\x01" * 4_000_000, 200),
    "yaml: aliases": (FILTER, YAML, b"facts:\n  a: &a [x, x]\n  b: &b [*a, *a]\n  c: [*b, *b]\n", 400),
    "yaml: an alias of itself": (FILTER, YAML, b"facts: &a {a: *a}", 400),
    "yaml: a tag": (FILTER, YAML, b"aString: !!python/object/apply:os.system [id]", 400),
    "yaml: lists": (FILTER, YAML, b"[" * 250_000, 400),
    "yaml: lists in blocks": (FILTER, YAML, b"- " * 120_000, 400),
    "yaml: keys of keys": (FILTER, YAML, b"? " * 120_000, 400),
    "yaml: digits": (FILTER, YAML, b"anInt64: " + DIGITS[:250_000], 400),
    "yaml: hexadecimal digits": (FILTER, YAML, b"aDouble: 0x" + b"f" * 250_000, 400),
    "yaml: octal digits": (FILTER, YAML, b"aDouble: 0o" + b"7" * 250_000, 400),
    "yaml: more digits than a number has": (FILTER, YAML, b"aDouble: 0x" + b"f" * 900, 400),
    "yaml: merge": (FILTER, YAML, b"<<: {aString: x}", 200),
    "yaml: two documents": (FILTER, YAML, b"a: 1\n---\na: 2", 400),
    "yaml: too large": (FILTER, YAML, b"a: " + b"x" * 300_000, 400),
    "xml: entities": (FILTER, XML, DOCTYPE % b'<!ENTITY b "bb"><!ENTITY a "&b;&b;">', 400),
    "xml: a file": (FILTER, XML, DOCTYPE % b'<!ENTITY a SYSTEM "file:///etc/passwd">', 400),
    "xml: a URL": (FILTER, XML, DOCTYPE % b'<!ENTITY a SYSTEM "http://127.0.0.1:1/">', 400),
    "xml: a parameter": (FILTER, XML, DOCTYPE % b'<!ENTITY % p SYSTEM "http://127.0.0.1:1/">%p;', 400),
    "xml: an entity nobody knows": (FILTER, XML, b"<x><aString>&a;</aString></x>", 400),
    "xml: elements": (FILTER, XML, b"<a>" * 1_000_000, 400),
    "xml: very many": (FILTER, XML, b"<x>" + b"<a/>" * 900_000 + b"</x>", 400),
    "xml: attributes": (FILTER, XML, b"<x " + b" ".join(b'a%d=""' % n for n in range(100_000)) + b"/>", 200),
    "xml: a name": (FILTER, XML, b"<" + b"a" * 4_000_000, 400),
    "xml: an encoding": (FILTER, XML, b'<?xml version="1.0" encoding="zlib"?><x/>', 400),
    "xml: JSON in it": (FILTER, XML, b'<x><facts json="true">' + b"[" * DEEP + b"</facts></x>", 400),
    "xml: NUL": (FILTER, XML, b"<x><aString>&#0;</aString></x>", 400),
    "msgpack: a list of 4 billion": (FILTER, MSGPACK, b"\x81\xa1a\xdd\xff\xff\xff\xff", 400),
    "msgpack: a map of 4 billion": (FILTER, MSGPACK, b"\xdf\xff\xff\xff\xff", 400),
    "msgpack: a text of 4 GiB": (FILTER, MSGPACK, b"\x81\xa1a\xdb\xff\xff\xff\xff", 400),
    "msgpack: bytes of 4 GiB": (FILTER, MSGPACK, b"\x81\xa1a\xc6\xff\xff\xff\xff", 400),
    "msgpack: an extension of 4 GiB": (FILTER, MSGPACK, b"\x81\xa1a\xc9\xff\xff\xff\xff\x01", 400),
    "msgpack: lists": (FILTER, MSGPACK, b"\x91" * 4_000_000, 400),
    "msgpack: lists below an unknown key": (FILTER, MSGPACK, b"\x81\xa1a" + b"\x91" * 400 + b"\xc0", 400),
    "msgpack: a time": (FILTER, MSGPACK, b"\x81\xa1a\xd6\xff\x00\x00\x00\x00", 400),
    "msgpack: a key that is no text": (FILTER, MSGPACK, b"\x81\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00\xc0", 400),
    "msgpack: more than one": (FILTER, MSGPACK, b"\x80\x80", 400),
    "form: very many": (FILTER, FORM, b"&".join(b"labels[k%d]=1" % n for n in range(100_000)), 400),
    "form: many": (FILTER, FORM, b"&".join(b"labels[k%d]=1" % n for n in range(9_000)), 200),
    "form: separators": (FILTER, FORM, b"&" * 4_000_000, 400),
    "form: a long way": (FILTER, FORM, b"a." * 2_000_000 + b"=1", 400),
    "form: percent signs": (FILTER, FORM, b"aString=" + b"%" * 4_000_000, 200),
    "form: escapes": (FILTER, FORM, b"aString=" + b"%41a" * 500_000, 200),
    "form: an index": (FILTER, FORM, b"numbers[" + b"9" * 4_000_000 + b"]=1", 200),
    "form: JSON in it": (FILTER, FORM, b"facts=" + b"[" * 4_000_000, 400),
    "form: digits": (FILTER, FORM, b"anInt64=" + DIGITS, 400),
    "form: a duration": (FILTER, FORM, b"within=" + b"1h" * 2_000_000, 400),
    "form: not UTF-8": (FILTER, FORM, b"aString=%ff", 400),
}  # fmt: skip


@pytest.mark.parametrize(("path", "content_type", "body", "status"), list(BODIES.values()), ids=list(BODIES))
async def test_bodies(server: ServerProcess, path: str, content_type: str, body: bytes, status: int) -> None:
    """Answered with what it deserves, and a good request after it too."""
    before = server.forget()
    async with aiohttp.ClientSession() as session:
        method = "PUT" if path == TREE or path.startswith("/v1/books") else "POST"
        headers = {"content-type": content_type, "accept": "application/json"}
        async with session.request(method, server.url + path, data=io.BytesIO(body), headers=headers) as response:
            assert response.status == status, (await response.text())[:500]
            if status == 400:
                assert (await response.json())["reason"] == "CODEC"
        async with session.post(f"{server.url}/v1/filter", json={"aString": "good"}) as response:
            assert (response.status, (await response.json())["aString"]) == (200, "good")
    assert server.peak() - before < 250 * MIB


@pytest.mark.parametrize("count", [1_001, 100_000])
async def test_queries(server: ServerProcess, count: int) -> None:
    """Very many parameters are refused, by their number or by the length of the URL."""
    query = "&".join(f"a{number}=1" for number in range(count))
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{server.url}/v1/filter?{query}") as response:
            assert response.status == (400 if len(query) < 8000 else 414)
        async with session.get(f"{server.url}/v1/filter?aString=good") as response:
            assert response.status == 200


async def test_chunks_of_a_byte(server: ServerProcess) -> None:
    """A body in very small chunks takes the memory of its bytes."""
    before = server.forget()

    async def bytewise() -> object:
        yield b'{"aString":"'
        for _ in range(200):
            yield b"a" * 1000
        yield b'"}'

    async with (
        aiohttp.ClientSession(headers={"content-type": "application/json"}) as session,
        session.post(f"{server.url}/v1/filter", data=bytewise()) as response,
    ):
        assert response.status == 200
    assert server.peak() - before < 40 * MIB
