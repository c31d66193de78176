"""Requests at random: for an operation and then more or less spoilt, as bytes, or as frames of a WebSocket.

Each has a number, and with the seed it is the same one again, whatever came before.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from catalogue.service import services
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from security.wire import frame

from kratos.codec.messages import shape
from kratos.operation import Http

__all__ = ["Case", "case"]


@dataclass(frozen=True, slots=True)
class Case:
    """One request, or what is left of it.

    Attributes:
        sent: Its bytes.
        whole: It is a whole request that says so, which has to be answered.
    """

    sent: bytes
    whole: bool


RULES: list[tuple[Http, type[Any]]] = [
    (http, operation.request)
    for service in services()
    for _, operation in type(service).__operations__
    for http in operation.http
]
TYPES = [
    "application/json", "application/proto", "application/x-www-form-urlencoded", "application/yaml",
    "application/xml", "application/msgpack", "application/protojson", "text/event-stream", "application/x-ndjson",
    "image/png", "*/*",
]  # fmt: skip
TEXTS = [
    "", "a", "emma", "..", ".", "/", "%", "%2e", "\x00", "\r\n", "é", "\ufeff", "😀", "\ud800", "a" * 300, "null",
    "true", "{}", "[]", '"', "'", "\\", "<a>", "&a;", "${x}", "{{x}}", "1e999", "NaN", "-Infinity", "0x10", "1_000",
    "+1", " 1", "1.0", "-0", "2147483647", "2147483648", "-9223372036854775809", "18446744073709551616",
    "2026-01-31T12:00:00Z", "1.5s", "1h", "AAE=", "GENRE_FICTION", "NOT_A_GENRE", "title,author.name", "a b",
    "@type", "type.googleapis.com/catalog.v1.Book",
]  # fmt: skip
VALUES: list[Any] = [
    None, True, False, 0, 1, -1, 2**31, 2**63, 2**64, -(2**63), 10**400, 0.5, -0.0, 1e308, float("inf"),
    float("nan"), [], {}, [None], [[]], {"": None}, {"@type": "type.googleapis.com/google.protobuf.Value",
    "value": 1}, {"fields": {}},
]  # fmt: skip
HEADERS = [
    "Accept", "Accept-Encoding", "Content-Encoding", "Content-Type", "Range", "If-Match", "Cookie", "Expect",
    "Origin", "X-Md-Global-A", "Grpc-Metadata-A", "Traceparent", "Authorization", "Upgrade", "Connection", "Host",
    "Content-Length", "Transfer-Encoding", "TE", "Trailer", "Sec-WebSocket-Key", "X-Odd", "X-Forwarded-For",
    "Last-Event-ID", "X-Bin-bin",
]  # fmt: skip
TOKENS = [
    b"\r\n", b"\n", b"\r", b"\x00", b":", b" ", b"\t", b"chunked", b"0\r\n\r\n", b"Content-Length: 5\r\n", b"\xff",
    b"%00", b"%", b"HTTP/1.1", b"HTTP/1.0", b"GET ", b"Transfer-Encoding: chunked\r\n",
    b"Upgrade: h2c\r\nConnection: upgrade\r\n", b";", b"{", b"[" * 300, b"\x80", b"\x0a\xff\xff\xff\xff\x0f",
    b"ffffffff\r\n",
]  # fmt: skip


def case(seed: int, number: int) -> Case:
    """Returns a request.

    Args:
        seed: Of the run.
        number: Which one of it.
    """
    dice = random.Random(f"{seed}:{number}")
    kind = dice.random()
    if kind < 0.6:
        return Case(_request(dice), whole=True)
    if kind < 0.9:
        sent = b"".join(_request(dice) for _ in range(dice.choice((1, 1, 1, 2, 5))))
        return Case(_spoilt(dice, sent), whole=False)
    return Case(_socket(dice), whole=False)


def _request(dice: random.Random) -> bytes:
    http, type_ = dice.choice(RULES)
    method = http.method if http.method != "*" else "GET"
    if dice.random() < 0.05:
        method = dice.choice(("GET", "HEAD", "POST", "OPTIONS", "TRACE", "PURGE", "PUT", "DELETE"))
    target = _path(dice, http.path) + _query(dice, type_)
    content_type, body = _body(dice, type_)
    headers = {"Host": "x", "Content-Type": content_type, "Content-Length": str(len(body)), "Connection": "close"}
    headers["Accept"] = dice.choice(TYPES)
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    if dice.random() < 0.2:  # nothing that changes where the request ends
        name = dice.choice(
            [each for each in HEADERS if each not in ("Content-Length", "Transfer-Encoding", "Host", "Upgrade")]
        )
        lines.append(f"{name}: {_printable(dice.choice(TEXTS))}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace") + body


def _path(dice: random.Random, template: str) -> str:
    parts: list[str] = []
    for part in template.replace("shelves/*/books/*", "*").split("/"):
        if not part.startswith("{"):
            parts.append(part)
            continue
        value = quote(_text(dice), safe=dice.choice(("", "/", "/.%:"))) or "x"
        parts.append(value + part.rpartition("}")[2])
    path = "/".join(parts)
    return path if dice.random() < 0.95 else path + dice.choice(("/", ":x", "%2f", "/..", "//", "%", "%ff"))


def _query(dice: random.Random, type_: type[Any]) -> str:
    if dice.random() < 0.5:
        return ""
    pairs = []
    for _ in range(dice.choice((1, 1, 2, 5, 20))):
        name = _name(dice, type_)
        if dice.random() < 0.3:
            name += dice.choice(
                ("[]", "[0]", "[a]", ".a", ".value", "[", "]", "[-1]", "[99999999999]", ".fields[a]", "..", "[a][b]")
            )
        pairs.append(f"{quote(name, safe='[].')}={quote(_text(dice), safe='')}")
    return "?" + "&".join(pairs)


def _name(dice: random.Random, type_: type[Any]) -> str:
    """Returns the name of a field, perhaps of one below it, or none."""
    names: list[str] = []
    current: type[Any] | None = type_
    while current is not None and shape(current).fields and dice.random() < 0.9 - 0.3 * len(names):
        field = dice.choice(shape(current).fields)
        names.append(dice.choice((field.name, field.json_name)))
        current = field.message
    return ".".join(names) or _text(dice)


def _text(dice: random.Random) -> str:
    text = dice.choice(TEXTS)
    if dice.random() < 0.1:
        text = "".join(chr(dice.randrange(1, 0x500)) for _ in range(dice.randrange(20)))
    return text.encode("utf-8", "replace").decode()


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else "_" for char in text)


def _value(dice: random.Random, type_: type[Any] | None, depth: int = 0) -> Any:
    """Returns a value of JSON that is like one of that type."""
    if type_ is None or dice.random() < 0.1 or depth > 6:
        return dice.choice(VALUES) if dice.random() < 0.5 else _text(dice)
    known = shape(type_)
    if known.well_known is not None:
        return dice.choice((*VALUES, *TEXTS))
    members: dict[str, Any] = {}
    for field in dice.sample(known.fields, dice.randint(0, len(known.fields))):
        value = _value(dice, field.message, depth + 1)
        if field.key is not None:
            value = {dice.choice(TEXTS): value}
        elif field.repeated:
            value = [value] * dice.choice((0, 1, 3))
        members[dice.choice((field.name, field.json_name))] = value
    return members


def _body(dice: random.Random, type_: type[Any]) -> tuple[str, bytes]:
    content_type = dice.choice(TYPES[:6])
    value = json.dumps(_value(dice, type_), ensure_ascii=dice.random() < 0.5).encode("utf-8", "replace")
    if content_type == "application/proto":
        body = _wire(dice)
    elif content_type == "application/x-www-form-urlencoded":
        body = _query(dice, type_)[1:].encode()
    elif content_type == "application/msgpack":
        body = dice.randbytes(dice.randrange(60))
    elif content_type == "application/xml":
        body = b"<x>" + b"".join(_element(dice, type_) for _ in range(dice.randrange(5))) + b"</x>"
    else:
        body = value
    if dice.random() < 0.3:
        body = _spoilt(dice, body)
    return content_type if dice.random() < 0.95 else dice.choice(TYPES), body


def _element(dice: random.Random, type_: type[Any]) -> bytes:
    fields = shape(type_).fields
    name = dice.choice(fields).json_name if fields else "a"
    attribute = dice.choice(("", ' json="true"', ' key="a"', ' name="b"', ' type="x/google.protobuf.Value"'))
    return f"<{name}{attribute}>{_printable(_text(dice)).replace('<', '&lt;')}</{name}>".encode()


def _wire(dice: random.Random) -> bytes:
    """Returns something of protobuf's binary form."""
    if dice.random() < 0.2:
        text = FileDescriptorProto(name=_text(dice).replace("\ud800", ""), dependency=["a"] * dice.randrange(5))
        return text.SerializeToString()
    data = b""
    for _ in range(dice.randrange(12)):
        tag = dice.randrange(1, 26) << 3 | dice.choice((0, 1, 2, 2, 2, 5, 3, 4, 6, 7))
        data += bytes([tag & 127 | 128, tag >> 7]) if tag > 127 else bytes([tag])
        inner = dice.randbytes(dice.randrange(12))
        data += bytes([len(inner)]) + inner if dice.random() < 0.7 else inner
    return data


