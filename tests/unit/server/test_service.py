"""Goal: a refusal is one answer, for everybody who asks under one key, and however often the disk refuses its commit.

Method: a service whose executors were never started, so that every deadline is refused; a store that fails when the
end of a job is to be written, as often as a test says.
"""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from brickwork.coordinator.embedded import embedded
from brickwork.core.errors import Rejected
from brickwork.core.request import SLO
from brickwork.server import storage
from brickwork.server.answers import Sender
from brickwork.server.metrics import Metrics
from brickwork.server.service import Service
from brickwork.starter.workflows import text_to_image
from brickwork.store.artifacts import ArtifactDirectory
from brickwork.store.errors import StoreError
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


async def answers(model: Path, state_dir: Path, keys: list[str | None], failures: int) -> tuple[list[Any], list[str]]:
    """What submissions under these keys are told, all at once, and the states of the rows that there are then."""
    workflow = text_to_image(model)
    with FailingStore(state_dir) as store:
        artifacts, metrics = ArtifactDirectory(state_dir / "artifacts"), Metrics([workflow.name])
        service = Service(store, artifacts, embedded(1, 1, 1 << 30), {workflow.name: workflow}, metrics)
        service._epoch = await store.new_epoch(0.0)
        service.refusal = ""
        store.failures = failures

        def submit(key: str | None) -> Coroutine[Any, Any, Any]:
            sender = Sender(monotonic(), "fingerprint", key)
            return service.submit(workflow.name, {"prompt": "a red circle"}, SLO(deadline_s=5.0), sender)

        told = await asyncio.gather(*map(submit, keys), return_exceptions=True)
        states = [job.state for job in await store.list()]
        await service.storage.close()
        return told, states


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
