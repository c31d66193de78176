"""CORS around an ASGI application: browsers' questions are answered here, and every reply says what pages may see."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any, Final, TypeAlias

from kratos.transport.http.cors import Policy

__all__ = ["ORIGIN_ALLOWED", "CrossOrigin"]

Scope: TypeAlias = MutableMapping[str, Any]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Any, Send], Awaitable[None]]

ORIGIN_ALLOWED: Final = "kratos.origin.allowed"
"""The extension that says that a page of another site may open this WebSocket."""

_HEADS: Final = frozenset(("http.response.start", "websocket.http.response.start"))


class CrossOrigin:
    """An ASGI application that pages of other sites may call.

    Args:
        app: What answers.
        policy: The rules.
        methods: Returns the methods that a path answers, ``*`` being all, and none for a path that is not there.
    """

    def __init__(self, app: App, policy: Policy, methods: Callable[[Scope], Sequence[str]]) -> None:
        self._app = app
        self._policy = policy
        self._methods = methods

    async def __call__(self, scope: Scope, receive: Any, send: Send) -> None:
        """Answers one request or one WebSocket."""
        headers = dict(scope.get("headers", ()))
        origin = headers.get(b"origin")
        asked = headers.get(b"access-control-request-method")
        if origin is not None and asked is not None and scope.get("method") == "OPTIONS":
            methods = self._methods(scope)
            if methods:
                await self._answer(send, origin, headers, [asked.decode("latin-1")] if "*" in methods else methods)
                return
        if scope["type"] == "websocket" and origin is not None and self._policy.allows(origin):
            scope = {**scope, "extensions": {**scope.get("extensions", {}), ORIGIN_ALLOWED: {}}}

        async def tell(event: MutableMapping[str, Any]) -> None:
            if event["type"] in _HEADS:
                theirs = list(event.get("headers", ()))
                event = {**event, "headers": theirs + self._policy.beside(theirs, origin)}
            await send(event)

        await self._app(scope, receive, tell)

    async def _answer(self, send: Send, origin: bytes, headers: dict[bytes, bytes], methods: Sequence[str]) -> None:
        """Answers a browser that asks what a page may send; to one that may not, that is all there is to say."""
        if self._policy.allows(origin):
            wanted = headers.get(b"access-control-request-headers", b"")
            answer = self._policy.preflight(origin, wanted, methods)
        else:
            answer = self._policy.reply(origin)
        await send({"type": "http.response.start", "status": 204, "headers": answer})
        await send({"type": "http.response.body", "body": b""})
