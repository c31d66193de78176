"""``metadata()``: facts that travel with calls, in headers that begin with ``x-md-``.

``x-md-global-*`` goes on from hop to hop, any other ``x-md-*`` only to the next one. Values may be any text: those
that are not plain ASCII are percent-encoded as UTF-8 on the wire, and what arrives so is decoded. Peers that know
nothing of this (Kratos for Go) read and write plain values as ever; one that sends UTF-8 bytes is understood too.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Final
from urllib.parse import quote, unquote_to_bytes

from kratos.call import Call
from kratos.errors import ClientError
from kratos.handler import Handler, Middleware
from kratos.metadata import Metadata, Pairs

__all__ = ["decoded", "encoded", "metadata"]

_PLAIN = re.compile(r"(?:[!-~](?:[ -~]*[!-~])?)?")  # printable ASCII without blanks at the ends, which HTTP strips
_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")
_PERCENT: Final = ord("%")
_SAFE: Final = "".join(letter for letter in map(chr, range(0x21, 0x7F)) if letter != "%")


def metadata(
    constants: Pairs = (),
    *,
    prefix: str = "x-md-",
    forward: str = "x-md-global-",
    trusted: bool | Callable[[Call], bool] = True,
    limit: int = 8192,
) -> Middleware:
    """Collects metadata on the server and sends it on the client; the same middleware serves both.

    On the server ``call.metadata`` is made of the constants and of the request headers with ``prefix``. On the client
    the headers get the constants, ``call.metadata``, and what the surrounding server call has with ``forward`` (it
    needs this middleware too). A key is taken from the first of these that has it, with all its values.

    Args:
        constants: Facts that every call has.
        prefix: What makes a request header metadata.
        forward: What makes metadata go on to the next hop.
        trusted: Whether metadata of a caller counts; at the edge to the world say False, or ask the call's peer.
        limit: The size of a call's metadata in bytes, keys and values. More is refused with 431, on both sides: a
            call without its tenant would be worse than no call.

    Example:
        ``metadata({"x-md-local-from": "shop"}, trusted=lambda call: call.peer.address.startswith("10."))``
    """
    own = Metadata(constants)
    head, forward = prefix.lower().encode("latin-1", "replace"), forward.lower()

    def collect(call: Call) -> None:
        if trusted is True or (trusted is not False and trusted(call)):
            arrived = call.headers.raw(head)
            if arrived:
                found = _read(arrived, limit)
                call.metadata = _first_of(own, found) if own else found
                return
        if own:
            call.metadata = own.copy()

    def send(call: Call) -> None:
        inherited = () if call.parent is None else call.parent.metadata.with_prefix(forward)
        facts = _first_of(call.headers, own, call.metadata, inherited)
        sent = [(key, encoded(value)) for key, value in facts.items()[len(call.headers) :]]
        if sent:
            size = sum(len(key) + len(value) for key, value in sent)
            if size > limit:
                raise _too_large(size, limit)
            call.headers.extend(sent)

    # Plain def: it is done when the rest of the chain begins.
    def carried(request: Any, call: Call, next: Handler) -> Awaitable[Any]:
        if call.side == "server":
            collect(call)
        else:
            send(call)
        return next(request, call)

    return carried


def encoded(value: str) -> str:
    """Returns a value as it goes on the wire: plain ASCII as it is, any other text percent-encoded.

    ``decoded`` gives every text back, also one that looks encoded.
    """
    if _PLAIN.fullmatch(value) and not _ESCAPE.search(value):
        return value
    return quote(value, safe=_SAFE, errors="surrogatepass")


def decoded(value: str) -> str:
    """Returns what a value on the wire means; one that ``encoded`` cannot have made is left as it is."""
    if "%" not in value and value.isascii():
        return value
    try:
        if not value.isascii():  # headers are read as Latin-1; this one may be somebody's plain UTF-8
            return value.encode("latin-1").decode("utf-8")
        text = unquote_to_bytes(value).decode("utf-8", "surrogatepass")
    except UnicodeError:
        return value
    return text if encoded(text) == value else value


def _read(arrived: Sequence[tuple[bytes, bytes]], limit: int) -> Metadata:
    size, plain = 0, True
    for key, value in arrived:
        size += len(key) + len(value)
        plain = plain and value.isascii() and _PERCENT not in value
    if size > limit:
        raise _too_large(size, limit)
    found = Metadata.from_raw(arrived)
    # What is plain stays bytes until somebody reads it, which saves 1 us.
    return found if plain else Metadata.from_wire([(key, decoded(value)) for key, value in found])


def _first_of(*sources: Iterable[tuple[str, str]]) -> Metadata:
    """Returns the pairs of all sources, of each key only those of the first source that has it."""
    taken: set[str] = set()
    pairs: list[tuple[str, str]] = []
    for source in sources:
        new = [(key, value) for key, value in source if key not in taken]
        pairs += new
        taken.update(key for key, _ in new)
    return Metadata.from_wire(pairs)


def _too_large(size: int, limit: int) -> ClientError:
    return ClientError(
        f"the metadata of this call has {size} bytes, {limit} are allowed", code=431, reason="METADATA_TOO_LARGE"
    )
