"""What executors say, and what their death says: ends of tasks, results, failures, losses.

A report may come late or twice. An end counts when its batch is in flight, names a task that runs in it, and was not
seen before. Anything else that brings tensors is released, once: (batch, task, attempt) is remembered when it was
seen.
"""

from brickwork.control import rosters
from brickwork.control.events import BatchReported, ExecutorLost, ExecutorWaiting
from brickwork.control.lifecycle import move
from brickwork.control.memory import need_bytes
from brickwork.control.records import BatchRecord, ExecutorRecord, GroupKey, TaskRecord
from brickwork.control.requests import enable, give_up, settle
from brickwork.control.retry import BadEnd, GiveUp
from brickwork.control.tasks import TaskState, Trigger
from brickwork.control.turn import Turn
from brickwork.control.values import let_go, own
from brickwork.core.batch import TaskEnd
from brickwork.core.ids import ExecutorId, RequestId


def report(turn: Turn, event: BatchReported) -> None:
    """Take in the ends of a batch's tasks; when it is the last report, the executor is idle."""
    batch = turn.state.batches.get(event.batch)
    if batch is None:
        return _report_late(turn, event)
    turn.state.set_waiting(batch, False)
    for end in event.ends:
        if (key := (end.task_id, end.attempt)) in batch.seen:
            continue
        batch.seen.add(key)
        task = batch.tasks.get(end.task_id)
        if task is None or task.batch != batch.id or task.attempt != end.attempt:
            _release_unknown(turn, end)
        else:
            _end(turn, batch, task, end)
    if event.is_last:
        _close(turn, batch, event.compute_s)
    else:
        rosters.shrink(turn, batch, [end.task_id for end in event.ends])


def wait(turn: Turn, event: ExecutorWaiting) -> None:
    """Results of a batch find no room: nothing is added to it until it reports. One that has ended waits no more."""
    batch = turn.state.batches.get(event.batch)
    if batch is not None and batch.executor == event.executor:
        turn.state.set_waiting(batch, True)
        for task in batch.running:
            turn.tell(task.request.id, f"batch {batch.id} waits for room for a result of {event.nbytes} bytes")


def lose(turn: Turn, event: ExecutorLost) -> None:
    """Forget an executor and its replicas; what ran on it runs again, or fails as a poison."""
    state = turn.state
    executor = state.executors.get(event.executor)
    if executor is None:
        return
    models = tuple(executor.replicas)
    batch = state.batches[executor.batch] if executor.batch else None
    if batch is not None and batch.executor != executor.id:
        state.drop_helper(batch, executor)  # its leader will miss it, and end the batch
        batch, models = None, ()
    if batch is not None:
        _free(turn, batch)
    state.remove_executor(executor)
    state.ready.unpark_for(executor.id, models)
    if batch is not None:
        for task in batch.running:
            _end_bereft(turn, batch, task, f"executor {executor.id} was lost ({event.reason})")


def _report_late(turn: Turn, event: BatchReported) -> None:
    """A report about a batch that is not in flight: release what it brings, unless it brought that before."""
    seen = turn.state.seen_ends(event.batch)
    for end in event.ends:
        key = (end.task_id, end.attempt)
        if seen is not None and key not in seen:
            seen.add(key)
            _release_unknown(turn, end)


def _release_unknown(turn: Turn, end: TaskEnd) -> None:
    request_id = RequestId(end.task_id.rpartition("/")[0])
    turn.release(list(end.outputs), request_id, f"nobody waits for {end.task_id}#{end.attempt}")


def _end(turn: Turn, batch: BatchRecord, task: TaskRecord, end: TaskEnd) -> None:
    """One task of a batch in flight has ended."""
    if task.state is TaskState.STOPPING:
        batch.is_whole = False
        turn.release(list(end.outputs), task.request.id, "its request ends early")
        _end_stopped(turn, task)
    elif end.status == "done" and len(end.outputs) == len(task.plan.results):
        _finish(turn, task, end)
    elif end.status == "yielded" and rosters.pause(turn, batch, task, end):
        batch.is_whole = False
    elif end.status == "bereft":
        _end_bereft(turn, batch, task, end.error or "a helper was lost")
    else:
        turn.release(list(end.outputs), task.request.id, "the task did not end well")
        _end_badly(turn, batch, task, _complaint(task, end))


def _complaint(task: TaskRecord, end: TaskEnd) -> str:
    if end.status == "done":
        return f"The executor returned {len(end.outputs)} results of {task.id} instead of {len(task.plan.results)}."
    return end.error or f"The executor ended {task.id} as {end.status!r} without saying why."


