"""A job that this server runs, and the commit of its end."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from time import time
from typing import TypeVar

from brickwork.coordinator.runs import Result, Run
from brickwork.core.errors import BrickworkError, Cancelled
from brickwork.server.feed import Feed
from brickwork.server.pictures import artifact_of
from brickwork.store.artifacts import ArtifactDirectory
from brickwork.store.errors import StoreError
from brickwork.store.jobs import Job, JobError, JobStore, Value
from brickwork.store.pending import Pending
from brickwork.store.states import JobState

log = logging.getLogger(__name__)

T = TypeVar("T")

MAX_BACKOFF_S = 5.0
"""Between attempts at a write that the store refuses, say because the disk is full."""


@dataclass(slots=True)
class Live:
    """A job of this server that has not ended."""

    job: Job  # the row as it was before this server's attempt
    feed: Feed
    run: Run
    start: Pending[bool] | None = None  # the commit of its attempt, once a task of it runs
    ended: "asyncio.Future[Job]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    @property
    def attempt(self) -> int:
        """The attempt that this server makes of it."""
        return self.job.attempt + 1

    def begin(self, store: JobStore) -> None:
        """Order the commit of the attempt. The store keeps orders in their order, so nobody need wait for it."""
        self.start = store.start(self.job.id, self.attempt, self.job.epoch, time())


@dataclass(frozen=True, slots=True)
class End:
    """How a run ended, ready to be committed."""

    state: JobState
    results: tuple[tuple[str, Value], ...] = ()
    error: JobError | None = None


async def end_of(run: Run, artifacts: ArtifactDirectory, told: Callable[[StoreError], None]) -> End:
    """Wait for a run's end and keep what it gave."""
    try:
        result = await run.finished
    except Cancelled:
        return End(JobState.CANCELED, error=JobError("canceled", "The job was canceled."))
    except BrickworkError as failure:
        return End(JobState.FAILED, error=JobError("failed", str(failure)))
    kept = await insist(lambda: asyncio.to_thread(_keep, result, artifacts), told)
    return End(JobState.SUCCEEDED, kept)


def _keep(result: Result, artifacts: ArtifactDirectory) -> tuple[tuple[str, Value], ...]:
    return tuple((name, artifact_of(value, artifacts)) for name, value in result.outputs.items())


async def commit(store: JobStore, live: Live, end: End) -> Job:
    """Write the end of a job, unless its row has ended before (a cancel that came first); returns the row.

    raises    StoreError; may be repeated then
    """
    has_failed = live.start is not None and live.start.done() and live.start.exception() is not None
    if has_failed or (live.start is None and end.state is not JobState.CANCELED):
        live.begin(store)
    attempt = live.job.attempt
    if live.start is not None:
        await live.start
        attempt = live.attempt
    job = live.job
    await store.finish(job.id, attempt, job.epoch, end.state, time(), end.results, end.error)
    return await store.get(job.id)


async def insist(write: Callable[[], Awaitable[T]], told: Callable[[StoreError], None]) -> T:
    """Repeat a write until the store takes it: somebody was promised it. `told` hears of each failure."""
    delay_s = 0.1
    while True:
        try:
            return await write()
        except StoreError as error:
            told(error)
            log.error("%s Trying again in %.1f s.", error, delay_s)
        await asyncio.sleep(delay_s)
        delay_s = min(MAX_BACKOFF_S, 2 * delay_s)
