"""HTTP as it stands in the test: nothing of a client in between."""

from __future__ import annotations

import asyncio
import http.client

from interop.contract import Seen, Thing
from interop.peer import SECONDS, rounded


async def said(
    address: str, verb: str, path: str, body: str | None = None, **headers: str
) -> tuple[int, dict[str, str], bytes]:
    """Returns status, headers and body of the answer to one request, said as it stands here."""

    def ask() -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(address, timeout=SECONDS)
        try:
            named = {key.replace("_", "-"): value for key, value in headers.items()}
            connection.request(verb, path, None if body is None else body.encode(), named)
            answer = connection.getresponse()
            return answer.status, {key.lower(): value for key, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    return await asyncio.to_thread(ask)


def seen_in(body: bytes) -> Thing:
    """Returns the request as the server saw it."""
    thing = rounded(Seen.from_json(body)).thing
    assert thing is not None
    return thing
