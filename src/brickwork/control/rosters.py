"""Who takes part in a running batch: tasks join, end and leave at step boundaries, and its predicted end follows.

It decides nothing: whether a task joins is placement's and batching's choice (`candidates.py`), which batch yields is
pre-emption's (`pressure.py`). Here the roster, its pace and the indexes over them are kept true.
"""

from collections.abc import Iterable

from brickwork.compiler.instance import ConcreteWork
from brickwork.control.actions import Join, Yield
from brickwork.control.lifecycle import drop_checkpoint, move
from brickwork.control.pace import Pace
from brickwork.control.records import BatchRecord, GroupKey, TaskRecord
from brickwork.control.tasks import Trigger
from brickwork.control.turn import Turn
from brickwork.control.values import arguments
from brickwork.core.batch import Checkpoint, Layout, TaskEnd, TaskRun
from brickwork.core.ids import BatchId, TaskId


def pace_of(turn: Turn, device: str, tasks: list[TaskRecord], layout: Layout, start_s: float) -> Pace | None:
    """The pace of a batch that begins to step at `start_s`; None when its program has no loop."""
    head = tasks[0]
    if not head.steps:
        return None
    estimate, works = turn.estimate, head.works
    rest_s = sum([estimate.call_s(device, w.key, w.shape, w.rows * len(tasks)) for w in works if not w.is_step], 0.0)
    left = {task.id: float(task.steps) for task in tasks}
    return Pace(start_s, left, lambda rows: estimate.step_s(device, works, rows, layout), rest_s)


def run_of(task: TaskRecord) -> TaskRun:
    return TaskRun(task.id, task.attempt, arguments(task), task.checkpoint)


def expect_start(turn: Turn, batch: BatchRecord) -> None:
    """A model of a batch has been loaded: after the last one the batch begins, now."""
    state = turn.state
    held = [executor.replicas.get(model) for executor in state.crew(batch) for model in batch.group_models]
    if not all(replica is None or replica.is_loaded for replica in held):
        return
    if batch.pace is None:
        return state.expect_free_at(batch, turn.now_s + batch.run_s)
    if batch.pace.as_of_s > turn.now_s:
        batch.pace.as_of_s = turn.now_s
    state.expect_free_at(batch, batch.pace.end_s())


def join(turn: Turn, batch_id: BatchId, task: TaskRecord) -> None:
    """Order a ready task into a running batch."""
    state = turn.state
    batch = state.batches[batch_id]
    leader, pace = state.executors[batch.executor], batch.pace
    assert pace is not None
    reason = turn.why(f"a step of batch {batch_id} has room")
    move(turn, task, Trigger.DISPATCH, f"joins batch {batch_id} on {leader.id}")
    task.batch = batch_id
    batch.tasks[task.id] = task
    batch.joined.add(task.id)
    pace.advance(turn.now_s)
    pace.left[task.id] = float(task.steps)
    activation_bytes = turn.estimate.activation_bytes(leader.device, task.works, len(batch.running))
    state.expect_free_at(batch, pace.end_s(), activation_bytes)
    for model in task.program.models:
        leader.replicas[model].used_s = turn.now_s
    turn.order(Join(leader.id, batch_id, (run_of(task),), reason), task.request.id)


def shrink(turn: Turn, batch: BatchRecord, ended: Iterable[TaskId]) -> None:
    """Some tasks of a batch have ended, others have not: its steps are shorter from now on."""
    if batch.pace is None:
        return
    batch.pace.advance(turn.now_s)
    for task_id in ended:
        batch.pace.left.pop(task_id, None)
    turn.state.expect_free_at(batch, batch.pace.end_s())


def order_yield(turn: Turn, batch: BatchRecord, beneficiary: GroupKey, reason: str) -> None:
    """Have a batch leave its loop at the next step boundary."""
    assert batch.pace is not None
    begin_s = max(turn.now_s, batch.pace.as_of_s)
    turn.state.order_yield(batch, beneficiary, begin_s + batch.pace.step_s(max(1, len(batch.pace.left))))
    about = [task.request.id for task in batch.running]
    turn.order(Yield(batch.executor, batch.id, turn.why(reason)), *about)


def pause(turn: Turn, batch: BatchRecord, task: TaskRecord, end: TaskEnd) -> bool:
    """A task has left its loop with a checkpoint and is ready again. False when its report makes no sense."""
    done = end.step - (task.checkpoint.step if task.checkpoint else 0)
    carries = task.program.carries
    if not 0 < done < task.steps or (carries is not None and len(end.outputs) != carries):
        return False
    estimate, device = turn.estimate, turn.state.executors[batch.executor].device
    works = tuple(_without(work, done) for work in task.works)
    before_s = estimate.equal_batch_s(device, task.works, 1)
    gained = 1.0 - estimate.equal_batch_s(device, works, 1) / before_s if before_s > 0.0 else 0.0
    turn.state.keep_progress(task, works, gained)
    drop_checkpoint(turn, task)
    task.checkpoint = Checkpoint(end.step, end.outputs)
    task.attempt += 1
    task.rank = turn.policies.rank(task.request.rank_due_s, task.path_s, False, task.rank[1], task.rank[2])
    move(turn, task, Trigger.YIELD, f"batch {batch.id} yielded after step {end.step}")
    return True


def _without(work: ConcreteWork, steps: int) -> ConcreteWork:
    return work._replace(trips=work.trips - steps) if work.is_step else work
