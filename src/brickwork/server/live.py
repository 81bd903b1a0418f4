"""A job that this server brings to its end: from its launch over the end of its run to the row that tells it."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from time import time

from brickwork.coordinator.runs import Result, Run
from brickwork.core.errors import BrickworkError, Cancelled, Expired
from brickwork.core.ids import RequestId
from brickwork.server.feed import Feed
from brickwork.store.errors import StoreError
from brickwork.store.jobs import Job, JobError, JobStore, Value
from brickwork.store.pending import Pending
from brickwork.store.states import JobState

Results = tuple[tuple[str, Value], ...]


@dataclass(slots=True)
class Live:
    """A job of this server, or left by an earlier one, that has not ended."""

    job: Job  # the row as it was before this server's attempt
    feed: Feed
    is_launched: bool = False
    run: Run = field(init=False)  # the latest one, once it is launched
    asked: int = 0  # times the coordinator was asked to run it; more than one when it refused, or results were not kept
    is_over: bool = False  # the latest run has ended
    is_canceled: bool = False  # somebody asked for the end
    held_up: str = ""  # what the storage's failure is for whose end it waits
    was_held_up: bool = False
    start: Pending[bool] | None = None  # the commit of its attempt, once a task of it runs
    ended: "asyncio.Future[Job]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    @property
    def attempt(self) -> int:
        """The attempt that this server makes of it."""
        return self.job.attempt + 1

    def next_request(self) -> RequestId:
        """What the coordinator shall call the next run."""
        self.asked += 1
        return RequestId(self.job.id if self.asked == 1 else f"{self.job.id}.{self.asked}")

    def begin(self, store: JobStore) -> None:
        """Order the commit of the attempt. The store keeps orders in their order, so nobody need wait for it."""
        self.start = store.start(self.job.id, self.attempt, self.job.epoch, time(), self.run.lowered)

    def hold(self, reason: str) -> None:
        """Tell readers that the job waits for the storage; "": it goes on."""
        if reason != self.held_up:
            self.held_up, self.was_held_up = reason, True
            state = JobState.CANCELING if self.is_canceled else JobState.RUNNING
            self.feed.add("state", {"status": state, "held_up": reason or None})


@dataclass(frozen=True, slots=True)
class End:
    """How a job ended, ready to be committed."""

    state: JobState
    results: Results = ()
    error: JobError | None = None


_CANCELED = End(JobState.CANCELED, error=JobError("canceled", "The job was canceled."))


async def end_of(live: Live, keep: Callable[[Result], Results], run_again: Callable[[Live], Awaitable[None]]) -> End:
    """Wait for the end of a job's run and keep what it gave. May be repeated, and the job runs again then.

    keep         blocks; raises StoreError when results could not be kept
    run_again    gives the job another run, which is not over
    raises       StoreError
    """
    if live.is_over and live.is_canceled:
        return _CANCELED
    try:
        if live.is_over:
            await run_again(live)
        result = await live.run.finished
        live.is_over = True
        return End(JobState.SUCCEEDED, await asyncio.to_thread(keep, result))
    except Cancelled:
        return _CANCELED
    except StoreError:
        raise
    except Expired as failure:
        return End(JobState.EXPIRED, error=JobError("deadline_missed", str(failure)))
    except BrickworkError as failure:
        return End(JobState.FAILED, error=JobError("failed", str(failure)))


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
