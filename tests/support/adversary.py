"""A world around Control in which every event may be late, doubled or out of order, and which keeps the books.

It plays the executors (orders in FIFO, weights within the budget, joins and yields at step boundaries, gangs that
begin when all are there), owns a ledger of tensors and checks every action as it comes: nothing released twice or used
after its release, no task before its request's Accept, one batch at a time, exactly one Finish. Which thing happens
next is the caller's choice, so a test can draw it and a drain can be kind.
"""

from dataclasses import dataclass, field

from brickwork.compiler.plan import Plan
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
    BatchReported,
    Event,
    ExecutorJoined,
    ExecutorLost,
    ExecutorWaiting,
    LeaveRequested,
    LoadFailed,
    ModelLoaded,
    ModelUnloaded,
    RequestArrived,
    StartOffered,
    Woke,
)
from brickwork.control.machine import Control
from brickwork.core.batch import TaskEnd, TaskRun
from brickwork.core.ids import ExecutorId, ModelId, RequestId, TaskId
from brickwork.core.request import Outcome, Request
from brickwork.core.tensor import TensorHandle
from support.plans import handle


@dataclass
class Executor:
    memory_bytes: int
    can_step: bool = False
    orders: list[Dispatch | Assist] = field(default_factory=list)  # not carried out yet, in order
    loads: list[Load | Unload] = field(default_factory=list)  # likewise; carried out beside the orders
    resident: dict[ModelId, int] = field(default_factory=dict)
    open: list[TaskRun] = field(default_factory=list)  # of the batch in the queue, those that did not end
    stopped: set[TaskId] = field(default_factory=set)
    is_yielding: bool = False  # the batch in the queue was ordered to leave its loop
    is_bereft: bool = False  # a helper of the batch in the queue was lost
    is_doubted: bool = False  # a doubled LoadFailed reached control, so its view of memory may be off


