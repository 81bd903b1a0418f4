"""A virtual executor: carries orders out one after the other, in virtual time, and reports like a real one.

A batch runs as in the live runner: works in order, each in trips; before every call `step_batch` says which rows
join. A row that has left its loop runs the rest of its program at once and is reported, while the others wait.

    denoise a: 2 steps, b: 3 steps   call(a, b) call(a, b) decode(a) -> report a   call(b) decode(b) -> report b
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random

from brickwork.compiler.instance import ConcreteWork
from brickwork.control.actions import Dispatch, Load, Unload
from brickwork.control.events import BatchReported, Event, ModelLoaded, ModelUnloaded
from brickwork.core.batch import TaskEnd, TaskRun
from brickwork.core.ids import BatchId, ExecutorId, ModelId, TaskId
from brickwork.core.step import step_batch
from brickwork.core.tensor import TensorHandle
from brickwork.profile.table import Profile
from brickwork.sim.loop import Loop

Order = Load | Unload | Dispatch


@dataclass(slots=True)
class VirtualRow:
    """One task of a running batch."""

    run: TaskRun
    works: tuple[ConcreteWork, ...]
    step: int = 0
    stop: int = 0
    is_stopped: bool = False


@dataclass(frozen=True, slots=True)
class Physics:
    """What is true in the simulated world, as opposed to what control believes."""

    profile: Profile
    works: Callable[[TaskId], tuple[ConcreteWork, ...]]
    outputs: Callable[[TaskId], tuple[TensorHandle, ...]]  # makes the results of a task
    noise: float  # standard deviation of batch and load times, relative


@dataclass(slots=True)
class VirtualExecutor:
    """One life of one slot. `tell` takes its events."""

    id: ExecutorId
    device: str
    memory_bytes: int
    loop: Loop
    physics: Physics
    tell: Callable[[Event], None]
    random: Random
    is_dead: bool = False
    _orders: deque[Order] = field(default_factory=deque)
    _is_busy: bool = False
    _resident: dict[ModelId, int] = field(default_factory=dict)
    _stopped: set[tuple[BatchId, TaskId]] = field(default_factory=set)

    def obey(self, order: Order) -> None:
        self._orders.append(order)
        if not self._is_busy:
            self._next()

    def stop(self, batch: BatchId, task: TaskId) -> None:
        """Give the task up at the next step boundary."""
        self._stopped.add((batch, task))

    def _next(self) -> None:
        self._is_busy = bool(self._orders)
        if not self._orders:
            return
        order = self._orders.popleft()
        if isinstance(order, Dispatch):
            self._run(order)
        elif isinstance(order, Load):
            self._load(order)
        else:
            del self._resident[order.model]
            self.tell(ModelUnloaded(self.id, order.model))
            self._next()

    def _after(self, delay_s: float, call: Callable[[], None]) -> None:
        self.loop.after(delay_s, lambda: None if self.is_dead else call())

    def _noisy(self) -> float:
        return max(0.1, self.random.gauss(1.0, self.physics.noise))

    def _load(self, order: Load) -> None:
        self._resident[order.model.id] = order.model.weight_bytes
        used = sum(self._resident.values())
        assert used <= self.memory_bytes, f"{self.id}: {order.model.id} makes it {used} of {self.memory_bytes} bytes"
        load_s = self.physics.profile.load_s(self.device, order.model) * self._noisy()

        def loaded() -> None:
            self.tell(ModelLoaded(self.id, order.model.id, load_s))
            self._next()

        self._after(load_s, loaded)

    def _run(self, order: Dispatch) -> None:
        lacking = set(order.program.models) - set(self._resident)
        assert not lacking, f"{self.id}: batch {order.batch} runs without {lacking}"
        rows = [VirtualRow(run, self.physics.works(run.task_id)) for run in order.runs]
        started_s, noise, left = self.loop.now_s, self._noisy(), len(rows)
        happenings = self._execute(order.batch, rows, 0)

        def advance() -> None:
            nonlocal left
            for happening in happenings:
                if isinstance(happening, float):
                    return self._after(happening * noise, advance)
                left -= len(happening)
                self.tell(BatchReported(self.id, order.batch, happening, left == 0, self.loop.now_s - started_s))
            self._next()

        advance()

    def _execute(self, batch: BatchId, rows: list[VirtualRow], k: int) -> Iterator[float | tuple[TaskEnd, ...]]:
        """What happens while `rows` run their works from the k-th on: seconds that pass, and ends of tasks."""
        if not rows:
            return
        if k == len(rows[0].works):
            yield tuple(
                TaskEnd(row.run.task_id, row.run.attempt, "done", self.physics.outputs(row.run.task_id)) for row in rows
            )
            return
        for row in rows:
            row.step, row.stop = 0, row.works[k].trips
        yield from self._execute(batch, [row for row in rows if row.stop == 0], k + 1)
        yield from self._without_stopped(batch, rows)
        while active := step_batch(rows):
            work = active[0].works[k]
            yield self.physics.profile.call_s(self.device, work.key, work.shape, work.rows * len(active))
            for row in active:
                row.step += 1
            rows = [row for row in rows if row.step < row.stop]
            yield from self._execute(batch, [row for row in active if row.step == row.stop], k + 1)
            yield from self._without_stopped(batch, rows)

    def _without_stopped(self, batch: BatchId, rows: list[VirtualRow]) -> Iterator[tuple[TaskEnd, ...]]:
        for row in rows:
            if not row.is_stopped and (batch, row.run.task_id) in self._stopped:
                row.is_stopped = True
                yield (TaskEnd(row.run.task_id, row.run.attempt, "stopped"),)
