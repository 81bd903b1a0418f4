"""Goal: a batch's rows do not influence each other, each is reported exactly once, and nothing stays leased.

Method: a hand-made program of real operations without a model (a loop of Euler steps) over a real arena; notices are
collected instead of sent. Holder 1 stands for the executor, holder 0 for the coordinator.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from brickwork.compiler.plan import Program, ProgramId
from brickwork.core.batch import TaskEnd, TaskRun
from brickwork.core.ids import BatchId, ExecutorId, TaskId
from brickwork.core.tensor import TensorHandle
from brickwork.data.keeper import Keeper, open_store
from brickwork.executor.residency import Residency
from brickwork.executor.runner import Runner
from brickwork.executor.tensors import put, view
from brickwork.graph.ir import Carry, Loop, Node, Use
from brickwork.graph.types import INT, Type
from brickwork.models.sampler import euler
from brickwork.wire.messages import Notice, Progress, Report, Run

LATENT = Type("latent", "vae", "float32", (1, 2, 3, 3))
ATTRS = (("shift", 2.0), ("num_train_timesteps", 1000))


def _uses(**values: str) -> tuple[Use, ...]:
    return tuple(Use(port, value, INT if value in ("p2", "p3", "n0.i") else LATENT) for port, value in values.items())


STEP = Node(
    "n0/euler", "sampler.euler", None, _uses(latents="n0.x", velocity="p1", i="n0.i", steps="p3"),
    (("latents", LATENT),), ATTRS,
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
    stopped: set[tuple[int, str]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.store = open_store(self.keeper.segments, self.keeper.next_holder())
        self.runner = Runner(ExecutorId("e1"), 1, self.store, Residency(1 << 20), self.notices.append, self.stopped)

    def task(self, name: str, start: int, stop: int, seed: int, shape: tuple[int, ...] = (1, 2, 3, 3)) -> TaskRun:
        generator = torch.Generator().manual_seed(seed)
        x, v = (put(self.keeper.store, torch.randn(shape, generator=generator)) for _ in range(2))
        return TaskRun(TaskId(name), 1, (x, v, start, stop))

    def run(self, *runs: TaskRun) -> dict[str, TaskEnd]:
        """Run a batch; adopt what it gives and release its inputs. Every task must be reported once."""
        self.runner.run(Run(BatchId(1), PROGRAM.id, runs), PROGRAM)
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

    def take(self, end: TaskEnd) -> np.ndarray:
        (handle,) = end.outputs
        with self.keeper.store.get(handle) as lease:
            array = view(lease).numpy().copy()
        self.keeper.store.release(handle)
        return array


@pytest.fixture
def stage() -> Iterator[Stage]:
    made = Stage()
    yield made
    assert made.keeper.leaked() == []
    made.keeper.close()


def _expected(start: int, stop: int, seed: int) -> np.ndarray:
    generator = torch.Generator().manual_seed(seed)
    x, v = (torch.randn((1, 2, 3, 3), generator=generator) for _ in range(2))
    for i in range(start, stop):
        x = euler(x, v, i, stop, 2.0, 1000)
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
    stage.stopped.add((1, "r0/d"))
    ends = stage.run(stage.task("r0/d", 0, 5, 0), stage.task("r1/d", 0, 5, 1))
    assert ends["r0/d"].status == "stopped" and ends["r0/d"].outputs == ()
    assert np.array_equal(stage.take(ends["r1/d"]), _expected(0, 5, 1))
    assert stage.stopped == set()


def test_a_stop_in_the_middle_takes_effect_at_the_next_step(stage: Stage) -> None:
    """1. A batch of 900 steps begins. 2. Its first progress makes the reader note a Stop. 3. The row ends as stopped,
    after one step at most."""
    steps = []

    def send(notice: Notice) -> None:
        stage.notices.append(notice)
        if isinstance(notice, Progress):
            steps.append(notice.step)
            stage.stopped.add((1, "r0/d"))

    stage.runner.send = send
    ends = stage.run(stage.task("r0/d", 0, 900, 0))
    assert ends["r0/d"].status == "stopped"
    assert max(steps) <= 1


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
    ends = stage.run(*runs)
    assert ends["r0/d"].status == "failed" and "arena is full" in ends["r0/d"].error


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
