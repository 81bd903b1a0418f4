"""Goal: over HTTP, deadlines are kept or said not to be: refusals name a time that may be relied on, inputs are lowered
when that is allowed, and what can no longer be in time ends as its client asked.

Method: a real server on a tiny model. How fast it is here and now is asked of the server by trying deadlines, so that
nothing depends on the machine; lateness is made by stopping the executors (SIGSTOP) until a deadline has passed.
"""

import math
import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import pytest

import brickwork as bw
from brickwork.core.errors import Expired, InputError
from support.server import ServerProcess

STEPS = 50


@pytest.fixture(scope="module")
def deadlines(served_model, tmp_path_factory) -> Iterator[ServerProcess]:  # type: ignore[no-untyped-def]
    """A server that has seen a few requests, so that it knows how fast it is."""
    with ServerProcess(served_model, tmp_path_factory.mktemp("deadlines")) as server:
        for seed in range(4):
            assert server.ended(server.job(seed=seed, steps=STEPS))["status"] == "succeeded"
        yield server


def submit(server: ServerProcess, key: str = "", **options: object) -> httpx.Response:
    body = {"workflow": "text-to-image", "inputs": {"prompt": "a red circle", "steps": STEPS}, **options}
    return server.post("/v1/jobs", body, **({"idempotency-key": key} if key else {}))


@contextmanager
def stopped(server: ServerProcess) -> Iterator[None]:
    """While no executor does anything."""
    pids = [each["pid"] for each in server.get("/v1/executors").json()["data"]]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def test_inputs_are_lowered_before_a_request_is_refused(deadlines: ServerProcess) -> None:
    """Shorter and shorter deadlines: at first all steps are taken, in the end not even one fits; in between, some."""
    lowered, deadline_s = [], 20.0
    while True:
        answer = submit(deadlines, deadline_s=deadline_s, degrade={"steps": 1})
        if answer.status_code != 201:
            break
        job = deadlines.ended(answer.json()["id"])
        assert answer.json()["lowered"] == job["lowered"]
        assert job["inputs"]["steps"] == STEPS, "what was asked for stays"
        if job["lowered"]:
            lowered.append((job["lowered"]["steps"], job["progress"] or job["status"]))
            assert 1 <= job["lowered"]["steps"] < STEPS
        deadline_s *= 0.8
    assert lowered, f"never lowered down to {deadline_s:.3f} s"
    assert answer.status_code == 429


def test_what_cannot_be_lowered_is_refused_by_name(deadlines: ServerProcess) -> None:
    for degrade, part in (({"stepz": 3}, "stepz"), ({"prompt": 3}, "prompt"), ({"steps": 0}, "steps")):
        answer = submit(deadlines, deadline_s=5.0, degrade=degrade)
        assert answer.status_code == 400
        error = answer.json()["error"]
        assert error["param"] == "degrade" and part in error["message"]
    with bw.Client(deadlines.url) as client, pytest.raises(InputError, match="valid integer"):
        client.submit("text-to-image", prompt="a red circle", degrade={"seed": "low"})  # type: ignore[dict-item]


def test_refused_clients_that_come_when_told_are_all_served(deadlines: ServerProcess) -> None:
    """40 clients at once want a picture within what a few of them take; each comes back when it was told to."""
    start_s = time.monotonic()
    deadlines.ended(submit(deadlines).json()["id"])
    deadline_s = 4.0 * (time.monotonic() - start_s)
    refusals, lock = [], threading.Lock()

    def insist(number: int) -> str:
        for _ in range(200):
            answer = submit(deadlines, key=f"insist-{number}", deadline_s=deadline_s)
            if answer.status_code == 201:
                return str(answer.json()["id"])
            assert answer.status_code == 429, answer.text
            assert answer.json()["error"]["code"] == "overloaded", answer.text
            with lock:
                refusals.append(answer)
            time.sleep(int(answer.headers["retry-after-ms"]) / 1000)
        raise AssertionError("refused 200 times")

    with ThreadPoolExecutor(40) as pool:
        job_ids = list(pool.map(insist, range(40)))
    assert len(set(job_ids)) == 40
    for answer in refusals:
        wait_ms = int(answer.headers["retry-after-ms"])
        assert int(answer.headers["retry-after"]) == math.ceil(wait_ms / 1000)
        assert answer.json()["error"]["retry_after_ms"] == wait_ms
    for job_id in job_ids:
        assert deadlines.ended(job_id)["status"] in ("succeeded", "expired")


def test_a_deadline_that_is_lost_ends_the_job_or_not_as_asked(deadlines: ServerProcess) -> None:
    with bw.Client(deadlines.url) as client:
        with stopped(deadlines):
            jobs = [
                client.submit("text-to-image", prompt="a red circle", steps=STEPS, deadline_s=3.0, if_late=if_late)
                for if_late in ("stop", "continue")
            ]
            time.sleep(3.5)  # until the deadline has passed, which is what is tested
        with pytest.raises(Expired, match="can no longer be met"):
            jobs[0].result(60)
        assert jobs[0].view()["error"]["code"] == "deadline_missed"
        assert jobs[1].result(60).image.size == (64, 64)
