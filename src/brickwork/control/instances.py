"""The records of a request and its tasks, worked out from what arrived."""

from collections.abc import Mapping
from math import inf

from brickwork.compiler.instance import resolve
from brickwork.control.events import RequestArrived
from brickwork.control.facts import PlanFacts, Size, longest_s
from brickwork.control.records import RequestRecord, TaskRecord
from brickwork.control.scheduling import SHORT, soft_deadline_s
from brickwork.control.speeds import alone_on
from brickwork.control.turn import Turn
from brickwork.core.ids import task_id


def instantiate(turn: Turn, event: RequestArrived) -> RequestRecord:
    """Records of a request and its tasks, not yet part of the state."""
    request, facts = event.request, turn.state.facts(event.plan)
    scalars = resolve(event.plan, dict(request.values))
    sizes = facts.sizes(scalars)
    given_s = request.slo.deadline_s
    device, lone_s = alone_on(turn, facts, sizes, inf if given_s is None else given_s)
    paths_s = facts.paths_s(lone_s)
    path_s = longest_s(paths_s)
    spreads: dict[int, dict[str, float]] = {}
    if given_s is not None and path_s > given_s:
        spreads = _spreads(turn, device, facts, sizes, lone_s, given_s)
        lone_s = next(iter(spreads.values()), lone_s)
        paths_s = facts.paths_s(lone_s)
        path_s = longest_s(paths_s)
    arrived_s = turn.now_s if event.arrived_s is None else event.arrived_s
    due_s = soft_deadline_s(arrived_s, path_s) if given_s is None else arrived_s + given_s
    number = turn.state.next_request_number()
    rank_due_s = due_s + turn.policies.lead(turn.state.tenants.view(request.tenant, len(turn.state.executors)))
    record = RequestRecord(
        request.id, request, facts, number, arrived_s, due_s, rank_due_s, path_s, path_s, device, scalars,
        given_s is not None,
    )  # fmt: skip
    record.spreads = {devices: longest_s(facts.paths_s(each)) for devices, each in spreads.items()}
    _add_tasks(turn, record, sizes, lone_s, paths_s)
    if given_s is not None:
        fastest_s = {name: _fastest_s(turn, task) for name, task in record.tasks.items()}
        record.fastest_s = longest_s(facts.paths_s(fastest_s))
    return record


def _add_tasks(
    turn: Turn,
    record: RequestRecord,
    sizes: Mapping[str, Size],
    lone_s: Mapping[str, float],
    paths_s: Mapping[str, float],
) -> None:
    facts, estimate, is_alone = record.facts, turn.estimate, record.request.slo.deterministic
    for position, task in enumerate(facts.plan.tasks):
        program, (works, shape), path_s = facts.programs[task.program], sizes[task.name], paths_s[task.name]
        is_short = record.has_deadline and lone_s[task.name] < SHORT * path_s
        limit = 1 if is_alone else estimate.limit(turn.device, program.id, shape, works)
        record.tasks[task.name] = TaskRecord(
            id=task_id(record.id, task.name),
            request=record,
            plan=task,
            program=program,
            group=(program.id, shape, "alone" if is_alone else ""),
            needs=facts.needs[program.id],
            works=works,
            shape=shape,
            rank=turn.policies.rank(record.rank_due_s, path_s, is_short, record.number, position),
            path_s=path_s,
            lone_s=lone_s[task.name],
            limit=limit,
            share_s=estimate.equal_batch_s(turn.device, works, limit) / limit,
            missing=len(task.after),
        )


def _spreads(
    turn: Turn,
    device: str,
    facts: PlanFacts,
    sizes: Mapping[str, Size],
    lone_s: Mapping[str, float],
    within_s: float,
) -> dict[int, dict[str, float]]:
    """Numbers of devices of a type on which a request takes no longer than `within_s`, rising, with the seconds of its
    tasks."""
    state = turn.state
    most = min(state.devices.get(device, 0), max((each.max_degree for each in state.executors.values()), default=1))
    wides: dict[int, dict[str, float]] = {}
    for task in facts.plan.tasks:
        (works, shape), program = sizes[task.name], facts.programs[task.program]
        for wide in turn.estimate.layouts(device, program.id, shape, works, facts.needs[program.id].apart):
            if wide.devices <= most:
                wides.setdefault(wide.devices, {})[task.name] = turn.estimate.layout_s(device, works, wide)
    found: dict[int, dict[str, float]] = {}
    times_s = dict(lone_s)
    for devices in sorted(wides):
        times_s |= wides[devices]
        if longest_s(facts.paths_s(times_s)) <= within_s:
            found[devices] = dict(times_s)
    return found


def _fastest_s(turn: Turn, task: TaskRecord) -> float:
    """Seconds of the task on as many devices as help it, of those that there are."""
    state, estimate, device = turn.state, turn.estimate, task.request.device
    if task.steps == 0 or task.group[2] or not state.executors:
        return task.lone_s
    first = state.executors[state.by_budget.first(1)[0]]
    most = min(state.devices.get(device, 0), first.max_degree)
    if most == 1:
        return task.lone_s
    wides = estimate.layouts(device, task.program.id, task.shape, task.works, task.needs.apart)
    times_s = [estimate.layout_s(device, task.works, wide) for wide in wides if wide.devices <= most]
    return min([task.lone_s, *times_s])
