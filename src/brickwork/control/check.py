"""Derives every index and invariant of State again, from the records alone. Shares no code with what keeps them.

Raises AssertionError with the name of what is wrong. Costs time in proportion to everything there is.
"""

from collections import Counter, defaultdict
from math import isclose
from typing import TYPE_CHECKING

from brickwork.control.tasks import QUEUED, RUNNING, TERMINAL, TaskState

if TYPE_CHECKING:
    from brickwork.control.records import ExecutorRecord, RequestRecord, TaskRecord
    from brickwork.control.state import State


def check(state: "State") -> None:
    for request in state.requests.values():
        _request(state, request)
        for task in request.tasks.values():
            _task(state, task)
    for executor in state.executors.values():
        _executor(state, executor)
    _batches(state)
    _rosters(state)
    _models(state)
    _executor_indexes(state)
    _ready(state)
    _totals(state)
    _tenants(state)


def _request(state: "State", request: "RequestRecord") -> None:
    tasks = list(request.tasks.values())
    assert request.id not in state.finished, f"{request.id} is finished and not"
    assert request.open == sum(task.state not in TERMINAL for task in tasks), f"{request.id}: open"
    assert request.running == sum(task.state in RUNNING for task in tasks), f"{request.id}: running"
    if request.ending:
        assert request.running > 0, f"{request.id}: ends early, nothing of it runs, and it is still there"
        assert all(task.state in (*TERMINAL, TaskState.STOPPING) for task in tasks), f"{request.id}: unwanted tasks"
    else:
        assert request.open > 0, f"{request.id}: all tasks ended and it is still there"
        assert not any(task.state in (TaskState.FAILED, TaskState.CANCELLED) for task in tasks), f"{request.id}: stuck"
    _values(request)


def _values(request: "RequestRecord") -> None:
    """Every owned tensor has exactly the readers it counts, and at least one."""
    plan = request.facts.plan
    expected: Counter[str] = Counter()
    for task in request.tasks.values():
        if task.state not in TERMINAL:
            expected.update(set(task.plan.args))
    if not request.ending:
        expected.update({value for _, value in plan.outputs})
    for name, value in request.values.items():
        assert value.readers == expected[name] > 0, f"{request.id}: {name} counts {value.readers} readers"
    for task in request.tasks.values():
        if task.state in (TaskState.READY, *RUNNING):
            for name in task.plan.args:
                assert name in request.scalars or name in request.values, f"{task.id} lacks {name}"


def _task(state: "State", task: "TaskRecord") -> None:
    assert state.tasks[task.id] is task, f"{task.id}: not in the index"
    undone = sum(task.request.tasks[name].state is not TaskState.DONE for name in task.plan.after)
    assert task.missing == undone, f"{task.id}: counts {task.missing} missing inputs of {undone}"
    assert (task.state is TaskState.WAITING) <= (task.missing > 0), f"{task.id}: waits for nothing"
    assert (task.batch is not None) == (task.state in RUNNING), f"{task.id}: {task.state} in batch {task.batch}"
    assert task.checkpoint is None or task.state not in TERMINAL, f"{task.id}: ended, and keeps its checkpoint"
    if task.batch is not None:
        assert state.batches[task.batch].tasks[task.id] is task, f"{task.id}: not in its batch"
    group = state.ready.groups.get(task.group)
    queued = sum(entry == (task.rank, task.attempt, task) for entry in group.heap) if group else 0
    if task.state is TaskState.READY:
        assert queued == 1, f"{task.id}: ready, and queued {queued} times"


def _executor(state: "State", executor: "ExecutorRecord") -> None:
    weights = sum(replica.model.weight_bytes for replica in executor.replicas.values())
    assert executor.weight_bytes == weights, f"{executor.id}: weight_bytes"
    assert executor.free_bytes >= 0, f"{executor.id}: past its budget by {-executor.free_bytes} bytes"
    if executor.batch is None:
        assert executor.activation_bytes == 0, f"{executor.id}: idle, with activations"
        assert executor.laxity_s is None, f"{executor.id}: idle, with laxity"
        return
    batch = state.batches[executor.batch]
    if batch.executor != executor.id:
        assert executor.id in batch.helpers, f"{executor.id}: helps with a batch that does not know of it"
        assert executor.laxity_s is None, f"{executor.id}: helps, with laxity"
        return
    for task in batch.tasks.values():
        absent = set(task.program.models) - set(executor.replicas) - batch.lacks
        assert not absent, f"{executor.id}: runs {task.id} without {absent}"


def _batches(state: "State") -> None:
    for batch in state.batches.values():
        crew = [batch.executor, *batch.helpers]
        assert len(set(crew)) == len(crew), f"batch {batch.id}: an executor helps itself"
        assert all(state.executors[each].batch == batch.id for each in crew), f"batch {batch.id}: not in flight there"
        assert any(task.batch == batch.id for task in batch.tasks.values()), f"batch {batch.id}: nothing of it runs"
        assert len(batch.tasks) == 1 or batch.layout.devices == 1, f"batch {batch.id}: spread, and not alone"
        assert batch.id not in state.closed, f"batch {batch.id}: in flight and closed"
        tasks = list(batch.tasks.values())
        assert len({(task.program.id, task.shape) for task in tasks}) == 1, f"batch {batch.id}: unequal tasks"
        alone = any(task.is_alone or task.request.request.slo.deterministic for task in tasks if task.batch == batch.id)
        assert len(tasks) == 1 or not alone, f"batch {batch.id}: a task that must be alone is not"


