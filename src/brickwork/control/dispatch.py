"""Gives idle executors work: most urgent group first, each where it would finish first.

A group that would rather wait for a busy executor is parked, and so is one that no executor at hand can hold. Every
pass through the loop starts a batch or parks a group, so it ends; the cost of an event is proportional to what it
changes.
"""

from brickwork.control.actions import Assist, Dispatch
from brickwork.control.ahead import load_ahead, look_ahead
from brickwork.control.batching import BatchView
from brickwork.control.candidates import joins, spot_at, spots
from brickwork.control.gangs import Gang, helper_models, slack_s, spread
from brickwork.control.lifecycle import move
from brickwork.control.loads import load, unload
from brickwork.control.memory import need_bytes, too_large, unloads
from brickwork.control.placement import Spot
from brickwork.control.pressure import press, widen
from brickwork.control.ready import Group, Park
from brickwork.control.records import BatchRecord, ExecutorRecord, GroupKey, TaskRecord
from brickwork.control.requests import give_up
from brickwork.control.rosters import join, pace_of, run_of
from brickwork.control.tasks import Trigger
from brickwork.control.turn import Turn
from brickwork.core.batch import WHOLE
from brickwork.core.ids import ExecutorId, ModelId
from brickwork.core.model import ModelSpec

MAX_HOMELESS_S = 120.0
"""How long ready tasks wait while no executor at hand can hold them (all lost, or the large ones are): time enough
for a machine to restart. Then their requests fail."""

MIN_RECHECK_S = 1e-3
"""Shortest time after which a parked group is looked at again."""

PRESS_RECHECK_S = 5.0
"""A group for which batches yield looks again after so long at the latest: longer than any step that we know takes."""

MIN_LOOK_S = 0.05
"""Shortest time after which a group that can just wait is looked at again, while no executor is idle."""

MAX_FRESH = 4
"""Groups that are looked at in one event while no executor is idle; the others with the next event."""


def dispatch_ready(turn: Turn) -> None:
    """Start batches until no executor is idle or no group wants an idle one; then see who cannot wait."""
    state = turn.state
    for executor, key in turn.handed:
        _take_handed(turn, executor, key)
    idle = state.idle_by_free
    while (group := state.ready.first()) and (len(idle) or not state.executors):
        _place(turn, group)
    if not len(idle):
        for group in state.ready.take_fresh(MAX_FRESH):
            _squeeze_in(turn, group)
        look_ahead(turn)
    widen(turn)


def _take_handed(turn: Turn, executor_id: ExecutorId, key: GroupKey) -> None:
    """A batch has yielded: the group that it yielded to goes first, or the batch would take its device again."""
    executor, group = turn.state.executors.get(executor_id), turn.state.ready.groups.get(key)
    if executor is not None and executor.batch is None and group is not None:
        head = turn.state.ready.head(group)
        if spot := spot_at(turn, group, head, executor):
            _start(turn, group, spot)


def _place(turn: Turn, group: Group) -> None:
    """Start a batch of the group, let a task of it join one, or park it."""
    ready, head = turn.state.ready, turn.state.ready.head(group)
    chosen = turn.policies.place(spots(turn, group, head) + joins(turn, group, head))
    if chosen is None:
        return _keep_homeless(turn, group)
    group.homeless_s = None
    if chosen.joins is not None:
        return join(turn, chosen.joins, head)
    if not chosen.is_idle and load_ahead(turn, head, chosen.executor):
        loading_s = turn.state.executors[chosen.executor].loading_until_s - turn.now_s
        return ready.park(group, Park(chosen.executor, chosen.run_s, turn.now_s + max(MIN_LOOK_S, loading_s)))
    slack = slack_s(turn, head)
    is_late = slack is not None and chosen.finish_s > slack
    waits = not chosen.is_idle or chosen.wait_s + chosen.load_s > 0.0
    asked = press(turn, group, chosen.finish_s, nobody_idle=False) if is_late or waits else None
    if asked is not None:
        ready.park(group, Park(asked, chosen.run_s, turn.now_s + PRESS_RECHECK_S))
    elif chosen.is_idle:
        _start(turn, group, chosen)
    else:
        ready.park(group, Park(chosen.executor, chosen.run_s, turn.now_s + max(MIN_RECHECK_S, chosen.wait_s)))


def _squeeze_in(turn: Turn, group: Group) -> None:
    """No executor is idle: let tasks of the group join running batches, or have such yield for them."""
    ready = turn.state.ready
    while group.size:
        head = ready.head(group)
        chosen = turn.policies.place(spots(turn, group, head) + joins(turn, group, head))
        if chosen is None or chosen.joins is None:
            break
        join(turn, chosen.joins, head)
    if not group.size or chosen is None:
        return
    if load_ahead(turn, head, chosen.executor):  # nobody has to yield to it before its models are there
        loading_s = turn.state.executors[chosen.executor].loading_until_s - turn.now_s
        return ready.look_again(group, turn.now_s + max(MIN_LOOK_S, loading_s))
    asked = press(turn, group, chosen.finish_s, nobody_idle=True)
    if asked is None and (slack := slack_s(turn, head)) is not None:
        left_s = slack - chosen.finish_s
        if left_s > 0.0:  # it makes it if all goes as predicted: look again before that is too late
            ready.look_again(group, turn.now_s + max(MIN_LOOK_S, left_s / 2))


