r"""What nobody may read in a log: by the name of a key, by the look of a value, and by what the proto says.

:class:`Redaction` holds rules and nothing else; ask it from anywhere, also for pages and reports beside the log::

    rules = Redaction("iban", "user.email", patterns=[r"\b\d{16}\b"])
    rules.value({"user": {"email": "a@b.c"}})  # {"user": {"email": "***"}}
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from kratos.log.plain import Plain
from kratos.masking import LONGEST, REST, covered, is_secret, without_secrets

__all__ = ["Redaction"]

_LONGEST_KEPT = 64  # letters of a key
_MOST_KEPT = 4096  # keys


class Redaction:
    """Rules for what is masked as ``***``.

    Args:
        keys: Names of keys, case and separators ignored; a leading ``*`` stands for any beginning, and a name with
            dots for a path: ``user.email`` is an ``email`` below a ``user``, wherever that is.
        patterns: What a secret looks like. Of a pattern that has a group ``secret`` only that is masked.
        defaults: Whether the rules of ``kratos.masking`` count too: by key, and for bearer and signed tokens, passwords
            in URLs, headers and private keys.
        longest: Letters of a text inside of a value; more is cut off.
        most: Elements of a value, all of its levels together; more is left out.

    Raises:
        ValueError: A pattern or a name cannot be used.
    """

    __slots__ = ("_defaults", "_ends", "_known", "_leaves", "_paths", "_patterns", "_plain")

    def __init__(
        self,
        *keys: str,
        patterns: Iterable[str | re.Pattern[str]] = (),
        defaults: bool = True,
        longest: int = 4096,
        most: int = 500,
    ) -> None:
        for name in keys:
            if not _fold(name.strip("*.")) or "*" in name[1:] or (name[0] == "*" and "." in name):
                raise ValueError(f"{name!r} is no name of a key: give a name, *end_of_a_name or a.path.of.names")
        self._leaves = frozenset(_fold(name) for name in keys if name[0] != "*" and "." not in name)
        self._ends = tuple(_fold(name) for name in keys if name[0] == "*")
        self._paths = tuple(tuple(map(_fold, name.split("."))) for name in keys if "." in name)
        self._patterns = tuple(map(_compiled, patterns))
        self._defaults = defaults
        self._known: dict[str, bool] = {}
        self._plain = Plain(self.text, self.secret, longest=longest, most=most)

    def secret(self, key: str, path: Sequence[str] = ()) -> bool:
        """Tells whether the value of a key is masked; ``path`` is the keys above it."""
        known = self._known.get(key)
        if known is None:
            known = self._is_leaf(key)
            if len(self._known) < _MOST_KEPT and len(key) <= _LONGEST_KEPT:
                self._known[key] = known
        if known or not self._paths:
            return known
        whole = tuple(_fold(part) for each in (*path, key) for part in each.split("."))
        return any(whole[-len(rule) :] == rule for rule in self._paths)

    def _is_leaf(self, key: str) -> bool:
        name = _fold(key)
        if name in self._leaves or name.endswith(self._ends) or name.rstrip("0123456789").endswith(self._ends):
            return True
        return self._defaults and any(is_secret(each) for each in key.split("."))

    def text(self, text: str) -> str:
        """Returns a text without what looks like a secret, and no longer than 64 KiB.

        Values of keys are masked here too, where the text says ``key=value`` or ``"key": value``.
        """
        if len(text) > LONGEST:
            text = f"{text[:LONGEST]}{REST} ({len(text)} letters)"
        for pattern in self._patterns:
            text = pattern.sub(covered, text)
        if text.isalnum():  # ids and the like: nothing else fits
            return text
        return without_secrets(text, self.secret, looks=self._defaults)

    def value(self, thing: Any) -> Any:
        """Returns a value as what JSON has a form for, masked, whatever it is; it never raises.

        Messages, dataclasses, mappings and sequences are looked into. A field with the proto option
        ``(kratos.options.v1.sensitive)`` is masked, and so is a field of a dataclass with ``repr=False``. An object
        with a method ``redact()`` is what that returns. Bytes are told by their number.
        """
        return self._plain.value(thing)

    def pairs(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        """Returns a mapping as ``value`` does."""
        return self._plain.pairs(facts)

    def argument(self, thing: Any) -> Any:
        """Returns what takes the place of an argument of a log message: ``%s`` and ``%r`` of it have no secrets.

        What is not looked into is returned as it is.
        """
        return self._plain.argument(thing)


def _fold(key: str) -> str:
    """Returns what spellings of one key have in common."""
    return _folded(key) if len(key) <= _LONGEST_KEPT else _unkept(key)


@lru_cache(4096)
def _folded(key: str) -> str:
    return _unkept(key)


def _unkept(key: str) -> str:
    return key.replace("_", "").replace("-", "").replace(" ", "").replace("*", "").lower()


def _compiled(pattern: str | re.Pattern[str]) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as wrong:
        raise ValueError(f"{pattern!r} is no pattern: {wrong}") from None
