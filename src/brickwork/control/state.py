"""All that control remembers, and the indexes by which it finds it again.

The methods here keep each index true while one fact changes; they decide nothing. `check()` derives everything
again from the records alone (`check.py`), after every event in tests and simulations.
"""

from collections import OrderedDict
from collections.abc import Mapping
from math import inf
from typing import TypeVar

from brickwork._native import Ranking
from brickwork.compiler.instance import ConcreteWork
from brickwork.compiler.plan import Plan
from brickwork.control import check
from brickwork.control.demand import Demand
from brickwork.control.events import StartOffered
from brickwork.control.facts import PlanFacts
from brickwork.control.fairness import Tenant
from brickwork.control.latest import LatestStarts
from brickwork.control.popularity import Popularity
from brickwork.control.promises import Promises
from brickwork.control.ready import ReadyQueue
from brickwork.control.records import (
    BatchRecord,
    ExecutorRecord,
    GroupKey,
    ModelRecord,
    ReplicaRecord,
    RequestRecord,
    TaskRecord,
)
from brickwork.control.shares import Shares
from brickwork.control.story import Story
from brickwork.control.tenants import Tenants
from brickwork.core.ids import BatchId, ExecutorId, ModelId, PlanId, RequestId, TaskId
from brickwork.core.model import ModelSpec
from brickwork.profile.correction import Allowance, Correction

MAX_CLOSED = 4096
"""Finished batches and requests whose late or repeated messages are still recognised. A report about an older batch
is ignored: its tensors leak until their executor's leases end, which harms less than releasing them twice."""

MAX_PLANS = 256
"""Plans whose facts are kept; the one that came first is worked out again when it returns."""


K = TypeVar("K")
V = TypeVar("V")


