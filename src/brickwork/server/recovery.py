"""What an earlier server acknowledged and did not end runs again, the oldest first."""

import asyncio
from collections.abc import Mapping
from functools import partial
from time import time
from typing import TYPE_CHECKING, Any

from brickwork.core.errors import BrickworkError, InputError, OutOfSpace, Rejected
from brickwork.core.request import SLO
from brickwork.server.errors import BUSY_RETRY_S
from brickwork.server.pictures import kept_inputs
from brickwork.store.jobs import Job, JobError, JobId, JobStore
from brickwork.store.states import JobState

if TYPE_CHECKING:
    from brickwork.server.service import Service

_MISSED = "The server was started again too late to meet the deadline."


class _Over(Exception):
    """The job ends here, without another attempt."""

    def __init__(self, state: JobState, code: str, message: str):
        super().__init__(message)
        self.state, self.error = state, JobError(code, message)


class Recovery:
    """Jobs of an earlier epoch, on their way to the coordinator."""

    def __init__(self, service: "Service", store: JobStore, epoch: int):
        self._service = service
        self._store = store
        self._epoch = epoch

    async def run(self, left: tuple[Job, ...]) -> None:
        for job in left:
            try:
                await self._service.storage.insist(partial(self._resume, job.id))
            except Exception as defect:  # the others shall run nevertheless
                self._service.give_up(job.id, defect)

    async def _resume(self, job_id: JobId) -> None:
        job = await self._store.get(job_id)  # as it is now: it may have been canceled while others were resumed
        try:
            if job.state is JobState.CANCELING:
                raise _Over(JobState.CANCELED, "canceled", "The job was canceled.")
            if job.state is JobState.QUEUED:
                await self._launch(job, await self._prepare(job))
        except _Over as over:
            await self._store.finish(job.id, job.attempt, self._epoch, over.state, time(), error=over.error)
        self._service.settle(await self._store.get(job.id))

    async def _prepare(self, job: Job) -> dict[str, Any]:
        if job.workflow not in self._service.workflows:
            text = f"The server was started again without the workflow {job.workflow}."
            raise _Over(JobState.FAILED, "cannot_run", text)
        try:
            return await asyncio.to_thread(kept_inputs, job, self._service.artifacts)
        except InputError as error:
            raise _Over(JobState.FAILED, "cannot_run", str(error)) from None

    async def _launch(self, job: Job, inputs: Mapping[str, Any]) -> None:
        """Launch as soon as there is room, within what is left of the deadline that was promised."""
        while (await self._store.get(job.id)).state is JobState.QUEUED:
            left_s = None if job.deadline_s is None else job.created_s + job.deadline_s - time()
            if left_s is not None and left_s <= 0:
                if job.if_late == "stop":
                    raise _Over(JobState.EXPIRED, "deadline_missed", _MISSED)
                left_s = None
            try:
                return self._service.resume(job, inputs, SLO(left_s, job.deterministic, job.if_late, job.degrade))
            except (Rejected, OutOfSpace) as refusal:
                if left_s is not None and job.if_late == "stop":
                    raise _Over(JobState.EXPIRED, "deadline_missed", f"{_MISSED} {refusal}") from None
                retry_s = refusal.retry_after_s if isinstance(refusal, Rejected) else None
                await asyncio.sleep(retry_s or BUSY_RETRY_S)
            except BrickworkError as error:
                raise _Over(JobState.FAILED, "cannot_run", str(error)) from None
