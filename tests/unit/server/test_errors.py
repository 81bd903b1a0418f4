"""Goal: whatever goes wrong leaves as the envelope that clients know, with the headers they act on.

Method: each error through the mapping; the border's rules as a tiny ASGI conversation.
"""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from brickwork.core.errors import InputError, Rejected, RequestFailed
from brickwork.server.border import Border
from brickwork.server.errors import as_api_error, body, retry_headers
from brickwork.server.metrics import Metrics
from brickwork.server.tenants import Keys
from brickwork.store.errors import IdempotencyKeyReused, StoreError

CASES: list[tuple[Exception, int, str, str | None]] = [
    (InputError("steps", "too few"), 400, "invalid_value", "steps"),
    (Rejected("busy", 1.5), 429, "overloaded", None),
    (Rejected("hopeless", None), 429, "deadline_too_short", "deadline_s"),
    (IdempotencyKeyReused("again"), 422, "idempotency_key_reuse", "Idempotency-Key"),
    (StoreError(Path("jobs.sqlite"), "the file system is full", "Free some space."), 503, "storage", None),
    (RequestFailed("a node failed"), 500, "failed", None),
]


@pytest.mark.parametrize(("error", "status", "code", "param"), CASES, ids=[type(case[0]).__name__ for case in CASES])
def test_the_envelope(error: Exception, status: int, code: str, param: str | None) -> None:
    api_error = as_api_error(error)
    assert api_error.status == status
    told = body(api_error)["error"]
    if (wait_ms := api_error.headers.get("retry-after-ms")) is not None:
        assert told.pop("retry_after_ms") == int(wait_ms)
    assert told == {
        "message": str(error), "code": code, "param": param,
        "type": {4: "invalid_request_error", 5: "server_error"}[status // 100] if status != 429 else "rate_limit_error",
    }  # fmt: skip


def test_when_to_come_back() -> None:
    assert retry_headers(1.2) == {"retry-after": "2", "retry-after-ms": "1200"}
    assert retry_headers(0.0001) == {"retry-after": "1", "retry-after-ms": "1"}
    assert retry_headers(None) == {"x-should-retry": "false"}


def converse(
    messages: list[dict[str, Any]], headers: list[tuple[bytes, bytes]]
) -> tuple[list[bytes], list[dict[str, Any]]]:
    """Bodies that the application saw, and what the border sent."""
    seen: list[bytes] = []
    sent: list[dict[str, Any]] = []

    async def app(_scope: Any, receive: Any, _send: Any) -> None:
        seen.append((await receive())["body"])

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    border = Border(app, Metrics([]), max_body_bytes=10, keys=Keys([]))
    asyncio.run(border({"type": "http", "method": "POST", "path": "/", "headers": headers}, receive, send))
    return seen, sent


JSON = [(b"content-type", b"application/json; charset=utf-8")]


def part(data: bytes, more: bool = False) -> dict[str, Any]:
    return {"type": "http.request", "body": data, "more_body": more}


def test_a_body_arrives_whole() -> None:
    assert converse([part(b"12345", True), part(b"67890")], JSON) == ([b"1234567890"], [])


@pytest.mark.parametrize(
    ("messages", "headers", "status"),
    [
        ([part(b"12345", True), part(b"678901", True), part(b"")], JSON, 413),
        ([part(b"x")], [*JSON, (b"content-length", b"11")], 413),
        ([part(b"x")], [(b"content-type", b"text/plain")], 415),
        ([part(b"x")], [], 415),
    ],
)
def test_what_does_not_get_in(messages: list[dict[str, Any]], headers: list[tuple[bytes, bytes]], status: int) -> None:
    seen, sent = converse(messages, headers)
    assert seen == [] and sent[0]["status"] == status
    assert any(name == b"x-request-id" for name, _ in sent[0]["headers"])


def test_a_refused_body_is_taken_to_its_end() -> None:
    """The answer is out before, and complete only after it: nothing unread resets the connection."""
    messages = [part(b"x", True), part(b"x", True), part(b"x")]
    _, sent = converse(messages, [*JSON, (b"content-length", b"11")])
    assert messages == []
    assert [message.get("more_body") for message in sent] == [None, True, False] and sent[2]["body"] == b""


def test_a_client_that_leaves_gets_nothing() -> None:
    assert converse([part(b"1", True), {"type": "http.disconnect"}], JSON) == ([], [])


def test_metrics_of_two_servers_do_not_meet() -> None:
    first, second = Metrics(["a"]), Metrics(["a"])
    first.accepted["a"].inc()
    assert b'brickwork_jobs_accepted_total{workflow="a"} 1.0' in first.page()
    assert b'brickwork_jobs_accepted_total{workflow="a"} 0.0' in second.page()
    assert isinstance(first._registry, CollectorRegistry)