def _keep_homeless(turn: Turn, group: Group) -> None:
    """Park a group that nobody can hold now; fail its tasks if nobody ever could, or it has waited too long."""
    ready, head = turn.state.ready, turn.state.ready.head(group)
    since_s = group.homeless_s = turn.now_s if group.homeless_s is None else group.homeless_s
    if not _too_large(turn, head) and turn.now_s < since_s + MAX_HOMELESS_S:
        return ready.park(group, Park(None, 0.0, since_s + MAX_HOMELESS_S))
    while group.size:
        task = ready.head(group)
        give_up(turn, task, _too_large(turn, task) or _waited_too_long(turn, task))


def _too_large(turn: Turn, task: TaskRecord) -> str:
    return too_large(turn, task, need_bytes(turn, task, turn.device))


def _waited_too_long(turn: Turn, task: TaskRecord) -> str:
    return (
        f"Task {task.plan.name} of request {task.request.id} waited {MAX_HOMELESS_S:.0f} s for an executor with "
        f"{need_bytes(turn, task, turn.device):,} bytes of memory; there is none. Start one."
    )


def _start(turn: Turn, group: Group, spot: Spot) -> None:
    """Order the unloads, loads and the dispatch of a batch on an idle executor."""
    state, executor = turn.state, turn.state.executors[spot.executor]
    ready = group.size
    limit = _limit(turn, group, state.ready.head(group), executor)
    tasks = _choose(turn, group, spot, executor, limit)
    head, size = tasks[0], len(tasks)
    start_s = spot.wait_s + spot.load_s + spot.transfer_s
    gang = spread(turn, head, executor, start_s) if size == 1 else Gang(WHOLE, (), start_s)
    reason = turn.why(f"{size} of {ready} ready, done soonest on {executor.id}")
    activation_bytes = turn.estimate.activation_bytes(executor.device, head.works, size)
    leaving = unloads(turn, head, executor, head.needs.weight_bytes + activation_bytes)
    assert leaving is not None, f"policy `unload` cannot make room on {executor.id} for {head.id}"
    _make_resident(turn, executor, head, head.needs.models, leaving, reason)
    batch = _record(turn, executor, group, tasks, limit, gang)
    for k, helper in enumerate(gang.helpers):
        _make_resident(turn, helper, head, helper_models(head, gang.layout, k), (), reason)
        turn.order(Assist(helper.id, batch.id, executor.id, reason), head.request.id)
    runs = []
    for task in tasks:
        move(turn, task, Trigger.DISPATCH, f"batch {batch.id} on {executor.id}")
        task.batch = batch.id
        runs.append(run_of(task))
    turn.looks_ahead = True
    state.start_batch(batch, turn.now_s + gang.start_s + batch.run_s, activation_bytes)
    about = [task.request.id for task in tasks]
    order = Dispatch(executor.id, batch.id, head.program, tuple(runs), reason, gang.layout, batch.helpers)
    turn.order(order, *about)


def _choose(turn: Turn, group: Group, spot: Spot, executor: ExecutorRecord, limit: int) -> list[TaskRecord]:
    """The tasks of the group that run together, of at most `limit`."""
    state, head = turn.state, turn.state.ready.head(group)
    tasks = state.ready.peek(group, limit)
    if len(tasks) == 1:
        return tasks
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
    turn: Turn,
    executor: ExecutorRecord,
    head: TaskRecord,
    models: tuple[ModelSpec, ...],
    leaving: tuple[ModelId, ...],
    reason: str,
) -> None:
    unload(turn, executor, leaving, reason, head.request.id)
    for model in models:
        if model.id not in executor.replicas:
            load(turn, executor, model, reason, head.request.id)
        executor.replicas[model.id].used_s = turn.now_s


def _record(
    turn: Turn, executor: ExecutorRecord, group: Group, tasks: list[TaskRecord], limit: int, gang: Gang
) -> BatchRecord:
    estimate, device, works = turn.estimate, executor.device, [task.works for task in tasks]
    run_s = estimate.batch_s(device, works)
    batch = BatchRecord(
        id=turn.state.next_batch_id(),
        executor=executor.id,
        group=group.key,
        tasks={task.id: task for task in tasks},
        predicted=estimate.raw_shares_s(device, works),
        run_s=run_s,
        limit=limit,
        layout=gang.layout,
        helpers=tuple(helper.id for helper in gang.helpers),
        pace=pace_of(turn, device, tasks, gang.layout, turn.now_s + gang.start_s),
    )
    if gang.helpers:
        batch.run_s = estimate.layout_s(device, tasks[0].works, gang.layout)
        batch.speedup = run_s / max(1e-9, batch.run_s)
    return batch
