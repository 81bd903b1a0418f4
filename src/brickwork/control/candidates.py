"""The few executors that placement compares for a group, found by index and described in seconds.

At most 12 of any number. *Near* are idle holders of the program's models (3 of the heaviest, 1 of the next two each);
*far* are busy holders of the heaviest that are free soonest (2), idle executors with most free memory (2) and largest
budget (2), and the largest budget of all (1), which may be the only place for a large program. While all executors
are of one device type nothing beats an idle one that lacks nothing, so far ones are not looked at when there is such.
"""

from dataclasses import dataclass, field
from itertools import islice
from math import ceil

from brickwork.control.batching import BatchView
from brickwork.control.memory import need_bytes, unloads
from brickwork.control.placement import LOST_S, Spot
from brickwork.control.ready import Group
from brickwork.control.records import BatchRecord, ExecutorRecord, TaskRecord
from brickwork.control.turn import Turn
from brickwork.control.worth import worth_on
from brickwork.core.ids import ExecutorId, ModelId

MAX_JOINS = 2
"""Running batches that are looked at for a task to join, the oldest first."""


def spots(turn: Turn, group: Group, task: TaskRecord) -> list[Spot]:
    """Where the most urgent task of `group` could run, each place with its times.

    The executor that the task avoids is offered only when it is the only one.
    """
    executors, is_uniform = turn.state.executors, len(turn.state.devices) == 1
    errands: dict[str, _Errand] = {}
    found: dict[ExecutorId, Spot | None] = {}
    for candidates in (_near, _far):
        for executor_id in candidates(turn, task):
            if executor_id in found:
                continue
            executor = executors[executor_id]
            if (errand := errands.get(executor.device)) is None:
                errand = errands[executor.device] = _errand(turn, group, task, executor.device)
            spot = found[executor_id] = _spot(turn, task, executor, errand)
            if is_uniform and spot and spot.load_s == 0.0 and errand.is_best(spot) and executor_id != task.avoid:
                return [spot]
        places = [spot for spot in found.values() if spot is not None]
        elsewhere = [spot for spot in places if spot.executor != task.avoid] if task.avoid else places
        if is_uniform and any([spot.load_s == 0.0 for spot in elsewhere]):
            break
    return elsewhere or places


def spot_at(turn: Turn, group: Group, task: TaskRecord, executor: ExecutorRecord) -> Spot | None:
    """One executor as a place for the most urgent task of a group; None when it cannot fit there."""
    return _spot(turn, task, executor, _errand(turn, group, task, executor.device))


def _sources(task: TaskRecord) -> list[tuple[str, int]]:
    """Host and bytes of each tensor that the task needs."""
    values = task.request.values
    inputs = [values[name].handle for name in task.plan.args if name in values]
    if task.checkpoint is not None:
        inputs += task.checkpoint.carries
    return [(handle.host, handle.spec.nbytes) for handle in inputs]


def joins(turn: Turn, group: Group, task: TaskRecord) -> list[Spot]:
    """Running batches whose next step has room for `task`, by the policy that sizes batches."""
    batches = turn.state.joinable.get(group.key)
    if batches is None:
        return []
    found = [_join(turn, turn.state.batches[batch], task) for batch in islice(batches, MAX_JOINS)]
    return [spot for spot in found if spot]


def _join(turn: Turn, batch: BatchRecord, task: TaskRecord) -> Spot | None:
    executor, pace, running = turn.state.executors[batch.executor], batch.pace, batch.running
    more_bytes = turn.estimate.activation_bytes(executor.device, task.works, len(running) + 1)
    if more_bytes - executor.activation_bytes > executor.free_bytes or task.avoid == executor.id or pace is None:
        return None
    pace.advance(turn.now_s)
    before_s, (own_s, after_s) = pace.end_s(), pace.ends_with_s(task.steps)
    company = [*running, task]
    view = BatchView(
        start_s=0.0,
        ready=len(company),
        holders=1,
        limit=batch.limit,
        deadlines_s=[each.latest_end_s if each.request.has_deadline else None for each in company],
        run_s=lambda count: before_s if count < len(company) else after_s,
    )
    if turn.policies.size(view) < len(company):
        return None
    own_run_s, longer_s = own_s - turn.now_s, max(0.0, after_s - max(before_s, own_s))
    return Spot(executor.id, False, 0.0, 0.0, 0.0, own_run_s, longer_s, joins=batch.id)


