"""The simulated driver of Control: tells it what happened, carries out what it orders, after the link's delay.

It decides nothing, as the live coordinator decides nothing. Beside driving it keeps the ledger of tensors and the log
of decisions; equal seeds give equal logs, whatever the process.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from random import Random

from brickwork.control.actions import (
    Accept,
    Action,
    Assist,
    Dispatch,
    Finish,
    Join,
    Leave,
    Load,
    Release,
    Stop,
    Unload,
    Yield,
)
from brickwork.control.events import (
    Event,
    ExecutorJoined,
    ExecutorLost,
    LeaveRequested,
    RequestArrived,
    StartOffered,
    Woke,
)
from brickwork.control.machine import Control
from brickwork.control.story import written
from brickwork.core.ids import ExecutorId
from brickwork.core.request import Outcome
from brickwork.core.tensor import TensorHandle
from brickwork.observe.spans import Span
from brickwork.profile.table import Profile
from brickwork.sim.contents import Contents
from brickwork.sim.executor import Physics, VirtualExecutor
from brickwork.sim.faults import BadMessages, Crash, Fault, Partition, Slowdown, Takeover
from brickwork.sim.ledger import Ledger
from brickwork.sim.links import LINK_S, Links
from brickwork.sim.loop import Loop
from brickwork.sim.report import Report
from brickwork.sim.workload import Arrival


@dataclass(frozen=True, slots=True)
class Slot:
    """A place for executors; its lives are `name.1`, `name.2` ..."""

    name: str
    memory_bytes: int
    device: str = "cpu-1"
    can_step: bool = True  # obeys Join and Yield
    max_degree: int = 8
    number: int = 0  # for the timeline


class Cluster:
    """Drives one Control through one simulated history.

    profile     how fast things truly are; control may have been given another one
    checks      call State.check() after every event
    logs        keep the digest of all decisions; costs a fifth of the time
    link_s      one way between coordinator and executor
    spans       takes the timeline
    restart     makes the Control that takes over after a Takeover
    loop        clock that this cluster shares with others; None: its own
    report      where all of them put what happened; None: its own
    told        takes every event that control is told, with its time
    """

    def __init__(
        self,
        control: Control,
        profile: Profile,
        seed: int = 0,
        noise: float = 0.0,
        checks: bool = False,
        logs: bool = True,
        link_s: float = LINK_S,
        spans: Callable[[Span], None] | None = None,
        restart: Callable[[], Control] | None = None,
        loop: Loop | None = None,
        report: Report | None = None,
        told: Callable[[Event, float], None] | None = None,
    ):
        self.control = control
        self.loop = loop or Loop()
        self.ledger = Ledger()
        self.report = report or Report()
        self.on_gone: Callable[[str, bool], None] = lambda slot, is_broken: None  # told of slots that are here no more
        self._contents = Contents(self.ledger)
        contents = self._contents
        self._physics = Physics(
            profile, contents.works, contents.outputs, noise, contents.carries, self._executor, spans
        )
        self._seed = seed
        self._checks = checks
        self._restart = restart
        self._told = told
        self._links = Links(self.loop, link_s, seed)
        self._slots: dict[str, Slot] = {}
        self._lives: dict[str, int] = {}
        self._executors: dict[ExecutorId, VirtualExecutor] = {}
        self._busy_s: list[float] = []  # of executors that died
        self._log = sha256() if logs else None
        self._leaving: dict[str, None] = {}  # slots whose executors were told to leave
        self._wake_s: float | None = None
        self.is_down = False

    # what is planned before the run

    def add(self, slot: Slot, delay_s: float = 0.0) -> None:
        self._slots[slot.name] = slot
        self.loop.after(delay_s, partial(self._join, slot.name))

    def submit(self, arrival: Arrival) -> None:
        self.loop.after(arrival.time_s, partial(self.arrive, arrival))

    def feed(self, arrivals: Iterable[Arrival]) -> None:
        """Submit arrivals that come in order of time, each once the one before has arrived."""
        self._feed_next(iter(arrivals))

    def schedule(self, fault: Fault) -> None:
        match fault:
            case Crash():
                self.loop.after(fault.time_s, partial(self._crash, fault.slot, fault.rejoin_after_s))
            case Slowdown():
                self.loop.after(fault.time_s, partial(self._pace, fault.slot, fault.factor))
                self.loop.after(fault.time_s + fault.for_s, partial(self._pace, fault.slot, 1.0))
            case Takeover():
                self.loop.after(fault.time_s, partial(self._lose_control, fault.back_after_s))
            case Partition() | BadMessages():
                self._links.suffer(fault)

    def run(self, max_calls: int = 1_000_000_000) -> Report:
        """Run until nothing is left to do."""
        self.loop.run(max_calls)
        self.account()
        return self.report

    def account(self) -> None:
        """Enter into the report what is known at the end only."""
        self.report.log_digest += self._log.hexdigest() if self._log else ""
        self.report.leaked += len(self.ledger.live)
        self.report.busy_s += sum([*self._busy_s, *[each.busy_s for each in self._executors.values()]], 0.0)

    # what happens

    def tell(self, event: Event) -> None:
        if self._told is not None:
            self._told(event, self.loop.now_s)
        actions = self.control.handle(event, self.loop.now_s)
        self.report.events += 1
        for action in actions:
            if self._log:
                self._log.update(f"{self.loop.now_s!r} {written(action)}\n".encode())
            self._carry_out(action)
        if self._checks:
            self.control.state.check()
        if self._leaving:
            self.loop.after(0.0, self._see_off)
        self._arm_wake()

    def offer(self, offer: StartOffered) -> None:
        """Say what could be started for a set without executors, if that is news."""
        if not self.is_down and self.control.state.offer != offer:
            self.tell(offer)

    def leave(self, count: int, device: str) -> list[str]:
        """Have control give up to `count` executors of a device type back. The slots that go; `on_gone` hears of each
        once it is idle."""
        if self.is_down:
            return []
        before = len(self._leaving)
        self.tell(LeaveRequested(count, device))
        return list(self._leaving)[before:]

    def _see_off(self) -> None:
        """Slots whose executors control has forgotten are here no more."""
        for name in list(self._leaving):
            if ExecutorId(f"{name}.{self._lives[name]}") not in self.control.state.executors:
                self._remove(name)

    def _remove(self, name: str, is_broken: bool = False) -> None:
        if (executor := self._of_slot(name)) is not None:
            self._kill(executor)
        self._leaving.pop(name, None)
        del self._slots[name]
        self.on_gone(name, is_broken)

    def _feed_next(self, arrivals: Iterator[Arrival]) -> None:
        if (following := next(arrivals, None)) is not None:
            self.loop.after(max(0.0, following.time_s - self.loop.now_s), self._arrive_of, arrivals, following)

    def _arrive_of(self, arrivals: Iterator[Arrival], arrival: Arrival) -> None:
        self._feed_next(arrivals)
        self.arrive(arrival)

    def arrive(self, arrival: Arrival) -> None:
        if arrival.is_judged:
            self.report.runs.arrived(arrival.request, self.loop.now_s)
        if self.is_down:
            return self.report.runs.ended(arrival.request.id, self.loop.now_s, Outcome.REJECTED, "nobody listens")
        inputs = self._contents.take(arrival)
        self.tell(RequestArrived(arrival.request, arrival.plan, inputs))

    def _join(self, name: str) -> None:
        if self.is_down or name not in self._slots or self._of_slot(name) is not None:
            return  # whoever takes over starts them all; a slot that has left does not come back by itself
        slot = self._slots[name]
        life = self._lives[name] = self._lives.get(name, 0) + 1
        executor_id = ExecutorId(f"{name}.{life}")
        random = Random(f"executor {self._seed} {executor_id}")
        self._executors[executor_id] = VirtualExecutor(
            executor_id,
            slot.device,
            slot.memory_bytes,
            self.loop,
            self._physics,
            partial(self._tell_later, name, self.control),
            random,
            slot.number,
            name,
        )
        self.tell(
            ExecutorJoined(
                executor_id, slot.device, slot.memory_bytes, can_step=slot.can_step, max_degree=slot.max_degree
            )
        )

    def _executor(self, executor: ExecutorId) -> VirtualExecutor | None:
        """An executor that lives."""
        found = self._executors.get(executor)
        return None if found is None or found.is_dead else found

    def _of_slot(self, name: str) -> VirtualExecutor | None:
        return self._executor(ExecutorId(f"{name}.{self._lives.get(name, 0)}"))

    def _crash(self, name: str, rejoin_after_s: float | None) -> None:
        """The process dies now; control hears of it after everything that the process had sent."""
        executor = self._of_slot(name)
        if executor is None:
            return
        self._kill(executor)
        self.report.crashes += 1
        executor.tell(ExecutorLost(executor.id, "killed by signal 9"))
        if rejoin_after_s is not None:
            self.loop.after(rejoin_after_s, partial(self._join, name))
        else:
            self._remove(name, is_broken=True)

    def _kill(self, executor: VirtualExecutor) -> None:
        executor.die()
        self._busy_s.append(executor.busy_s)
        executor.busy_s = 0.0
        for other in self._executors.values():
            if not other.is_dead:
                other.helper_lost(executor.id)

    def _pace(self, name: str, factor: float) -> None:
        if (executor := self._of_slot(name)) is not None:
            executor.set_slowness(factor)

    def _lose_control(self, back_after_s: float) -> None:
        """Coordinator and executors are gone; tensors with them."""
        assert self._restart is not None, "a Takeover needs `restart`, which makes the next Control"
        if self.is_down:
            return  # there is none to lose
        self.is_down = True
        self.report.crashes += 1
        for executor in [each for each in self._executors.values() if not each.is_dead]:
            executor.is_dead = True  # nobody helps the others: all die at once
            executor.die()
        self._contents.drop_tensors()
        self.loop.after(back_after_s, self._take_over)

    def _take_over(self) -> None:
        assert self._restart is not None
        self.control, self._wake_s, self.is_down = self._restart(), None, False
        for name in list(self._leaving):
            self._remove(name)
        for name in self._slots:
            self._join(name)
        for arrival in self._contents.accepted():
            inputs = self._contents.take(arrival)
            self.tell(RequestArrived(arrival.request, arrival.plan, inputs))

    def _tell_later(self, name: str, control: Control, event: Event) -> None:
        """An event of one life of a slot; void when another control has taken over meanwhile."""
        self._links.to_control(name, self._hear, control, event)

    def _hear(self, control: Control, event: Event) -> None:
        if control is self.control:
            self.tell(event)

    def _arm_wake(self) -> None:
        """Have one wake-up pending, for the earliest time that control asked for."""
        wake_s = self.control.next_wake_s()
        if wake_s is not None and (self._wake_s is None or wake_s < self._wake_s):
            self._wake_s = wake_s
            self.loop.after(max(0.0, wake_s - self.loop.now_s), self._woke, wake_s)

    def _woke(self, wake_s: float) -> None:
        if self._wake_s == wake_s and not self.is_down:  # else an earlier one has replaced it
            self._wake_s = None
            self.tell(Woke())

    # how orders are carried out

    def _carry_out(self, action: Action) -> None:
        self.report.ordered(action, self.loop.now_s)
        match action:
            case Dispatch() | Load() | Unload() | Assist():
                executor = self._executors[action.executor]
                self._links.to_slot(executor.slot, executor.obey, action)
            case Leave():
                self._leaving[self._executors[action.executor].slot] = None
            case Release():
                for handle in action.handles:
                    self.ledger.take_back(handle)
            case Accept():
                self._contents.accept(action.request_id, action.lowered)
            case Stop():
                executor = self._executors[action.executor]
                self._links.to_slot(executor.slot, executor.stop, action.batch, action.task_id)
            case Join():
                executor = self._executors[action.executor]
                self._links.to_slot(executor.slot, executor.join, action)
            case Yield():
                executor = self._executors[action.executor]
                self._links.to_slot(executor.slot, executor.leave, action)
            case Finish():
                self._contents.forget(action.request_id)
                for _, result in action.results:
                    if isinstance(result, TensorHandle):
                        self.ledger.take_back(result)
