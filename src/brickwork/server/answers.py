"""What routes share: documented errors, event streams, idempotency, and noticing that a client is gone."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from fastapi import Header, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from brickwork.server.errors import ErrorBody
from brickwork.store.jobs import Idempotency

T = TypeVar("T")

ERRORS: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": ErrorBody, "description": "The request is refused; `error` says why and what would do."},
    "5XX": {"model": ErrorBody, "description": "The server cannot serve it now, or failed at it."},
}

_JSON = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorBody"}}}}

ERRORS_BESIDE_FILES: dict[int | str, dict[str, Any]] = {
    status: {"description": answer["description"], **_JSON} for status, answer in ERRORS.items()
}
"""For routes whose successes are no JSON: FastAPI would give the media type of the success to the errors too."""

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="Repeating a request with the same key within 24 hours returns the first one's job.",
    ),
]


class EventStream(StreamingResponse):
    """Server-sent events. Reading slowly slows only this stream: each event is made when the last one is gone."""

    media_type = "text/event-stream"

    def __init__(self, events: AsyncIterator[str]):
        super().__init__(events, headers={"cache-control": "no-store", "x-accel-buffering": "no"})


@dataclass(frozen=True, slots=True)
class Sender:
    """What is known of a request beside what it asks for."""

    arrived_s: float  # at the border, on the coordinator's clock
    fingerprint: str  # digest of the request as it was sent
    key: str | None  # its idempotency key
    tenant: str = "default"  # whose it is

    def idempotency(self, part: str = "") -> Idempotency | None:
        """What tells a repeated request from another one under the same key.

        part    which of several jobs of one request
        """
        return Idempotency(self.key + part, self.fingerprint) if self.key is not None else None

    def resend_key(self, part: str = "") -> str:
        """Equal when a client sends a refused request again: its idempotency key, else all that it sent."""
        sent = f"key {self.key}{part}" if self.key is not None else f"body {self.fingerprint}{part}"
        return f"{self.tenant} {sent}"


def sender(http: Request, key: str | None, body: BaseModel) -> Sender:
    sent = json.dumps(body.model_dump(by_alias=True, exclude_unset=True), sort_keys=True)
    fingerprint = hashlib.sha256(sent.encode()).hexdigest()
    return Sender(http.scope["arrived_s"], fingerprint, key, http.scope["tenant"] or "default")


class ClientGone(Exception):
    """Nobody is there any more to take the answer."""


async def while_connected(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`; its cancellation when the client hangs up before.

    raises    ClientGone
    """
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_hung_up(request))
    try:
        await asyncio.wait((task, gone), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientGone
        return task.result()
    finally:
        task.cancel()
        gone.cancel()


async def _hung_up(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