class World:
    def __init__(self, control: Control):
        self.control = control
        self.now_s = 0.0
        self.executors: dict[ExecutorId, Executor] = {}
        self.leaving: set[ExecutorId] = set()  # told to, and known to control still
        self.sent: list[Event] = []  # every event that control has seen
        self.mail: list[BatchReported] = []  # reports on their way
        self.owned: set[TensorHandle] = set()
        self.accepted: dict[RequestId, Outcome | None] = {}
        self.refused: set[RequestId] = set()
        self.arrived: set[RequestId] = set()
        self.requests: dict[RequestId, Request] = {}
        self._blocks = 0
        self._lives = 0

    def tell(self, event: Event) -> None:
        """Give an event to control, check what it orders, carry the orders to the executors' queues."""
        self.sent.append(event)
        actions = self.control.handle(event, self.now_s)
        for action in actions:
            assert action.cause
            self._check_stays(action)
            self._obey(action)
        for name in [each for each in self.leaving if each not in self.control.state.executors]:
            self.leaving.discard(name)
            self.executors.pop(name, None)
        self.control.state.check()

    # what may happen

    def arrive(self, request: Request, plan: Plan) -> None:
        inputs = (("given", self._tensor()),) if any(each.name == "given" for each in plan.inputs) else ()
        self.owned.update(each for _, each in inputs)
        self.arrived.add(request.id)
        self.requests.setdefault(request.id, request)
        self.tell(RequestArrived(request, plan, inputs))

    def join(self, memory_bytes: int, can_step: bool = True) -> None:
        self._lives += 1
        executor = ExecutorId(f"e{self._lives}")
        self.executors[executor] = Executor(memory_bytes, can_step)
        degree = 8 if can_step else 1
        self.tell(ExecutorJoined(executor, "cpu-1", memory_bytes, can_step=can_step, max_degree=degree))

    def crash(self, name: ExecutorId) -> None:
        """The process dies; reports that it has sent may still be on their way. Its helpers go free, its leader notes
        the loss when it goes on."""
        executor = self.executors.pop(name)
        for order in executor.orders:
            if isinstance(order, Dispatch):
                self._dismiss(order)
            elif isinstance(order, Assist) and (leader := self.executors.get(order.leader)):
                leader.is_bereft = any(isinstance(o, Dispatch) and o.batch == order.batch for o in leader.orders)
        self.tell(ExecutorLost(name, "killed by signal 9"))

    def ask_to_leave(self, count: int) -> None:
        self.tell(LeaveRequested(count, "cpu-1"))

    def offer(self, start_s: float, count: int) -> None:
        self.tell(StartOffered(start_s, count))

    def runnable(self) -> list[ExecutorId]:
        """Executors that can do something: a helper waits for its leader, a leader for its helpers."""
        return [name for name, executor in self.executors.items() if executor.loads or self._can_go_on(executor)]

    def _can_go_on(self, executor: Executor) -> bool:
        """Whether the batch at the head of its queue can: its loads are done, its helpers are there."""
        order = executor.orders[0] if executor.orders else None
        if isinstance(order, Dispatch):
            if any(isinstance(load, Load) and load.model.id in order.program.models for load in executor.loads):
                return False
            helpers = [self.executors[each] for each in order.helpers if each in self.executors]
            return all(
                h.orders and not h.loads and isinstance(h.orders[0], Assist) and h.orders[0].batch == order.batch
                for h in helpers
            )
        return False

    def _dismiss(self, order: Dispatch) -> None:
        """The batch is over: who helped is free."""
        for helper in (self.executors[each] for each in order.helpers if each in self.executors):
            helper.orders = [o for o in helper.orders if not (isinstance(o, Assist) and o.batch == order.batch)]

    def progress(self, name: ExecutorId, status: str = "done", tasks: int | None = None) -> None:
        """The executor does the next thing in one of its queues: a load before a batch that goes on meanwhile, unless
        `tasks` is an odd number.

        status    how loads and tasks end
        tasks     how many tasks of a batch end now; None: all that are left
        """
        executor = self.executors[name]
        if executor.orders and (not executor.loads or (tasks or 0) % 2) and self._can_go_on(executor):
            batch = executor.orders[0]
            assert isinstance(batch, Dispatch)
            self._run(name, executor, batch, status, tasks)
            return
        order = executor.loads.pop(0)
        if isinstance(order, Unload):
            used = [o for o in executor.orders if isinstance(o, Dispatch) and order.model in o.program.models]
            assert not used, f"{name} is ordered to unload {order.model}, which its batch needs"
            executor.resident.pop(order.model, None)
            self.tell(ModelUnloaded(name, order.model))
        else:
            self._load(name, executor, order, status)

    def starve(self, name: ExecutorId) -> None:
        """A result of the batch at the head of the executor's queue finds no room."""
        order = next(iter(self.executors[name].orders), None)
        if isinstance(order, Dispatch):
            self.tell(ExecutorWaiting(name, order.batch, 4096))

    def deliver(self, index: int) -> None:
        report = self.mail.pop(index)
        for end in report.ends:
            self.owned.update(end.outputs)
        self.tell(report)

    def repeat(self, index: int) -> None:
        """An event arrives once more."""
        event = self.sent[index]
        if isinstance(event, LoadFailed) and event.executor in self.executors:
            self.executors[event.executor].is_doubted = True
        self.tell(event)

    def wake(self) -> None:
        wake_s = self.control.next_wake_s()
        self.now_s = max(self.now_s, wake_s if wake_s is not None else self.now_s)
        self.tell(Woke())

    def drain(self) -> None:
        """From here on nothing goes wrong: everything must come to its end within a bounded number of events."""
        self.join(64 << 20)
        for _ in range(5_000):
            busy = self.runnable()
            if self.mail:
                self.deliver(0)
            elif busy:
                self.progress(busy[0])
            elif self.control.state.requests:
                assert self.control.next_wake_s() is not None, "requests wait and nothing will ever happen"
                self.wake()
            else:
                break
            self.now_s += 0.001
        self.check_end()

    def check_end(self) -> None:
        state = self.control.state
        assert not state.requests and not state.tasks and not state.batches and not state.ready.groups
        assert all(outcome is not None for outcome in self.accepted.values()), "accepted and not finished"
        assert self.arrived == self.refused | set(self.accepted)
        assert not self.owned, f"leaked: {self.owned}"

    # how orders are carried out

    def _obey(self, action: Action) -> None:
        match action:
            case Accept():
                assert action.request_id not in self.accepted
                self._check_lowered(action)
                self.accepted[action.request_id] = None
            case Release():
                for each in action.handles:
                    self.owned.remove(each)  # KeyError: released twice, or never owned
            case Finish():
                self._finish(action)
            case Stop():
                self._at(action.executor).stopped.add(action.task_id)
            case Dispatch():
                self._dispatch(action)
            case Join():
                self._join(action)
            case Yield():
                executor = self._at(action.executor)
                assert executor.can_step, "ordered to yield, and cannot"
                executor.is_yielding |= any(
                    isinstance(o, Dispatch) and o.batch == action.batch for o in executor.orders
                )
            case Load() | Unload():
                self._at(action.executor).loads.append(action)
            case Assist():
                self._at(action.executor).orders.append(action)
            case Leave():
                self._at(action.executor)
                self.leaving.add(action.executor)

    def _check_stays(self, action: Action) -> None:
        """Nobody is given new work who was told to leave."""
        if isinstance(action, Dispatch | Assist | Join | Load | Leave):
            assert action.executor not in self.leaving, f"{action} for an executor that leaves"

    def _check_lowered(self, accept: Accept) -> None:
        """Only what may be lowered was, and no further than allowed."""
        request = self.requests[accept.request_id]
        asked, least = dict(request.values), dict(request.slo.degrade)
        for name, value in accept.lowered:
            assert least[name] <= value < asked[name], f"{name} lowered from {asked[name]} to {value}"  # type: ignore[operator]

    def _at(self, executor: ExecutorId) -> Executor:
        assert executor in self.executors, f"order for {executor}, which is lost"
        return self.executors[executor]

    def _finish(self, action: Finish) -> None:
        if action.outcome is Outcome.REJECTED or action.request_id not in self.accepted:
            assert action.request_id not in self.accepted | dict.fromkeys(self.refused)
            assert action.outcome in (Outcome.REJECTED, Outcome.FAILED) and action.error
            self.refused.add(action.request_id)
            return
        assert self.accepted[action.request_id] is None, "finished twice"
        assert bool(action.results) == (action.outcome is Outcome.SUCCEEDED)
        assert bool(action.error) == (action.outcome is not Outcome.SUCCEEDED)
        if action.outcome is Outcome.EXPIRED:
            slo = self.requests[action.request_id].slo
            assert slo.deadline_s is not None and slo.if_late == "stop", "expired without having asked for it"
        self.accepted[action.request_id] = action.outcome
        for _, result in action.results:
            assert isinstance(result, TensorHandle)
            self.owned.remove(result)

    def _dispatch(self, action: Dispatch) -> None:
        executor = self._at(action.executor)
        assert not any(isinstance(order, Dispatch) for order in executor.orders), "two batches in flight"
        self._check_runs(action.runs)
        assert len(action.helpers) == action.layout.devices - 1
        for helper in action.helpers:
            assert isinstance(self._at(helper).orders[-1], Assist), "a helper was not told"
        executor.orders.append(action)
        executor.open = list(action.runs)
        executor.stopped.clear()
        executor.is_bereft = executor.is_yielding = False

    def _join(self, action: Join) -> None:
        """Tasks join the batch while the executor has it; else the order is void."""
        executor = self._at(action.executor)
        assert executor.can_step, "ordered to let a task join, and cannot"
        self._check_runs(action.runs)
        if any(isinstance(order, Dispatch) and order.batch == action.batch for order in executor.orders):
            executor.open += action.runs

    def _check_runs(self, runs: tuple[TaskRun, ...]) -> None:
        for run in runs:
            assert self.accepted[RequestId(run.task_id.split("/")[0])] is None, "dispatched and not accepted"
            given = [arg for arg in run.args if isinstance(arg, TensorHandle)]
            given += run.checkpoint.carries if run.checkpoint else ()
            assert self.owned.issuperset(given), "given a released tensor"

    def _load(self, name: ExecutorId, executor: Executor, order: Load, status: str) -> None:
        model = order.model
        used = sum(executor.resident.values()) - executor.resident.get(model.id, 0)
        fits = used + model.weight_bytes <= executor.memory_bytes
        assert fits or executor.is_doubted, f"{name} is ordered past its budget"
        if status == "done" and fits:
            executor.resident[model.id] = model.weight_bytes
            self.tell(ModelLoaded(name, model.id, 0.01))
        else:
            executor.resident.pop(model.id, None)
            self.tell(LoadFailed(name, model.id, f"{model.id} is corrupt"))

    def _run(self, name: ExecutorId, executor: Executor, order: Dispatch, status: str, tasks: int | None) -> None:
        if executor.is_yielding and status == "done":
            status = "yielded"
        if executor.is_bereft:
            status, tasks = "bereft", None
        elif not set(order.program.models) <= set(executor.resident):
            status, tasks = "failed", None
        count = len(executor.open) if tasks is None else min(tasks, len(executor.open))
        ending, executor.open = executor.open[:count], executor.open[count:]
        ends = tuple(self._end(run, order, self._how(run, executor, status)) for run in ending)
        if not executor.open:
            executor.orders.remove(order)
            self._dismiss(order)
        self.mail.append(BatchReported(name, order.batch, ends, not executor.open, 0.02))

    def _how(self, run: TaskRun, executor: Executor, status: str) -> str:
        if run.task_id in executor.stopped and status in ("done", "yielded"):
            return "stopped"
        return "done" if status == "yielded" and _steps_left(run) < 2 else status

    def _end(self, run: TaskRun, order: Dispatch, how: str) -> TaskEnd:
        outputs: tuple[TensorHandle, ...] = ()
        if how == "done":
            outputs = tuple(self._tensor() for _ in order.program.results)
        elif how == "yielded":
            outputs = (self._tensor(),)
        step = (run.checkpoint.step if run.checkpoint else 0) + 1
        error = "" if how in ("done", "yielded") else f"{run.task_id} broke"
        return TaskEnd(run.task_id, run.attempt, how, outputs, error, step)

    def _tensor(self) -> TensorHandle:
        self._blocks += 1
        return handle(self._blocks)


def _steps_left(run: TaskRun) -> int:
    """Steps that the run has to take; 0 when its program has no loop (the toy programs end with start and stop)."""
    *_, start, stop = (0, 0, *run.args)
    if not (isinstance(start, int) and isinstance(stop, int)):
        return 0
    return stop - start - (run.checkpoint.step if run.checkpoint else 0)