def _rosters(state: "State") -> None:
    """Who may be joined, asked to yield, or narrowed; and which batches yield for whom."""
    free = [batch for batch in state.batches.values() if state.executors[batch.executor].laxity_s is not None]
    for batch in state.batches.values():
        may_yield = batch.pace is not None and not batch.is_ending and state.executors[batch.executor].can_step
        assert may_yield == (batch in free), f"batch {batch.id}: laxity known and unusable, or the reverse"
        assert batch.is_ending or batch.yields_to is None, f"batch {batch.id}: yields, and may be asked again"
    joinable = {
        (batch.group, batch.id)
        for batch in free
        if batch.layout.devices == 1
        and not batch.is_waiting
        and not batch.group[2]
        and sum(task.batch == batch.id for task in batch.tasks.values()) < batch.limit
    }
    assert {(key, batch) for key, batches in state.joinable.items() for batch in batches} == joinable, "joinable"
    assert set(state.wide) == {batch.id for batch in free if batch.layout.devices > 1}, "wide"
    pressed = {(batch.yields_to, batch.id) for batch in state.batches.values() if batch.yields_to is not None}
    assert {(key, batch) for key, batches in state.pressed.items() for batch in batches} == pressed, "pressed"
    assert all(state.joinable.values()) and all(state.pressed.values()), "an index keeps an empty entry"


def _models(state: "State") -> None:
    demand = Counter(
        model for task in state.tasks.values() if task.state not in TERMINAL for model in task.program.models
    )
    queued = defaultdict(list)
    for task in state.tasks.values():
        for model in task.program.models if task.state in QUEUED else ():
            queued[model].append(task.rank)
    idle, busy, lax = set(), set(), set()
    for executor in state.executors.values():
        for model in executor.replicas:
            if executor.batch is None:
                idle.add((model, executor.id))
            else:
                busy.add((model, (executor.free_at_s, executor.id)))
            if executor.laxity_s is not None:
                lax.add((model, (-executor.laxity_s, executor.id)))
    wanted_or_somewhere = set(demand) | {model for model, _ in idle} | {model for model, _ in busy}
    assert set(state.models) == wanted_or_somewhere, "models: not those that are wanted or somewhere"
    assert {(model, key) for model, record in state.models.items() for _, key in record.idle_holders.every(1)} == idle
    assert {(model, key) for model, record in state.models.items() for key in record.busy_holders.every(1)} == busy
    assert {(model, key) for model, record in state.models.items() for key in record.lax_holders.every(1)} == lax
    for model, record in state.models.items():
        assert record.demand == demand[model], f"{model}: demand {record.demand}, not {demand[model]}"
        assert list(record.queued) == sorted(queued[model]), f"{model}: queued"


def _executor_indexes(state: "State") -> None:
    executors = state.executors.values()
    idle = [executor for executor in executors if executor.batch is None]
    busy = [executor for executor in executors if executor.batch is not None]
    assert state.idle_by_free.every(1) == sorted((-e.free_bytes, e.id) for e in idle), "idle_by_free"
    assert state.idle_by_budget.every(1) == sorted((-e.memory_bytes, e.id) for e in idle), "idle_by_budget"
    assert state.by_budget.every(1) == sorted((-e.memory_bytes, e.id) for e in executors), "by_budget"
    assert state.busy_by_free_at.every(1) == sorted((e.free_at_s, e.id) for e in busy), "busy_by_free_at"
    lax = sorted((-e.laxity_s, e.id) for e in executors if e.laxity_s is not None)
    assert state.busy_by_laxity.every(1) == lax, "busy_by_laxity"
    assert state.devices == Counter(executor.device for executor in executors), "devices"
    assert set(state.leaving) == {executor.id for executor in busy if executor.is_leaving}, "leaving"
    assert not any(executor.is_leaving for executor in idle), "an idle executor is told to leave and is still there"


def _ready(state: "State") -> None:
    sizes = Counter(task.group for task in state.tasks.values() if task.state is TaskState.READY)
    groups = state.ready.groups
    assert {key: group.size for key, group in groups.items()} == sizes, "ready: group sizes"
    if len(state.idle_by_free) or not state.executors:
        assert all(group.parked for group in groups.values()), "ready: an idle executor and a group that wants it"
    for group in groups.values():
        if group.parked and group.parked.executor:
            executor = state.executors[group.parked.executor]
            assert executor.batch is not None, f"{group.key} waits for {executor.id}, which is idle"


def _totals(state: "State") -> None:
    queued = [task for task in state.tasks.values() if task.state in (TaskState.WAITING, TaskState.READY)]
    assert len(state.tasks) == sum(len(request.tasks) for request in state.requests.values()), "tasks"
    demand = sorted((task.rank, task.share_s, task.request.has_deadline) for task in queued)
    assert list(state.demand) == demand, "demand: not the tasks that wait or are ready"
    assert isclose(state.demand.total_s, sum(seconds for _, seconds, _ in demand), abs_tol=1e-6), "demand: total_s"
    free_at_sum_s = sum(executor.free_at_s for executor in state.executors.values() if executor.batch is not None)
    assert isclose(state.free_at_sum_s, free_at_sum_s, rel_tol=1e-6, abs_tol=1e-6), "free_at_sum_s"
    hopeful = {request.id for request in state.requests.values() if request.has_deadline and not request.ending}
    assert hopeful <= {request.id for _, _, request in state.latest}, "latest: a request whose deadline nobody watches"
    promised_s = sum(promise.work_s for promise in state.promises)
    assert isclose(state.promises.demand.total_s, promised_s, rel_tol=1e-6, abs_tol=1e-6), "promises: demand"


def _tenants(state: "State") -> None:
    requests = Counter(request.request.tenant for request in state.requests.values())
    accounts = state.tenants.accounts
    assert {name: account.requests for name, account in accounts.items() if account.requests} == requests, "tenants"
    present = sorted((account.clock_s, name) for name, account in accounts.items() if account.requests)
    assert list(state.tenants.present) == present, "tenants: present"
