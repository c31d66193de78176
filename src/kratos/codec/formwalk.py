"""The names of a form and the fields they mean: of a query string as of a form's body, in both directions.

A name is a path of fields by proto or JSON names, mixed as one likes: ``sub.title``. A list repeats its name, and may
say ``tags[]`` or ``tags[0]``; a map says ``facts[key]`` or ``facts.key``, and a key in brackets may hold anything. A
``google.protobuf.Struct`` is one parameter of JSON, or a map. Lists and maps of messages have no form here.

A list or map that is named takes the place of the one that was there. A form is made once for each type and remembers
what names mean, so a request pays for a look-up and for its values.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal, TypeAlias

from kratos.codec.formknown import CHECKED, writable
from kratos.codec.formtext import Reader, Writer, key_reader, reader_of, writer_of
from kratos.codec.jsontext import refusal
from kratos.codec.messages import Field, Message, Shape, assign, child, get, has, sensitive, shape
from kratos.errors import BadRequest

__all__ = ["MAX_DEPTH", "Form", "Pair", "Place", "Readers", "UnwritableError", "dotted", "form_of", "split"]

Pair: TypeAlias = tuple[str, str]
"""Name and value, decoded."""

Readers: TypeAlias = Callable[[Field], Callable[[Any], Any] | None]
"""What reads one value of a field; None if there is no reading it."""

MAX_DEPTH: Final = 32
"""How many fields a name may lead through."""

_NAMES = 1024  # remembered for each form; there are endless ones where a message refers to itself
_FORMS = 8192  # as many as a program has types; the bound is for programs that make types as they run
_PLACES = 8192  # the same for the ways to fields
_SHOWN = 100  # characters of a name in an error message
_ESCAPES: Final = re.compile("(?:%[0-9A-Fa-f]{2})+")
# What an empty text is a value of; for anything else it says that nothing was given.
_BLANK: Final = frozenset(("string", "bytes"))
_BLANK_TYPES: Final = frozenset(
    f"google.protobuf.{name}" for name in ("BytesValue", "Empty", "FieldMask", "StringValue", "Value")
)

_Claim: TypeAlias = tuple[tuple[object, ...], int]  # a oneof and where it is; its member


class UnwritableError(ValueError):
    """A message holds what a form cannot say.

    Attributes:
        field: The field, by proto names.
    """

    def __init__(self, field: str, what: str) -> None:
        super().__init__(f"field {field} {what}")
        self.field = field


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """A field, or a whole list or map, that text can fill.

    Attributes:
        field: What is filled.
        above: The fields on the way there.
        spot: The numbers of all of them.
        read: What reads one value.
        single: It takes one value.
        key: What reads the keys of a map; None if it is none.
        blank: Whether an empty text is a value.
        claims: The oneofs on the way.
        part: Whether it is a part of a time, duration or mask, which not every value makes one that can be written.
    """

    field: Field
    above: tuple[Field, ...]
    spot: tuple[int, ...]
    read: Callable[[Any], Any]
    single: bool
    key: Reader | None
    blank: bool
    claims: tuple[_Claim, ...]
    part: bool

    def put(self, message: Message, value: Any) -> None:
        """Fills it; messages on the way are made.

        Raises:
            ValueError: It is a part of a time, duration or mask, which becomes one that nobody could write.
        """
        for field in self.above:
            message = child(message, field)
        assign(message, self.field, value)
        if self.part and not writable(message):
            known = shape(type(message)).name.rpartition(".")[2]
            raise ValueError(f"makes no {known} that can be written")

    def words(self, reason: ValueError) -> str:
        """Returns what is wrong with a value, without the value where nobody may see it."""
        text = str(reason)
        if not any(map(sensitive, (*self.above, self.field))):
            return text
        return text.partition(", not ")[0] if ", not " in text else "is nothing that fits"


class Form:
    """The form of a message type.

    Args:
        type_: The type.
        unknown: What to do with names that mean no field, or one that text cannot fill.
        readers: What reads the values; None if they are texts.
    """

    __slots__ = ("_places", "_readers", "_type", "_unknown")

    def __init__(
        self,
        type_: type[Message],
        *,
        unknown: Literal["ignore", "reject"] = "ignore",
        readers: Readers | None = None,
    ) -> None:
        self._type = type_
        self._unknown = unknown
        self._readers = readers or reader_of
        self._places: dict[str, Place] = {}

    def place(self, name: str) -> Place | None:
        """Returns what a name without key or index means; None for nothing."""
        found = self._resolve(name)
        return None if found is None or found[1] is not None else found[0]

    def read(self, message: Message, pairs: Iterable[tuple[str, Any]], what: str) -> None:
        """Fills a message.

        Args:
            message: The message.
            pairs: Names and values; a value that is false is an empty one.
            what: What they are, for error messages: ``query parameter``.

        Raises:
            BadRequest: A value cannot be read, stands there twice, or is a second member of a oneof; reason ``CODEC``,
                metadata ``field``. The message has the name as it came.
        """
        known = self._places
        taken: set[tuple[int, ...]] = set()
        claimed: dict[tuple[object, ...], tuple[int, str]] = {}
        many: dict[tuple[int, ...], tuple[Place, list[tuple[str, str, Any]]]] = {}
        for name, text in pairs:
            place, subscript = known.get(name), ""
            if place is None:
                found = self._find(name, what)
                if found is None:
                    continue
                place, subscript = found
            if place.single and not text and not place.blank:
                continue
            if place.claims:
                _claim(claimed, place, name, what)
            if not place.single:
                many.setdefault(place.spot, (place, []))[1].append((subscript, name, text))
                continue
            if place.spot in taken:
                raise _refused(what, name, "stands there more than once, it takes one value")
            taken.add(place.spot)
            try:
                place.put(message, place.read(text))
            except ValueError as reason:
                raise _refused(what, name, place.words(reason)) from None
        for place, entries in many.values():
            _put_all(message, place, entries, what)

    def write(self, message: Message, leave_out: AbstractSet[tuple[int, ...]] = frozenset()) -> list[Pair]:
        """Returns the populated fields, sorted by their JSON names. Messages that are set and empty leave no trace.

        Args:
            message: The message.
            leave_out: The numbers on the way to fields that are told elsewhere.

        Raises:
            UnwritableError: A field has no form: a list or map of messages, a field mask that names no fields.
        """
        pairs = list(_pairs(message, (), "", leave_out))
        pairs.sort(key=lambda pair: pair[0])  # by names alone: elements of a list stay in order
        return pairs

    def _find(self, name: str, what: str) -> tuple[Place, str] | None:
        """Returns what a name means and its key or index; None where it means nothing and nobody minds."""
        base, bracket, rest = name.partition("[")
        if base.count(".") >= MAX_DEPTH:
            raise _refused(what, name, f"leads through more than {MAX_DEPTH} fields")
        found = self._resolve(base)
        if found is not None and bracket:
            found = self._subscribe(base, found, rest)
        if found is not None:
            place, subscript = found
            if subscript is not None or place.key is None:
                return place, subscript or ""
        if self._unknown == "reject":
            raise _refused(what, name, f"{shape(self._type).name} has no such field, or none that text can fill")
        return None

    def _subscribe(self, base: str, found: tuple[Place, str | None], rest: str) -> tuple[Place, str] | None:
        """Adds what stands in brackets."""
        place, key = found
        if not rest.endswith("]") or key is not None:
            return None
        subscript = rest[:-1]
        if place.single:  # only a Struct has keys then
            inside = self._resolve(f"{base}.fields")
            return None if inside is None or inside[0].key is None else (inside[0], subscript)
        if place.key is None and subscript and not (subscript.isascii() and subscript.isdigit()):
            return None
        return place, subscript

    def _resolve(self, name: str) -> tuple[Place, str | None] | None:
        """Follows a name without brackets; the second is the key where it ends in a map."""
        place = self._places.get(name)
        if place is not None:
            return place, None
        path: list[Field] = []
        current = self._type
        rest = name
        while True:
            head, dot, tail = rest.partition(".")
            known = shape(current)
            field = known.named.get(head)
            if field is None and path and known.well_known == "Struct":
                field, dot, tail = known.fields[0], ".", rest  # any other name is a key of it
            if field is None:
                return None
            path.append(field)
            if not dot:
                place = _place(tuple(path), self._readers)
                if place is not None:
                    self._remember(name, place)
                return None if place is None else (place, None)
            if field.key is not None:
                place = _place(tuple(path), self._readers)
                return None if place is None else (place, tail)
            if field.repeated or field.message is None:
                return None
            current, rest = field.message, tail

    def _remember(self, name: str, place: Place) -> None:
        if len(self._places) >= _NAMES:
            self._places.clear()
        if place.key is None:  # a map's name alone means nothing
            self._places[name] = place


def form_of(type_: type[Message]) -> Form:
    """Returns the form of a type that ignores what it does not know."""
    return _form(shape(type_))


@lru_cache(_FORMS)
def _form(known: Shape) -> Form:
    return Form(known.type)


def split(text: str, limit: int, what: str) -> list[Pair]:
    """Takes a query, or the body of a form, apart.

    Escapes that are none stay as they are, as in browsers.

    Args:
        text: The query, as it came: what is not ASCII are its bytes.
        limit: The most parameters there may be.
        what: What it is, for error messages.

    Raises:
        BadRequest: There are more, or it is not UTF-8; reason ``CODEC``.
    """
    if text.count("&") >= limit:
        raise refusal(f"{what} has more than {limit} parameters")
    try:
        if not text.isascii():
            text = text.encode("latin-1").decode()
        return [
            (name, value) if "%" not in piece and "+" not in piece else (_unescaped(name), _unescaped(value))
            for piece in text.split("&")
            if piece
            for name, _, value in (piece.partition("="),)
        ]
    except UnicodeError:
        raise refusal(f"{what} is not UTF-8 after percent-decoding") from None


def _unescaped(text: str) -> str:
    # The standard library's unquote() makes a text of every percent sign: 750 MB of a form of 4 MB.
    return _ESCAPES.sub(lambda found: bytes.fromhex(found[0].replace("%", "")).decode(), text.replace("+", " "))


def dotted(path: Iterable[Field]) -> str:
    """Returns a path by proto names."""
    return ".".join(field.name for field in path)


@lru_cache(_PLACES)
def _place(path: tuple[Field, ...], readers: Readers) -> Place | None:
    *above, field = path
    read = readers(field)
    if read is None:
        return None
    spot = tuple(part.number for part in path)
    return Place(
        field=field,
        above=tuple(above),
        spot=spot,
        read=read,
        single=field.singular,
        key=None if field.key is None else key_reader(field),
        blank=field.kind in _BLANK if field.message is None else shape(field.message).name in _BLANK_TYPES,
        claims=tuple(
            ((*spot[:depth], part.oneof), part.number) for depth, part in enumerate(path) if part.oneof is not None
        ),
        part=field.within in CHECKED,
    )


def _claim(claimed: dict[tuple[object, ...], tuple[int, str]], place: Place, name: str, what: str) -> None:
    for oneof, member in place.claims:
        other, spelled = claimed.setdefault(oneof, (member, name))
        if other != member:
            raise _refused(what, name, f"only one of {spelled[:_SHOWN]} and {name[:_SHOWN]} may be set")


def _put_all(message: Message, place: Place, entries: list[tuple[str, str, Any]], what: str) -> None:
    """Fills a list or a map."""
    values = _gather(place, entries, what)
    try:
        place.put(message, values)
    except ValueError as reason:
        raise _refused(what, entries[0][1], place.words(reason)) from None


def _gather(place: Place, entries: list[tuple[str, str, Any]], what: str) -> Any:
    """Returns a list in the order of its indices, or a map."""
    if place.key is None and any(subscript for subscript, _, _ in entries):
        entries.sort(key=lambda entry: (len(entry[0].lstrip("0")), entry[0].lstrip("0")))
    values: list[Any] = []
    keys: list[Any] = []
    for subscript, name, content in entries:
        try:
            if place.key is not None:
                keys.append(place.key(subscript))
            values.append(place.read(content))
        except ValueError as reason:
            raise _refused(what, name, place.words(reason)) from None
    return values if place.key is None else dict(zip(keys, values, strict=True))


def _refused(what: str, name: str, reason: str) -> BadRequest:
    return refusal(f"{what} {name[:_SHOWN]}: {reason}", {"field": name[:_SHOWN]})


def _pairs(
    message: Message, above: tuple[Field, ...], prefix: str, leave_out: AbstractSet[tuple[int, ...]]
) -> Iterator[Pair]:
    for field in shape(type(message)).fields:
        path = (*above, field)
        if not has(message, field) or (leave_out and tuple(part.number for part in path) in leave_out):
            continue
        if len(path) > MAX_DEPTH:
            raise UnwritableError(dotted(path), f"is nested deeper than {MAX_DEPTH} fields")
        name = f"{prefix}{field.json_name}"
        value = get(message, field)
        write = writer_of(field)
        if write is not None:
            yield from _texts(path, write, name, value)
        elif field.singular:
            yield from _pairs(value, path, f"{name}.", leave_out)
        else:
            raise UnwritableError(dotted(path), "holds messages, of which there can be only one in a query or form")


def _texts(path: tuple[Field, ...], write: Writer, name: str, value: Any) -> Iterator[Pair]:
    field = path[-1]
    try:
        if field.repeated:
            yield from ((name, write(element)) for element in value)
        elif field.key is not None:
            yield from ((f"{name}[{_key(key)}]", write(element)) for key, element in value.items())
        else:
            yield name, write(value)
    except ValueError as reason:
        raise UnwritableError(dotted(path), f"cannot be written: {reason}") from None


def _key(key: object) -> str:
    return str(key).lower() if isinstance(key, bool) else str(key)
