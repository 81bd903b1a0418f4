"""Goal: whatever happens to Control, in whatever order, late or twice, no request is lost and no tensor leaks.

Method: a rule-based machine plays an adversarial world (support/adversary.py checks every action and, by
State.check(), every index after every event). In each run some kinds of trouble are switched off, which reaches
states that an even mix does not. At the end the world turns kind, and everything must come to its end.
"""

from dataclasses import replace
from typing import Literal

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from brickwork.control.events import CancelRequested
from brickwork.control.fairness import Tenant
from brickwork.control.machine import Control
from property.strategies import PLANS, budgets, deadlines_s, pauses_s, plan_names, steps
from support.adversary import World
from support.plans import MIB, profile, request

TROUBLES = ("yield", "crash", "fail", "cancel", "repeat", "reorder", "partial", "starve", "shrink")
MAX_EXECUTORS = 4
TENANTS = {"b": Tenant(weight=2.0, max_requests=2), "c": Tenant(priority=1)}


class ControlMachine(RuleBasedStateMachine):
    @initialize(off=st.sets(st.sampled_from(TROUBLES)), budgets=st.lists(budgets, max_size=2))
    def start(self, off: set[str], budgets: list[int]) -> None:
        self.trouble = set(TROUBLES) - off
        self.world = World(Control(profile(), tenants=TENANTS))
        self.requests = 0
        for memory_bytes in budgets:
            self.world.join(memory_bytes)

    @rule(
        name=plan_names,
        steps=steps,
        deadline_s=deadlines_s,
        deterministic=st.booleans(),
        if_late=st.sampled_from(["stop", "continue"]),
        may_degrade=st.booleans(),
        resend_key=st.sampled_from(["", "a", "b"]),
    )
    def arrive(
        self,
        name: str,
        steps: int,
        deadline_s: float | None,
        deterministic: bool,
        if_late: Literal["stop", "continue"] = "stop",
        may_degrade: bool = False,
        resend_key: str = "",
    ) -> None:
        self.requests += 1
        least = 1 if may_degrade else None
        new = request(f"r-{self.requests}", steps, deadline_s, deterministic, if_late, least, resend_key)
        self.world.arrive(replace(new, tenant="abc"[self.requests % 3]), PLANS[name])

    @precondition(lambda self: len(self.world.executors) < MAX_EXECUTORS)
    @rule(memory_bytes=budgets, can_step=st.sampled_from([True, True, False]))
    def join(self, memory_bytes: int, can_step: bool) -> None:
        self.world.join(memory_bytes, can_step)

    @precondition(lambda self: self.world.runnable())
    @rule(data=st.data())
    def progress(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(self.world.runnable()))
        tasks = data.draw(st.one_of(st.none(), st.integers(0, 3))) if "partial" in self.trouble else None
        self.world.progress(name, "done", tasks)

    @precondition(lambda self: "yield" in self.trouble and self.world.runnable())
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        """A batch leaves its loop, whether it was ordered to or not."""
        name = data.draw(st.sampled_from(self.world.runnable()))
        self.world.progress(name, "yielded", data.draw(st.one_of(st.none(), st.integers(1, 3))))

    @precondition(lambda self: "starve" in self.trouble and self.world.runnable())
    @rule(data=st.data())
    def starve(self, data: st.DataObject) -> None:
        self.world.starve(data.draw(st.sampled_from(self.world.runnable())))

    @precondition(lambda self: "fail" in self.trouble and self.world.runnable())
    @rule(data=st.data())
    def fail(self, data: st.DataObject) -> None:
        self.world.progress(data.draw(st.sampled_from(self.world.runnable())), "failed")

    @precondition(lambda self: self.world.mail)
    @rule(data=st.data())
    def deliver(self, data: st.DataObject) -> None:
        last = len(self.world.mail) - 1 if "reorder" in self.trouble else 0
        self.world.deliver(data.draw(st.integers(0, last)))

    @precondition(lambda self: "crash" in self.trouble and self.world.executors)
    @rule(data=st.data())
    def crash(self, data: st.DataObject) -> None:
        self.world.crash(data.draw(st.sampled_from(sorted(self.world.executors))))

    @precondition(lambda self: "shrink" in self.trouble and self.world.executors)
    @rule(count=st.integers(1, 2))
    def shrink(self, count: int) -> None:
        self.world.ask_to_leave(count)

    @rule(start_s=st.sampled_from([0.0, 1.0, 60.0]), count=st.integers(0, 2))
    def offer(self, start_s: float, count: int) -> None:
        self.world.offer(start_s, count)

    @precondition(lambda self: "cancel" in self.trouble and self.requests)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        name = f"r-{data.draw(st.integers(1, self.requests + 1))}"
        self.world.tell(CancelRequested(request(name).id))

    @precondition(lambda self: "repeat" in self.trouble and self.world.sent)
    @rule(data=st.data())
    def repeat(self, data: st.DataObject) -> None:
        oldest = len(self.world.sent) - 1
        back = data.draw(st.one_of(st.integers(0, min(3, oldest)), st.integers(0, oldest)))
        self.world.repeat(oldest - back)  # mostly what has just happened, as a doubled message does

    @rule(pause_s=pauses_s)
    def wait(self, pause_s: float) -> None:
        self.world.now_s += pause_s

    @rule()
    def wake(self) -> None:
        self.world.wake()

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.world.drain()


class StepMachine(ControlMachine):
    """The same world with room for gangs, joins and yields: large executors, long loops, few different programs."""

    @initialize(off=st.sets(st.sampled_from(TROUBLES)), count=st.integers(2, MAX_EXECUTORS))
    def start(self, off: set[str], count: int) -> None:
        super().start(off, [8 * MIB] * count)

    @rule(
        name=st.sampled_from(["redraw", "controlled", "shares-ends"]),
        steps=st.integers(4, 40),
        deadline_s=st.one_of(st.none(), st.floats(0.05, 1.0), st.just(60.0)),
    )
    def arrive_long(self, name: str, steps: int, deadline_s: float | None) -> None:
        self.arrive(name, steps, deadline_s, False)


TestControlMachine = ControlMachine.TestCase
TestControlMachine.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
TestStepMachine = StepMachine.TestCase
TestStepMachine.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
