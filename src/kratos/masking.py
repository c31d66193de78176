"""What nobody may see, by what it is called and by how it looks: the rules of configuration, logs, traces and pages.

No text takes long: what stands between two signs is read once (``++``), or is looked for within so many letters.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

__all__ = ["LONGEST", "MASK", "REST", "covered", "is_secret", "masked", "secret", "without_secrets"]

MASK: Final = "***"
"""What stands in the place of a secret."""
REST: Final = "…"
"""What stands in the place of what was left out."""
LONGEST: Final = 64 * 1024
"""So many letters of a text are looked at; more is cut off."""

_NAMED: Final = re.compile(
    r"passw(?:or)?d(?!less)|passphrase|passcode|pwd|secret(?!ar)|token(?!i[sz]e)|api_?key|access_?key|private_?key"
    r"|credential|authorization|cookie|dsn$"
)
"""A key that has one of these in it, whatever its case and without ``_`` and ``-``, is a secret's."""

_PASS: Final = frozenset({"pass"})
"""A key that has this as a word is too: ``db_pass``, not ``bypass``."""
_KEY: Final = frozenset({"key", "keys"})
"""A key that has one of these as a word beside others is too: ``signing_key``, ``signingKey``, not ``monkey``."""

_OTHER_KEYS: Final = frozenset(
    (
        "public", "primary", "foreign", "cache", "partition", "routing", "sort", "shard", "idempotency", "idempotent",
        "row", "object", "map", "group", "lookup", "index", "unique", "natural", "composite", "dedup", "message",
        "event", "record", "item", "entry", "redis", "hash", "range", "translation",
    )
)  # fmt: skip
"""Before ``key`` these say that it is none that opens anything."""

_ABOUT: Final = frozenset(
    (
        "count", "counts", "type", "ttl", "timeout", "expiry", "expires", "length", "limit", "policy", "algorithm",
        "name", "file", "domain",
    )
)  # fmt: skip
"""A key that ends so says something about a secret, and holds none."""

_OPEN: Final = frozenset(
    (
        "keyid", "keyids", "maxtokens", "prompttokens", "completiontokens", "inputtokens", "outputtokens",
        "totaltokens", "tokensused",
    )
)  # fmt: skip
"""And neither do these."""

_SEGMENTS = re.compile(r'[."\[\]]+')
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_LONGEST_KEY: Final = 256


def secret(path: str) -> bool:
    """Tells whether a key of a configuration holds what nobody may see; so does all that is below such a key.

    It does by its name, as ``is_secret`` says; and what is called just ``pass``, ``key`` or ``keys`` is one here, where
    keys sign and encrypt.

    Args:
        path: A key, or a path such as ``db.password``, ``users[0].token``.
    """
    return any(is_secret(each) or each.lower() in _KEY for each in _SEGMENTS.split(path))


def is_secret(key: str) -> bool:
    """Tells whether a key holds what nobody may see, by what it is called.

    Args:
        key: A key, of anything: configuration, a field of a log, a header, a member of JSON.
    """
    key = key[-_LONGEST_KEY:]
    folded = key.replace("_", "").replace("-", "").replace(" ", "").lower()
    words = [word.lower() for word in _WORD.findall(key)]
    if not words or folded in _OPEN or (len(words) > 1 and words[-1] in _ABOUT):
        return False
    if _NAMED.search(folded.rstrip("0123456789")) is not None or not _PASS.isdisjoint(words):
        return True
    return any(
        word in _KEY and len(words) > 1 and not (at and words[at - 1] in _OTHER_KEYS) for at, word in enumerate(words)
    )


# ``key=``, ``"key":`` and headers in a text; the key decides. Each begins where a word or a string does.
_ASSIGNED: Final = re.compile(r"(?<![\w.-])(?P<key>[\w.-]++)[ \t]{0,4}+=(?!=)[ \t]{0,4}+")
_MEMBER: Final = re.compile(r"(?P<quote>[\"'])(?P<key>[^\"'\n]{1,64}+)(?P=quote)\s{0,8}+:\s{0,8}+")
_HEADER: Final = re.compile(
    r"(?<![\w.-])(?P<key>[A-Za-z]{1,32}+(?:-[A-Za-z0-9]{1,32}+){1,6}|(?i:authorization|cookie)):[ \t]{0,4}+"
    r"(?:(?i:bearer|basic|digest|token|negotiate|apikey)[ \t]{1,4}+)?+"
)
# What comes behind: strings, calls, lists, all else. What does not end is read to the end of the text, which was cut.
_PIECE: Final = re.compile(
    r"[bB]?\"(?:[^\"\\]++|\\[\s\S])*+[\"\\]?|[bB]?'(?:[^'\\]++|\\[\s\S])*+['\\]?|[^\s&;,'\"\[\](){}]++|[\s\S]"
)
_QUOTES: Final = frozenset("'\"")
_OPENING: Final = frozenset("[({")
_CLOSING: Final = frozenset("])}")
_HEADER_WORDS: Final = ("authorization", "cookie", "-key", "-token", "-secret")

# A password may have an ``@`` in it: it ends at the last one.
_LOGIN_END: Final = r"(?P<secret>[^\s@]{0,512}+(?:@[^\s@\"']{0,512}+){0,7})@"

