r"""What nobody may read in a log: by the name of a key, by the look of a value, and by what the proto says.

:class:`Redaction` holds rules and nothing else; ask it from anywhere, also for pages and reports beside the log::

    rules = Redaction("iban", "user.email", patterns=[r"\b\d{16}\b"])
    rules.value({"user": {"email": "a@b.c"}})  # {"user": {"email": "***"}}
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from kratos.log.plain import Plain
from kratos.masking import MASK

__all__ = ["DEFAULT_KEYS", "Redaction"]

DEFAULT_KEYS: Final = (
    "*password", "*passwd", "*pwd", "*passphrase", "*password_hash", "*secret", "*token", "*authorization", "*cookie",
    "*api_key", "*access_key", "*private_key", "*secret_key", "*credential", "*credentials", "*dsn",
)  # fmt: skip
"""Keys whose values are masked by default. A key that ends so is one of them: ``db_password``, ``set-cookie``."""

_LONGEST_TEXT = 64 * 1024  # of one message: patterns cost time
_LONGEST_KEPT = 64  # letters of a key
_MOST_KEPT = 4096  # keys

# Each with a word that is in any text that it fits, in lower case: most texts have none and cost nothing more.
_PATTERNS: Final[Sequence[tuple[str, re.Pattern[str]]]] = (
    # user:password@host; a port is no password
    ("://", re.compile(r"://[^\s:/@\"']{0,256}:(?!\d{1,5}(?:[/?#\s]|$))(?P<secret>[^\s@]{1,256})@")),
    ("bearer", re.compile(r"(?i)\bbearer\s+(?P<secret>[\w.~+/-]{6,}=*)")),
    ("basic", re.compile(r"\b(?i:basic)\s+(?P<secret>(?=[a-z/+]*[A-Z0-9=])[A-Za-z0-9+/]{6,}={0,2})")),
    ("eyj", re.compile(r"\beyJ[\w-]{5,}\.[\w-]{5,}\.[\w-]*")),  # a signed token
    ("-----begin", re.compile(r"(?s)-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----(?P<secret>.*?)(?:-----END|\Z)")),
)

# key=value and "key": value in a text; the key decides. Each begins where a word does, so no text takes long.
_ASSIGNED: Final = re.compile(
    r"(?<![\w.-])(?P<key>[\w.-]++)=(?P<secret>'[^']{0,512}'|\"[^\"]{0,512}\"|[^\s&;,'\")\]}]+)"
)
_MEMBER: Final = re.compile(
    r"(?P<quote>[\"'])(?P<key>[\w.-]{1,64})(?P=quote)\s*:\s*"
    r"(?P<secret>\"(?:[^\"\\]|\\.){0,512}\"|'(?:[^'\\]|\\.){0,512}'|[^\s,}\]\"']+)"
)


class Redaction:
    """Rules for what is masked as ``***``.

    Args:
        keys: Names of keys, case and separators ignored; a leading ``*`` stands for any beginning, and a name with
            dots for a path: ``user.email`` is an ``email`` below a ``user``, wherever that is.
        patterns: What a secret looks like. Of a pattern that has a group ``secret`` only that is masked.
        defaults: Whether ``DEFAULT_KEYS`` count too, and patterns for bearer and signed tokens, credentials in URLs
            and private keys.
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
        names = [*keys, *(DEFAULT_KEYS if defaults else ())]
        for name in names:
            if not _fold(name.strip("*.")) or "*" in name[1:] or (name[0] == "*" and "." in name):
                raise ValueError(f"{name!r} is no name of a key: give a name, *end_of_a_name or a.path.of.names")
        self._leaves = frozenset(_fold(name) for name in names if name[0] != "*" and "." not in name)
        self._ends = tuple(_fold(name) for name in names if name[0] == "*")
        self._paths = tuple(tuple(map(_fold, name.split("."))) for name in names if "." in name)
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
        return name in self._leaves or name.endswith(self._ends) or name.rstrip("0123456789").endswith(self._ends)

    def text(self, text: str) -> str:
        """Returns a text without what looks like a secret, and no longer than 64 KiB.

        Values of keys are masked here too, where the text says ``key=value`` or ``"key": value``.
        """
        if len(text) > _LONGEST_TEXT:
            text = f"{text[:_LONGEST_TEXT]}… ({len(text)} letters)"
        for pattern in self._patterns:
            text = pattern.sub(_masked, text)
        if text.isalnum():  # ids and the like: nothing else fits
            return text
        if "=" in text:
            text = _ASSIGNED.sub(self._assigned, text)
        if "'" in text or '"' in text:
            text = _MEMBER.sub(self._assigned, text)
        if self._defaults:
            lower = text.lower()
            for word, pattern in _PATTERNS:
                if word in lower:
                    text = pattern.sub(_masked, text)
        return text

    def _assigned(self, found: re.Match[str]) -> str:
        return _masked(found) if self.secret(found["key"]) else found[0]

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


def _masked(found: re.Match[str]) -> str:
    if "secret" not in found.re.groupindex or found["secret"] is None:
        return MASK
    start, end = found.span("secret")
    at = found.start()
    quote = found["secret"][:1] if found["secret"][:1] in ("'", '"') else ""
    return f"{found[0][: start - at]}{quote}{MASK}{quote}{found[0][end - at :]}"
