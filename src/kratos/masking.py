"""What nobody may see, by what it is called and by how it looks: one set of rules for configuration, logs and pages."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["MASK", "masked", "secret"]

MASK: Final = "***"
"""What stands in the place of a secret."""

_WORDS = (
    "password", "passwd", "pwd", "passphrase", "passcode", "secret", "token", "apikey", "accesskey", "privatekey",
    "credential", "authorization",
)  # fmt: skip
"""A key that has one of these in it, whatever its case and without ``_`` and ``-``, is a secret's."""

_WHOLE = frozenset({"pass", "key", "keys"})
"""A key that has one of these as a word of its own is too: ``db_pass``, ``signingKey``, not ``bypass``, ``monkey``."""

_OPEN = frozenset({"publickey", "publickeys"})
"""And these are not."""

_SEGMENTS = re.compile(r'[."\[\]]+')
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")

_NAMES = r"pass(?:word|wd|phrase|code)?|pwd|secret|token|(?:api|access|private|signing)[_-]?key|credentials?"
# user:password@host, with a scheme or without; password=… as in queries and key-value DSNs; "password": "…" in JSON.
_CREDENTIALS = re.compile(r"((?:[\w+.-]+://)?[^\s:/@]*):\S+@")
_ARGUMENT = re.compile(rf"(?i)((?:{_NAMES})\s*=\s*)[^\s&;]+")
_MEMBER = re.compile(rf'(?i)("[^"]*(?:{_NAMES})[^"]*"\s*:\s*)("(?:[^"\\]|\\.)*"|[^\s,}}\]]+)')
_BEARER = re.compile(r"(?i)\b((?:bearer|basic)\s+)[\w.~+/=-]{8,}")
_PEM = "PRIVATE KEY-----"


def secret(path: str) -> bool:
    """Tells whether a key holds what nobody may see, by what it is called; so does all that is below such a key.

    Args:
        path: A key, or a path such as ``db.password``, ``users[0].token``.
    """
    return any(_secret(segment) for segment in _SEGMENTS.split(path))


def _secret(key: str) -> bool:
    folded = key.replace("_", "").replace("-", "").lower()
    if any(word in folded for word in _WORDS):
        return True
    return folded not in _OPEN and any(word.lower() in _WHOLE for word in _WORD.findall(key))


def masked(text: str) -> str:
    """Returns text without the passwords in its URLs, in ``password=…``, in JSON and after ``Bearer``."""
    if _PEM in text:
        return MASK
    text = _CREDENTIALS.sub(rf"\1:{MASK}@", text)
    text = _ARGUMENT.sub(rf"\1{MASK}", text)
    text = _MEMBER.sub(rf'\1"{MASK}"', text)
    return _BEARER.sub(rf"\1{MASK}", text)
