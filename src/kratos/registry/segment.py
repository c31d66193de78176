"""Names and ids as one segment of a key or path."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["segment"]

_READ_AS_ESCAPED: Final = re.compile("%(?=[0-9A-F]{2})")


def segment(text: str, unfit: re.Pattern[str]) -> str:
    """Returns a name or an id as a segment that no other one has. Most are what they are.

    Args:
        text: The name or id.
        unfit: What may not stand in a segment; it is written as in URLs: a slash is ``%2F``.
    """
    return unfit.sub(_escaped, _READ_AS_ESCAPED.sub("%25", text))


def _escaped(found: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in found[0].encode(errors="surrogatepass"))
