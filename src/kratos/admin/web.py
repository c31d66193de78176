"""The pages on the wire: an ASGI application that knows who may see what, and says as little as possible to others."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeAlias
from urllib.parse import parse_qsl

from kratos.admin.access import HEADER, Access
from kratos.admin.html import CSS, CSS_PATH, render
from kratos.admin.sheet import LONGEST, Page, plain
from kratos.errors import BadRequest, ClientError, Error, Forbidden, NotFound
from kratos.masking import masked
from kratos.metadata import Metadata
from kratos.transport.http.edge import CLOSE, Header, Response
from kratos.transport.http.peers import peer_of
from kratos.transport.http.problem import to_json

__all__ = ["JSON", "File", "Probe", "Web", "nothing"]

Probe: TypeAlias = Callable[[str], Awaitable[Response]]
"""Answers everybody; takes the ``Accept`` header."""

File: TypeAlias = Callable[[str], Response | None]
"""Answers a GET of a path; None if the path is none of its own."""

JSON: Final[Header] = (b"content-type", b"application/json")
"""The header of what is JSON."""

_MASK: Final = partial(masked, longest=LONGEST)
_HTML: Final[Header] = (b"content-type", b"text/html; charset=utf-8")
_STYLE: Final = Response(200, [(b"content-type", b"text/css; charset=utf-8")], CSS.encode())
_POLICY: Final[Header] = (
    b"content-security-policy",
    b"default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
)
# A form of ours says where it comes from: with "no-referrer" a browser would say that it comes from nowhere.
_ALWAYS: Final[Sequence[Header]] = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_MAX_FORM: Final = 4096
_FORM: Final = "application/x-www-form-urlencoded"
_READING: Final = ("GET", "HEAD")


class Web:
    """An ASGI application.

    Args:
        access: Who may see what.
        probes: What everybody may see, by path.
        pages: What others may, the first one being that of ``/``.
        files: What is no page, such as documents.

    Attributes:
        name: Who is serving.
    """

    def __init__(
        self, access: Access, *, probes: Mapping[str, Probe], pages: Sequence[Page], files: Sequence[File] = ()
    ) -> None:
        self.name = ""
        self._access = access
        self._probes = probes
        self._pages = tuple(pages)
        self._paths = {page.path: page for page in pages}
        self._paths |= {"/index.json" if page.path == "/" else f"{page.path}.json": page for page in pages}
        self._files: tuple[File, ...] = (_style, *files)

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths that are worth knowing: those of probes first."""
        return (*self._probes, *(page.path for page in self._pages))

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answers one request; WebSockets are not for us.

        Raises:
            asyncio.CancelledError: The client has left, or the server stops.
        """
        if scope["type"] != "http":
            await send({"type": "websocket.close"})
            return
        try:
            response = await self._answer(scope, receive)
        except Error as error:
            response = Response(error.status, [JSON], to_json(error))
            if error.code == 413:
                response.headers.append(CLOSE)
        headers = [*_finished(response), (b"content-length", str(len(response.body)).encode())]
        body = b"" if scope["method"] == "HEAD" else response.body
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, scope: Any, receive: Any) -> Response:
        """Returns the response to a request.

        Raises:
            Error: It is none that we answer. Whoever may not see a page does not learn that it is there.
        """
        # As it came: what is written in another way is another path.
        path = str(scope["raw_path"].decode("latin-1")).partition("?")[0]
        headers = Metadata.from_raw(scope["headers"])
        reading = scope["method"] in _READING
        accept = headers.get("accept") or ""
        if reading and path in self._probes:
            return await self._probes[path](accept)
        if not self._access.admits(peer_of(scope).address, headers):
            raise nothing()
        page = self._paths.get(path)
        if page is None:
            found = (
                next((found for file in self._files if (found := file(path)) is not None), None) if reading else None
            )
            if found is None:
                raise nothing()
            return found
        if reading:
            return await self._shown(page, as_json=path != page.path or _wants_json(accept))
        if scope["method"] != "POST" or page.act is None:
            raise ClientError("this page is only to be read", code=405, reason="METHOD_NOT_ALLOWED")
        if not self._access.may_change(headers, scope["scheme"]):
            raise Forbidden(
                f"only pages of this server, the token, or a request with the header {HEADER} may change something",
                reason="CROSS_ORIGIN",
            )
        page.act(await _form(headers, receive))
        if _wants_json(accept):
            return await self._shown(page, as_json=True)
        return Response(303, [(b"location", page.path.encode())], b"")

    async def _shown(self, page: Page, *, as_json: bool) -> Response:
        sheet = await page.show()
        if as_json:
            return Response(200, [JSON], json.dumps(plain(sheet, _MASK), ensure_ascii=True).encode())
        return Response(200, [_HTML], render(page, sheet, name=self.name, pages=self._pages, mask=_MASK))


def _finished(response: Response) -> list[Header]:
    """Returns the headers of a response, with those that all have; a policy of its own stays."""
    own = [(name, value) for name, value in response.headers if name not in dict(_ALWAYS)]
    policy = [] if any(name == _POLICY[0] for name, _ in own) else [_POLICY]
    return [*own, *policy, *_ALWAYS]


def _style(path: str) -> Response | None:
    return _STYLE if path == CSS_PATH else None


def _wants_json(accept: str) -> bool:
    return "application/json" in accept and "text/html" not in accept


def nothing() -> Error:
    """Returns the error of all that is not there, or not for whoever asks."""
    return NotFound("there is nothing here", reason="ROUTE_NOT_FOUND")


async def _form(headers: Metadata, receive: Any) -> dict[str, str]:
    """Reads a form.

    Raises:
        Error: It is none, or too large.
    """
    if (headers.get("content-type") or "").partition(";")[0].strip().lower() != _FORM:
        raise ClientError(f"send a form: Content-Type {_FORM}", code=415, reason="UNSUPPORTED_MEDIA_TYPE")
    body = b""
    more = True
    while more:
        event = await receive()
        body += event.get("body", b"")
        more = event.get("more_body", False)
        if len(body) > _MAX_FORM:
            raise ClientError(f"the form is larger than {_MAX_FORM} bytes", code=413, reason="BODY_TOO_LARGE")
    try:
        return dict(parse_qsl(body.decode(), max_num_fields=10))
    except ValueError:
        raise BadRequest("the form cannot be read", reason="CODEC") from None
