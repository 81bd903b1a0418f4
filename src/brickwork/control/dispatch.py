"""Gives idle executors work: most urgent group first, each where it would finish first.

A group that would rather wait for a busy executor is parked, and so is one that no executor at hand can hold. Every
pass through the loop starts a batch or parks a group, so it ends; the cost of an event is proportional to what it
changes.
"""

from brickwork.control.actions import Dispatch, Load, Unload
from brickwork.control.batching import BatchView
from brickwork.control.candidates import spots
from brickwork.control.lifecycle import move
from brickwork.control.memory import need_bytes, too_large, unloads
from brickwork.control.placement import Spot
from brickwork.control.ready import Group, Park
from brickwork.control.records import BatchRecord, ExecutorRecord, TaskRecord
from brickwork.control.requests import give_up
from brickwork.control.tasks import Trigger
from brickwork.control.turn import Turn
from brickwork.control.values import arguments
from brickwork.core.batch import TaskRun
from brickwork.core.ids import ModelId

MAX_HOMELESS_S = 120.0
"""How long ready tasks wait while no executor at hand can hold them (all lost, or the large ones are): time enough
for a machine to restart. Then their requests fail."""

MIN_RECHECK_S = 1e-3
"""Shortest time after which a parked group is looked at again."""


def dispatch_ready(turn: Turn) -> None:
    """Start batches until no executor is idle or no group wants an idle one."""
    state = turn.state
    while (group := state.ready.first()) and (len(state.idle_by_free) or not state.executors):
        offered = spots(turn, group, state.ready.head(group))
        chosen = turn.policies.place(offered)
        if chosen is None:
            _keep_homeless(turn, group)
            continue
        group.homeless_s = None
        if chosen.is_idle:
            _start(turn, group, chosen)
        else:
            recheck_s = turn.now_s + max(MIN_RECHECK_S, chosen.wait_s)
            state.ready.park(group, Park(chosen.executor, chosen.run_s, recheck_s))


def _keep_homeless(turn: Turn, group: Group) -> None:
    """Park a group that nobody can hold now; fail its tasks if nobody ever could, or it has waited too long."""
    ready, head = turn.state.ready, turn.state.ready.head(group)
    since_s = group.homeless_s = turn.now_s if group.homeless_s is None else group.homeless_s
    if not too_large(turn, head) and turn.now_s < since_s + MAX_HOMELESS_S:
        return ready.park(group, Park(None, 0.0, since_s + MAX_HOMELESS_S))
    while group.size:
        task = ready.head(group)
        give_up(turn, task, too_large(turn, task) or _waited_too_long(turn, task))


def _waited_too_long(turn: Turn, task: TaskRecord) -> str:
    return (
        f"Task {task.plan.name} of request {task.request.id} waited {MAX_HOMELESS_S:.0f} s for an executor with "
        f"{need_bytes(turn, task, turn.device):,} bytes of memory; there is none. Start one."
    )


def _start(turn: Turn, group: Group, spot: Spot) -> None:
    """Order the unloads, loads and the dispatch of a batch on an idle executor."""
    state, executor = turn.state, turn.state.executors[spot.executor]
    ready = group.size
    tasks = _choose(turn, group, spot, executor)
    head, size = tasks[0], len(tasks)
    reason = turn.why(f"{size} of {ready} ready, done soonest on {executor.id}")
    leaving = unloads(turn, head, executor, need_bytes(turn, head, executor.device, size))
    assert leaving is not None, f"policy `unload` cannot make room on {executor.id} for {head.id}"
    _make_resident(turn, executor, head, leaving, reason)
    batch = _record(turn, executor, tasks, spot)
    runs = []
    for task in tasks:
        move(turn, task, Trigger.DISPATCH, f"batch {batch.id} on {executor.id}")
        task.batch = batch.id
        runs.append(TaskRun(task.id, task.attempt, arguments(task)))
    state.start_batch(
        batch,
        free_at_s=turn.now_s + spot.load_s + spot.transfer_s + batch.run_s,
        activation_bytes=turn.estimate.activation_bytes(executor.device, head.works, size),
    )
    about = [task.request.id for task in tasks]
    turn.order(Dispatch(executor.id, batch.id, head.program, tuple(runs), reason), *about)


def _choose(turn: Turn, group: Group, spot: Spot, executor: ExecutorRecord) -> list[TaskRecord]:
    """The tasks of the group that run together."""
    state, head = turn.state, turn.state.ready.head(group)
    limit = _limit(turn, group, head, executor)
    tasks = state.ready.peek(group, limit)
    heaviest = head.needs.heaviest[:1]
    holders = len(state.models[heaviest[0]].idle_holders) if heaviest else len(state.idle_by_free)
    view = BatchView(
        start_s=turn.now_s + spot.load_s + spot.transfer_s,
        ready=group.size,
        holders=holders + (1 if heaviest and heaviest[0] not in executor.replicas else 0),
        limit=limit,
        deadlines_s=[task.request.due_s if task.request.has_deadline else None for task in tasks],
        run_s=lambda count: turn.estimate.batch_s(executor.device, [task.works for task in tasks[:count]]),
    )
    return tasks[: turn.policies.size(view)]


def _limit(turn: Turn, group: Group, head: TaskRecord, executor: ExecutorRecord) -> int:
    """Tasks worth running together that also fit the executor's memory."""
    if group.key[2]:  # a lane in which tasks run alone
        return 1
    limit = turn.estimate.limit(executor.device, head.program.id, head.shape, head.works)
    while limit > 1 and need_bytes(turn, head, executor.device, limit) > executor.memory_bytes:
        limit -= 1
    return limit


def _make_resident(
    turn: Turn, executor: ExecutorRecord, head: TaskRecord, leaving: tuple[ModelId, ...], reason: str
) -> None:
    state = turn.state
    for model_id in leaving:
        turn.order(Unload(executor.id, model_id, reason), head.request.id)
        state.remove_replica(executor, model_id)
    for model in head.needs.models:
        if model.id not in executor.replicas:
            turn.order(Load(executor.id, model, reason), head.request.id)
            state.add_replica(executor, model, turn.now_s)
        executor.replicas[model.id].used_s = turn.now_s


def _record(turn: Turn, executor: ExecutorRecord, tasks: list[TaskRecord], spot: Spot) -> BatchRecord:
    works = [task.works for task in tasks]
    return BatchRecord(
        id=turn.state.next_batch_id(),
        executor=executor.id,
        tasks={task.id: task for task in tasks},
        predicted=turn.estimate.raw_shares_s(executor.device, works),
        run_s=turn.estimate.batch_s(executor.device, works),
    )
