"""Goal: a virtual executor keeps the live executor's contract: FIFO orders, early leavers, stops at step boundaries.

Method: orders by hand, events with their times. A step of two rows takes 10 ms, of four 13 ms, a decode 8 ms.
"""

from random import Random

import pytest

from brickwork.compiler.instance import ConcreteWork
from brickwork.control.actions import Dispatch, Load
from brickwork.control.events import BatchReported, Event, ModelLoaded
from brickwork.core.batch import TaskRun
from brickwork.core.ids import BatchId, ExecutorId, TaskId
from brickwork.sim.executor import Physics, VirtualExecutor
from brickwork.sim.loop import Loop
from support.plans import MIB, denoise_program, model, profile

PROGRAM = denoise_program(model("dit"))


class Bench:
    """One executor that runs denoise tasks named `steps/number`, each followed by a decode in the same program."""

    def __init__(self, mib: float = 2) -> None:
        self.loop = Loop()
        self.events: list[tuple[float, Event]] = []
        physics = Physics(profile(), self.works, lambda task: (), noise=0.0)
        self.executor = VirtualExecutor(
            ExecutorId("e1.1"), "cpu-1", int(mib * MIB), self.loop, physics, self.told, Random(1)
        )

    def works(self, task: TaskId) -> tuple[ConcreteWork, ...]:
        steps = int(task.split("/")[0])
        loop = ConcreteWork("toy.dit/toy.predict", "16x8x8", 2, steps, is_step=True)
        return (loop, ConcreteWork("toy.vae/toy.decode", "16x8x8", 1, 1))

    def told(self, event: Event) -> None:
        self.events.append((self.loop.now_s, event))

    def dispatch(self, *tasks: str) -> None:
        runs = tuple(TaskRun(TaskId(task), 1, ()) for task in tasks)
        self.executor.obey(Dispatch(self.executor.id, BatchId(1), PROGRAM, runs, "a test"))

    def ends(self) -> list[tuple[float, list[str], bool]]:
        return [
            (round(time_s, 6), [f"{end.task_id} {end.status}" for end in event.ends], event.is_last)
            for time_s, event in self.events
            if isinstance(event, BatchReported)
        ]


def test_orders_wait_for_each_other() -> None:
    bench = Bench()
    bench.executor.obey(Load(bench.executor.id, model("dit"), "a test"))
    bench.dispatch("3/a")
    bench.loop.run(100)
    assert isinstance(bench.events[0][1], ModelLoaded) and bench.events[0][0] == pytest.approx(0.05)
    assert bench.ends() == [(0.05 + 0.030 + 0.008, ["3/a done"], True)]


def test_an_early_leaver_finishes_its_program_while_the_other_waits() -> None:
    bench = Bench()
    bench.executor.obey(Load(bench.executor.id, model("dit"), "a test"))
    bench.dispatch("1/a", "2/b")
    bench.loop.run(100)
    a_s = 0.05 + 0.013 + 0.008
    assert bench.ends() == [(round(a_s, 6), ["1/a done"], False), (round(a_s + 0.018, 6), ["2/b done"], True)]


def test_a_stop_takes_effect_at_the_next_step() -> None:
    bench = Bench()
    bench.executor.obey(Load(bench.executor.id, model("dit"), "a test"))
    bench.dispatch("10/a", "2/b")
    bench.loop.after(0.05 + 0.001, lambda: bench.executor.stop(BatchId(1), TaskId("10/a")))
    bench.loop.run(100)
    assert bench.ends()[0] == (0.063, ["10/a stopped"], False)
    assert bench.ends()[1] == (0.081, ["2/b done"], True)


def test_the_dead_say_nothing() -> None:
    bench = Bench()
    bench.executor.obey(Load(bench.executor.id, model("dit"), "a test"))
    bench.dispatch("3/a")
    bench.loop.after(0.06, lambda: setattr(bench.executor, "is_dead", True))
    bench.loop.run(100)
    assert bench.ends() == []


def test_an_order_past_the_budget_is_a_defect() -> None:
    bench = Bench(mib=1.5)
    bench.executor.obey(Load(bench.executor.id, model("dit"), "a test"))
    bench.executor.obey(Load(bench.executor.id, model("vae"), "a test"))
    with pytest.raises(AssertionError, match="vae makes it 2097152 of 1572864 bytes"):
        bench.loop.run(100)


def test_a_batch_without_its_models_is_a_defect() -> None:
    bench = Bench()
    with pytest.raises(AssertionError, match="runs without"):
        bench.dispatch("3/a")