class State:
    """The one mutable thing of control; changed inside `Control.handle` only."""

    def __init__(self, tenants: Mapping[str, Tenant] | None = None) -> None:
        self.requests: dict[RequestId, RequestRecord] = {}  # accepted and not finished
        self.tasks: dict[TaskId, TaskRecord] = {}  # of those requests
        self.executors: dict[ExecutorId, ExecutorRecord] = {}  # joined and not lost
        self.batches: dict[BatchId, BatchRecord] = {}  # in flight
        self.models: dict[ModelId, ModelRecord] = {}  # wanted or somewhere
        self.ready = ReadyQueue()  # exactly the READY tasks
        self.latest = LatestStarts()  # every request with a deadline that can be met
        self.promises = Promises()
        self.correction = Correction()
        self.measured_s = -inf  # when it last learned of a batch
        self.tenants = Tenants(tenants)
        self.popularity: dict[ModelId, Popularity] = {}  # of models that were asked for of late
        self.next_scaling_s = 0.0
        self.allowance = Allowance()  # of predicted waits
        self.shares = Shares()  # of workflows
        self.story = Story()

        self.idle_by_free = Ranking()  # by -free bytes: the idle
        self.idle_by_budget = Ranking()  # by -memory bytes: the idle
        self.by_budget = Ranking()  # by -memory bytes: all
        self.busy_by_free_at = Ranking()  # by free_at_s: the busy
        self.busy_by_laxity = Ranking()  # by -laxity_s: those that may yield
        self.pressed: dict[GroupKey, dict[BatchId, None]] = {}  # batches that yield for a group, by group
        self.wide: dict[BatchId, None] = {}  # batches on several devices that were not ordered to yield
        self.joinable: dict[GroupKey, dict[BatchId, None]] = {}  # batches that take further rows, by group
        self.largest_seen_bytes = 0  # largest budget of any executor so far
        self.largest_need_bytes = 0  # largest task of any request so far
        self.offered_s = 0.0  # device seconds asked for so far, by requests that were accepted or not
        self.offered = 0  # those requests
        self.leaving: dict[ExecutorId, None] = {}  # those that were told to leave and are not idle yet
        self.offer: StartOffered | None = None  # what would be started for a set that has no executor
        self.devices: dict[str, int] = {}  # device -> executors that have it
        self.common_device = ""  # the one that most executors have; of equals the first by name

        self.demand = Demand()  # share_s of tasks waiting or ready, by rank
        self.free_at_sum_s = 0.0  # sum of free_at_s over the busy executors

        self.finished: OrderedDict[RequestId, None] = OrderedDict()  # the last MAX_CLOSED
        self.closed: OrderedDict[BatchId, set[tuple[TaskId, int]]] = OrderedDict()  # the same, with the ends seen
        self.gone: OrderedDict[ExecutorId, None] = OrderedDict()  # the last MAX_CLOSED executors that were lost
        self.forgotten = BatchId(0)  # highest id that left `closed`
        self._facts: dict[PlanId, PlanFacts] = {}
        self._requests = 0
        self._batches = 0

    def check(self) -> None:
        """Raise AssertionError, naming what is wrong, unless every index and invariant holds. O(everything)."""
        check.check(self)

    def facts(self, plan: Plan) -> PlanFacts:
        if plan.id not in self._facts:
            if len(self._facts) >= MAX_PLANS:
                del self._facts[next(iter(self._facts))]
            self._facts[plan.id] = PlanFacts(plan)
        return self._facts[plan.id]

    def next_request_number(self) -> int:
        self._requests += 1
        return self._requests

    def next_batch_id(self) -> BatchId:
        self._batches += 1
        return BatchId(self._batches)

    # requests and tasks

    def add_request(self, request: RequestRecord) -> None:
        self.requests[request.id] = request
        self.tenants.enter(request.request.tenant, request.work_s)
        request.open = len(request.tasks)
        for task in request.tasks.values():
            self.tasks[task.id] = task
            for model in task.program.models:
                self.models.setdefault(model, ModelRecord()).demand += 1
            self.count_work(task)

    def end_task(self, task: TaskRecord) -> None:
        """Account for a task that reached a terminal state."""
        task.request.open -= 1
        for model in task.program.models:
            self.models[model].demand -= 1
            self._forget_model(model)

    def remove_request(self, request: RequestRecord) -> None:
        del self.requests[request.id]
        self.tenants.leave(request.request.tenant)
        for task in request.tasks.values():
            del self.tasks[task.id]
        request.tasks = {}  # its tasks know it: without the cycle all are freed now, and no collector has to find them
        self.remember_finished(request.id)

    def remember_finished(self, request_id: RequestId) -> None:
        _remember(self.finished, request_id, None)

    def keep_progress(self, task: TaskRecord, works: tuple[ConcreteWork, ...], gained: float) -> None:
        """The task has a checkpoint: `works` are left of it, which take less by the share `gained` of its time.

        It is about to be ready again; until then its work is not counted.
        """
        gained_s, gained_share_s = gained * task.lone_s, gained * task.share_s
        task.works = works
        task.path_s -= gained_s
        task.lone_s -= gained_s
        task.share_s -= gained_share_s

    def count_work(self, task: TaskRecord) -> None:
        """The task waits or is ready, as it was not before."""
        self.demand.add(task.rank, task.share_s, task.request.has_deadline)
        for model in task.program.models:
            self.models[model].queued.add(task.rank)

    def uncount_work(self, task: TaskRecord) -> None:
        """The task waits no more, or is about to get another rank."""
        self.demand.remove(task.rank)
        for model in task.program.models:
            self.models[model].queued.remove(task.rank)

    # executors and replicas

    def add_executor(self, executor: ExecutorRecord) -> None:
        self.executors[executor.id] = executor
        self.devices[executor.device] = self.devices.get(executor.device, 0) + 1
        self._find_common_device()
        self.largest_seen_bytes = max(self.largest_seen_bytes, executor.memory_bytes)
        self.by_budget.add(-executor.memory_bytes, executor.id)
        self._index(executor)

    def remove_executor(self, executor: ExecutorRecord) -> None:
        """Forget an executor without a batch, with its replicas."""
        for model in list(executor.replicas):
            self.remove_replica(executor, model)
        self._unindex(executor)
        self.by_budget.remove(-executor.memory_bytes, executor.id)
        self.devices[executor.device] -= 1
        if self.devices[executor.device] == 0:
            del self.devices[executor.device]
        self._find_common_device()
        self.leaving.pop(executor.id, None)
        del self.executors[executor.id]
        _remember(self.gone, executor.id, None)

    def _find_common_device(self) -> None:
        self.common_device = min(self.devices, key=lambda device: (-self.devices[device], device), default="")

    def add_replica(self, executor: ExecutorRecord, model: ModelSpec, now_s: float) -> None:
        self._unindex(executor)
        executor.replicas[model.id] = ReplicaRecord(model, is_loaded=False, used_s=now_s)
        executor.weight_bytes += model.weight_bytes
        self.models.setdefault(model.id, ModelRecord())
        self._index(executor)

    def remove_replica(self, executor: ExecutorRecord, model: ModelId) -> None:
        self._unindex(executor)
        executor.weight_bytes -= executor.replicas.pop(model).model.weight_bytes
        self._index(executor)
        self._forget_model(model)

    def replicas(self, model: ModelId) -> int:
        """Executors that hold the model, or have it on order."""
        record = self.models.get(model)
        return record.replicas if record else 0

    def first_free_s(self, now_s: float) -> float:
        """Seconds until an executor is idle, by prediction; 0 when one is, or none is there."""
        if len(self.idle_by_free) or not len(self.busy_by_free_at):
            return 0.0
        return max(0.0, self.busy_by_free_at.number(0) - now_s)

    def crew(self, batch: BatchRecord) -> list[ExecutorRecord]:
        """The executors of a batch, its leader first."""
        return [self.executors[executor] for executor in (batch.executor, *batch.helpers)]

    def running_s(self, now_s: float) -> float:
        """Device seconds that running batches still take, by prediction. One that is late counts as done."""
        left_s = self.free_at_sum_s - now_s * len(self.busy_by_free_at)
        for place in range(len(self.busy_by_free_at)):
            free_at_s = self.busy_by_free_at.number(place)
            if free_at_s >= now_s:
                break
            left_s += now_s - free_at_s
        return max(0.0, left_s)

    def start_batch(self, batch: BatchRecord, free_at_s: float, activation_bytes: int) -> None:
        """Its executors are busy from here on."""
        self.batches[batch.id] = batch
        for executor in self.crew(batch):
            self._unindex(executor)
            executor.batch, executor.free_at_s, executor.activation_bytes = batch.id, free_at_s, activation_bytes
            executor.laxity_s = self._laxity_s(batch, free_at_s) if executor.id == batch.executor else None
            self._index(executor)
        self._offer(batch)

    def expect_free_at(self, batch: BatchRecord, free_at_s: float, activation_bytes: int | None = None) -> None:
        """Correct the predicted end of a batch in flight, after its roster or its start changed."""
        for executor in self.crew(batch):
            self._unindex(executor)
            executor.free_at_s = free_at_s
            if activation_bytes is not None:
                executor.activation_bytes = activation_bytes
            if executor.id == batch.executor:
                executor.laxity_s = self._laxity_s(batch, free_at_s)
            self._index(executor)
        self._offer(batch)

    def close_batch(self, batch: BatchRecord) -> None:
        """The executors are done with the batch, or gone; they are idle from here on."""
        for executor in self.crew(batch):
            self._unindex(executor)
            executor.batch, executor.activation_bytes, executor.laxity_s = None, 0, None
            self._index(executor)
        self._withdraw(batch)
        if batch.yields_to is not None:
            _discard(self.pressed, batch.yields_to, batch.id)
        del self.batches[batch.id]
        self._remember_batch(batch.id, batch.seen)

    def drop_helper(self, batch: BatchRecord, executor: ExecutorRecord) -> None:
        """A helper is lost: it no longer belongs to the batch, which its leader will end."""
        self._unindex(executor)
        executor.batch, executor.activation_bytes = None, 0
        self._index(executor)
        batch.helpers = tuple(helper for helper in batch.helpers if helper != executor.id)
        self.close_roster(batch)

    def close_roster(self, batch: BatchRecord) -> None:
        """The batch will not go well: nobody joins it, and nobody asks it to yield."""
        batch.is_ending = True
        self.expect_free_at(batch, self.executors[batch.executor].free_at_s)

    def set_waiting(self, batch: BatchRecord, is_waiting: bool) -> None:
        """Whether results of the batch wait for room: while they do, nobody joins it to make more."""
        if batch.is_waiting != is_waiting:
            batch.is_waiting = is_waiting
            self._offer(batch)

    def order_yield(self, batch: BatchRecord, beneficiary: GroupKey, free_at_s: float) -> None:
        """The batch will leave its loop for a group: nobody joins it, and nobody asks it again."""
        batch.is_ending = True
        batch.yields_to = beneficiary
        self.pressed.setdefault(beneficiary, {})[batch.id] = None
        self.expect_free_at(batch, free_at_s)

    def _laxity_s(self, batch: BatchRecord, free_at_s: float) -> float | None:
        """How much later the batch may end; inf when it has no deadline left to miss; None when it cannot yield."""
        if batch.pace is None or batch.is_ending or not self.executors[batch.executor].can_step:
            return None
        laxities_s = [inf]
        for task in batch.running:
            laxity_s = task.latest_end_s - free_at_s
            if not task.request.has_deadline:
                laxities_s.append(max(0.0, laxity_s))  # past its soft deadline it runs to its end
            elif laxity_s >= 0.0:
                laxities_s.append(laxity_s)
        return min(laxities_s)

    def _offer(self, batch: BatchRecord) -> None:
        """Enter the batch where those look that want to join it, or want its helpers."""
        self._withdraw(batch)
        if self.executors[batch.executor].laxity_s is None:
            return
        if batch.layout.devices > 1:
            self.wide[batch.id] = None
        elif batch.group[2] or batch.is_waiting:  # nobody joins a lane of its own, or makes more where room is short
            return
        elif len(batch.running) < batch.limit:
            self.joinable.setdefault(batch.group, {})[batch.id] = None

    def _withdraw(self, batch: BatchRecord) -> None:
        self.wide.pop(batch.id, None)
        _discard(self.joinable, batch.group, batch.id)

    def seen_ends(self, batch: BatchId) -> set[tuple[TaskId, int]] | None:
        """Ends already reported of a batch that is not in flight; None when it is too old to know."""
        if batch not in self.closed:
            if batch <= self.forgotten:
                return None
            self._remember_batch(batch, set())
        return self.closed[batch]

    def _remember_batch(self, batch: BatchId, seen: set[tuple[TaskId, int]]) -> None:
        if (dropped := _remember(self.closed, batch, seen)) is not None:
            self.forgotten = max(self.forgotten, dropped)

    def _index(self, executor: ExecutorRecord) -> None:
        holds = [self.models[model] for model in executor.replicas]
        if executor.batch is None:
            self.idle_by_free.add(-executor.free_bytes, executor.id)
            self.idle_by_budget.add(-executor.memory_bytes, executor.id)
            for record in holds:
                record.idle_holders.add(0, executor.id)
            return
        self.free_at_sum_s += executor.free_at_s
        self.busy_by_free_at.add(executor.free_at_s, executor.id)
        for record in holds:
            record.busy_holders.add(executor.free_at_s, executor.id)
        if executor.laxity_s is not None:
            self.busy_by_laxity.add(-executor.laxity_s, executor.id)
            for record in holds:
                record.lax_holders.add(-executor.laxity_s, executor.id)

    def _unindex(self, executor: ExecutorRecord) -> None:
        holds = [self.models[model] for model in executor.replicas]
        if executor.batch is None:
            self.idle_by_free.remove(-executor.free_bytes, executor.id)
            self.idle_by_budget.remove(-executor.memory_bytes, executor.id)
            for record in holds:
                record.idle_holders.remove(0, executor.id)
            return
        self.busy_by_free_at.remove(executor.free_at_s, executor.id)
        self.free_at_sum_s = self.free_at_sum_s - executor.free_at_s if len(self.busy_by_free_at) else 0.0
        for record in holds:
            record.busy_holders.remove(executor.free_at_s, executor.id)
        if executor.laxity_s is not None:
            self.busy_by_laxity.remove(-executor.laxity_s, executor.id)
            for record in holds:
                record.lax_holders.remove(-executor.laxity_s, executor.id)

    def _forget_model(self, model: ModelId) -> None:
        record = self.models[model]
        if record.demand == 0 and record.replicas == 0:
            del self.models[model]


def _remember(ring: OrderedDict[K, V], key: K, value: V) -> K | None:
    """Put into a bounded ring; returns the key that had to leave, or None."""
    ring[key] = value
    return ring.popitem(last=False)[0] if len(ring) > MAX_CLOSED else None


def _discard(index: dict[K, dict[BatchId, None]], key: K, batch: BatchId) -> None:
    """Take a batch out of an index that keeps no empty entries."""
    if (found := index.get(key)) is not None:
        found.pop(batch, None)
        if not found:
            del index[key]
