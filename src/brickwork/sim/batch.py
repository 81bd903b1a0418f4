"""A batch that runs on a virtual executor, in as few events as it has changes.

Equal steps are one event: time jumps to the next step boundary at which the roster changes, because a row has taken
its last step. An order that comes in between (a task stops, others join, all yield) takes effect at the next boundary,
which is computed, not waited for:

    rows a: 2 steps, b: 4 steps        0 --- a, b --- 2 --- b --- 4        two events
    c joins during b's third step      0 --- a, b --- 2 - b - 3 -- b, c ... three

A row that has left the loop runs the rest of its program at once and is reported, while the others wait.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import ceil
from typing import Any

from brickwork.compiler.instance import ConcreteWork, steps_of
from brickwork.control.actions import Dispatch
from brickwork.core.batch import TaskEnd, TaskRun
from brickwork.core.ids import TaskId
from brickwork.core.record import record
from brickwork.core.step import step_batch
from brickwork.core.tensor import TensorHandle
from brickwork.profile.pace import step_s

EPSILON = 1e-9
"""Seconds by which an order may come after a boundary and still take effect at it: rounding of virtual time."""


@dataclass(slots=True)
class VirtualRow:
    """One task of a running batch."""

    run: TaskRun
    works: tuple[ConcreteWork, ...]
    step: int = 0
    stop: int = 0
    is_stopped: bool = False
    first: int = 0  # the step at which this dispatch took it up

    @staticmethod
    def of(run: TaskRun, works: tuple[ConcreteWork, ...]) -> "VirtualRow":
        step = run.checkpoint.step if run.checkpoint else 0
        return VirtualRow(run, works, step, steps_of(works), first=step)


@record(frozen=True, slots=True)
class World:
    """What a batch needs of its executor."""

    now_s: Callable[[], float]
    after: Callable[..., None]  # (seconds, call, *args)
    call_s: Callable[[str, str, int, int], float]  # (key, shape, rows, degree), as true now
    works: Callable[[TaskId], tuple[ConcreteWork, ...]]
    outputs: Callable[[TaskId], tuple[TensorHandle, ...]]  # makes the results of a task
    carries: Callable[[TaskId], tuple[TensorHandle, ...]]  # makes the checkpoint of a task
    report: Callable[[tuple[TaskEnd, ...], bool], None]  # (ends, is last)
    span: Callable[[str, str, float, list[VirtualRow]], None] | None  # takes (key, kind, start, rows) of what ends now


@dataclass(slots=True)
class VirtualBatch:
    """Runs `order` in `world` from `start()` on; orders about it come through `stop`, `join` and `leave`."""

    order: Dispatch
    world: World
    rows: list[VirtualRow] = field(default_factory=list)  # in the loop, or about to enter it
    _joining: list[VirtualRow] = field(default_factory=list)
    _stopping: set[TaskId] = field(default_factory=set)
    _yields: bool = False
    _timer: int = 0  # of the segment that counts; older ones are void
    _segment: tuple[float, float, int] | None = None  # start, seconds a step, steps; None outside the loop
    is_over: bool = False

    def start(self) -> None:
        self.rows = [self._row(run) for run in self.order.runs]
        self._run_outside(self.rows, _before_loop, self._enter)

    # orders

    def stop(self, task: TaskId) -> None:
        """Give the task up at the next boundary."""
        self._stopping.add(task)
        self._cut()

    def join(self, runs: tuple[TaskRun, ...]) -> None:
        self._joining += [self._row(run) for run in runs]
        self._cut()

    def leave(self) -> None:
        """All rows hand over their carries at the next boundary."""
        self._yields = True
        self._cut()

    def bereave(self) -> None:
        """A helper was lost: nothing can go on."""
        self._timer += 1
        self._end([*self.rows, *self._joining], "bereft")

    def pace_changed(self) -> None:
        """The executor has become slower or faster; counts from the next boundary on."""
        self._cut()

    # the course of things

    def _row(self, run: TaskRun) -> VirtualRow:
        return VirtualRow.of(run, self.world.works(run.task_id))

    def _run_outside(
        self, rows: list[VirtualRow], part: Callable[[tuple[ConcreteWork, ...]], tuple[ConcreteWork, ...]],
        then: Callable[[], None],
    ) -> None:  # fmt: skip
        """Run the works of `rows` on one side of the loop, then call `then`."""
        works = part(rows[0].works) if rows else ()
        seconds = 0.0
        for work in works:
            seconds += work.trips * self.world.call_s(work.key, work.shape, work.rows * len(rows), 1)
        if seconds:
            self._after(seconds, self._ran_outside, rows, works, self.world.now_s(), then)
        else:
            then()

    def _ran_outside(
        self, rows: list[VirtualRow], works: tuple[ConcreteWork, ...], started_s: float, then: Callable[[], None]
    ) -> None:
        if (span := self.world.span) is not None:
            for work in works:
                span(work.key, "", started_s, rows)
        then()

    def _enter(self) -> None:
        """At a boundary: let the ready ones leave and the waiting ones in, then take steps until the next change."""
        self._segment = None
        ready = [row for row in self.rows if row.step >= row.stop]
        if ready:
            self.rows = [row for row in self.rows if row.step < row.stop]
            return self._run_outside(ready, _after_loop, lambda: self._finish(ready))
        self._drop_stopped()
        if self._yields and (leaving := [row for row in self.rows if row.step > row.first]):
            self.rows = [row for row in self.rows if row.step == row.first]
            self._end(leaving, "yielded")
        if self._joining:
            joining, self._joining = self._joining, []
            self.rows += joining
            return self._run_outside(joining, _before_loop, self._enter)
        if not self.is_over:
            self._take_steps()

    def _take_steps(self) -> None:
        active = step_batch(self.rows)
        if not active:
            return
        works, layout = active[0].works, self.order.layout
        one_s = step_s(works, len(active), layout, self.world.call_s)
        count = 1 if self._yields else min([row.stop - row.step for row in active])
        self._segment = (self.world.now_s(), one_s, count)
        self._after(count * one_s, self._stepped, active)

    def _stepped(self, active: list[VirtualRow]) -> None:
        assert self._segment is not None
        started_s, _, count = self._segment
        for row in active:
            row.step += count
        if (span := self.world.span) is not None:
            span(next(work.key for work in active[0].works if work.is_step), "loop", started_s, active)
        self._enter()

    def _cut(self) -> None:
        """End the segment that runs at its next boundary, because something has changed."""
        if self._segment is None:
            return  # `_enter` will see it
        started_s, one_s, count = self._segment
        passed_s = self.world.now_s() - started_s
        taken = min(count, max(1, ceil((passed_s - EPSILON) / one_s)))
        if taken < count:
            self._segment = (started_s, one_s, taken)
            active = step_batch(self.rows)
            self._after(max(0.0, taken * one_s - passed_s), self._stepped, active)

    def _drop_stopped(self) -> None:
        for rows in (self.rows, self._joining):
            if stopped := [row for row in rows if row.run.task_id in self._stopping]:
                for row in stopped:
                    rows.remove(row)
                self._end(stopped, "stopped")

    def _finish(self, rows: list[VirtualRow]) -> None:
        self._end(rows, "done")
        if not self.is_over:
            self._enter()

    def _end(self, rows: list[VirtualRow], status: str) -> None:
        if rows:
            ends = tuple([self._ending(row, status) for row in rows])
            self.is_over = status == "bereft" or not (self.rows or self._joining)
            self.world.report(ends, self.is_over)

    def _ending(self, row: VirtualRow, status: str) -> TaskEnd:
        run = row.run
        outputs: tuple[TensorHandle, ...] = ()
        if status == "done":
            outputs = self.world.outputs(run.task_id)
        elif status == "yielded":
            outputs = self.world.carries(run.task_id)
        error = "a helper was lost" if status == "bereft" else ""
        return TaskEnd(run.task_id, run.attempt, status, outputs, error, row.step)

    def _after(self, seconds: float, call: Callable[..., None], *args: Any) -> None:
        self._timer += 1
        self.world.after(seconds, self._due, self._timer, call, args)

    def _due(self, timer: int, call: Callable[..., None], args: tuple[Any, ...]) -> None:
        if timer == self._timer:
            call(*args)


def _before_loop(works: tuple[ConcreteWork, ...]) -> tuple[ConcreteWork, ...]:
    """Works that stand before the loop; all, when there is no loop."""
    for k, work in enumerate(works):
        if work.is_step:
            return works[:k]
    return works


def _after_loop(works: tuple[ConcreteWork, ...]) -> tuple[ConcreteWork, ...]:
    """Works that stand after the loop; none, when there is no loop."""
    for k in range(len(works), 0, -1):
        if works[k - 1].is_step:
            return works[k:]
    return ()
