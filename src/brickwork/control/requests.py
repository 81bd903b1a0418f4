"""The life of a request: it arrives, is accepted or refused, may be cancelled, and ends exactly once."""

from math import ceil

from brickwork.compiler.instance import remaining_s, resolve, shape_key, task_work
from brickwork.control.actions import Accept, Finish, Stop
from brickwork.control.admission import Arrival, Refused
from brickwork.control.events import CancelRequested, RequestArrived
from brickwork.control.lifecycle import move
from brickwork.control.memory import too_large
from brickwork.control.records import RequestRecord, TaskRecord
from brickwork.control.scheduling import soft_deadline_s
from brickwork.control.tasks import RUNNING, TaskState, Trigger
from brickwork.control.turn import Turn
from brickwork.control.values import let_go, own
from brickwork.core.ids import task_id
from brickwork.core.request import Outcome


def arrive(turn: Turn, event: RequestArrived) -> None:
    """Accept or refuse a request. A repeated arrival is ignored: its tensors are those of the first."""
    state, request_id = turn.state, event.request.id
    if request_id in state.requests or request_id in state.finished:
        return turn.tell(request_id, "arrived again, ignored")
    request = _instantiate(turn, event)
    for task in request.tasks.values():
        if error := too_large(turn, task):
            return _refuse(turn, event, Outcome.FAILED, error, None)
    verdict = turn.policies.admit(_arrival(turn, request))
    if isinstance(verdict, Refused):
        return _refuse(turn, event, Outcome.REJECTED, verdict.error, verdict.retry_after_s)
    state.add_request(request)
    turn.order(Accept(request_id, verdict.predicted_finish_s, turn.why("admitted")), request_id)
    turn.release(own(request, event.tensors), request_id, "no task reads it")
    enable(turn, [task for task in request.tasks.values() if task.missing == 0])
    settle(turn, request)


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


def _arrival(turn: Turn, request: RequestRecord) -> Arrival:
    """What admission is told about the request and the system."""
    state = turn.state
    nowhere = [model for model in request.facts.models.values() if not state.replicas(model.id)]
    paths_s = remaining_s(request.facts.plan, lambda task: _crowded_s(turn, request.tasks[task.name]))
    return Arrival(
        now_s=turn.now_s,
        deadline_s=request.due_s if request.has_deadline else None,
        path_s=request.path_s,
        crowded_path_s=max(paths_s.values(), default=0.0),
        load_s=sum(turn.estimate.load_s(turn.device, model) for model in nowhere),
        ahead_s=state.deadline_work_s if request.has_deadline else state.work_s,
        first_free_s=state.first_free_s(turn.now_s),
        executors=len(state.executors),
        queued=len(state.requests),
    )


def _crowded_s(turn: Turn, task: TaskRecord) -> float:
    """Seconds of the task in a batch as large as the queue suggests: of all requests, each executor takes its part."""
    state = turn.state
    size = 1 + ceil(len(state.requests) / max(1, len(state.executors)))
    limit = 1 if task.group[2] else turn.estimate.limit(turn.device, task.program.id, task.shape, task.works)
    return turn.estimate.equal_batch_s(turn.device, task.works, min(size, limit))


def _instantiate(turn: Turn, event: RequestArrived) -> RequestRecord:
    """Records of a request and its tasks, not yet part of the state."""
    plan, request, facts = event.plan, event.request, turn.state.facts(event.plan)
    scalars = resolve(plan, dict(request.values))
    works = {task.name: task_work(plan, task, scalars) for task in plan.tasks}
    lone_s = {name: turn.estimate.equal_batch_s(turn.device, work, 1) for name, work in works.items()}
    paths_s = remaining_s(plan, lambda task: lone_s[task.name])
    path_s = max(paths_s.values(), default=0.0)
    given_s = request.slo.deadline_s
    due_s = soft_deadline_s(turn.now_s, path_s) if given_s is None else turn.now_s + given_s
    record = RequestRecord(request.id, request, facts, turn.state.next_request_number(), due_s, due_s, path_s, scalars)
    for position, task in enumerate(plan.tasks):
        program, shape = facts.programs[task.program], shape_key(plan, task, scalars)
        limit = (
            1 if request.slo.deterministic else turn.estimate.limit(turn.device, program.id, shape, works[task.name])
        )
        record.tasks[task.name] = TaskRecord(
            id=task_id(request.id, task.name),
            request=record,
            plan=task,
            program=program,
            works=works[task.name],
            shape=shape,
            rank=turn.policies.rank(due_s, paths_s[task.name], record.number, position),
            path_s=paths_s[task.name],
            lone_s=lone_s[task.name],
            share_s=turn.estimate.equal_batch_s(turn.device, works[task.name], limit) / limit,
            missing=len(task.after),
        )
    return record