def _finish(turn: Turn, task: TaskRecord, end: TaskEnd) -> None:
    """Take over the results of a task, let its inputs go, enable what waited for it."""
    request = task.request
    move(turn, task, Trigger.FINISH)
    unread = own(request, zip(task.plan.results, end.outputs, strict=True))
    turn.release(unread + let_go(request, task.plan.args), request.id, f"the last reader {task.id} is done")
    followers = [request.tasks[name] for name in request.facts.followers[task.plan.name]]
    for follower in followers:
        follower.missing -= 1
    enable(turn, [follower for follower in followers if follower.missing == 0])
    settle(turn, request)


def _end_stopped(turn: Turn, task: TaskRecord) -> None:
    move(turn, task, Trigger.END)
    turn.release(let_go(task.request, task.plan.args), task.request.id, f"its reader {task.id} has stopped")
    settle(turn, task.request)


def _end_bereft(turn: Turn, batch: BatchRecord, task: TaskRecord, error: str) -> None:
    """The task lost its executor, or one that helped."""
    task.lost += 1
    task.lost_alone += len(batch.tasks) == 1
    _end_badly(turn, batch, task, error, lost_executor=True)


def _end_badly(turn: Turn, batch: BatchRecord, task: TaskRecord, error: str, lost_executor: bool = False) -> None:
    """A task failed, or lost its executor: it runs again, or its request fails."""
    batch.is_whole = False
    if task.state is TaskState.STOPPING:
        return _end_stopped(turn, task)
    was_alone = len(batch.tasks) == 1
    task.failed_alone += was_alone and not lost_executor
    has_other = _has_other(turn, task, batch.executor)
    verdict = turn.policies.retry(
        BadEnd(lost_executor, was_alone, task.lost, task.lost_alone, task.failed_alone, has_other, error)
    )
    if isinstance(verdict, GiveUp):
        return give_up(turn, task, f"Task {task.plan.name} of request {task.request.id} failed: {verdict.error}")
    task.attempt += 1
    if verdict.alone:
        task.set_alone()
    task.avoid = batch.executor if verdict.elsewhere else None
    task.rank = (task.rank[0] + verdict.later_s, *task.rank[1:])
    move(turn, task, Trigger.RETRY, verdict.reason)


def _has_other(turn: Turn, task: TaskRecord, executor: ExecutorId) -> bool:
    """Is there another executor that could hold the task?"""
    others = [turn.state.executors[each] for each in turn.state.by_budget.first(2) if each != executor]
    return any(need_bytes(turn, task, other.device) <= other.memory_bytes for other in others)


def _close(turn: Turn, batch: BatchRecord, compute_s: float) -> None:
    """The executor has nothing left of the batch: learn from its time, and let its executors be used again."""
    state, leader = turn.state, turn.state.executors[batch.executor]
    _free(turn, batch)
    for task in batch.running:
        if task.id in batch.joined and task.state is TaskState.DISPATCHED:
            task.attempt += 1
            move(turn, task, Trigger.YIELD, f"batch {batch.id} had ended before it could join")
        else:
            _end_badly(turn, batch, task, f"Executor {leader.id} ended batch {batch.id} without reporting {task.id}.")
    predicted = {key: seconds / batch.speedup for key, seconds in batch.predicted.items()}
    is_more = compute_s > sum(predicted.values())  # than all of it should have taken, whatever was left out
    if (batch.is_whole or is_more) and not batch.joined:
        state.correction.learn(leader.device, predicted, compute_s)
        state.measured_s = turn.now_s


def _free(turn: Turn, batch: BatchRecord) -> None:
    """The executors of a batch are idle again: whoever waits for one of them, or for what it holds, is looked at."""
    crew = turn.state.crew(batch)
    turn.state.close_batch(batch)
    for executor in crew:
        turn.state.ready.unpark_for(executor.id, executor.replicas)
    turn.has_freed = True
    if batch.yields_to is not None and batch.yields_to != batch.group:
        turn.handed.append((_lacks_least(turn, crew, batch.yields_to), batch.yields_to))


def _lacks_least(turn: Turn, crew: list[ExecutorRecord], key: GroupKey) -> ExecutorId:
    """Of the executors of a batch that has yielded the one that the group needs; the leader, if it is all the same."""
    group = turn.state.ready.groups.get(key)
    if group is None:
        return crew[0].id
    head = turn.state.ready.head(group)

    def lacking(executor: ExecutorRecord) -> int:
        return sum(model.weight_bytes for model in head.needs.models if model.id not in executor.replicas)

    return min(crew, key=lacking).id