def _spoilt(dice: random.Random, data: bytes) -> bytes:
    """Changes some bytes."""
    changed = bytearray(data)
    for _ in range(dice.choice((1, 1, 2, 3, 8))):
        at = dice.randrange(len(changed) + 1)
        match dice.randrange(6):
            case 0:
                changed[at:at] = dice.choice(TOKENS)
            case 1:
                del changed[at : at + dice.choice((1, 1, 2, 10))]
            case 2 if at < len(changed):
                changed[at] ^= 1 << dice.randrange(8)
            case 3:
                changed[at:at] = changed[at : at + dice.randrange(40)]
            case 4:
                changed[at : at + 4] = dice.randbytes(4)
            case _:
                changed[at:at] = f"{dice.choice(HEADERS)}: {_printable(dice.choice(TEXTS))}\r\n".encode(
                    "latin-1", "replace"
                )
    return bytes(changed)


def _socket(dice: random.Random) -> bytes:
    path = dice.choice(("/v1/sum", "/v1/talk/1", "/v1/talk/x", "/talk", "/v1/now"))
    head = (
        f"GET {path}{_query(dice, RULES[0][1])} HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    ).encode()
    if dice.random() < 0.2:
        head = _spoilt(dice, head)
    frames = b""
    for _ in range(dice.randrange(8)):
        opcode = dice.choice((1, 1, 1, 2, 0, 8, 9, 10, dice.randrange(16)))
        data = dice.choice(
            (b'{"number":1}', b"\x1eend", b"\x1eerror:x", b"", _text(dice).encode(), dice.randbytes(130))
        )
        odd = dice.random() < 0.1
        frames += frame(
            opcode, data, final=dice.random() < 0.8, masked=not odd, reserved=dice.choice((0, 0, 0, 0, 0, 4, 1))
        )
    return head + (_spoilt(dice, frames) if dice.random() < 0.2 else frames)
