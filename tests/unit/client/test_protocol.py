"""Goal: what both clients share means what the server means, and repeats only what may be repeated.

Method: answers as data; event streams cut into lines at will.
"""

import json
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from brickwork.client.protocol import (
    Attempts,
    Deadline,
    Follower,
    Submission,
    Unreachable,
    checked,
    sendable,
    succeeded,
)
from brickwork.core.errors import BrickworkError, Cancelled, InputError, Rejected, RequestFailed

REQUEST = httpx.Request("POST", "http://server/v1/jobs")


def answer(status: int, error: object = None, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, json={"error": error}, headers=named, request=REQUEST)


def error(param: str | None = None, message: str = "steps: too few") -> dict[str, object]:
    return {"message": message, "type": "invalid_request_error", "param": param, "code": "x"}


def test_errors_are_brickworks_own() -> None:
    with pytest.raises(InputError) as bad:
        checked(answer(400, error("steps")))
    assert (bad.value.field, bad.value.message) == ("steps", "too few")
    with pytest.raises(Rejected) as busy:
        checked(answer(429, error(), retry_after="2", retry_after_ms="1500"))
    assert busy.value.retry_after_s == 1.5
    with pytest.raises(Rejected) as hopeless:
        checked(answer(429, error("deadline_s"), x_should_retry="false"))
    assert hopeless.value.retry_after_s is None
    with pytest.raises(BrickworkError, match="down"):
        checked(answer(503, error(None, "down")))
    with pytest.raises(Unreachable, match="502"):
        checked(httpx.Response(502, text="<html>", request=REQUEST))


def test_what_is_tried_again() -> None:
    attempts = Attempts(2)
    assert attempts.delay_s(answer(400)) is None, "it would be refused again"
    assert attempts.delay_s(answer(500, x_should_retry="false")) is None
    assert attempts.delay_s(answer(429, retry_after_ms="10")) is None, "the caller decides about deadlines"
    first = attempts.delay_s(httpx.ConnectError("x"))
    assert first is not None and attempts.delay_s(answer(503, retry_after_ms="9000")) == 9.0
    assert attempts.delay_s(httpx.ConnectError("x")) is None, "two were allowed"
    attempts.begin()
    assert attempts.delay_s(httpx.ConnectError("x")) == first


def test_a_submission_keeps_its_key() -> None:
    submission = Submission("w", {"prompt": "red", "size": (64, 128)}, deadline_s=2.0)
    assert submission.request() == submission.request()
    body, headers = submission.request()
    assert json.loads(body) == {"workflow": "w", "inputs": {"prompt": "red", "size": "128x64"}, "deadline_s": 2.0}
    assert headers["idempotency-key"] != Submission("w", {}).request()[1]["idempotency-key"]


def test_pictures_travel_as_data_urls(tmp_path: Path) -> None:
    picture = Image.new("RGB", (2, 2))
    picture.save(tmp_path / "a.jpg")
    assert sendable("x", picture).startswith("data:image/png;base64,")
    assert sendable("x", tmp_path / "a.jpg").startswith("data:image/jpeg;base64,")
    with pytest.raises(InputError, match=r"none\.png"):
        sendable("x", tmp_path / "none.png")


@given(
    sent=st.lists(st.dictionaries(st.text(), st.text(), max_size=2), max_size=8),
    breaks=st.lists(st.integers(1, 40), max_size=8),
)
def test_events_survive_comments_and_breaks(sent: list[dict[str, str]], breaks: list[int]) -> None:
    """1. The server sends events and comments; the connection breaks after so many lines, until the last one holds.
    2. The next one begins after the last event that was whole. In the end each event was seen once."""
    records = [
        f"id: 1.{k}\nevent: state\ndata: {json.dumps(value)}\n\n: keep-alive\n\n" for k, value in enumerate(sent)
    ]
    follower = Follower("job")
    got: list[object] = []
    for count in [*breaks, None]:
        seen = follower.headers().get("last-event-id", "1.-1")
        text = "".join(records[int(seen.removeprefix("1.")) + 1 :])
        for line in text.splitlines()[:count]:
            got += [event.data for event in follower.feed(line)]
    assert got == sent


def test_a_bound_on_waiting() -> None:
    assert Deadline(None).left_s("job") > 0
    assert 0 < Deadline(5).left_s("job") <= 5
    with pytest.raises(TimeoutError, match="job-1"):
        Deadline(0).left_s("job-1")


def test_ends() -> None:
    def job(status: str) -> dict[str, object]:
        return {"id": "j", "status": status, "error": {"message": "why"}}

    assert succeeded(job("succeeded"))["id"] == "j"
    for status, kind in (
        ("canceled", Cancelled),
        ("rejected", Rejected),
        ("failed", RequestFailed),
        ("expired", RequestFailed),
    ):
        with pytest.raises(kind):
            succeeded(job(status))
