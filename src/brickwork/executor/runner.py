"""Runs one batch of tasks: interprets their common program, steps their loops, delivers results row by row.

Rows of a batch go through the program together, one model call for all. In a loop they may stand at different steps;
a row that has finished its loop leaves at once, runs the rest of the program and is reported, while the others go on.
At every step boundary orders are looked at: rows join, rows stop, or all leave with their carries as a checkpoint.
A failure fails every row that has not been delivered yet: control runs them again, each alone.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic

import torch

from brickwork.compiler.plan import Program
from brickwork.core.batch import TaskEnd
from brickwork.core.errors import BrickworkError
from brickwork.core.ids import ExecutorId, TaskId
from brickwork.core.step import step_batch
from brickwork.core.tensor import TensorHandle
from brickwork.data.tensors import TensorStore
from brickwork.executor.mailbox import Mailbox
from brickwork.executor.residency import Residency
from brickwork.executor.rows import Row, open_row
from brickwork.executor.tensors import put
from brickwork.graph.ir import Loop, Node
from brickwork.models.ops import Call, Op
from brickwork.models.precision import compiling_s
from brickwork.models.registry import operations
from brickwork.observe.spans import Span
from brickwork.wire.messages import Notice, Progress, Report, Run, Waiting

MIN_PROGRESS_S = 0.05
"""Least time between two Progress messages of a task: enough for an eye, nothing for the socket."""

MIN_PREVIEW_S = 0.5
"""Least time between two previews of a task. The first comes so long after the batch began."""


class NodeFailed(Exception):
    """A node raised. The text names node, model and cause."""


@dataclass(slots=True)
class Runner:
    """Runs batches of one executor, one at a time, with what the executor has."""

    executor: ExecutorId
    pid: int
    store: TensorStore
    residency: Residency
    send: Callable[[Notice], None]  # where notices go; called from the thread that runs batches
    mailbox: Mailbox  # orders about running batches, filled by the thread that reads orders
    operations: Mapping[str, Op] = field(default_factory=operations)  # by their names in the graph

    @torch.inference_mode()
    def run(self, order: Run, program: Program) -> None:
        """Run the batch and report every task of it exactly once."""
        batch = _Batch(self, order, program)
        try:
            batch.open()
            batch.execute(batch.rows, program.body)
        except Exception as error:  # whatever the models raise, the executor lives on and says so
            batch.fail(error)
        finally:
            batch.close()


class _Batch:
    """One run of a program by several rows."""

    def __init__(self, runner: Runner, order: Run, program: Program):
        self._runner = runner
        self._order = order
        self._program = program
        self._operations = runner.operations
        self._spans: list[Span] = []
        self._start_s = monotonic()
        self._compiled_s = compiling_s()  # of the process until now; compiling is no part of what a batch takes
        self._progress_s = 0.0
        self._preview_s = self._start_s
        self.rows: list[Row] = []
        self._open: dict[TaskId, int] = {run.task_id: run.attempt for run in order.runs}  # tasks not reported yet

    def open(self) -> None:
        for run in self._order.runs:
            self.rows.append(open_row(self._runner.store, self._program, run))
        for row in self.rows:
            self._runner.send(Progress(row.run.task_id, 0, 1))

    def execute(self, rows: list[Row], items: Sequence[Node | Loop]) -> None:
        """Take `rows` through `items` and deliver them."""
        rows = self._without_stopped(rows)
        if not rows:
            return
        for k, item in enumerate(items):
            if isinstance(item, Loop):
                return self._loop(item, rows, items[:k], items[k + 1 :])
            self._node(item, rows, step=-1)
        self._deliver(rows)

    def _loop(self, loop: Loop, rows: list[Row], before: Sequence[Node | Loop], rest: Sequence[Node | Loop]) -> None:
        """Step `rows`, and those that join, until none is left. `before` and `rest` stand around the loop."""
        entering = rows
        rows = []
        while True:
            for row in entering:
                self._enter(loop, row)
            self.execute([row for row in entering if row.step >= row.stop], rest)
            rows = [row for row in [*rows, *entering] if row.step < row.stop]
            rows = self._without_leaving(loop, self._without_stopped(rows))
            if active := step_batch(rows):
                self._trip(loop, active)
                self._announce(loop, active)
                self.execute([row for row in active if row.step >= row.stop], rest)
            entering = self._joining(before)
            if not active and not entering:
                return

    def _enter(self, loop: Loop, row: Row) -> None:
        """Put a row at the loop's start, or where its checkpoint was made."""
        row.start, row.stop = row.values[loop.start], row.values[loop.stop]
        carries = row.checkpoint(self._runner.store)
        row.step = row.first = row.start + (row.run.checkpoint.step if row.run.checkpoint else 0)
        for k, carry in enumerate(loop.carries):
            row.values[f"{loop.name}.{carry.name}"] = row.values[carry.init] if carries is None else carries[k]

    def _joining(self, before: Sequence[Node | Loop]) -> list[Row]:
        """Rows that join now, with what stands before the loop done."""
        runs = self._runner.mailbox.take_joining(self._order.batch)
        for run in runs:
            self._open[run.task_id] = run.attempt
        rows = [open_row(self._runner.store, self._program, run) for run in runs]
        self.rows += rows
        for item in before if rows else ():
            assert isinstance(item, Node), "loops are not nested, and a program has one"
            self._node(item, rows, step=-1)
        return rows

    def _without_leaving(self, loop: Loop, rows: list[Row]) -> list[Row]:
        """Report the rows that were told to leave and have taken a step since they came; return the others."""
        if not self._runner.mailbox.is_leaving(self._order.batch):
            return rows
        ends: list[TaskEnd] = []
        try:
            for row in (row for row in rows if row.step > row.first):
                carries = self._put(row, [f"{loop.name}.{carry.name}" for carry in loop.carries])
                ends.append(TaskEnd(row.run.task_id, row.run.attempt, "yielded", carries, step=row.step - row.start))
                row.release()
        finally:
            if ends:
                self._report(ends)
        return [row for row in rows if row.step == row.first]

    def _trip(self, loop: Loop, rows: list[Row]) -> None:
        for row in rows:
            row.values[f"{loop.name}.i"] = row.step
        for node in loop.body:
            self._node(node, rows, step=rows[0].step)
        for row in rows:
            carried = [row.values[carry.result] for carry in loop.carries]
            for carry, value in zip(loop.carries, carried, strict=True):
                row.values[f"{loop.name}.{carry.name}"] = value
            row.step += 1

    def _node(self, node: Node, rows: list[Row], step: int) -> None:
        start_s = monotonic()
        attrs = dict(node.attrs)
        calls = [Call({use.port: row.values[use.value] for use in node.inputs}, attrs) for row in rows]
        try:
            model = self._runner.residency.model(node.model) if node.model else None
            outputs = self._operations[node.op](model, calls)
        except Exception as error:
            on = f" on model {node.model}" if node.model else ""
            raise NodeFailed(f"node {node.name} ({node.op}){on} raised {_sentence(error)}") from error
        for row, values in zip(rows, outputs, strict=True):
            for (port, _), value in zip(node.outputs, values, strict=True):
                row.values[f"{node.name}.{port}"] = value
        if node.model or step < 0:
            self._span(node, rows, step, start_s)

    def _deliver(self, rows: list[Row]) -> None:
        """Put the results of `rows` into the arena and report them; those before a failure are delivered."""
        ends: list[TaskEnd] = []
        try:
            for row in rows:
                outputs = self._put(row, [name for name, _ in self._program.results])
                ends.append(TaskEnd(row.run.task_id, row.run.attempt, "done", outputs))
                row.release()
        finally:
            if ends:
                self._report(ends)

    def _put(self, row: Row, names: Sequence[str]) -> tuple[TensorHandle, ...]:
        """Values of a row as tensors in the arena that whoever hears of them owns."""
        handles: list[TensorHandle] = []
        try:
            for name in names:
                handles.append(put(self._runner.store, row.values[name], self._wait))
        except Exception:
            for handle in handles:
                self._runner.store.release(handle)
            raise
        for handle in handles:
            self._runner.store.hand_over(handle)
        return tuple(handles)

    def _wait(self, nbytes: int) -> None:
        """A result waits for room: nothing more should be asked of this executor until it has found some."""
        self._runner.send(Waiting(self._order.batch, nbytes))

    def _without_stopped(self, rows: list[Row]) -> list[Row]:
        """Report the rows that were told to stop; return the others."""
        ends = []
        for row in rows:
            task = row.run.task_id
            if task in self._open and self._runner.mailbox.is_stopped(self._order.batch, task):
                row.is_stopped = True
                row.release()
                ends.append(TaskEnd(task, row.run.attempt, "stopped"))
        if ends:
            self._report(ends)
        return [row for row in rows if not row.is_stopped]

    def fail(self, error: Exception) -> None:
        sentence = str(error) if isinstance(error, NodeFailed | BrickworkError) else _sentence(error)
        ends = [TaskEnd(task, attempt, "failed", (), sentence) for task, attempt in self._open.items()]
        self._report(ends, by_force=True)

    def close(self) -> None:
        for row in self.rows:
            row.release()

    def _report(self, ends: list[TaskEnd], by_force: bool = False) -> None:
        for end in ends:
            del self._open[end.task_id]
        is_last = not self._open and self._runner.mailbox.end(self._order.batch, by_force)
        spans, self._spans = tuple(self._spans), []
        compute_s = monotonic() - self._start_s - (compiling_s() - self._compiled_s)
        self._runner.send(Report(self._order.batch, tuple(ends), is_last, compute_s, spans))

    def _announce(self, loop: Loop, rows: list[Row]) -> None:
        """Tell how far `rows` are and, less often, what their pictures look like."""
        now_s = monotonic()
        if now_s - self._progress_s < MIN_PROGRESS_S:
            return
        self._progress_s = now_s
        preview = None
        if now_s - self._preview_s >= MIN_PREVIEW_S:
            preview, self._preview_s = self._runner.residency.preview(loop), now_s
        carry = next((carry for carry in loop.carries if carry.type.space == "latent"), None)
        for row in rows:
            picture = preview.png(row.values[f"{loop.name}.{carry.name}"]) if preview and carry else b""
            self._runner.send(Progress(row.run.task_id, row.step, row.stop, picture))

    def _span(self, node: Node, rows: list[Row], step: int, start_s: float) -> None:
        tasks = tuple(row.run.task_id for row in rows)
        executor, pid = self._runner.executor, self._runner.pid
        self._spans.append(Span(executor, pid, node.op, node.model or "", tasks, step, start_s, monotonic()))


def _sentence(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else '(no message)'}"
