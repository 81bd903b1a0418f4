"""Goal: a batch's rows do not influence each other, each is reported exactly once, and nothing stays leased.

Method: a hand-made program of one operation without a model (a loop of Euler steps) over a real arena; notices are
collected instead of sent. Holder 1 stands for the executor, holder 0 for the coordinator.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from brickwork.compiler.plan import Program, ProgramId
from brickwork.core.batch import Checkpoint, TaskEnd, TaskRun
from brickwork.core.ids import BatchId, ExecutorId, TaskId
from brickwork.core.tensor import TensorHandle
from brickwork.data.keeper import Keeper
from brickwork.data.segments import open_store
from brickwork.executor.config import shares
from brickwork.executor.mailbox import Mailbox
from brickwork.executor.residency import Residency
from brickwork.executor.runner import Runner
from brickwork.executor.tensors import put, view
from brickwork.graph.ir import Carry, Loop, Node, Use
from brickwork.graph.types import INT, Type
from brickwork.models.ops import Call, Outputs
from brickwork.wire.messages import Notice, Progress, Report, Run, Waiting

LATENT = Type("latent", "vae", "float32", (1, 2, 3, 3))


def euler(x: torch.Tensor, v: torch.Tensor, i: int, steps: int) -> torch.Tensor:
    """One step that depends on where it stands in the loop."""
    return x + v * ((i + 1) / steps)


def _euler(_model: Any, calls: list[Call]) -> list[Outputs]:
    args = [call.args for call in calls]
    return [(euler(each["latents"], each["velocity"], each["i"], each["steps"]),) for each in args]


def _uses(**values: str) -> tuple[Use, ...]:
    return tuple(Use(port, value, INT if value in ("p2", "p3", "n0.i") else LATENT) for port, value in values.items())


STEP = Node(
    "n0/euler", "toy.euler", None, _uses(latents="n0.x", velocity="p1", i="n0.i", steps="p3"),
    (("latents", LATENT),),
)  # fmt: skip
LOOP = Loop("n0", "p2", "p3", (Carry("x", LATENT, "p0", "n0/euler.latents"),), (STEP,))
PROGRAM = Program(
    ProgramId("euler"), (("p0", LATENT), ("p1", LATENT), ("p2", INT), ("p3", INT)), (LOOP,), (("n0.x", LATENT),),
    (), (), (),
)  # fmt: skip


@dataclass
class Stage:
    """A runner with everything around it."""

    keeper: Keeper = field(default_factory=Keeper)
    notices: list[Notice] = field(default_factory=list)
    mailbox: Mailbox = field(default_factory=Mailbox)
    batches: int = 0

    def __post_init__(self) -> None:
        self.store = open_store(self.keeper.segments, self.keeper.next_holder())
        residency, toy = Residency(shares(1 << 30)), {"toy.euler": _euler}
        self.runner = Runner(ExecutorId("e1"), 1, self.store, residency, self.notices.append, self.mailbox, toy)

    def task(self, name: str, start: int, stop: int, seed: int, shape: tuple[int, ...] = (1, 2, 3, 3)) -> TaskRun:
        generator = torch.Generator().manual_seed(seed)
        x, v = (put(self.keeper.store, torch.randn(shape, generator=generator)) for _ in range(2))
        return TaskRun(TaskId(name), 1, (x, v, start, stop))

    def run(self, *runs: TaskRun) -> dict[str, TaskEnd]:
        """Run a batch; adopt what it gives and release its inputs. Every task must be reported once."""
        self.batches += 1
        self.runner.run(Run(BatchId(self.batches), PROGRAM.id, runs), PROGRAM)
        reports = [notice for notice in self.notices if isinstance(notice, Report)]
        self.notices.clear()
        assert [report.is_last for report in reports] == [False] * (len(reports) - 1) + [True]
        ends = [end for report in reports for end in report.ends]
        assert sorted(end.task_id for end in ends) == sorted(run.task_id for run in runs)
        for end in ends:
            for handle in end.outputs:
                self.keeper.adopt(handle, 1)
        for run in runs:
            for arg in run.args:
                if isinstance(arg, TensorHandle):
                    self.keeper.store.release(arg)
        return {str(end.task_id): end for end in ends}

    def play(self, batch: int, runs: tuple[TaskRun, ...]) -> dict[str, TaskEnd]:
        """Run a batch and adopt what it gives; who joined is in the ends too."""
        self.runner.run(Run(BatchId(batch), PROGRAM.id, runs), PROGRAM)
        reports = [notice for notice in self.notices if isinstance(notice, Report)]
        self.notices.clear()
        assert [report.is_last for report in reports] == [False] * (len(reports) - 1) + [True]
        ends = [end for report in reports for end in report.ends]
        for end in ends:
            for handle in end.outputs:
                self.keeper.adopt(handle, 1)
        assert len({end.task_id for end in ends}) == len(ends), "a task was reported twice"
        return {str(end.task_id): end for end in ends}

    def take(self, end: TaskEnd) -> np.ndarray:
        (handle,) = end.outputs
        with self.keeper.store.get(handle) as lease:
            array = view(lease).numpy().copy()
        self.keeper.store.release(handle)
        return array


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    monkeypatch.setattr("brickwork.executor.tensors.RESULT_WAIT_S", 0.01)  # nobody here will ever make room
    made = Stage()
    yield made
    assert made.keeper.leaked() == []
    made.keeper.close()


def _expected(start: int, stop: int, seed: int) -> np.ndarray:
    generator = torch.Generator().manual_seed(seed)
    x, v = (torch.randn((1, 2, 3, 3), generator=generator) for _ in range(2))
    for i in range(start, stop):
        x = euler(x, v, i, stop)
    return x.numpy()


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 9)), min_size=1, max_size=6))
def test_rows_with_different_steps_end_as_if_alone(bounds: list[tuple[int, int]]) -> None:
    """Rows join and leave at steps of their own, also without any step; each result is the lone one."""
    stage = Stage()
    runs = [stage.task(f"r{k}/d", start, stop, seed=k) for k, (start, stop) in enumerate(bounds)]
    ends = stage.run(*runs)
    for k, (start, stop) in enumerate(bounds):
        assert np.array_equal(stage.take(ends[f"r{k}/d"]), _expected(start, stop, k))
    assert stage.keeper.leaked() == []
    stage.keeper.close()


def test_a_row_with_fewer_steps_is_reported_before_the_batch_ends(stage: Stage) -> None:
    runs = [stage.task("r0/d", 0, 2, 0), stage.task("r1/d", 0, 9, 1)]
    stage.runner.run(Run(BatchId(1), PROGRAM.id, tuple(runs)), PROGRAM)
    first, last = [notice for notice in stage.notices if isinstance(notice, Report)]
    assert [end.task_id for end in first.ends] == ["r0/d"] and not first.is_last
    assert [end.task_id for end in last.ends] == ["r1/d"] and last.is_last
    for end in (*first.ends, *last.ends):
        stage.keeper.adopt(end.outputs[0], 1)
        stage.keeper.store.release(end.outputs[0])
    for run in runs:
        stage.keeper.store.release(run.args[0])
        stage.keeper.store.release(run.args[1])


def test_a_stopped_row_ends_and_the_others_go_on(stage: Stage) -> None:
    stage.mailbox.stop(BatchId(1), TaskId("r0/d"))
    ends = stage.run(stage.task("r0/d", 0, 5, 0), stage.task("r1/d", 0, 5, 1))
    assert ends["r0/d"].status == "stopped" and ends["r0/d"].outputs == ()
    assert np.array_equal(stage.take(ends["r1/d"]), _expected(0, 5, 1))
    assert not stage.mailbox.is_stopped(BatchId(1), TaskId("r0/d"))


def test_a_stop_in_the_middle_takes_effect_at_the_next_step(stage: Stage) -> None:
    """1. A batch of 900 steps begins. 2. Its first progress makes the reader note a Stop. 3. The row ends as stopped,
    after one step at most."""
    steps = []

    def send(notice: Notice) -> None:
        stage.notices.append(notice)
        if isinstance(notice, Progress):
            steps.append(notice.step)
            stage.mailbox.stop(BatchId(1), TaskId("r0/d"))

    stage.runner.send = send
    ends = stage.run(stage.task("r0/d", 0, 900, 0))
    assert ends["r0/d"].status == "stopped"
    assert max(steps) <= 1


class Script(Mailbox):
    """A mailbox in which orders appear at chosen step boundaries, as if the reading thread had put them there."""

    def __init__(self, orders: dict[int, Callable[[Mailbox], None]]):
        super().__init__()
        self.orders, self.boundary = orders, 0

    def take_joining(self, batch: BatchId) -> list[TaskRun]:
        self.boundary += 1
        self.orders.get(self.boundary, lambda _: None)(self)
        return super().take_joining(batch)


@given(
    steps=st.lists(st.integers(1, 8), min_size=1, max_size=3),
    joining=st.dictionaries(st.integers(1, 9), st.integers(1, 8), max_size=3),
    leave_at=st.integers(1, 10),
)
def test_rows_that_join_and_leave_end_as_if_alone(steps: list[int], joining: dict[int, int], leave_at: int) -> None:
    """1. A batch runs; tasks join it at some boundaries. 2. At one it is told to leave: every row that has taken a step
    is reported with its carries. 3. Those go on in another batch from there. Every result is the lone one, bit by bit;
    a task that came too late is not reported at all."""
    stage = Stage()
    runs = {f"r{k}": stage.task(f"r{k}", 0, stop, seed=k) for k, stop in enumerate(steps)}
    late = {at: stage.task(f"j{at}", 0, stop, seed=100 + at) for at, stop in joining.items()}
    orders: dict[int, Callable[[Mailbox], None]] = {
        at: (lambda mailbox, run=run: mailbox.join(BatchId(1), [run])) for at, run in late.items()
    }
    joins_then = orders.get(leave_at, lambda _: None)
    orders[leave_at] = lambda mailbox: (joins_then(mailbox), mailbox.leave(BatchId(1)))[1]
    stage.runner.mailbox = Script(orders)
    everything = {**runs, **{f"j{at}": run for at, run in late.items()}}
    ends = stage.play(1, tuple(runs.values()))
    assert set(runs) <= set(ends)
    left = {name: end for name, end in ends.items() if end.status == "yielded"}
    assert all(0 < end.step < everything[name].args[3] for name, end in left.items())
    again = tuple(replace(everything[name], checkpoint=Checkpoint(e.step, e.outputs)) for name, e in left.items())
    stage.runner.mailbox = Mailbox()
    results = {name: end for name, end in ends.items() if end.status == "done"}
    results |= stage.play(2, again) if again else {}
    for name, end in results.items():
        run = everything[name]
        seed = int(name[1:]) + (100 if name[0] == "j" else 0)
        assert end.status == "done" and np.array_equal(stage.take(end), _expected(0, run.args[3], seed))
    for end in left.values():
        stage.keeper.store.release(end.outputs[0])
    for run in everything.values():
        stage.keeper.store.release(run.args[0])
        stage.keeper.store.release(run.args[1])
    assert stage.keeper.leaked() == []
    stage.keeper.close()


def test_the_mailbox_lets_a_batch_end_only_when_nobody_waits_to_join() -> None:
    mailbox, run = Mailbox(), TaskRun(TaskId("r1/d"), 1, ())
    mailbox.join(BatchId(3), [run])
    assert not mailbox.end(BatchId(3))
    assert mailbox.take_joining(BatchId(3)) == [run] and mailbox.take_joining(BatchId(3)) == []
    assert mailbox.end(BatchId(3))
    mailbox.join(BatchId(3), [run])  # void from here on
    mailbox.leave(BatchId(3))
    assert mailbox.take_joining(BatchId(3)) == [] and not mailbox.is_leaving(BatchId(3))
    mailbox.join(BatchId(4), [run])
    assert mailbox.end(BatchId(4), by_force=True) and mailbox.take_joining(BatchId(4)) == []


def test_a_failure_fails_every_open_row_and_names_the_node(stage: Stage) -> None:
    x = put(stage.keeper.store, torch.zeros(1, 2, 3, 3))
    v = put(stage.keeper.store, torch.zeros(1, 2, 4, 4))
    ends = stage.run(TaskRun(TaskId("r2/d"), 1, (x, v, 0, 3)), stage.task("r3/d", 0, 3, 3))
    assert {end.status for end in ends.values()} == {"failed"}
    assert "n0/euler" in ends["r2/d"].error and "RuntimeError" in ends["r2/d"].error


def test_a_stale_input_fails_the_batch(stage: Stage) -> None:
    run = stage.task("r0/d", 0, 3, 0)
    for arg in run.args[:2]:
        stage.keeper.store.release(arg)
    stage.runner.run(Run(BatchId(1), PROGRAM.id, (run,)), PROGRAM)
    (report,) = [notice for notice in stage.notices if isinstance(notice, Report)]
    assert report.ends[0].status == "failed" and report.is_last


def test_outputs_that_do_not_fit_fail_and_leave_nothing(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    from brickwork.core.errors import OutOfSpace

    def full(_spec: object) -> None:
        raise OutOfSpace("The arena is full.")

    runs = [stage.task("r0/d", 0, 3, 0)]
    monkeypatch.setattr(stage.store, "allocate", full)
    told: list[Notice] = []
    stage.runner.send = lambda notice: (told.append(notice), stage.notices.append(notice))[0]
    ends = stage.run(*runs)
    assert ends["r0/d"].status == "failed" and "arena is full" in ends["r0/d"].error
    assert [notice for notice in told if isinstance(notice, Waiting)] == [Waiting(BatchId(1), 2 * 3 * 3 * 4)]


def test_a_row_delivered_before_the_arena_was_full_is_kept(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first row's block is handed over already when the second finds none: it must be reported, or it leaks."""
    from brickwork.core.errors import OutOfSpace

    runs = [stage.task("r0/d", 0, 3, 0), stage.task("r1/d", 0, 3, 1)]
    allocate, calls = stage.store.allocate, []

    def once(spec: Any) -> Any:
        calls.append(spec)
        if len(calls) > 1:
            raise OutOfSpace("The arena is full.")
        return allocate(spec)

    monkeypatch.setattr(stage.store, "allocate", once)
    ends = stage.run(*runs)
    assert ends["r1/d"].status == "failed"
    assert np.array_equal(stage.take(ends["r0/d"]), _expected(0, 3, 0))
