"""A virtual executor: carries orders out as if one after the other, in virtual time, and reports like a real one.

Batches go through one queue, loads and unloads through another beside it: a batch waits for the loads before it that it
needs, an unload for the batches before it that need the model. Orders about the batch that runs (stop, join, yield)
pass the queue. A gang waits for its helpers: a helper that has come to its Assist does nothing else until the batch has
ended or its leader is lost.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from brickwork.compiler.instance import ConcreteWork
from brickwork.control.actions import Assist, Dispatch, Join, Load, Unload, Yield
from brickwork.control.events import BatchReported, Event, ModelLoaded, ModelUnloaded
from brickwork.core.batch import TaskEnd
from brickwork.core.ids import BatchId, ExecutorId, ModelId, TaskId
from brickwork.core.tensor import TensorHandle
from brickwork.observe.spans import Span
from brickwork.profile.table import Profile
from brickwork.sim.batch import VirtualBatch, VirtualRow, World
from brickwork.sim.loop import Loop

Order = Load | Unload | Dispatch | Assist
Run = Dispatch | Assist


@dataclass(frozen=True, slots=True)
class Physics:
    """What is true in the simulated world, as opposed to what control believes."""

    profile: Profile
    works: Callable[[TaskId], tuple[ConcreteWork, ...]]
    outputs: Callable[[TaskId], tuple[TensorHandle, ...]]  # makes the results of a task
    noise: float = 0.0  # standard deviation of batch and load times, relative
    carries: Callable[[TaskId], tuple[TensorHandle, ...]] = lambda _: ()  # makes the checkpoint of a task
    find: Callable[[ExecutorId], "VirtualExecutor | None"] = lambda _: None  # an executor that lives
    spans: Callable[[Span], None] | None = None  # takes the timeline
    known_s: dict[tuple[str, str, str, int, int], float] = field(default_factory=dict)  # calls asked for so far

    def call_s(self, device: str, key: str, shape: str, rows: int, degree: int) -> float:
        """What the profile says of a call."""
        call = device, key, shape, rows, degree
        found_s = self.known_s.get(call)
        if found_s is None:
            found_s = self.known_s[call] = self.profile.call_s(device, key, shape, rows, degree)
        return found_s


@dataclass(slots=True)
class VirtualExecutor:
    """One life of one slot. `tell` takes its events. Orders to a dead one are void."""

    id: ExecutorId
    device: str
    memory_bytes: int
    loop: Loop
    physics: Physics
    tell: Callable[[Event], None]
    random: Random
    number: int = 0  # for the timeline
    slot: str = ""
    slowness: float = 1.0  # factor on everything that it computes
    busy_s: float = 0.0  # computing, helping included
    is_dead: bool = False
    _orders: deque[Run] = field(default_factory=deque)
    _loads: deque[tuple[Load | Unload, set[BatchId]]] = field(default_factory=deque)  # and the batches it waits for
    _is_busy: bool = False
    _is_loading: bool = False
    _resident: dict[ModelId, int] = field(default_factory=dict)
    _batch: VirtualBatch | None = None
    _batch_id: BatchId | None = None
    _helps: BatchId | None = None  # the batch for which it has come to its Assist
    _begun: float | None = None  # when the batch began, or the help
    _gangs_over: set[BatchId] = field(default_factory=set)  # batches with helpers that have ended
    _early: dict[BatchId, list[Join | Yield | TaskId]] = field(default_factory=dict)  # about batches not begun

    def obey(self, order: Order) -> None:
        if self.is_dead:
            return
        if isinstance(order, (Load, Unload)):
            self._loads.append((order, self._users(order.model) if isinstance(order, Unload) else set()))
            self._next_load()
        else:
            self._orders.append(order)
            if not self._is_busy:
                self._next()

    def stop(self, batch: BatchId, task: TaskId) -> None:
        """Give the task up at the next step boundary."""
        self._about(batch, task)

    def join(self, order: Join) -> None:
        self._about(order.batch, order)

    def leave(self, order: Yield) -> None:
        self._about(order.batch, order)

    def die(self) -> None:
        """The process ends; those who work with it notice. Says nothing any more."""
        self.is_dead = True
        self._account()
        if self._batch is not None:
            self._release_helpers(self._batch.order)
        for order in self._orders:  # helpers may have come to a batch that still waited for a model
            if isinstance(order, Dispatch):
                self._release_helpers(order)

    def _release_helpers(self, order: Dispatch) -> None:
        for helper in order.helpers:
            if (other := self.physics.find(helper)) is not None:
                other.release(order.batch)

    def release(self, batch: BatchId) -> None:
        """Its help with `batch` is over, or will not be needed when it comes to it."""
        if self._helps == batch:
            self._helps = None
            self._account()
            self._next()
        else:
            self._orders = deque([o for o in self._orders if not (isinstance(o, Assist) and o.batch == batch)])

    def helper_arrived(self, batch: BatchId) -> None:
        """A helper has come to its Assist for `batch`."""
        head = self._orders[0] if self._orders else None
        if self._batch is None and isinstance(head, Dispatch) and head.batch == batch:
            self._try_dispatch()

    def helper_lost(self, helper: ExecutorId) -> None:
        """An executor has died that may have helped here, or was waited for."""
        head = self._orders[0] if self._orders else None
        if self._batch is not None and helper in self._batch.order.helpers:
            self._batch.bereave()
        elif self._batch is None and isinstance(head, Dispatch) and helper in head.helpers:
            self._try_dispatch()

    def set_slowness(self, factor: float) -> None:
        self.slowness = factor
        if self._batch is not None:
            self._batch.pace_changed()

    # the queue

    def _about(self, batch: BatchId, order: Join | Yield | TaskId) -> None:
        if self.is_dead:
            return
        if self._batch is None or self._batch_id != batch:
            if any(isinstance(queued, Dispatch) and queued.batch == batch for queued in self._orders):
                self._early.setdefault(batch, []).append(order)
            return  # it has ended: void
        if isinstance(order, Join):
            self._batch.join(order.runs)
        elif isinstance(order, Yield):
            self._batch.leave()
        else:
            self._batch.stop(order)

    def _next(self) -> None:
        self._is_busy = bool(self._orders)
        if not self._orders or self.is_dead:
            return
        order = self._orders[0]
        if isinstance(order, Dispatch):
            self._try_dispatch()  # stays at the head until its models and helpers are there
        elif not self._loads:  # a helper's models are among those that were ordered before
            self._orders.popleft()
            self._assist(order)

    def _next_load(self) -> None:
        while self._loads and not self._is_loading and not self.is_dead:
            order, before = self._loads[0]
            if isinstance(order, Load):
                return self._load(order)
            if before & self._users(order.model):
                return
            self._loads.popleft()
            del self._resident[order.model]
            self.tell(ModelUnloaded(self.id, order.model))

    def _users(self, model: ModelId) -> set[BatchId]:
        """The batches that need the model, of those that run or wait."""
        batches = [order for order in self._orders if isinstance(order, Dispatch)]
        batches += [self._batch.order] if self._batch is not None else []
        return {batch.batch for batch in batches if model in batch.program.models}

    def _after(self, delay_s: float, call: Callable[..., None], *args: Any) -> None:
        self.loop.after(delay_s, self._due, call, args)

    def _due(self, call: Callable[..., None], args: tuple[Any, ...]) -> None:
        if not self.is_dead:
            call(*args)

    def _noisy(self) -> float:
        return max(0.1, self.random.gauss(1.0, self.physics.noise)) if self.physics.noise else 1.0

    def _load(self, order: Load) -> None:
        self._resident[order.model.id] = order.model.weight_bytes
        used = sum(self._resident.values())
        assert used <= self.memory_bytes, f"{self.id}: {order.model.id} makes it {used} of {self.memory_bytes} bytes"
        load_s = self.physics.profile.load_s(self.device, order.model) * self._noisy()
        self._is_loading = True

        def loaded() -> None:
            self._is_loading = False
            self._loads.popleft()
            self.tell(ModelLoaded(self.id, order.model.id, load_s))
            self._next_load()
            if self._batch is None and self._helps is None:
                self._next()

        self._after(load_s, loaded)

    def _assist(self, order: Assist) -> None:
        leader = self.physics.find(order.leader)
        if leader is None or not leader.expects(order.batch):
            return self._next()
        self._helps, self._begun = order.batch, self.loop.now_s
        leader.helper_arrived(order.batch)

    def expects(self, batch: BatchId) -> bool:
        """Whether a helper for `batch` is still wanted here. A Dispatch that is on its way will be waited for."""
        return batch not in self._gangs_over

    @property
    def helps(self) -> BatchId | None:
        return self._helps

    # batches

    def _try_dispatch(self) -> None:
        order = self._orders[0]
        assert isinstance(order, Dispatch)
        models = order.program.models
        if self._loads and any(isinstance(load, Load) and load.model.id in models for load, _ in self._loads):
            return
        helpers = [self.physics.find(helper) for helper in order.helpers]
        if any([helper is not None and helper.helps != order.batch for helper in helpers]):
            return
        self._orders.popleft()
        self._run(order)
        if None in helpers and self._batch is not None:
            self._batch.bereave()

    def _run(self, order: Dispatch) -> None:
        lacking = [model for model in order.program.models if model not in self._resident]
        assert order.layout.apart or not lacking, f"{self.id}: batch {order.batch} runs without {lacking}"
        started_s, noise = self.loop.now_s, self._noisy()
        true_s, device = self.physics.call_s, self.device

        def call_s(key: str, shape: str, rows: int, degree: int) -> float:
            return true_s(device, key, shape, rows, degree) * noise * self.slowness

        def report(ends: tuple[TaskEnd, ...], is_last: bool) -> None:
            self.tell(BatchReported(self.id, order.batch, ends, is_last, self.loop.now_s - started_s))
            if is_last:
                self._over(order)

        world = World(
            lambda: self.loop.now_s,
            self._after,
            call_s,
            self.physics.works,
            self.physics.outputs,
            self.physics.carries,
            report,
            self._span if self.physics.spans is not None else None,
        )
        self._batch, self._batch_id, self._begun = VirtualBatch(order, world), order.batch, started_s
        early = self._early.pop(order.batch, ())
        self._batch.start()
        for each in early:
            self._about(order.batch, each)

    def _over(self, order: Dispatch) -> None:
        self._batch = None
        self._account()
        if order.helpers:
            self._gangs_over.add(order.batch)
        self._release_helpers(order)
        self._next_load()
        self._next()

    def _account(self) -> None:
        if self._begun is not None:
            self.busy_s += self.loop.now_s - self._begun
            self._begun = None

    def _span(self, key: str, kind: str, start_s: float, rows: list[VirtualRow]) -> None:
        if self.physics.spans is not None:
            model, _, op = key.partition("/")
            tasks = tuple(row.run.task_id for row in rows)
            step = rows[0].step if kind else -1
            self.physics.spans(Span(self.id, self.number, op, model, tasks, step, start_s, self.loop.now_s))