@dataclass(slots=True)
class _Errand:
    """What a group's next batch means to every executor of one device type."""

    need_bytes: int  # for one task
    run_s: float  # one task
    backlog_s: float  # the group's batches but the last, shared by the holders of its heaviest model
    loads_s: list[tuple[ModelId, float]]  # of each model that the task needs
    sources: list[tuple[str, int]]  # host and bytes of each tensor that it needs
    nearest_s: float  # transfer of all of them to an executor on their host
    transfers_s: dict[str, float] = field(default_factory=dict)  # the same by host of the executor, as asked for

    def is_best(self, spot: Spot) -> bool:
        """No executor of the device type can be better: it is idle and lacks nothing, and nobody loses by it."""
        return spot.is_idle and spot.finish_s + spot.displaced_s <= self.run_s + self.nearest_s


def _errand(turn: Turn, group: Group, task: TaskRecord, device: str) -> _Errand:
    estimate, sources, backlog_s = turn.estimate, _sources(task), 0.0
    limit = estimate.limit(device, task.program.id, task.shape, task.works)
    if group.size > limit:
        holders = max((len(turn.state.models[model].busy_holders) for model in task.needs.heaviest[:1]), default=1)
        batch_s = estimate.equal_batch_s(device, task.works, limit)
        backlog_s = (ceil(group.size / limit) - 1) * batch_s / max(1, holders)
    return _Errand(
        need_bytes=need_bytes(turn, task, device),
        run_s=estimate.equal_batch_s(device, task.works, 1),
        backlog_s=backlog_s,
        loads_s=[(model.id, estimate.load_s(device, model)) for model in task.needs.models],
        sources=sources,
        nearest_s=sum([estimate.transfer_s(nbytes, True) for _, nbytes in sources]),
    )


def _near(turn: Turn, task: TaskRecord) -> list[ExecutorId]:
    models, ids = turn.state.models, []
    for k, model in enumerate(task.needs.heaviest[:3]):
        ids += models[model].idle_holders.first(1 if k else 3)
    return ids


def _far(turn: Turn, task: TaskRecord) -> list[ExecutorId]:
    state, ids = turn.state, []
    for model in task.needs.heaviest[:1]:
        ids += state.models[model].busy_holders.first(2)
    return [*ids, *state.idle_by_free.first(2), *state.idle_by_budget.first(2), *state.by_budget.first(1)]


def _spot(turn: Turn, task: TaskRecord, executor: ExecutorRecord, errand: _Errand) -> Spot | None:
    """The executor as a place for the task, None when the task cannot fit there."""
    if errand.need_bytes > executor.memory_bytes or executor.is_leaving:
        return None
    is_idle = executor.batch is None
    leaving = unloads(turn, task, executor, errand.need_bytes) if is_idle else ()
    if leaving is None:
        return None
    load_s = displaced_s = 0.0
    for model_id, one_s in errand.loads_s:
        if model_id not in executor.replicas:
            load_s += one_s
    for model_id in leaving:
        record = turn.state.models[model_id]
        if record.demand and record.replicas == 1:  # somebody wants it and nobody else has it
            displaced_s += turn.estimate.load_s(executor.device, executor.replicas[model_id].model)
        displaced_s += LOST_S * worth_on(turn, executor, model_id)
    if is_idle:
        wait_s = executor.loading_until_s - turn.now_s
        if wait_s <= 0.0 or _is_ready(task, executor):
            wait_s = 0.0
    else:
        wait_s = _left_s(turn, executor) + errand.backlog_s
    transfer_s = errand.transfers_s.get(executor.host)
    if transfer_s is None:
        transfer_s = errand.transfers_s[executor.host] = _transfer_s(turn, errand, executor.host)
    return Spot(executor.id, is_idle, wait_s, load_s, transfer_s, errand.run_s, displaced_s)


def _transfer_s(turn: Turn, errand: _Errand, host: str) -> float:
    """Seconds until the tensors that the task needs are readable on a host."""
    estimate = turn.estimate
    return sum([estimate.transfer_s(nbytes, source == host or not host) for source, nbytes in errand.sources])


def _is_ready(task: TaskRecord, executor: ExecutorRecord) -> bool:
    """Whether the task could begin there while other models are being loaded."""
    held = [executor.replicas.get(model.id) for model in task.needs.models]
    return all(replica is not None and replica.is_loaded for replica in held)


def _left_s(turn: Turn, executor: ExecutorRecord) -> float:
    """Seconds until a busy executor has done its batch and what waits for it already.

    A batch that is late is expected to take as long again as it is late: so waiting for an executor that hangs gets
    less attractive with time, without knowing how long it should take.
    """
    return abs(executor.free_at_s - turn.now_s) + turn.state.ready.promised_s(executor.id)
