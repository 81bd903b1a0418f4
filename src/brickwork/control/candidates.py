"""The few executors that placement compares for a group, found by index and described in seconds.

At most 16 of any number: idle holders of the program's models (4 of the heaviest, 2 of the next two each), busy
holders of the heaviest that are free soonest (3), idle executors with most free memory (2) and largest budget (2),
and the largest budget of all (1), which may be the only place for a large program.
"""

from math import ceil

from brickwork.control.memory import need_bytes, unloads
from brickwork.control.placement import Spot
from brickwork.control.ready import Group
from brickwork.control.records import ExecutorRecord, TaskRecord
from brickwork.control.turn import Turn
from brickwork.core.ids import ExecutorId, ModelId


def spots(turn: Turn, group: Group, task: TaskRecord) -> list[Spot]:
    """Where the most urgent task of `group` could run, each place with its times.

    The executor that the task avoids is offered only when it is the only one.
    """
    found = [spot for executor in _candidates(turn, task) if (spot := _spot(turn, group, task, executor))]
    elsewhere = [spot for spot in found if spot.executor != task.avoid]
    return elsewhere or found


def _candidates(turn: Turn, task: TaskRecord) -> list[ExecutorRecord]:
    state = turn.state
    ids: dict[ExecutorId, None] = {}
    for model, count in zip(task.needs.heaviest, (4, 2, 2), strict=False):
        ids.update(dict.fromkeys(key[0] for key in state.models[model].idle_holders.first(count)))
    for model in task.needs.heaviest[:1]:
        ids.update(dict.fromkeys(key[1] for key in state.models[model].busy_holders.first(3)))
    for index, count in ((state.idle_by_free, 2), (state.idle_by_budget, 2), (state.by_budget, 1)):
        ids.update(dict.fromkeys(key[1] for key in index.first(count)))
    return [state.executors[executor] for executor in ids]


def _spot(turn: Turn, group: Group, task: TaskRecord, executor: ExecutorRecord) -> Spot | None:
    """The executor as a place for the task, None when the task cannot fit there."""
    estimate, device = turn.estimate, executor.device
    if need_bytes(turn, task, device) > executor.memory_bytes:
        return None
    is_idle = executor.batch is None
    leaving = unloads(turn, task, executor, size=1) if is_idle else ()
    if leaving is None:
        return None
    run_s = estimate.equal_batch_s(device, task.works, 1)
    lacking = [model for model in task.needs.models if model.id not in executor.replicas]
    return Spot(
        executor=executor.id,
        is_idle=is_idle,
        wait_s=0.0 if is_idle else _wait_s(turn, group, task, executor),
        load_s=sum(estimate.load_s(device, model) for model in lacking),
        transfer_s=_transfer_s(turn, task, executor),
        run_s=run_s,
        displaced_s=sum(_displaced_s(turn, executor, model) for model in leaving),
    )


def _wait_s(turn: Turn, group: Group, task: TaskRecord, executor: ExecutorRecord) -> float:
    """Seconds until a busy executor has time for the group's last task.

    The batch in flight, the groups that wait for it already, and this group's own batches but the last, shared with
    the other holders of its heaviest model. A batch that is late is expected to take as long again as it is late: so
    waiting for an executor that hangs gets less attractive with time, without knowing how long it should take.
    """
    left_s = executor.free_at_s - turn.now_s
    left_s = left_s if left_s > 0 else -left_s
    limit = turn.estimate.limit(executor.device, task.program.id, task.shape, task.works)
    batches = ceil(group.size / limit)
    batch_s = turn.estimate.equal_batch_s(executor.device, task.works, min(limit, group.size))
    holders = max((len(turn.state.models[model].busy_holders) for model in task.needs.heaviest[:1]), default=1)
    return left_s + turn.state.ready.promised_s(executor.id) + (batches - 1) * batch_s / max(1, holders)


def _transfer_s(turn: Turn, task: TaskRecord, executor: ExecutorRecord) -> float:
    values = task.request.values
    handles = [values[name].handle for name in task.plan.args if name in values]
    return sum(
        turn.estimate.transfer_s(handle.spec.nbytes, handle.host == executor.host or not executor.host)
        for handle in handles
    )


def _displaced_s(turn: Turn, executor: ExecutorRecord, model: ModelId) -> float:
    """Seconds that unloading a model will cost others: its next load, if somebody wants it and nobody else has it."""
    record = turn.state.models[model]
    if record.demand == 0 or record.replicas > 1:
        return 0.0
    return turn.estimate.load_s(executor.device, executor.replicas[model].model)
