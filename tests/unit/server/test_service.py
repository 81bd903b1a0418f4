"""Goal: a refusal is one answer, for everybody who asks under one key, and however often the disk refuses its commit;
whoever follows or awaits a job of an earlier server hears of its end, however early the question comes.

Method: a service whose executors were never started, so that every deadline is refused; a store that fails when the
end of a job is to be written, as often as a test says.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic, time
from typing import Any

import pytest

from brickwork.coordinator.embedded import embedded
from brickwork.core.errors import Rejected
from brickwork.core.request import SLO
from brickwork.server import recovery, storage
from brickwork.server.answers import Sender
from brickwork.server.metrics import Metrics
from brickwork.server.service import Service
from brickwork.starter.workflows import text_to_image
from brickwork.store.artifacts import ArtifactDirectory
from brickwork.store.errors import StoreError
from brickwork.store.jobs import Job, JobId
from brickwork.store.pending import Pending
from brickwork.store.sqlite import SqliteJobStore
from brickwork.store.states import JobState


class FailingStore(SqliteJobStore):
    failures = 0  # of the next ends to be written

    def finish(self, *args: Any, **options: Any) -> Pending[bool]:
        if not self.failures:
            return super().finish(*args, **options)
        self.failures -= 1
        failed: Pending[bool] = Pending()
        failed.set_exception(StoreError(self.path, "the file system is full", "Free some space."))
        return failed


@asynccontextmanager
async def serving(model: Path, state_dir: Path) -> AsyncIterator[tuple[Service, FailingStore]]:
    """A service that takes jobs, but starts no executors."""
    workflow = text_to_image(model)
    with FailingStore(state_dir) as store:
        artifacts, metrics = ArtifactDirectory(state_dir / "artifacts"), Metrics([workflow.name])
        service = Service(store, artifacts, embedded(1, 1, 1 << 30), {workflow.name: workflow}, metrics)
        service._epoch = await store.new_epoch(0.0)
        service.refusal = ""
        yield service, store
        await service.storage.close()


async def answers(model: Path, state_dir: Path, keys: list[str | None], failures: int) -> tuple[list[Any], list[str]]:
    """What submissions under these keys are told, all at once, and the states of the rows that there are then."""
    async with serving(model, state_dir) as (service, store):
        store.failures = failures

        def submit(key: str | None) -> Coroutine[Any, Any, Any]:
            sender = Sender(monotonic(), "fingerprint", key)
            return service.submit("text-to-image", {"prompt": "a red circle"}, SLO(deadline_s=5.0), sender)

        told = await asyncio.gather(*map(submit, keys), return_exceptions=True)
        return told, [job.state for job in await store.list()]


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FIRST_PAUSE_S", "MAX_PAUSE_S", "MAX_PROBE_PAUSE_S"):
        monkeypatch.setattr(storage, name, 0.0)


def test_replays_of_a_request_that_is_being_refused(tiny_sd3: Path, tmp_path: Path) -> None:
    """1. Twenty requests come under one key. 2. One makes the job and is refused. 3. All are told the same; a replay
    that came after the key was given back makes a job of its own, which is refused as well."""
    told, states = asyncio.run(answers(tiny_sd3, tmp_path, ["one"] * 20, failures=0))
    assert {type(answer) for answer in told} == {Rejected}
    assert len({str(answer) for answer in told}) == 1
    assert set(states) == {JobState.REJECTED} and len(states) < 20


def test_a_refusal_is_told_when_it_is_committed(tiny_sd3: Path, tmp_path: Path) -> None:
    """The disk refuses the row's end five times; nobody is told anything else than the refusal."""
    told, states = asyncio.run(answers(tiny_sd3, tmp_path, ["one", "one"], failures=5))
    assert [type(answer) for answer in told] == [Rejected, Rejected]
    assert set(states) == {JobState.REJECTED}


LEFT = {
    "refused": JobState.EXPIRED,
    "unknown": JobState.FAILED,
    "canceling": JobState.CANCELED,
    "late": JobState.CANCELED,
}
"""Jobs that an earlier server left, and what becomes of them."""


async def leave(state_dir: Path) -> None:
    """An earlier server takes all these jobs, starts one, and dies."""
    with SqliteJobStore(state_dir) as store:
        epoch = await store.new_epoch(0.0)
        for name in LEFT:
            workflow = "of-yesterday" if name == "unknown" else "text-to-image"
            values = (("prompt", "a red circle"),)
            await store.create(Job(JobId(name), workflow, values, created_s=time(), epoch=epoch, deadline_s=60.0))
        await store.start(JobId("canceling"), 1, epoch, time())
        await store.request_cancel(JobId("canceling"), time())


async def told_of_each(model: Path, state_dir: Path, failures: int) -> tuple[dict[str, str], dict[str, JobState]]:
    """What followers of each job are told at last and what those who wait are, if all ask before anything goes on."""
    await leave(state_dir)
    async with serving(model, state_dir) as (service, store):
        store.failures = failures
        left = await store.unfinished()
        service._take_over(left)

        async def last(name: str) -> str:
            seen = [event async for event in await service.events(name, None) if event is not None]
            return str(json.loads(seen[-1].data)["status"])

        follows = [asyncio.ensure_future(last(name)) for name in LEFT]
        waits = [asyncio.ensure_future(service.wait(job)) for job in left]
        await service.cancel("late")
        told = dict(zip(LEFT, await asyncio.gather(*follows), strict=True))
        assert await service.drain(60.0) == 0
        return told, {job.id: job.state for job in await asyncio.gather(*waits)}


@pytest.mark.parametrize("failures", [0, 3])
def test_jobs_of_an_earlier_server_are_followed_to_their_ends(tiny_sd3: Path, tmp_path: Path, failures: int) -> None:
    """1. A server leaves four jobs. 2. The next one is asked for them at once, and for the end of one, while the disk
    refuses the first ends. 3. Every stream ends with the job's end, and so does every wait."""
    told, awaited = asyncio.run(told_of_each(tiny_sd3, tmp_path, failures))
    assert awaited == LEFT
    assert told == LEFT


def test_a_job_that_cannot_be_resumed_stops_no_other(
    tiny_sd3: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A defect of ours: whoever waits for that job is told, it stays for the next server, and the others end."""

    def broken(job: Job, _artifacts: ArtifactDirectory) -> dict[str, Any]:
        if job.id == "refused":
            raise RuntimeError("a defect")
        return {"prompt": "a red circle"}

    async def wait_for_all() -> dict[str, str]:
        await leave(tmp_path)
        async with serving(tiny_sd3, tmp_path) as (service, store):
            left = await store.unfinished()
            service._take_over(left)
            told = await asyncio.gather(*map(service.wait, left), return_exceptions=True)
            assert [job.id for job in await store.unfinished()] == ["refused"]
            return {
                job.id: end.state if isinstance(end, Job) else str(end) for job, end in zip(left, told, strict=True)
            }

    monkeypatch.setattr(recovery, "kept_inputs", broken)
    ends = LEFT | {"refused": "a defect", "late": JobState.EXPIRED}
    assert asyncio.run(wait_for_all()) == ends
