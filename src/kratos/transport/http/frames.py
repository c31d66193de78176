"""What streams look like on the wire of HTTP, for both ends: SSE events, control frames of WebSockets, errors as text.

A WebSocket frame that starts with U+001E is no message: ``END`` says that the client has sent all, ``ERROR_PREFIX`` and
a text that the call has failed. Go peers print the text of an error and understand no more of it, so it is written the
way Go Kratos writes its errors, and ours read it back::

    error: code = 403 reason = LATE message = no metadata = map[k:v] cause = <nil>
"""

from __future__ import annotations

import re
from typing import Final

from kratos.errors import Error

__all__ = ["END", "ERROR_PREFIX", "error_text", "parse_error_text", "sse_event"]

END: Final = "\x1eend"
"""The client has sent all its messages."""

ERROR_PREFIX: Final = "\x1eerror:"
"""The call has failed; what follows is ``error_text``."""

_CODE = re.compile(r"error: code = (\d{1,9})")
_NEXT_PAIR = re.compile(r" (?=[^\s:]+:)")
_LINE_END = re.compile(rb"\r\n|\r|\n")


def error_text(error: Error) -> str:
    """Returns an error as the text that Go Kratos gives its own.

    Example:
        >>> error_text(Error("no", code=403, reason="LATE", metadata={"k": "v"}))
        'error: code = 403 reason = LATE message = no metadata = map[k:v] cause = <nil>'
    """
    pairs = " ".join(f"{key}:{value}" for key, value in sorted(error.metadata.items()))
    return (
        f"error: code = {error.status} reason = {error.reason} message = {error.message}"
        f" metadata = map[{pairs}] cause = <nil>"
    )


def parse_error_text(text: str) -> tuple[int, str, str, dict[str, str]] | None:
    """Reads what ``error_text`` or a Go peer has written.

    Go does not quote anything, so a message with `` metadata = map[`` in it, or a metadata value with `` word:`` or
    ``] cause = ``, comes back cut there. Our own errors have no such texts.

    Returns:
        Code, reason, message and metadata; None if the text is of another form.
    """
    # The first of each word counts, not the last: what follows "cause =" may be a whole error of the same form.
    head, _, rest = text.partition(" reason = ")
    reason, _, rest = rest.partition(" message = ")
    message, _, rest = rest.partition(" metadata = map[")
    metadata, ending, _ = rest.partition("] cause = ")  # empty if any word before was missing
    code = _CODE.fullmatch(head)
    if code is None or not ending:
        return None
    pairs = (pair.partition(":") for pair in _NEXT_PAIR.split(metadata) if pair)
    return int(code[1]), reason, message, {key: value for key, _, value in pairs}


def sse_event(event: str, data: bytes) -> bytes:
    r"""Returns one server-sent event.

    Args:
        event: Its type, ``message`` or ``error``; no line break.
        data: Its payload; each of its lines becomes a ``data:`` line.

    Example:
        >>> sse_event("message", b"a\nb")
        b'event: message\ndata: a\ndata: b\n\n'
    """
    lines = [b"data: " + line for line in _LINE_END.split(data)]
    return b"\n".join((b"event: " + event.encode("utf-8"), *lines, b"", b""))
