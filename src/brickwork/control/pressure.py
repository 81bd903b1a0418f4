"""Takes devices back at step boundaries for tasks that wait, and gives idle ones to batches that run.

A group of ready tasks *presses* when no idle executor would serve it in time, or at once. First a batch that is spread
over several devices gives them back, if it can afford that; then a batch with laxity yields to a task that would be
late, or that is short (`preemption.py`); if it is spread, any of its devices may be the one that is wanted. One batch
yields for every batch of the group, so a burst is answered at once and not one by one. A device that is handed back
goes to the group for which it was.

When nothing waits and devices are idle, the running batch with least laxity may be spread wider; it yields too, and is
dispatched again with more devices. Few batches are looked at, found by indexes; nothing is done twice for one task.
"""

from collections.abc import Iterator

from brickwork.control.gangs import slack_s, wider
from brickwork.control.memory import need_bytes, unloads
from brickwork.control.preemption import UrgentView, Victim
from brickwork.control.ready import Group
from brickwork.control.records import BatchRecord, ExecutorRecord, TaskRecord
from brickwork.control.rosters import order_yield
from brickwork.control.turn import Turn
from brickwork.core.ids import ExecutorId

MAX_PRESSED = 8
"""Batches that yield for one group at a time."""

MAX_LOOKED_AT = 3
"""Batches of each index that are compared as victims."""


def press(turn: Turn, group: Group, finish_s: float, nobody_idle: bool) -> ExecutorId | None:
    """Have batches yield for a group, as far as it needs that and they can afford it.

    finish_s    seconds until its head would be done without that
    nobody_idle there is no idle device, so that those of wide batches are wanted
    returns     a device that will be handed back for it; None when none will
    """
    state = turn.state
    head = state.ready.head(group)
    limit = 1 if group.key[2] else turn.estimate.limit(turn.device, head.program.id, head.shape, head.works)
    pressed = state.pressed.get(group.key, {})
    firsts = state.ready.peek(group, MAX_PRESSED * limit)[::limit]
    for task in firsts[len(pressed) :]:
        batch = (_wide(turn) if nobody_idle else None) or _victim(turn, task, finish_s)
        if batch is None:
            break
        order_yield(turn, batch, group.key, f"{task.id} cannot wait")
    asked = state.pressed.get(group.key, {})
    return state.batches[next(iter(asked))].executor if asked else None


def widen(turn: Turn) -> None:
    """Spread the running batch with least laxity wider, when devices are idle and nothing waits for them."""
    state = turn.state
    if not turn.has_freed or state.ready.groups or not len(state.idle_by_free):
        return
    for executor_id in state.busy_by_laxity.last(MAX_LOOKED_AT):
        leader = state.executors[executor_id]
        assert leader.batch is not None
        batch = state.batches[leader.batch]
        running, pace = batch.running, batch.pace
        if len(running) != 1 or batch.group[2] or leader.max_degree == 1 or pace is None:
            continue
        pace.advance(turn.now_s)
        left = pace.left.get(running[0].id, 0.0)
        if left >= 2.0 and wider(turn, running[0], leader, batch.layout.devices, left, pace.step_s(1)):
            return order_yield(turn, batch, batch.group, "devices are idle")


def _wide(turn: Turn) -> BatchRecord | None:
    """A batch on several devices that can do with one: of the oldest few the one with most laxity left."""
    able: list[tuple[float, int, BatchRecord]] = []
    for batch_id, _ in zip(turn.state.wide, range(MAX_LOOKED_AT), strict=False):
        batch = turn.state.batches[batch_id]
        leader = turn.state.executors[batch.executor]
        assert leader.laxity_s is not None
        slower_s = (batch.speedup - 1.0) * max(0.0, leader.free_at_s - turn.now_s)
        if leader.laxity_s >= slower_s:
            able.append((slower_s - leader.laxity_s, batch_id, batch))
    return min(able)[2] if able else None


def _victim(turn: Turn, task: TaskRecord, finish_s: float) -> BatchRecord | None:
    """The batch that yields to a task that would be late, or that is short."""
    state, slack = turn.state, slack_s(turn, task)
    ids = state.busy_by_laxity.first(MAX_LOOKED_AT)
    for model in task.needs.heaviest[:1]:
        ids += state.models[model].lax_holders.first(MAX_LOOKED_AT)
        ids += state.models[model].busy_holders.first(MAX_LOOKED_AT)
    victims = _victims(turn, task, [state.executors[executor] for executor in dict.fromkeys(ids)])
    run_s = min([turn.estimate.equal_batch_s(device, task.works, 1) for device in state.devices])
    chosen = turn.policies.preempt(UrgentView(slack, finish_s, victims, run_s))
    if chosen is None:
        return None
    batch_id = state.executors[chosen.executor].batch
    assert batch_id is not None
    return state.batches[batch_id]


def _victims(turn: Turn, task: TaskRecord, executors: list[ExecutorRecord]) -> Iterator[Victim]:
    """One after the other: who is not looked at is not brought up to date."""
    for executor in executors:
        if (victim := _as_victim(turn, task, executor)) is not None:
            yield victim


def _as_victim(turn: Turn, task: TaskRecord, executor: ExecutorRecord) -> Victim | None:
    """What it would mean if the batch of `executor` yielded to `task`; None when it cannot, or that does not fit."""
    assert executor.batch is not None
    batch, estimate, device = turn.state.batches[executor.batch], turn.estimate, executor.device
    laxity_s = turn.state.executors[batch.executor].laxity_s
    if laxity_s is None:
        return None
    need = need_bytes(turn, task, device)
    if batch.pace is None or need > executor.memory_bytes:
        return None
    leaving = unloads(turn, task, executor, need - executor.activation_bytes)
    if leaving is None:
        return None
    absent = [model for model in task.needs.models if model.id not in executor.replicas]
    again = [executor.replicas[model].model for model in leaving if model in batch.group_models] if leaving else ()
    load_s = sum([estimate.load_s(device, model) for model in absent])
    reload_s = sum([estimate.load_s(device, model) for model in again])
    run_s = load_s + estimate.equal_batch_s(device, task.works, 1)
    return Victim(executor.id, laxity_s, run_s + reload_s, batch.pace.boundary_s(turn.now_s) + run_s)
