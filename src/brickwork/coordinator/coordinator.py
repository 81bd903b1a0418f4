"""The live driver of one workflow set: tells control what happened, carries out what it orders.

It decides nothing. Everything runs on one event loop, so control sees one event at a time. What it must get right is
the border: a result is adopted into the coordinator's ownership before control hears of it, an executor's death is
told only after everything that it sent before has been read and its leases have been reclaimed, and every order to an
executor that has died since is dropped (control learns of the death and orders again).
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import count

from brickwork.compiler.plan import Plan
from brickwork.control import actions, events
from brickwork.control.machine import Control
from brickwork.coordinator.links import ExecutorLink, LinkEvents, Listener
from brickwork.coordinator.observed import Observer
from brickwork.coordinator.runs import Progress, Result, Run
from brickwork.coordinator.slots import Slots
from brickwork.coordinator.values import output_of, output_types, pixels_of, put_array
from brickwork.core.batch import TaskEnd
from brickwork.core.clock import Clock
from brickwork.core.errors import Cancelled, Expired, Rejected, RequestFailed, StaleHandle
from brickwork.core.ids import ExecutorId, RequestId
from brickwork.core.request import SLO, Outcome, Request, Scalar
from brickwork.core.tensor import TensorHandle
from brickwork.data.keeper import Keeper
from brickwork.executor.config import shares
from brickwork.observe.spans import Timeline
from brickwork.wire import messages

log = logging.getLogger(__name__)

MAX_SILENCE_S = 20.0
"""An executor that sends no heartbeat for so long is stopped or stuck; it is killed and replaced. 80 heartbeats: a
loading model may hold the interpreter for seconds on a busy machine."""
"""How often silence is looked for is a quarter of it."""


@dataclass(frozen=True, slots=True)
class Submission:
    """A validated request: scalars resolved, pictures still as the caller gave them."""

    plan: Plan
    values: Mapping[str, Scalar]
    pictures: Mapping[str, object]
    scalars: Mapping[str, Scalar]
    slo: SLO
    arrived_s: float | None = None  # on the coordinator's clock, from which the deadline counts; None: now
    resend_key: str = ""  # equal when a refused request is sent again
    tenant: str = "default"  # whose it is, see control.fairness


class Coordinator:
    """One workflow set. Use from its event loop only."""

    def __init__(self, control: Control, keeper: Keeper, slots: Slots, listener: Listener, clock: Clock):
        self._control = control
        self._keeper = keeper
        self._slots = slots
        self._listener = listener
        self._clock = clock
        self._links: dict[ExecutorId, ExecutorLink] = {}
        self._runs: dict[RequestId, Run] = {}
        self._numbers = count(1)
        self._wake: asyncio.TimerHandle | None = None
        self._watch: asyncio.TimerHandle | None = None
        self._is_closed = False
        self._defect = ""  # why no request can ever run; "" while one can
        self.timeline = Timeline()
        self.observer: Observer | None = None  # may be set at any time
        self.output_waits = 0  # results, so far, that found no room at first

    async def start(self) -> None:
        """Listen, start the executors and wait until the first one has joined.

        raises    RequestFailed with the executor's last words when none can be started
        """
        told = LinkEvents(self._joined, self._noticed, self._closed)
        self._keeper.start_process()
        await self._listener.start(lambda: ExecutorLink(told, self._slots.tokens, self._clock.now_s))
        await self._slots.start(self._lost, self._abandoned)
        self._watch_silence()

    async def close(self) -> None:
        """Cancel what runs, stop every executor, free the arena. For once; nothing is told to control afterwards."""
        self._is_closed = True
        for timer in (self._wake, self._watch):
            if timer is not None:
                timer.cancel()
        for run in list(self._runs.values()):
            if not run.finished.done():
                run.finished.set_exception(Cancelled(f"{run.request_id}: the cluster was closed"))
        self._runs.clear()
        await self._slots.close()
        self._listener.close()
        self._keeper.close()

    def submit(
        self,
        submission: Submission,
        on_progress: Callable[[Progress], None] | None = None,
        request_id: RequestId | None = None,
    ) -> Run:
        """Hand a request to control. The returned run's future ends with a Result or the reason why not; it has
        ended with Rejected already when admission refuses.

        request_id    unique in the life of this coordinator; None: a new one
        raises    InputError for a picture that cannot be read, OutOfSpace when the arena is full, RequestFailed
                  when no executor can be started
        """
        if self._defect:
            raise RequestFailed(self._defect)
        request_id = request_id or RequestId(f"r-{next(self._numbers)}")
        plan = submission.plan
        tensors = self._put_pictures(submission)
        run = self._runs[request_id] = Run(request_id, plan, self._clock.now_s(), on_progress)
        values, key = tuple(submission.values.items()), submission.resend_key
        request = Request(request_id, plan.workflow, values, submission.slo, submission.tenant, key)
        self._tell(events.RequestArrived(request, plan, tensors, submission.arrived_s))
        return run

    def cancel(self, request_id: RequestId) -> None:
        self._tell(events.CancelRequested(request_id))

    def story(self, request_id: RequestId) -> list[str]:
        return self._control.story(request_id)

    def pids(self) -> dict[ExecutorId, int]:
        """Process ids of the executors that are connected."""
        return self._slots.pids()

    def leaked_blocks(self) -> int:
        """Blocks of tensor memory in use; 0 when no request is running."""
        return len(self._keeper.leaked())

    def residency(self) -> dict[ExecutorId, list[str]]:
        """Models that are loaded, by executor."""
        return {
            executor: sorted(model for model, replica in record.replicas.items() if replica.is_loaded)
            for executor, record in self._control.state.executors.items()
        }

    # What happens -----------------------------------------------------------------------------------------------

    def _tell(self, event: events.Event) -> None:
        if self._is_closed:
            return
        now_s = self._clock.now_s()
        orders = self._control.handle(event, now_s)
        if self.observer is not None:
            self.observer.told(event, orders, now_s)
        for action in orders:
            try:
                self._carry_out(action)
            except Exception as error:  # a defect; the orders that follow are as valid as before
                log.exception("could not carry out %s", action)
                if isinstance(action, actions.Finish):
                    self._fail(action.request_id, error)
        self._arm_wake()

    def _arm_wake(self) -> None:
        if self._wake is not None:
            self._wake.cancel()
            self._wake = None
        wake_s = self._control.next_wake_s()
        if wake_s is not None:
            delay_s = max(0.0, wake_s - self._clock.now_s())
            self._wake = asyncio.get_running_loop().call_later(delay_s, self._tell, events.Woke())

    def _joined(self, link: ExecutorLink) -> None:
        assert link.executor is not None
        self._links[link.executor] = link
        slot = self._slots.joined(link.executor)
        self._tell(
            events.ExecutorJoined(
                link.executor,
                slot.device,
                shares(slot.memory_bytes).model_bytes,
                can_step=link.can_step,
                max_degree=link.max_degree,
            )
        )

    def _noticed(self, link: ExecutorLink, notice: messages.Notice) -> None:
        executor = link.executor
        assert executor is not None
        match notice:
            case messages.Report():
                self._reported(executor, notice)
            case messages.Waiting():
                self._waiting(executor, notice)
            case messages.Progress():
                self._progressed(notice)
            case messages.Loaded():
                self._tell(events.ModelLoaded(executor, notice.model, notice.load_s))
            case messages.Unloaded():
                self._tell(events.ModelUnloaded(executor, notice.model))
            case messages.LoadFailed():
                self._tell(events.LoadFailed(executor, notice.model, notice.error))

    def _reported(self, executor: ExecutorId, report: messages.Report) -> None:
        self.timeline.extend(report.spans)
        ends = tuple(self._adopt(executor, end) for end in report.ends)
        if self.observer is not None:
            self.observer.reported(report, self._clock.now_s())
        self._tell(events.BatchReported(executor, report.batch, ends, report.is_last, report.compute_s))

    def _adopt(self, executor: ExecutorId, end: TaskEnd) -> TaskEnd:
        """Take over the results' leases from the executor that made them."""
        holder = self._slots.holder(executor)
        adopted: list[TensorHandle] = []
        try:
            for handle in end.outputs:
                self._keeper.adopt(handle, holder)
                adopted.append(handle)
        except StaleHandle as error:
            for handle in adopted:
                self._keeper.store.release(handle)
            return replace(end, status="failed", outputs=(), error=str(error))
        return end

    def _waiting(self, executor: ExecutorId, waiting: messages.Waiting) -> None:
        self.output_waits += 1
        batch, nbytes = waiting.batch, waiting.nbytes
        log.warning("executor %s: a result of %d bytes (batch %s) waits for tensor memory", executor, nbytes, batch)
        self._tell(events.ExecutorWaiting(executor, batch, nbytes))

    def _progressed(self, progress: messages.Progress) -> None:
        request_id, _, task = progress.task_id.rpartition("/")
        run = self._runs.get(RequestId(request_id))
        if run is not None and run.on_progress is not None:
            run.on_progress(Progress(run.request_id, task, progress.step, progress.steps, progress.preview))

    def _closed(self, link: ExecutorLink) -> None:
        """The connection ended, and with it all that the executor will ever say: make sure of its death."""
        assert link.executor is not None
        self._links.pop(link.executor, None)
        self._slots.disconnected(link.executor)

    def _lost(self, executor: ExecutorId, reason: str) -> None:
        """The process is dead, everything that it sent has been read, and its leases are reclaimed."""
        self._tell(events.ExecutorLost(executor, reason))

    def _abandoned(self, reason: str) -> None:
        """No executor is left and none can be started: nobody should wait for one."""
        self._defect = f"No executor is left: {reason}"
        for run in self._runs.values():
            if not run.finished.done():
                run.finished.set_exception(RequestFailed(f"{run.request_id}: {self._defect}"))

    def _watch_silence(self) -> None:
        for executor, link in list(self._links.items()):
            if self._clock.now_s() - link.last_heard_s > MAX_SILENCE_S:
                log.warning("executor %s sent nothing for %.0f s: killing it", executor, MAX_SILENCE_S)
                self._slots.kill(executor)
        self._watch = asyncio.get_running_loop().call_later(MAX_SILENCE_S / 4, self._watch_silence)

    # What control orders ----------------------------------------------------------------------------------------

    def _carry_out(self, action: actions.Action) -> None:
        match action:
            case actions.Dispatch():
                self._dispatch(action)
            case actions.Load():
                self._send(action.executor, messages.Load(action.model))
            case actions.Unload():
                self._send(action.executor, messages.Unload(action.model))
            case actions.Stop():
                self._send(action.executor, messages.Stop(action.batch, action.task_id))
            case actions.Join():
                self._send(action.executor, messages.Join(action.batch, action.runs))
            case actions.Yield():
                self._send(action.executor, messages.Yield(action.batch))
            case actions.Assist():
                raise AssertionError(f"{action.executor} announced that it leads no gangs, and was given one to help")
            case actions.Release():
                for handle in action.handles:
                    self._keeper.store.release(handle)
            case actions.Finish():
                self._finish(action)
            case actions.Accept():
                self._runs[action.request_id].lowered = action.lowered

    def _send(self, executor: ExecutorId, order: messages.Order) -> None:
        link = self._links.get(executor)
        if link is not None:
            link.send(order)

    def _dispatch(self, action: actions.Dispatch) -> None:
        link = self._links.get(action.executor)
        if link is None:
            return
        if action.program.id not in link.defined:
            link.defined.add(action.program.id)
            link.send(messages.Define(messages.WireProgram.of(action.program)))
        link.send(messages.Run(action.batch, action.program.id, action.runs))

    def _finish(self, action: actions.Finish) -> None:
        run = self._runs[action.request_id]
        outputs = self._take_outputs(run.plan, action)
        del self._runs[action.request_id]
        run.ended_s = self._clock.now_s()
        if run.finished.done():
            return
        match action.outcome:
            case Outcome.SUCCEEDED:
                run.finished.set_result(Result(run.request_id, outputs, self._clock.now_s() - run.submitted_s))
            case Outcome.REJECTED:
                run.finished.set_exception(Rejected(action.error, action.retry_after_s))
            case Outcome.CANCELLED:
                run.finished.set_exception(Cancelled(f"{run.request_id} was cancelled"))
            case Outcome.EXPIRED:
                run.finished.set_exception(Expired(f"{run.request_id} ({run.plan.workflow}): {action.error}"))
            case Outcome.FAILED:
                run.finished.set_exception(RequestFailed(f"{run.request_id} ({run.plan.workflow}): {action.error}"))

    def _fail(self, request_id: RequestId, error: Exception) -> None:
        """End a run whose result could not be handed out."""
        run = self._runs.pop(request_id, None)
        if run is not None and not run.finished.done():
            run.finished.set_exception(RequestFailed(f"{request_id}: its result could not be read: {error}"))

    def _take_outputs(self, plan: Plan, action: actions.Finish) -> dict[str, object]:
        """Copy the results out of the arena and release them. Two names may stand for one tensor."""
        types = output_types(plan)
        outputs: dict[str, object] = {}
        for name, value in action.results:
            if isinstance(value, TensorHandle):
                outputs[name] = output_of(self._keeper.store, value, types[name])
            else:
                outputs[name] = value
        for handle in dict.fromkeys(value for _, value in action.results if isinstance(value, TensorHandle)):
            self._keeper.store.release(handle)
        return outputs

    def _put_pictures(self, submission: Submission) -> tuple[tuple[str, TensorHandle], ...]:
        tensors: list[tuple[str, TensorHandle]] = []
        declared = {item.name: item for item in submission.plan.inputs}
        try:
            for name, picture in submission.pictures.items():
                array = pixels_of(declared[name], picture, submission.scalars)
                tensors.append((name, put_array(self._keeper.store, array)))
        except Exception:
            for _, handle in tensors:
                self._keeper.store.release(handle)
            raise
        return tuple(tensors)
