"""Metadata: the one multimap for request headers, reply headers, trailers and propagated facts.

Keys are case-insensitive and kept in lower case; a key may have several values, in order. Values are text as it stands
on the wire. A key that ends in ``-bin`` carries bytes, in base64 without padding (the gRPC wire form); ``binary`` and
``set_binary`` convert.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Self, TypeAlias, cast

__all__ = ["Metadata", "Pairs", "decode_binary", "encode_binary"]

Pairs: TypeAlias = "Metadata | Mapping[str, str] | Iterable[tuple[str, str]]"
"""What metadata can be made from: another one, a mapping, or pairs."""

_KEY = re.compile(r"[!#$%&'*+.^_`|~0-9a-z:-]+")  # RFC 9110 token, and the colon of HTTP/2 pseudo headers
_VALUE_FORBIDS = re.compile(r"[\x00\r\n]")  # what would let a value start a header of its own


class Metadata:
    """An ordered, case-insensitive multimap of header keys and values.

    Args:
        pairs: A mapping, pairs, or another metadata to copy.

    Example:
        >>> md = Metadata({"X-Md-Global-Tenant": "t1"})
        >>> md.add("accept", "a")
        >>> md.add("Accept", "b")
        >>> md.get("x-md-global-tenant"), md.get("accept"), md.values("accept"), md.get("none")
        ('t1', 'a', ['a', 'b'], None)
    """

    __slots__ = ("_first", "_pairs", "_raw")

    _pairs: list[tuple[str, str]]
    # What a server received and nobody has changed yet: kept as bytes, because most headers are never read.
    _raw: Sequence[tuple[bytes, bytes]] | None
    _first: dict[bytes, bytes] | None  # of those, the first value of each key; made when one is asked for

    def __init__(self, pairs: Pairs = ()) -> None:
        self._raw = None
        self._pairs = []
        if pairs:
            self.update(pairs)

    @classmethod
    def from_raw(cls, raw: Sequence[tuple[bytes, bytes]]) -> Self:
        """Wraps received header pairs without decoding them; the keys must be in lower case already."""
        self = cls.__new__(cls)
        self._raw = raw
        self._first = None
        return self

    @classmethod
    def from_wire(cls, pairs: Iterable[tuple[str, str]]) -> Self:
        """Wraps received pairs without checking them; the keys must be in lower case already."""
        self = cls.__new__(cls)
        self._raw = None
        self._pairs = list(pairs)
        return self

    def get(self, key: str, default: str | None = None) -> str | None:
        """Returns the first value of ``key``, or ``default``."""
        key = key.lower()
        if self._raw is not None:
            # One dict of bytes, made in C, is as much as two look-ups by a loop; decoding all headers would be ten.
            if self._first is None:
                self._first = dict(self._raw[::-1])
            found = self._first.get(key.encode("latin-1", "replace"))
            return default if found is None else found.decode("latin-1")
        for name, value in self._pairs:
            if name == key:
                return value
        return default

    def values(self, key: str) -> list[str]:
        """Returns all values of ``key`` in order; none is an empty list."""
        key = key.lower()
        if self._raw is not None:
            wanted = key.encode("latin-1", "replace")
            return [raw_value.decode("latin-1") for raw_name, raw_value in self._raw if raw_name == wanted]
        return [value for name, value in self._pairs if name == key]

    def items(self) -> list[tuple[str, str]]:
        """Returns every pair in order; a key stands once for each of its values."""
        return list(self._all())

    def keys(self) -> list[str]:
        """Returns each key once, in the order of first appearance."""
        return list(dict.fromkeys(name for name, _ in self._all()))

    def with_prefix(self, *prefixes: str) -> Metadata:
        """Returns the pairs whose key starts with one of the lower-case ``prefixes``."""
        if self._raw is not None:
            heads = tuple(prefix.encode("latin-1", "replace") for prefix in prefixes)
            return Metadata.from_raw([pair for pair in self._raw if pair[0].startswith(heads)])
        return Metadata.from_wire([pair for pair in self._pairs if pair[0].startswith(prefixes)])

    def raw(self, *prefixes: bytes) -> list[tuple[bytes, bytes]]:
        """Returns the pairs whose key starts with one of the prefixes as bytes, for whoever looks at every call."""
        if self._raw is not None:
            return [pair for pair in self._raw if pair[0].startswith(prefixes)]
        texts = _heads(prefixes)
        return _as_bytes([pair for pair in self._pairs if pair[0].startswith(texts)])

    def raw_of(self, keys: frozenset[bytes]) -> list[tuple[bytes, bytes]]:
        """Returns the pairs of some keys as ``raw`` does; this takes half the time."""
        if self._raw is not None:
            return [pair for pair in self._raw if pair[0] in keys]
        texts = _texts(keys)
        return _as_bytes([pair for pair in self._pairs if pair[0] in texts])

    def add(self, key: str, value: str) -> None:
        """Appends a value to ``key``.

        Raises:
            ValueError: The key is no header name, or the value holds a line break or NUL.
        """
        self._all().append(_checked(key, value))

    def set(self, key: str, value: str) -> None:
        """Replaces all values of ``key`` by one; raises as ``add``."""
        pair = _checked(key, value)
        self._drop({pair[0]})
        self._pairs.append(pair)

    def remove(self, key: str) -> None:
        """Drops all values of ``key``; an absent key is fine."""
        self._drop({key.lower()})

    def update(self, pairs: Pairs) -> None:
        """Replaces the values of each key in ``pairs`` by the values it has there; raises as ``add``."""
        new = [_checked(key, value) for key, value in _pairs_of(pairs)]
        self._drop({key for key, _ in new})
        self._pairs.extend(new)

    def extend(self, pairs: Pairs) -> None:
        """Appends all of ``pairs``; raises as ``add``."""
        new = [_checked(key, value) for key, value in _pairs_of(pairs)]
        self._all().extend(new)

    def binary(self, key: str) -> bytes | None:
        """Returns the first value of a ``-bin`` key as bytes.

        Raises:
            ValueError: The value is not base64.
        """
        text = self.get(key)
        return None if text is None else decode_binary(text)

    def set_binary(self, key: str, value: bytes) -> None:
        """Replaces all values of a ``-bin`` key by ``value`` in base64.

        Raises:
            ValueError: The key does not end in ``-bin``.
        """
        if not key.lower().endswith("-bin"):
            raise ValueError(f"metadata key {key!r} carries bytes, so its name must end in -bin")
        self.set(key, encode_binary(value))

    def copy(self) -> Metadata:
        """Returns an independent copy."""
        return Metadata.from_wire(self._all())

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self.get(key) is not None

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self.items())

    def __len__(self) -> int:
        """The number of pairs."""
        return len(self._pairs if self._raw is None else self._raw)

    def __eq__(self, other: object) -> bool:
        return self._all() == other._all() if isinstance(other, Metadata) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # mutable; mypy has no spelling for "unhashable" in a class body

    def __repr__(self) -> str:
        return f"Metadata({self._all()!r})"

    def _all(self) -> list[tuple[str, str]]:
        if self._raw is not None:
            self._pairs = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in self._raw]
            self._raw = None
        return self._pairs

    def _drop(self, keys: Collection[str]) -> None:
        self._pairs = [pair for pair in self._all() if pair[0] not in keys]


@lru_cache(64)
def _heads(prefixes: tuple[bytes, ...]) -> tuple[str, ...]:
    return tuple(prefix.decode("latin-1") for prefix in prefixes)


@lru_cache(64)
def _texts(keys: frozenset[bytes]) -> frozenset[str]:
    return frozenset(_heads(tuple(keys)))


def _as_bytes(pairs: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1", "replace"), value.encode("latin-1", "replace")) for name, value in pairs]


def encode_binary(value: bytes) -> str:
    """Returns bytes as the text of a ``-bin`` value."""
    return b64encode(value).rstrip(b"=").decode("ascii")


def decode_binary(text: str) -> bytes:
    """Returns the bytes of a ``-bin`` value's text.

    Raises:
        ValueError: The text is not base64.
    """
    return b64decode(text + "=" * (-len(text) % 4), validate=True)


def _pairs_of(pairs: Pairs) -> Iterable[tuple[str, str]]:
    if isinstance(pairs, Metadata):
        return pairs.items()
    return cast("Mapping[str, str]", pairs).items() if isinstance(pairs, Mapping) else pairs


def _checked(key: str, value: str) -> tuple[str, str]:
    key = key.lower()
    if not _KEY.fullmatch(key):
        raise ValueError(f"metadata key {key!r} is not a header name: use letters, digits and - _ .")
    if _VALUE_FORBIDS.search(value):
        raise ValueError(f"metadata value of {key!r} holds a line break or NUL: encode it, or use a -bin key")
    return key, value
