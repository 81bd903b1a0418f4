"""The life of a request: it arrives, is accepted or refused, may be cancelled, and ends exactly once."""

from brickwork.control.actions import Accept, Finish, Stop
from brickwork.control.admission import Admitted, Refused
from brickwork.control.events import CancelRequested, RequestArrived
from brickwork.control.fetch import fetch
from brickwork.control.forecast import is_outdated, judge, learn_end
from brickwork.control.instances import instantiate
from brickwork.control.lateness import watch
from brickwork.control.lifecycle import move
from brickwork.control.lowering import lower, lowered_inputs
from brickwork.control.memory import need_bytes, too_large
from brickwork.control.promises import Promise, is_due
from brickwork.control.records import RequestRecord, TaskRecord
from brickwork.control.scaling import note
from brickwork.control.tasks import RUNNING, TaskState, Trigger
from brickwork.control.turn import Turn
from brickwork.control.values import let_go, own
from brickwork.control.warming import warm
from brickwork.core.request import Outcome

QUOTA_RETRY_S = 1.0
"""What a request over its tenant's quota is told: one of the others may end at any time."""


def arrive(turn: Turn, event: RequestArrived) -> None:
    """Accept or refuse a request. A repeated arrival is ignored: its tensors are those of the first."""
    state, request_id = turn.state, event.request.id
    if request_id in state.requests or request_id in state.finished:
        return turn.tell(request_id, "arrived again, ignored")
    if not state.tenants.has_room(event.request.tenant):
        return _refuse_over_quota(turn, event)
    request = instantiate(turn, event)
    if is_outdated(turn, request):
        state.correction.forget(request.device, {work.key for task in request.tasks.values() for work in task.works})
        request = instantiate(turn, event)
    state.promises.expire(turn.now_s)
    if request.has_deadline:
        state.shares.ask(turn.now_s, request.request.workflow, request.work_s)
    promise = state.promises.find(event.request.resend_key)
    _count_offer(turn, request, is_new=promise is None)
    for task in request.tasks.values():
        need = need_bytes(turn, task, turn.device)
        state.largest_need_bytes = max(state.largest_need_bytes, need)
        if error := too_large(turn, task, need):
            return _refuse(turn, event, Outcome.FAILED, error, None)
    verdict = judge(turn, request, promise)
    if isinstance(verdict, Refused) and event.request.slo.degrade:
        request, verdict = lower(turn, event, request, promise, verdict)
    if isinstance(verdict, Refused):
        _promise(turn, request, promise, verdict)
        if request.has_deadline and verdict.retry_after_s is not None:
            state.shares.learn(request.request.workflow, is_served=False)
        return _refuse(turn, event, Outcome.REJECTED, verdict.error, verdict.retry_after_s)
    if promise is not None:
        state.promises.keep(promise)
    _accept(turn, event, request, verdict)


def _count_offer(turn: Turn, request: RequestRecord, is_new: bool) -> None:
    """The set was asked for the request's device seconds. One that comes back as it was told has been counted."""
    if is_new:
        turn.state.offered += 1
        turn.state.offered_s += request.work_s


def _refuse_over_quota(turn: Turn, event: RequestArrived) -> None:
    most = turn.state.tenants.terms(event.request.tenant).max_requests
    error = f"Tenant {event.request.tenant} has {most} requests in the system, as many as it may; wait for one to end."
    _refuse(turn, event, Outcome.REJECTED, error, QUOTA_RETRY_S)


def _accept(turn: Turn, event: RequestArrived, request: RequestRecord, verdict: Admitted) -> None:
    turn.state.add_request(request)
    note(turn, request)
    request.wait_s = verdict.wait_s
    accept = Accept(request.id, verdict.predicted_finish_s, turn.why("admitted"), lowered_inputs(event, request))
    turn.order(accept, request.id)
    turn.release(own(request, event.tensors), request.id, "no task reads it")
    enable(turn, [task for task in request.tasks.values() if task.missing == 0])
    fetch(turn, request)
    watch(turn, request)
    settle(turn, request)


def _promise(turn: Turn, request: RequestRecord, promise: Promise | None, verdict: Refused) -> None:
    """Hold devices for a refused request from the time that it is told, and have its models there by then."""
    promises = turn.state.promises
    if promise is not None and is_due(promise, turn.now_s):
        promises.withdraw(promise)
    if verdict.retry_after_s is not None:
        work_s = request.work_s
        slack_s = max(0.0, request.due_s - request.path_s - request.arrived_s)
        promises.give(request.request.resend_key, turn.now_s + verdict.retry_after_s, slack_s, work_s)
        warm(turn, request)


def cancel(turn: Turn, event: CancelRequested) -> None:
    """End a request on its owner's wish. A request that is unknown or has ended is not touched."""
    if request := turn.state.requests.get(event.request_id):
        end_early(turn, request, Outcome.CANCELLED, "The request was cancelled by its owner.")


def enable(turn: Turn, tasks: list[TaskRecord]) -> None:
    for task in tasks:
        move(turn, task, Trigger.ENABLE)


def give_up(turn: Turn, task: TaskRecord, error: str) -> None:
    """A task has failed for good, and its request with it."""
    move(turn, task, Trigger.GIVE_UP, error)
    turn.release(let_go(task.request, task.plan.args), task.request.id, f"their reader {task.id} has failed")
    end_early(turn, task.request, Outcome.FAILED, error)


def end_early(turn: Turn, request: RequestRecord, outcome: Outcome, error: str) -> None:
    """The request can no longer succeed: stop what runs, drop what does not. The first reason counts."""
    if request.ending:
        return
    request.ending = (outcome, error, turn.why("ended early"))
    freed = let_go(request, request.facts.outputs)
    for task in request.tasks.values():
        if task.state is TaskState.DISPATCHED:
            _stop(turn, task)
        elif task.state in (TaskState.WAITING, TaskState.READY):
            move(turn, task, Trigger.CANCEL)
            freed += let_go(request, task.plan.args)
    turn.release(freed, request.id, "the request ends early")
    settle(turn, request)


def settle(turn: Turn, request: RequestRecord) -> None:
    """Finish the request if nothing of it is left to run."""
    if request.ending and request.running == 0:
        outcome, error, cause = request.ending
        _finish(turn, request, Finish(request.id, outcome, (), error, None, cause))
    elif not request.ending and request.open == 0:
        results = tuple(
            (name, request.scalars[value] if value in request.scalars else request.values[value].handle)
            for name, value in request.facts.plan.outputs
        )
        cause = turn.why("all tasks are done")
        _finish(turn, request, Finish(request.id, Outcome.SUCCEEDED, results, "", None, cause))


def _finish(turn: Turn, request: RequestRecord, finish: Finish) -> None:
    learn_end(turn, request, finish.outcome)
    turn.state.remove_request(request)
    turn.order(finish, request.id)


def _stop(turn: Turn, task: TaskRecord) -> None:
    assert task.batch is not None and task.state in RUNNING
    executor = turn.state.batches[task.batch].executor
    turn.order(Stop(executor, task.batch, task.id, turn.why("its request ends early")), task.request.id)
    move(turn, task, Trigger.STOP)


def _refuse(turn: Turn, event: RequestArrived, outcome: Outcome, error: str, retry_after_s: float | None) -> None:
    request_id = event.request.id
    handles = [handle for _, handle in event.tensors]
    turn.release(handles, request_id, "the request was refused")
    turn.state.remember_finished(request_id)
    cause = turn.why("not admitted")
    turn.order(Finish(request_id, outcome, (), error, retry_after_s, cause), request_id)