# user:password@host; a port is no password
_URL: Final = re.compile(rf"://[^\s:/@\"']{{0,256}}+:(?!\d{{1,5}}(?:[/?#\s]|$)){_LOGIN_END}")
# The same without a scheme, as drivers of MySQL have it; others have ``cache:user:7@eu``.
_MYSQL: Final = re.compile(r"(?<![\w.-])[\w.-]{1,64}+:(?P<secret>[^\s@]{0,128}+(?:@[^\s@\"'(]{0,128}+){0,3})@tcp\(")
# And as a configuration may have it, where it is all of a value.
_LOGIN: Final = re.compile(rf"(?<!\S)[^\s:/@\"']{{0,128}}+:(?!//){_LOGIN_END}")
_BEARER: Final = re.compile(r"(?i)\bbearer\s++(?P<secret>[\w.~+/-]{6,}=*)")
_BASIC: Final = re.compile(r"\b(?i:basic)\s++(?P<secret>(?=[a-z/+]*[A-Z0-9=])[A-Za-z0-9+/]{6,}={0,2})")
_SIGNED: Final = re.compile(r"(?<![\w-])eyJ[\w-]{5,}+\.[\w-]{5,}+\.[\w-]*")
_PRIVATE_KEY: Final = re.compile(r"(?s)-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----(?P<secret>.*?)(?:-----END|\Z)")
_MARGIN: Final = 4096
"""So many letters behind a cut still tell what is before it."""


def masked(text: str, longest: int = LONGEST) -> str:
    """Returns a text for people, such as a value of a configuration, without what nobody may see in it.

    Values of secret keys go (``password=…``, ``"token": …``), passwords of logins with a scheme or without, headers
    that open doors, tokens and private keys.

    Args:
        text: The text.
        longest: So many letters of it are shown at most.
    """
    longest = min(longest, LONGEST)
    found = without_secrets(text[: longest + _MARGIN], is_secret)
    if ":" in found and "@" in found:
        found = _LOGIN.sub(covered, found)
    return found if len(text) <= longest else found[:longest] + REST


def without_secrets(text: str, secret: Callable[[str], bool], *, looks: bool = True) -> str:
    """Returns a text without the values of secret keys, and without what looks like a secret.

    Args:
        text: The text; who has long ones cuts them.
        secret: Tells whether a key is a secret's, where the text says ``key=value``, ``"key": value`` or has a header.
        looks: Whether tokens, passwords in URLs, and private keys go too, whatever they are called.
    """
    if "=" in text:
        text = _sifted(text, _ASSIGNED, "&;,", secret)
    if "'" in text or '"' in text:
        text = _sifted(text, _MEMBER, ",", secret)
    return _looked_through(text) if looks else text


def _looked_through(text: str) -> str:
    """Returns a text without what looks like a secret; most have no word of one, and cost nothing more."""
    lower = text.lower()
    if "bearer" in lower:
        text = _BEARER.sub(covered, text)
    if "basic" in lower:
        text = _BASIC.sub(covered, text)
    if "eyj" in lower:
        text = _SIGNED.sub(covered, text)
    if "-----begin" in lower:
        text = _PRIVATE_KEY.sub(covered, text)
    if ":" not in lower:
        return text
    if "@" in lower:
        text = _MYSQL.sub(covered, _URL.sub(covered, text))
    if "-" in lower or "authorization:" in lower or "cookie:" in lower:
        text = _sifted(text, _HEADER, ",;", is_secret) if any(word in lower for word in _HEADER_WORDS) else text
    return text


def covered(found: re.Match[str]) -> str:
    """Returns what stands in the place of a match; of one with a group ``secret`` only that is masked."""
    if "secret" not in found.re.groupindex or found["secret"] is None:
        return MASK
    start, end = found.span("secret")
    at = found.start()
    return f"{found[0][: start - at]}{MASK}{found[0][end - at :]}"


def _sifted(text: str, keys: re.Pattern[str], stops: str, secret: Callable[[str], bool]) -> str:
    """Returns a text with the values of its secret keys masked; what is behind all others is looked into."""
    parts: list[str] = []
    at = 0
    for found in keys.finditer(text):
        if found.start() < at or not secret(found["key"]):
            continue
        begin = found.end()
        end = _end(text, begin, "" if found["key"].lower().endswith("cookie") and keys is _HEADER else stops)
        if end > begin:
            quote = text[begin : begin + 2].lstrip("bB")[:1]
            if quote not in ("'", '"'):  # a number of JSON
                quote = '"' if keys is _MEMBER and found["quote"] == '"' else ""
            parts += (text[at:begin], quote, MASK, quote)
            at = end
    return "".join((*parts, text[at:])) if parts else text


def _end(text: str, begin: int, stops: str) -> int:
    """Returns where a value ends: a string, a list, a call with its arguments, else a word.

    Args:
        text: The text.
        begin: Where it begins.
        stops: What ends a word, beside blanks; where nothing does, it is all of the line.
    """
    at, depth = begin, 0
    while piece := _PIECE.match(text, at):
        sign = piece[0].lstrip("bB")[:1]
        if sign in _QUOTES:
            if not depth:
                return piece.end() if at == begin else at
        elif sign in _OPENING:
            depth += 1
        elif sign in _CLOSING:
            if depth <= 1:
                return at if not depth else piece.end()
            depth -= 1
        elif not depth and (sign in stops or (sign.isspace() if stops else sign in "\r\n")):
            return at
        at = piece.end()
    return at
