"""The one place where store, workflows and coordinator meet: what becomes of a job from its submission to its end.

```
 submit -> validate -> keep pictures -> commit the job row -> coordinator -> (refused: row rejected, Rejected raised)
                                            |                     |
                                        from here on          progress -> row running -> feed
                                        it survives               |
                                                                end -> results kept -> commit the end -> feed
                                                                        (they could not be: it runs again)
```

The row tells the truth: what clients hear of an end is read back from it. Policy is control's; durability the store's.
"""

import asyncio
import base64
import logging
import uuid
from collections import OrderedDict
from collections.abc import AsyncIterator, Coroutine, Mapping
from dataclasses import replace
from functools import partial
from time import monotonic, time
from typing import Any

from brickwork.coordinator.coordinator import Coordinator, Submission
from brickwork.coordinator.embedded import submission_of
from brickwork.coordinator.runs import Progress, Result
from brickwork.core.errors import BrickworkError, OutOfSpace, Rejected
from brickwork.core.request import SLO
from brickwork.server.answers import Sender
from brickwork.server.delivery import Delivery
from brickwork.server.errors import BUSY_RETRY_S, NotFound, Unavailable
from brickwork.server.feed import Event, Feed
from brickwork.server.housekeeping import keep_house
from brickwork.server.live import Live, commit, end_of
from brickwork.server.metrics import Metrics
from brickwork.server.pictures import kept_inputs, kept_results, take_picture
from brickwork.server.recovery import Recovery
from brickwork.server.storage import Storage
from brickwork.server.views import JobView, view
from brickwork.store.artifacts import ArtifactDirectory
from brickwork.store.errors import UnknownJob
from brickwork.store.jobs import Job, JobError, JobId, JobStore, Value
from brickwork.store.states import TERMINAL, JobState
from brickwork.workflow.api import Workflow
from brickwork.workflow.inputs import validate

log = logging.getLogger(__name__)

MAX_ENDED_FEEDS = 128
"""Jobs that ended whose events are still replayed one by one; of older ones a reader gets the end alone."""

KEEP_ALIVE_S = 15.0
"""Silence on an event stream after which a comment is sent, so that proxies keep it open."""


