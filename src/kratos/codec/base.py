"""Codecs, and which of them a request or a reply is written in.

A codec turns messages into bytes and back. A ``CodecSet`` holds the codecs of one server or client and finds the right
one from the HTTP headers; the rules for headers are in ``negotiate``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias, TypeVar, runtime_checkable

from kratos.codec.negotiate import accepted, media_type

__all__ = ["BodyCodec", "Codec", "CodecSet", "Header", "Negotiated"]

M = TypeVar("M")
V = TypeVar("V")

Header: TypeAlias = str | bytes | Sequence[str | bytes] | None
"""A header as it arrived: its value, the values of its lines in order, or None where it was not sent."""

# Clients choose what these caches hold, so both their length and the length of a key are bounded: about 1 MB at worst.
CACHED = 1024
CACHED_LENGTH = 256


class Codec(Protocol):
    """One way to write messages.

    Codecs are immutable: one object serves every call, from any thread.
    """

    @property
    def name(self) -> str:
        """The short name, such as ``json``; unique in a set."""
        ...

    @property
    def content_types(self) -> tuple[str, ...]:
        """The media types it is known by, in lower case; the first one is what replies carry by default."""
        ...

    def encode(self, message: object, /) -> bytes:
        """Writes a message.

        Raises:
            ValueError: A field holds what its type does not allow: a defect of the caller, not of a client.
            TypeError: The same, or ``message`` is of no type that this codec writes.
        """
        ...

    def decode(self, data: bytes, into: type[M], /) -> M:
        """Reads a message.

        Args:
            data: What arrived.
            into: The message class to read.

        Raises:
            BadRequest: The data cannot be read; reason ``CODEC``. Its message says where and what was expected.
            TypeError: ``into`` is no type that this codec reads.
        """
        ...


@runtime_checkable
class BodyCodec(Codec, Protocol):
    """A codec that reads a body by the parameters of its ``Content-Type``, as multipart needs, and writes none.

    Immutable as any other.
    """

    def for_body(self, content_type: str, /) -> Codec:
        """Returns what reads one body.

        It raises nothing: what is wrong with the parameters is told by ``decode``.

        Args:
            content_type: The ``Content-Type`` of the body.
        """
        ...


@dataclass(frozen=True, slots=True)
class Negotiated:
    """What a reply is written in.

    Attributes:
        codec: The codec.
        content_type: The ``Content-Type`` to send, among the codec's the one that was asked for.
    """

    codec: Codec
    content_type: str


class CodecSet:
    """The codecs of one server or client, in order of preference. Immutable.

    Args:
        codecs: The codecs; the first is the default. Names are unique.

    Raises:
        ValueError: There is no codec, two share a name or a content type, or the default one only reads.

    Example:
        ``CodecSet(JsonCodec(), ProtoCodec()).for_reply("application/proto, */*;q=0.1").codec.name`` is ``proto``.
    """

    __slots__ = ("_by_subtype", "_by_type", "_codecs", "_offers", "_replies", "_requests")

    def __init__(self, *codecs: Codec) -> None:
        if not codecs:
            raise ValueError("a codec set needs at least one codec")
        self._codecs = codecs
        if codecs[0] not in self.writers:
            raise ValueError(f"the codec {codecs[0].name!r} writes nothing, so it cannot be the first one")
        self._by_type: dict[str, Negotiated] = {}
        self._by_subtype: dict[str, Codec] = {}
        for codec in codecs:
            if sum(codec.name == other.name for other in codecs) > 1:
                raise ValueError(f"two codecs are called {codec.name!r}")
            for content_type in codec.content_types:
                taken = self._by_type.setdefault(content_type, Negotiated(codec, content_type)).codec
                if taken is not codec:
                    raise ValueError(f"codecs {taken.name!r} and {codec.name!r} both claim {content_type}")
                self._by_subtype.setdefault(content_type.partition("/")[2], codec)
        self._offers = tuple(name for name, each in self._by_type.items() if not isinstance(each.codec, BodyCodec))
        self._requests: dict[Header, Codec | None] = {}
        self._replies: dict[Header, Negotiated | None] = {}

    @property
    def default(self) -> Codec:
        """The codec for peers that express no wish."""
        return self._codecs[0]

    def __iter__(self) -> Iterator[Codec]:
        return iter(self._codecs)

    @property
    def writers(self) -> tuple[Codec, ...]:
        """Those that replies may be in: all but the ones that only read."""
        return tuple(codec for codec in self._codecs if not isinstance(codec, BodyCodec))

    def named(self, name: str) -> Codec | None:
        """Returns the codec of that name, None for no such codec."""
        return next((codec for codec in self._codecs if codec.name == name), None)

    def with_(self, *codecs: Codec) -> CodecSet:
        """Returns a set with these codecs added; one whose name is taken replaces its namesake, in its place."""
        merged = {codec.name: codec for codec in self._codecs}
        merged |= {codec.name: codec for codec in codecs}
        return CodecSet(*merged.values())

    def for_request(self, content_type: Header) -> Codec | None:
        """Finds the codec that a body was written with.

        The media type decides, whatever its parameters. Where it is not known as a whole, its subtype decides:
        ``text/json`` is JSON, as it is for Go Kratos.

        Args:
            content_type: The ``Content-Type`` header.

        Returns:
            The codec; None if the header is missing, malformed or names none of these.
        """
        try:
            return self._requests[content_type]
        except (KeyError, TypeError):  # TypeError: lines in a list
            line = _line(content_type)
            found = self._requested(line)
            if isinstance(found, BodyCodec):
                return found.for_body(line)  # not remembered: hardly two bodies share a boundary
            return _remember(self._requests, content_type, found)

    def for_reply(self, accept: Header) -> Negotiated | None:
        """Finds what a reply may be written in, by RFC 9110, section 12.5.1.

        The best quality wins, and among equals the order of this set.

        Args:
            accept: The ``Accept`` header.

        Returns:
            The codec and its content type; None if the peer accepts none of these. Without the header, and where
            nothing in it can be understood, that is the default.
        """
        try:
            return self._replies[accept]
        except (KeyError, TypeError):
            found = accepted(_line(accept), self._offers)
            return _remember(self._replies, accept, None if found is None else self._by_type[found])

    def _requested(self, line: str) -> Codec | None:
        found = media_type(line)
        if found is None:
            return None
        exact = self._by_type.get("/".join(found))
        return self._by_subtype.get(found[1]) if exact is None else exact.codec


def _line(header: Header) -> str:
    """Joins header lines as RFC 9110, section 5.3, says."""
    if header is None:
        return ""
    lines = (header,) if isinstance(header, str | bytes) else header
    return ", ".join(line if isinstance(line, str) else line.decode("latin-1") for line in lines)


def _remember(cache: dict[Header, V], header: Header, value: V) -> V:
    if header is None or (isinstance(header, str | bytes) and len(header) <= CACHED_LENGTH):
        if len(cache) >= CACHED:
            # Emptied and not closed: whoever fills it with nonsense must not slow down everybody else for good.
            cache.clear()
        cache[header] = value
    return value
