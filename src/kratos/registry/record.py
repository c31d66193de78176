"""The record of an instance, as etcd and ZooKeeper keep it: the JSON of Kratos for Go, in both directions.

The keys are ``id``, ``name``, ``version``, ``metadata`` and ``endpoints``, all of them always there; the two
collections are null where they are empty. Values are strings.
"""

from __future__ import annotations

import json
import logging
import reprlib
from collections.abc import Mapping
from typing import Any, Final, TypeVar, cast

from kratos.registry.base import Instance, InvalidInstance

__all__ = ["Neighbours", "decode", "encode"]

logger = logging.getLogger("kratos.registry")

_SECURE: Final = {"http": "https", "grpc": "grpcs"}
_ESCAPED: Final = {ord(each): f"\\u{ord(each):04x}" for each in "<>&\u2028\u2029"}  # as Go writes them
_JSON: Final[Mapping[type, str]] = {str: "a string", list: "a list", dict: "an object"}
_REMEMBERED: Final = 1000

T = TypeVar("T")


def encode(instance: Instance) -> bytes:
    """Returns the record of an instance, byte for byte as Kratos for Go writes it.

    Raises:
        InvalidInstance: The instance has no id or name, or something in it is no string.
    """
    whose = f"instance {instance.id!r} of {instance.name!r}"
    if not instance.id or not instance.name:
        raise InvalidInstance(f"{whose} cannot be registered: it needs an id and a name")
    try:
        return _encoded(instance, whose)
    except UnicodeEncodeError as failure:
        raise InvalidInstance(f"{whose} cannot be registered: {failure.object!r} is no valid text") from failure
    except ValueError as failure:
        raise InvalidInstance(str(failure)) from failure


def _encoded(instance: Instance, whose: str) -> bytes:
    metadata = {_string(key, whose): _string(value, f"{whose}: metadata {key!r}") for key, value in _pairs(instance)}
    fields = {
        "id": _string(instance.id, f"{whose}: id"),
        "name": _string(instance.name, f"{whose}: name"),
        "version": _string(instance.version, f"{whose}: version"),
        "metadata": dict(sorted(metadata.items())) or None,
        "endpoints": [_string(url, f"{whose}: endpoints") for url in instance.endpoints] or None,
    }
    text = json.dumps(fields, ensure_ascii=False, separators=(",", ":")).translate(_ESCAPED)
    return text.encode()


def decode(data: bytes | str) -> Instance:
    """Reads a record. What is null or missing is empty, keys that nobody knows are ignored.

    Endpoints of Kratos before 2.3 tell of TLS by a query: ``grpc://a:1?isSecure=true`` is read as ``grpcs://a:1``.

    Raises:
        ValueError: It is no record; the message says why.
    """
    try:
        found: object = json.loads(data)
    except RecursionError:
        raise ValueError("not a record: its JSON is nested too deep") from None
    except ValueError as failure:
        raise ValueError(f"not a record: {failure}") from failure
    fields = cast("dict[str, object]", _checked(found, dict, "not a record: it"))
    instance = Instance(
        id=_text(fields, "id"),
        name=_text(fields, "name"),
        version=_text(fields, "version"),
        metadata=_texts(fields),
        endpoints=_endpoints(fields),
    )
    if not instance.id or not instance.name:
        raise ValueError(f"not a record: it has no {'name' if instance.id else 'id'}")
    return instance


class Neighbours:
    """Reads the records that others have written. A bad one is skipped, and told to the log once.

    Args:
        registry: What the registry is called in the log.
    """

    def __init__(self, registry: str) -> None:
        self._registry = registry
        self._bad: dict[str, bytes | str] = {}

    def read(self, where: str, data: bytes | str) -> Instance | None:
        """Returns the instance, or None if the record is none.

        Args:
            where: The key or file it stands in, for the log.
            data: The record.
        """
        try:
            instance = decode(data)
        except ValueError as failure:
            self.skip(where, data, failure)
            return None
        self._bad.pop(where, None)
        return instance

    def skip(self, where: str, data: bytes | str, why: object) -> None:
        """Tells the log that a record is skipped, unless it was told of this one already.

        Args:
            where: The key or file it stands in.
            data: The record, or what is known of it.
            why: What is wrong with it.
        """
        if self._bad.get(where) != data:
            logger.warning("%s: %s is skipped: %s", self._registry, where, why)
            if len(self._bad) >= _REMEMBERED:
                del self._bad[next(iter(self._bad))]
            self._bad[where] = data


def _pairs(instance: Instance) -> list[tuple[Any, Any]]:
    metadata: Mapping[Any, Any] = instance.metadata
    return list(metadata.items())


def _string(value: object, what: str) -> str:
    return _checked(value, str, what)


def _checked(value: object, wanted: type[T], what: str) -> T:
    if isinstance(value, wanted):
        return value
    raise ValueError(f"{what} is {reprlib.repr(value)}, not {_JSON[wanted]}")


def _text(fields: Mapping[str, object], key: str) -> str:
    value = fields.get(key)
    if value is None:
        return ""
    return _string(value, f"not a record: {key}")


def _texts(fields: Mapping[str, object]) -> dict[str, str]:
    found = fields.get("metadata")
    if found is None:
        return {}
    pairs = cast("dict[str, object]", _checked(found, dict, "not a record: metadata"))
    return {key: _text(pairs, key) for key in pairs}


def _endpoints(fields: Mapping[str, object]) -> tuple[str, ...]:
    found = fields.get("endpoints")
    if found is None:
        return ()
    urls = cast("list[object]", _checked(found, list, "not a record: endpoints"))
    return tuple(_secured(_string(url, "not a record: an endpoint")) for url in urls if url is not None)


def _secured(url: str) -> str:
    """Returns an endpoint without the query by which TLS used to be told."""
    where, _, query = url.partition("?")
    parts = query.split("&")
    others = [part for part in parts if part.partition("=")[0] != "isSecure"]
    if len(others) == len(parts):
        return url
    scheme, _, rest = where.partition("://")
    if "isSecure=true" in parts:
        scheme = _SECURE.get(scheme, scheme)
    return f"{scheme}://{rest}" + ("?" + "&".join(others) if others else "")