class Service:
    """Jobs on one workflow set. Use from one event loop."""

    def __init__(
        self,
        store: JobStore,
        artifacts: ArtifactDirectory,
        coordinator: Coordinator,
        workflows: Mapping[str, Workflow],
        metrics: Metrics,
    ):
        self.artifacts = artifacts
        self.workflows = workflows
        self.metrics = metrics
        self.refusal = "The server is starting."  # why no job is taken now; "" while jobs are
        self._store = store
        self._coordinator = coordinator
        self._epoch = 0
        self._live: dict[JobId, Live] = {}
        self._ended: OrderedDict[JobId, Feed] = OrderedDict()
        self._delivery = Delivery()
        self._taking: dict[JobId, asyncio.Task[tuple[Job, bool]]] = {}  # committed or about to be, not launched yet
        self._tasks: set[asyncio.Task[Any]] = set()
        self.storage = Storage(self._probe, metrics.store_errors.inc)

    # Life ---------------------------------------------------------------------------------------------------------

    async def start(self, keep_s: float) -> None:
        """Start the executors, then take over what an earlier server left unfinished, in the background.

        keep_s    how long jobs that have ended are kept
        raises    RequestFailed when no executor can be started; StoreError
        """
        self._epoch = await self._store.new_epoch(time())
        left = await self._store.unfinished()
        await self._coordinator.start()
        self.refusal = ""
        if left:
            log.warning("%d unfinished jobs of an earlier server run again", len(left))
            self._take_over(left)
        self._spawn(keep_house(self._store, self.artifacts, keep_s, self.storage))

    async def drain(self, bound_s: float) -> int:
        """Take no more jobs and wait until those here have ended, `bound_s` at most.

        returns   the number of jobs left; they run again at the next start
        """
        self.refusal = "The server is stopping."
        waits = [live.ended for live in self._live.values()]
        if waits:
            await asyncio.wait(waits, timeout=bound_s)
        return len(self._live)

    async def close(self) -> None:
        """Stop at once. Jobs that have not ended stay unfinished in the store."""
        self.refusal = "The server is stopping."
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for live in list(self._live.values()):
            text = f"The server is stopping; job {live.job.id} goes on when it is started again."
            self._let_go(live, Unavailable("stopping", text))
        await self.storage.close()
        await self._coordinator.close()

    # What clients ask ---------------------------------------------------------------------------------------------

    async def submit(
        self, name: str, inputs: Mapping[str, Any], slo: SLO, sent: Sender, part: str = ""
    ) -> tuple[Job, bool]:
        """Take a job: once this returns, it survives whatever happens to the server.

        part      which of several jobs of one request
        returns   the job, and whether its idempotency key named it already
        raises    InputError, Rejected, Unavailable, IdempotencyKeyReused, StoreError; the job is not taken then
        """
        if self.refusal:
            raise Unavailable("not_ready", f"{self.refusal} Try again.")
        if self.storage.refusal:
            raise Unavailable("storage", self.storage.refusal)
        workflow = self.workflows[name]
        values: dict[str, Any] = validate(workflow.inputs, inputs)
        with self.storage.watched():
            pictures = await self._take_pictures(workflow, values)
        job = Job(
            id=JobId(f"job_{uuid.uuid4().hex}"),
            workflow=name,
            values=tuple(values.items()),
            created_s=time() - (monotonic() - sent.arrived_s),
            epoch=self._epoch,
            tenant=sent.tenant,
            deadline_s=slo.deadline_s,
            deterministic=slo.deterministic,
            if_late=slo.if_late,
            degrade=slo.degrade,
            idempotency=sent.idempotency(part),
        )
        submission = self._submission(job, {**values, **pictures}, slo)
        submission = replace(submission, arrived_s=sent.arrived_s, resend_key=sent.resend_key(part))
        taking = asyncio.ensure_future(self._take(job, submission))
        self._tasks.add(taking)
        self._taking[job.id] = taking
        taking.add_done_callback(partial(self._taken, job.id))
        return await asyncio.shield(taking)  # a client that hangs up does not leave a committed job behind unlaunched

    async def _take(self, job: Job, submission: Submission) -> tuple[Job, bool]:
        """Commit and launch a job, or commit that it is refused."""
        with self.storage.watched():
            created = await self._store.create(job)
        if created.is_replay:
            first = self._taking.get(created.job.id)
            return (await asyncio.shield(first))[0] if first else created.job, True
        try:
            live = Live(job, Feed(self._epoch))
            self._launch(live, submission)
        except BrickworkError as error:
            raise await self._refuse(job, error) from None
        self.metrics.accepted[job.workflow].inc()
        return replace(job, lowered=live.run.lowered), False

    async def get(self, job_id: str, tenant: str | None = None) -> JobView:
        """tenant    who asks, and is shown no other's; None: whoever may see all. raises NotFound"""
        return self._shown(await self._row(JobId(job_id), tenant))

    async def page(
        self, state: JobState | None, after: str | None, limit: int, tenant: str | None = None
    ) -> tuple[list[JobView], bool]:
        """Jobs, the newest first, and whether there are more. raises NotFound for an unknown `after`"""
        if after:
            await self._row(JobId(after), tenant)
        try:
            before = JobId(after) if after else None
            jobs = await self._store.list(tenant=tenant, state=state, after=before, limit=limit + 1)
        except UnknownJob:
            raise NotFound("job", after or "") from None
        return [view(job) for job in jobs[:limit]], len(jobs) > limit

    async def cancel(self, job_id: str, tenant: str | None = None) -> JobView:
        """Ask for a job's end at its next step. Idempotent. raises NotFound"""
        if tenant is not None:
            await self._row(JobId(job_id), tenant)
        try:
            with self.storage.watched():
                job = await self._store.request_cancel(JobId(job_id), time())
        except UnknownJob:
            raise NotFound("job", job_id) from None
        live = self._live.get(job.id)
        if live is not None:
            live.is_canceled = True
            if live.is_launched and not live.run.finished.done():
                live.feed.add("state", {"status": job.state})
                self._coordinator.cancel(live.run.request_id)
        self.settle(job)
        return self._shown(job)

    async def wait(self, job: Job) -> Job:
        """The job once it has ended. raises Unavailable when the server stops before"""
        live = self._live.get(job.id)
        return await asyncio.shield(live.ended) if live else await self._row(job.id)

    async def events(self, job_id: str, seen: str | None, tenant: str | None = None) -> AsyncIterator[Event | None]:
        """The events of a job after `seen`; None now and then while nothing happens. raises NotFound at once"""
        await self._row(JobId(job_id), tenant)
        live = self._live.get(JobId(job_id))
        feed = live.feed if live else self._ended.get(JobId(job_id))
        if feed is None:
            feed, seen = Feed(self._epoch), None
            feed.end()

        async def snapshot() -> dict[str, Any]:
            return (await self.get(job_id)).model_dump(mode="json")

        return feed.follow(seen, snapshot, KEEP_ALIVE_S)

    def executors(self) -> list[dict[str, Any]]:
        """The executors that are connected, and the models that each holds."""
        residency, pids = self._coordinator.residency(), self._coordinator.pids()
        return [{"id": name, "pid": pids.get(name), "models": models} for name, models in sorted(residency.items())]

    @property
    def output_waits(self) -> int:
        """Results, since the start, that had to wait for room in tensor memory."""
        return self._coordinator.output_waits

    # From the row to the end ----------------------------------------------------------------------------------------

    def _take_over(self, left: tuple[Job, ...]) -> None:
        """Let an earlier server's jobs be followed and waited for from now on, and launch them in the background."""
        for job in left:
            self._enter(Live(job, Feed(self._epoch)))
        self._spawn(Recovery(self, self._store, self._epoch).run(left))

    def resume(self, job: Job, inputs: Mapping[str, Any], slo: SLO) -> None:
        """Launch a job of an earlier server, unless it has ended. raises what says that it was not taken"""
        if live := self._live.get(job.id):
            self._launch(live, self._submission(job, inputs, slo))

    def settle(self, job: Job) -> None:
        """Tell the end of a job that ended before it was launched, if it did."""
        live = self._live.get(job.id)
        if live is not None and not live.is_launched and job.state in TERMINAL:
            self._tell(live, job)

    def give_up(self, job_id: JobId, defect: Exception) -> None:
        """Because of a defect of ours, a job does not end here; the next server runs it again."""
        log.error("job %s could not be ended", job_id, exc_info=defect)
        if live := self._live.get(job_id):
            self._let_go(live, defect)

    def _launch(self, live: Live, submission: Submission) -> None:
        """Hand a committed job to the coordinator. raises what says that it was not taken"""
        self._run(live, submission)
        self._enter(live)
        live.feed.add("state", {"status": JobState.QUEUED})
        self._spawn(self._see_through(live))

    def _submission(self, job: Job, inputs: Mapping[str, Any], slo: SLO) -> Submission:
        """A job as the coordinator takes it, with as much of its deadline as is left to it."""
        if slo.deadline_s is not None:
            slo = replace(slo, deadline_s=slo.deadline_s - self._delivery.allowance_s(slo.deadline_s, monotonic()))
        return replace(submission_of(self.workflows[job.workflow], inputs, slo), tenant=job.tenant)

    def _run(self, live: Live, submission: Submission) -> None:
        """Hand a job to the coordinator. raises what says that it was not taken"""
        run = self._coordinator.submit(submission, partial(self._progressed, live), live.next_request())
        if run.finished.done() and (error := run.finished.exception()):
            raise error
        live.run, live.is_launched, live.is_over = run, True, False

    async def _run_again(self, live: Live) -> None:
        """Launch a job whose results could not be kept, as it ran before; its deadline does not count any more."""
        lowered = live.run.lowered
        inputs = await asyncio.to_thread(kept_inputs, live.job, self.artifacts) | dict(lowered)
        while True:
            try:
                self._run(live, self._submission(live.job, inputs, SLO(None, live.job.deterministic)))
                break
            except (Rejected, OutOfSpace):
                await asyncio.sleep(BUSY_RETRY_S)
        live.run.lowered = lowered
        if live.is_canceled:
            self._coordinator.cancel(live.run.request_id)

    def _keep(self, live: Live, result: Result) -> tuple[tuple[str, Value], ...]:
        return kept_results(live.run.plan, result, self.artifacts)

    async def _probe(self) -> None:
        """Write something for a trial. raises StoreError"""
        await asyncio.to_thread(self.artifacts.probe)
        await self._store.probe()

    def _shown(self, job: Job) -> JobView:
        live = self._live.get(job.id)
        return view(job, live.feed.progress, live.held_up) if live else view(job)

    def _taken(self, job_id: JobId, taking: asyncio.Task[tuple[Job, bool]]) -> None:
        self._tasks.discard(taking)
        del self._taking[job_id]
        if not taking.cancelled():
            taking.exception()  # seen, also when nobody waits

    async def _row(self, job_id: JobId, tenant: str | None = None) -> Job:
        try:
            job = await self._store.get(job_id)
        except UnknownJob:
            raise NotFound("job", job_id) from None
        if tenant is not None and job.tenant != tenant:
            raise NotFound("job", job_id)  # as if it were not there
        return job

    async def _take_pictures(self, workflow: Workflow, values: dict[str, Any]) -> dict[str, Any]:
        """Decode the pictures among `values`, in which their artifacts take their place."""
        pictures: dict[str, Any] = {}
        for item in workflow.inputs:
            if item.type.is_tensor:
                kept = await asyncio.to_thread(take_picture, item.name, values[item.name], self.artifacts)
                values[item.name], pictures[item.name] = kept
        return pictures

    async def _refuse(self, job: Job, error: BrickworkError) -> BrickworkError:
        """Commit that a job was not taken; returns what the client is told."""
        if isinstance(error, OutOfSpace):
            error = Rejected("The memory for pictures is full.", BUSY_RETRY_S)
        is_rejected = isinstance(error, Rejected)
        state = JobState.REJECTED if is_rejected else JobState.FAILED
        reason = JobError("rejected" if is_rejected else "cannot_run", str(error))
        end = partial(self._store.finish, job.id, job.attempt, self._epoch, state, time(), error=reason)
        await self.storage.insist(end)
        self.metrics.count_end(job.workflow, state)
        return error

    def _progressed(self, live: Live, progress: Progress) -> None:
        if live.start is None:
            live.begin(self._store)
            live.feed.add("state", {"status": JobState.RUNNING, "attempt": live.attempt})
        at = {"step": progress.step, "steps": progress.steps}
        live.feed.progress[progress.task] = at
        live.feed.add("progress", {"task": progress.task, **at})
        if progress.preview:
            picture = base64.b64encode(progress.preview).decode()
            live.feed.add("preview", {"task": progress.task, "step": progress.step, "b64_png": picture})

    async def _see_through(self, live: Live) -> None:
        """Wait for the run's end, commit it, and tell everybody."""
        try:
            ending = partial(end_of, live, partial(self._keep, live), self._run_again)
            end = await self.storage.insist(ending, live.hold)
            job = await self.storage.insist(partial(commit, self._store, live, end), live.hold)
        except Exception as defect:
            return self.give_up(live.job.id, defect)
        if job.state is JobState.SUCCEEDED and not live.was_held_up:
            now_s = monotonic()
            self._delivery.learn(now_s - live.run.ended_s, now_s)
        self._tell(live, job)
        if job.state is JobState.SUCCEEDED and job.finished_s is not None:
            self.metrics.job_seconds[job.workflow].observe(job.finished_s - job.created_s)

    def _enter(self, live: Live) -> None:
        """From here on, the job is this server's business."""
        self._live[live.job.id] = live
        self.metrics.live.set(len(self._live))

    def _tell(self, live: Live, job: Job) -> None:
        """A job has ended: everybody hears of it."""
        live.feed.add("result", view(job).model_dump(mode="json"))
        self._let_go(live, job)
        self.metrics.count_end(job.workflow, job.state)

    def _let_go(self, live: Live, end: Job | Exception) -> None:
        """The job is no longer this server's business: nobody waits for it in vain."""
        live.feed.end()
        del self._live[live.job.id]
        self._ended[live.job.id] = live.feed
        while len(self._ended) > MAX_ENDED_FEEDS:
            self._ended.popitem(last=False)
        self.metrics.live.set(len(self._live))
        if isinstance(end, Job):
            live.ended.set_result(end)
        else:
            live.ended.set_exception(end)
            live.ended.exception()  # seen, also when nobody waits

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
