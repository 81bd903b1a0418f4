"""The outermost layer of every request: its arrival, an id, a bound on its body in bytes and in time, its media type,
its count; and whose it is.

Bodies are read here, whole and bounded, before anything parses them; what is behind sees them as one message.
"""

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from time import monotonic, perf_counter
from typing import Any

from brickwork.server.errors import ApiError, envelope
from brickwork.server.metrics import Metrics
from brickwork.server.tenants import Keys

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]

MAX_BODY_S = 30.0
"""For a client to send its body."""

MAX_LINGER_S = 2.0
MAX_LINGER_BYTES = 64_000_000
"""For what a refused client is still sending. Closing a connection on unread bytes resets it, and the reset overtakes
the answer: the client would see a broken connection instead of the reason."""

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class ClientGone(Exception):
    """The client hung up before its body was complete."""


class Border:
    """ASGI middleware around the whole application."""

    def __init__(self, app: Asgi, metrics: Metrics, max_body_bytes: int, keys: Keys):
        self._app = app
        self._metrics = metrics
        self._max_body_bytes = max_body_bytes
        self._keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        scope["arrived_s"] = monotonic()
        scope["request_id"] = f"req_{secrets.token_hex(8)}"
        send = self._counted(scope, send)
        try:
            scope["tenant"] = self._tenant(scope)
            body = await self._body(scope, receive)
        except ApiError as error:
            return await _refuse(error, scope, receive, send)
        except ClientGone:
            return
        await self._app(scope, _replayed(body, receive), send)

    def _tenant(self, scope: Scope) -> str | None:
        try:
            return self._keys.tenant(scope["path"], dict(scope["headers"]).get(b"authorization", b""))
        except ApiError as error:
            error.headers |= _LAST
            raise

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        headers = dict(scope["headers"])
        declared = headers.get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > self._max_body_bytes:
            raise self._too_large()
        try:
            async with asyncio.timeout(MAX_BODY_S):
                body = await self._read(receive)
        except TimeoutError:
            text = f"The body did not arrive within {MAX_BODY_S:.0f} s."
            raise ApiError(408, "timeout", text, headers=_LAST) from None
        media_type = headers.get(b"content-type", b"").split(b";")[0].strip().lower()
        if body and media_type != b"application/json":
            got = media_type.decode("latin-1")[:80] or "none"
            raise ApiError(415, "unsupported_media_type", f"content-type: expected application/json, got {got}.")
        return body

    async def _read(self, receive: Receive) -> bytes:
        parts: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] != "http.request":
                raise ClientGone
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > self._max_body_bytes:
                raise self._too_large()
            if not message.get("more_body", False):
                return b"".join(parts)

    def _too_large(self) -> ApiError:
        text = f"The body is larger than {self._max_body_bytes:,} bytes, which is the most that is taken."
        return ApiError(413, "too_large", text, headers=_LAST)

    def _counted(self, scope: Scope, send: Send) -> Send:
        start_s = perf_counter()

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"x-request-id", scope["request_id"].encode())]
                route = getattr(scope.get("route"), "path", "none")
                method = scope["method"] if scope["method"] in METHODS else "other"
                self._metrics.count_answer(route, method, message["status"], perf_counter() - start_s)
            await send(message)

        return counted


_LAST = {"connection": "close"}
"""The rest of the body is thrown away, so nothing can follow on this connection."""


async def _refuse(error: ApiError, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer at once, and when the connection ends with it, end it when the client has stopped sending."""
    if "connection" not in error.headers:
        return await envelope(error)(scope, receive, send)

    async def held_open(message: Message) -> None:
        await send({**message, "more_body": True} if message["type"] == "http.response.body" else message)

    await envelope(error)(scope, receive, held_open)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(MAX_LINGER_S):
            await _discard(receive)
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _discard(receive: Receive) -> None:
    size = 0
    while size < MAX_LINGER_BYTES:
        message = await receive()
        size += len(message.get("body", b""))
        if message["type"] != "http.request" or not message.get("more_body", False):
            return


def _replayed(body: bytes, receive: Receive) -> Receive:
    """`receive` after the body: the body at once, then what follows it (the client's hanging up)."""
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return messages.pop() if messages else await receive()

    return replayed
