"""The records of a request and its tasks, worked out from what arrived."""

from brickwork.compiler.instance import remaining_s, resolve, shape_key, task_work
from brickwork.control.events import RequestArrived
from brickwork.control.records import RequestRecord, TaskRecord
from brickwork.control.scheduling import soft_deadline_s
from brickwork.control.turn import Turn
from brickwork.core.ids import task_id


def instantiate(turn: Turn, event: RequestArrived) -> RequestRecord:
    """Records of a request and its tasks, not yet part of the state."""
    plan, request, facts = event.plan, event.request, turn.state.facts(event.plan)
    scalars = resolve(plan, dict(request.values))
    works = {task.name: task_work(plan, task, scalars) for task in plan.tasks}
    lone_s = {name: turn.estimate.equal_batch_s(turn.device, work, 1) for name, work in works.items()}
    paths_s = remaining_s(plan, lambda task: lone_s[task.name])
    path_s = max(paths_s.values(), default=0.0)
    given_s = request.slo.deadline_s
    arrived_s = turn.now_s if event.arrived_s is None else event.arrived_s
    due_s = soft_deadline_s(arrived_s, path_s) if given_s is None else arrived_s + given_s
    number = turn.state.next_request_number()
    lead_s = turn.policies.lead(turn.state.tenants.view(request.tenant, len(turn.state.executors)))
    rank_due_s = due_s + lead_s
    record = RequestRecord(request.id, request, facts, number, arrived_s, due_s, rank_due_s, path_s, path_s, scalars)
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
            needs=facts.needs[program.id],
            works=works[task.name],
            shape=shape,
            rank=turn.policies.rank(rank_due_s, paths_s[task.name], number, position),
            path_s=paths_s[task.name],
            lone_s=lone_s[task.name],
            share_s=turn.estimate.equal_batch_s(turn.device, works[task.name], limit) / limit,
            missing=len(task.after),
        )
    record.fastest_s = max(
        remaining_s(plan, lambda task: _fastest_s(turn, record.tasks[task.name])).values(), default=0.0
    )
    return record


def _fastest_s(turn: Turn, task: TaskRecord) -> float:
    """Seconds of the task on as many devices as help it, of those that there are."""
    if task.steps == 0 or task.group[2] or not turn.state.executors:
        return task.lone_s
    first = turn.state.executors[turn.state.by_budget.first(1)[0][1]]
    most = min(len(turn.state.executors), first.max_degree)
    if most == 1:
        return task.lone_s
    wides = turn.estimate.layouts(turn.device, task.program.id, task.shape, task.works, task.needs.apart)
    times_s = [turn.estimate.layout_s(turn.device, task.works, wide) for wide in wides if wide.devices <= most]
    return min([task.lone_s, *times_s])
