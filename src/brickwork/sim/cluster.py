"""The simulated driver of Control: tells it what happened, carries out what it orders, after the link's delay.

It decides nothing, as the live coordinator decides nothing. Beside driving it keeps the ledger of tensors and the log
of decisions; equal seeds give equal logs, whatever the process.
"""

from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from random import Random

from brickwork.compiler.instance import ConcreteWork, concrete, resolve, result_specs, task_work
from brickwork.compiler.plan import Plan, PlanTask
from brickwork.control.actions import Accept, Action, Dispatch, Finish, Load, Release, Stop, Unload
from brickwork.control.events import Event, ExecutorJoined, ExecutorLost, RequestArrived, Woke
from brickwork.control.machine import Control
from brickwork.control.story import written
from brickwork.core.ids import ExecutorId, RequestId, TaskId
from brickwork.core.request import Scalar
from brickwork.core.tensor import TensorHandle
from brickwork.profile.table import Profile
from brickwork.sim.executor import Physics, VirtualExecutor
from brickwork.sim.faults import Crash
from brickwork.sim.ledger import Ledger
from brickwork.sim.loop import Loop
from brickwork.sim.report import Report
from brickwork.sim.workload import Arrival

LINK_S = 2e-4
"""One way on a Unix socket with both processes awake: 0.1 to 0.3 ms measured for framed messages in Python."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A place for executors; its lives are `name.1`, `name.2` ..."""

    name: str
    memory_bytes: int
    device: str = "cpu-1"


class Cluster:
    """Drives one Control through one simulated history.

    profile     how fast things truly are; control may have been given another one
    checks      call State.check() after every event
    """

    def __init__(self, control: Control, profile: Profile, seed: int = 0, noise: float = 0.0, checks: bool = False):
        self.control = control
        self.loop = Loop()
        self.ledger = Ledger()
        self.report = Report()
        self._physics = Physics(profile, self._works, self._outputs, noise)
        self._seed = seed
        self._checks = checks
        self._slots: dict[str, Slot] = {}
        self._lives: dict[str, int] = {}
        self._executors: dict[ExecutorId, VirtualExecutor] = {}
        self._plans: dict[RequestId, tuple[Plan, dict[str, Scalar], dict[str, PlanTask]]] = {}
        self._log = sha256()
        self._wake_s: float | None = None

    # what is planned before the run

    def add(self, slot: Slot, delay_s: float = 0.0) -> None:
        self._slots[slot.name] = slot
        self.loop.after(delay_s, partial(self._join, slot.name))

    def submit(self, arrival: Arrival) -> None:
        self.loop.after(arrival.time_s, partial(self._arrive, arrival))

    def schedule(self, crash: Crash) -> None:
        self.loop.after(crash.time_s, partial(self._crash, crash))

    def run(self, max_calls: int = 10_000_000) -> Report:
        """Run until nothing is left to do."""
        self.loop.run(max_calls)
        self.report.log_digest = self._log.hexdigest()
        self.report.leaked = len(self.ledger.live)
        return self.report

    # what happens

    def tell(self, event: Event) -> None:
        actions = self.control.handle(event, self.loop.now_s)
        self.report.events += 1
        for action in actions:
            self._log.update(f"{self.loop.now_s!r} {written(action)}\n".encode())
            self._carry_out(action)
        if self._checks:
            self.control.state.check()
        self._arm_wake()

    def _arrive(self, arrival: Arrival) -> None:
        request, plan = arrival.request, arrival.plan
        scalars = resolve(plan, dict(request.values))
        self._plans[request.id] = (plan, scalars, {task.name: task for task in plan.tasks})
        self.report.arrived(request, self.loop.now_s)
        inputs = tuple(
            (each.name, self.ledger.put(concrete(each.type, scalars))) for each in plan.inputs if each.type.is_tensor
        )
        self.tell(RequestArrived(request, plan, inputs))

    def _join(self, name: str) -> None:
        slot = self._slots[name]
        life = self._lives[name] = self._lives.get(name, 0) + 1
        executor_id = ExecutorId(f"{name}.{life}")
        random = Random(f"executor {self._seed} {executor_id}")
        self._executors[executor_id] = VirtualExecutor(
            executor_id, slot.device, slot.memory_bytes, self.loop, self._physics, self._tell_later, random
        )
        self.tell(ExecutorJoined(executor_id, slot.device, slot.memory_bytes))

    def _crash(self, crash: Crash) -> None:
        """The process dies now; control hears of it after everything that the process had sent."""
        executor = self._executors.get(ExecutorId(f"{crash.slot}.{self._lives.get(crash.slot, 0)}"))
        if executor is None or executor.is_dead:
            return
        executor.is_dead = True
        self.report.crashes += 1
        self._tell_later(ExecutorLost(executor.id, "killed by signal 9"))
        if crash.rejoin_after_s is not None:
            self.loop.after(crash.rejoin_after_s, partial(self._join, crash.slot))

    def _tell_later(self, event: Event) -> None:
        self.loop.after(LINK_S, partial(self.tell, event))

    def _arm_wake(self) -> None:
        """Have one wake-up pending, for the earliest time that control asked for."""
        wake_s = self.control.next_wake_s()
        if wake_s is not None and (self._wake_s is None or wake_s < self._wake_s):
            self._wake_s = wake_s
            self.loop.after(max(0.0, wake_s - self.loop.now_s), partial(self._woke, wake_s))

    def _woke(self, wake_s: float) -> None:
        if self._wake_s == wake_s:  # else an earlier one has replaced it
            self._wake_s = None
            self.tell(Woke())

    # how orders are carried out

    def _carry_out(self, action: Action) -> None:
        self.report.ordered(action, self.loop.now_s)
        match action:
            case Accept():
                pass
            case Load() | Unload() | Dispatch():
                executor = self._executors[action.executor]
                self._send(executor, partial(executor.obey, action))
            case Stop():
                executor = self._executors[action.executor]
                self._send(executor, partial(executor.stop, action.batch, action.task_id))
            case Release():
                for handle in action.handles:
                    self.ledger.take_back(handle)
            case Finish():
                del self._plans[action.request_id]
                for _, result in action.results:
                    if isinstance(result, TensorHandle):
                        self.ledger.take_back(result)

    def _send(self, executor: VirtualExecutor, order: partial[None]) -> None:
        self.loop.after(LINK_S, lambda: None if executor.is_dead else order())

    # what the executors need to know

    def _works(self, task_id: TaskId) -> tuple[ConcreteWork, ...]:
        plan, scalars, task = self._find(task_id)
        return task_work(plan, task, scalars)

    def _outputs(self, task_id: TaskId) -> tuple[TensorHandle, ...]:
        plan, scalars, task = self._find(task_id)
        return tuple(self.ledger.put(spec) for spec in result_specs(plan, task, scalars))

    def _find(self, task_id: TaskId) -> tuple[Plan, dict[str, Scalar], PlanTask]:
        request_id, _, name = task_id.rpartition("/")
        plan, scalars, tasks = self._plans[RequestId(request_id)]
        return plan, scalars, tasks[name]
