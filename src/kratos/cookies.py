"""Cookies, and file names: values in headers that need a grammar of their own.

A value may be any text: what a cookie cannot hold is percent-encoded, and ``%`` itself, so that every text comes back
as it was; this is what ``encodeURIComponent`` does in browsers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, Literal, TypeAlias
from urllib.parse import quote, unquote

__all__ = ["SameSite", "content_disposition", "read_cookies", "write_cookie"]

SameSite: TypeAlias = Literal["lax", "strict", "none"]
"""Which requests from other sites carry a cookie: links to here, none, or all."""

MAX_COOKIE: Final = 4096
"""Browsers drop larger cookies without a word."""

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_ATTRIBUTE = re.compile(r"[\x20-\x3a\x3c-\x7e]*")
_IN_VALUES: Final = "!#$&'()*+/:<=>?@[]^`{|}~"  # RFC 6265's cookie-octets, without the percent sign


def read_cookies(headers: Iterable[str]) -> dict[str, str]:
    """Returns the cookies in ``Cookie`` headers; of a name that comes twice the first, which is the more specific one.

    Example:
        >>> read_cookies(['session=a%20b; theme="dark"'])
        {'session': 'a b', 'theme': 'dark'}
    """
    found: dict[str, str] = {}
    for header in headers:
        for pair in header.split(";"):
            name, equals, value = pair.partition("=")
            name, value = name.strip(" \t"), value.strip(" \t")
            if len(value) > 1 and value[0] == value[-1] == '"':
                value = value[1:-1]
            if equals and name:
                found.setdefault(name, unquote(value))
    return found


def write_cookie(
    name: str,
    value: str,
    *,
    max_age: int | None = None,
    path: str = "/",
    domain: str = "",
    secure: bool = True,
    http_only: bool = True,
    same_site: SameSite = "lax",
) -> str:
    """Returns the value of a ``Set-Cookie`` header; see ``Reply.set_cookie``.

    Raises:
        ValueError: Browsers would drop the cookie: the message says why.
    """
    if not _TOKEN.fullmatch(name):
        raise ValueError(f"cookie name {name!r}: use letters, digits and - _ .")
    if not (_ATTRIBUTE.fullmatch(path) and _ATTRIBUTE.fullmatch(domain)):
        raise ValueError(f"cookie {name}: path and domain must be ASCII without semicolons")
    if same_site not in ("lax", "strict", "none"):
        raise ValueError(f"cookie {name}: same_site is {same_site!r}, not lax, strict or none")
    if not secure and (same_site == "none" or name.startswith(("__Secure-", "__Host-"))):
        raise ValueError(f"cookie {name}: browsers take it only with secure=True")
    if name.startswith("__Host-") and (domain or path != "/"):
        raise ValueError(f'cookie {name}: browsers take it only with path="/" and no domain')
    parts = [f"{name}={quote(value, safe=_IN_VALUES)}"]
    if max_age is not None:
        parts.append(f"Max-Age={max_age}")
    parts += [f"{key}={text}" for key, text in (("Path", path), ("Domain", domain)) if text]
    parts += [key for key, wanted in (("Secure", secure), ("HttpOnly", http_only)) if wanted]
    parts.append(f"SameSite={same_site.capitalize()}")
    written = "; ".join(parts)
    if len(written) > MAX_COOKIE:
        raise ValueError(f"cookie {name} takes {len(written)} bytes: browsers drop what is larger than {MAX_COOKIE}")
    return written


def content_disposition(name: str, *, inline: bool = False) -> str:
    """Returns the value of a ``Content-Disposition`` header, RFC 6266: the name in ASCII, and whole beside it.

    Args:
        name: What a file is to be called; only what follows the last slash counts.
        inline: Show it, instead of saving it.
    """
    name = re.sub(r"[\x00-\x1f\x7f]", "_", re.split(r"[/\\]", name)[-1])
    plain = name.encode("ascii", "replace").decode("ascii").replace("?", "_").replace('"', "'").replace("%", "_")
    kind = "inline" if inline else "attachment"
    whole = "" if plain == name else f"; filename*=UTF-8''{quote(name, safe='')}"
    return f'{kind}; filename="{plain}"{whole}'
