"""A workflow set in virtual time: the live coordinator, unmodified, on `sim.virtual_loop`, its executors virtual.

What the coordinator meets is as in life: `Slots` refills slots, every message crosses as framed bytes, results lie in a
real arena and are adopted from their makers' holders. Only processes and sockets are stand-ins: the fleet here makes
`VirtualProcess`es, which dial by calling `make_link`, and beat, load and run by timers of the loop.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any, TypeVar, cast

from brickwork.compiler.instance import ConcreteWork, resolve, result_specs, task_work
from brickwork.compiler.plan import Plan, PlanTask, ProgramId
from brickwork.control import actions, events
from brickwork.control.machine import Control
from brickwork.coordinator.coordinator import Coordinator, Submission
from brickwork.coordinator.links import ExecutorLink, Listener
from brickwork.coordinator.runs import Run
from brickwork.coordinator.slots import ExecutorShape, OnExit, Slots
from brickwork.core.ids import ExecutorId, RequestId, TaskId
from brickwork.core.request import SLO
from brickwork.core.tensor import TensorHandle
from brickwork.data.keeper import Keeper
from brickwork.data.segments import open_store
from brickwork.data.tensors import TensorStore
from brickwork.executor.config import ExecutorConfig
from brickwork.profile.table import Profile
from brickwork.sim import virtual_loop
from brickwork.sim.executor import Physics, VirtualExecutor
from brickwork.sim.loop import Loop
from brickwork.wire import messages
from brickwork.wire.framing import frame, order_decoder
from support.plans import profile

LINK_S = 2e-4
START_S = 3.0
"""Of a process until it dials: what importing torch takes."""

MEMORY_BYTES = 256 << 20


LIMIT_S = 2_000.0
"""Longest history: beats never end, so a history that waits in vain would not either."""

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a history in virtual time. What a callback raises fails it, as nothing else would tell."""

    async def bounded() -> T:
        failures: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, failure: failures.append(failure))
        result = await asyncio.wait_for(main, LIMIT_S)
        assert not failures, failures
        return result

    return virtual_loop.run(bounded())


class VirtualClock:
    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()

    def now_s(self) -> float:
        return self._loop.time()


class Timers:
    """The running loop, as `sim.executor` wants it."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()

    @property
    def now_s(self) -> float:
        return self._loop.time()

    def after(self, delay_s: float, call: Callable[..., None], *args: Any) -> None:
        self._loop.call_later(delay_s, call, *args)


class QuietKeeper(Keeper):
    """A keeper without a process that guards it."""

    def start_process(self) -> Any:
        return None


class MemoryListener(Listener):
    """Where virtual processes dial."""

    def __init__(self) -> None:
        self.address = "memory"
        self.dial: Callable[[], ExecutorLink] | None = None  # None: nobody listens

    async def start(self, make_link: Callable[[], ExecutorLink]) -> None:
        self.dial = make_link

    def close(self) -> None:
        self.dial = None


class Wire(asyncio.Transport):
    """The coordinator's end of a connection in memory: bytes arrive LINK_S later, in order."""

    def __init__(self, process: "VirtualProcess"):
        super().__init__()
        self._process = process

    def write(self, data: Any) -> None:
        asyncio.get_running_loop().call_later(LINK_S, self._process.receive, bytes(data))

    def abort(self) -> None:
        self._process.hang_up()


@dataclass(eq=False)
class World:
    """What all executors of a set share."""

    keeper: Keeper
    listener: MemoryListener
    truth: Profile
    submissions: dict[RequestId, Submission] = field(default_factory=dict)

    def _task(self, task_id: TaskId) -> tuple[Plan, PlanTask, Submission]:
        request_id, _, name = task_id.rpartition("/")
        submission = self.submissions[RequestId(request_id)]
        return submission.plan, next(task for task in submission.plan.tasks if task.name == name), submission

    def works(self, task_id: TaskId) -> tuple[ConcreteWork, ...]:
        plan, task, submission = self._task(task_id)
        return task_work(plan, task, submission.scalars)

    def outputs(self, task_id: TaskId, store: TensorStore) -> tuple[TensorHandle, ...]:
        plan, task, submission = self._task(task_id)
        specs = result_specs(plan, task, submission.scalars)
        return tuple(store.put(memoryview(bytes(spec.nbytes)), spec) for spec in specs)


class VirtualProcess:
    """One life of an executor: says Hello, beats, obeys, and reports, as frames."""

    def __init__(self, world: World, config: ExecutorConfig, fleet: "VirtualFleet"):
        self._world, self._config, self._fleet = world, config, fleet
        self._loop = asyncio.get_running_loop()
        self._link: ExecutorLink | None = None
        self._programs: dict[ProgramId, messages.WireProgram] = {}
        self._decoder = order_decoder()
        self._is_over = False
        store = open_store(world.keeper.segments, config.holder)
        physics = Physics(world.truth, world.works, partial(world.outputs, store=store))
        self.executor = VirtualExecutor(
            config.executor, "cpu-1", config.memory_bytes, cast(Loop, Timers()), physics, self._tell, Random(0)
        )

    def dial(self) -> None:
        if self._is_over or self._world.listener.dial is None:
            return self.end("nobody listens")
        self._link = self._world.listener.dial()
        self._link.connection_made(Wire(self))
        self._say(messages.Hello(messages.VERSION, self._config.executor, self._config.token, 0))
        self._beat()

    def freeze(self) -> None:
        """As SIGSTOP: it lives, its connection stands, and nothing comes of it any more."""
        self.executor.is_dead = True

    def end(self, how: str) -> None:
        """The process is dead, which the fleet learns at once and the link by the end of the connection."""
        if self._is_over:
            return
        self._is_over = True
        self.executor.die()
        self._loop.call_soon(self._fleet.ended, self._config.executor, how)
        if self._link is not None:
            self._loop.call_later(LINK_S, self._link.connection_lost, None)

    def hang_up(self) -> None:
        """The coordinator has closed the connection: an embedded executor ends with it."""
        self.end("lost its coordinator")

    def receive(self, data: bytes) -> None:
        if not self.executor.is_dead:
            for order in self._decoder.feed(data):
                self._obey(order)

    def _obey(self, order: messages.Order) -> None:
        own, executor = self._config.executor, self.executor
        match order:
            case messages.Define(program):
                self._programs[program.id] = program
            case messages.Load(model):
                executor.obey(actions.Load(own, model, ""))
            case messages.Unload(model_id):
                executor.obey(actions.Unload(own, model_id, ""))
            case messages.Run(batch, program_id, runs):
                executor.obey(actions.Dispatch(own, batch, self._programs[program_id].program(), runs, ""))
            case messages.Stop(batch, task_id):
                executor.stop(batch, task_id)
            case messages.Join(batch, runs):
                executor.join(actions.Join(own, batch, runs, ""))
            case messages.Yield(batch):
                executor.leave(actions.Yield(own, batch, ""))

    def _tell(self, event: events.Event) -> None:
        match event:
            case events.ModelLoaded(_, model, load_s):
                self._say(messages.Loaded(model, load_s))
            case events.ModelUnloaded(_, model):
                self._say(messages.Unloaded(model))
            case events.BatchReported(_, batch, ends, is_last, compute_s):
                self._say(messages.Report(batch, ends, is_last, compute_s, ()))

    def _beat(self) -> None:
        if not self.executor.is_dead:
            self._say(messages.Heartbeat())
            self._loop.call_later(self._config.heartbeat_s, self._beat)

    def _say(self, notice: messages.Notice) -> None:
        self._loop.call_later(LINK_S, self._arrive, frame(notice))

    def _arrive(self, data: bytes) -> None:
        if self._link is not None:
            self._link.data_received(data)


class VirtualFleet:
    """Starts virtual processes; what `Slots` takes for a LocalFleet."""

    def __init__(self, world: World, on_exit: OnExit):
        self._world, self._on_exit = world, on_exit
        self.processes: dict[ExecutorId, VirtualProcess] = {}
        self.launched: list[ExecutorId] = []

    async def start(self) -> None:
        pass

    async def launch(self, executor: ExecutorId, config: Mapping[str, Any], fds: Mapping[str, int]) -> int:
        process = self.processes[executor] = VirtualProcess(self._world, ExecutorConfig(**config), self)
        self.launched.append(executor)
        asyncio.get_running_loop().call_later(START_S, process.dial)
        return 0

    def pid(self, executor: ExecutorId) -> int:
        self.processes[executor]
        return 0

    def kill(self, executor: ExecutorId) -> None:
        if executor in self.processes:
            self.processes[executor].end("killed by signal 9")

    async def stop(self, executor: ExecutorId, grace_s: float) -> None:
        self.kill(executor)
        while executor in self.processes:
            await asyncio.sleep(LINK_S)

    async def close(self) -> None:
        for executor in list(self.processes):
            await self.stop(executor, 0.0)

    def ended(self, executor: ExecutorId, how: str) -> None:
        del self.processes[executor]
        self._on_exit(executor, how)


class VirtualSet:
    """A coordinator with virtual executors. Make it on a running `VirtualLoop`.

    truth    how fast executors really are; control believes `support.plans.profile()`
    """

    def __init__(self, executors: int = 2, truth: Profile | None = None):
        self.control = Control(profile())
        self.world = World(QuietKeeper(arena_bytes=16 << 20), MemoryListener(), truth or profile())
        shapes = [ExecutorShape("cpu-1", 1, MEMORY_BYTES)] * executors
        self.slots = Slots(self.world.keeper, "memory", shapes, self._make_fleet)
        self.coordinator = Coordinator(self.control, self.world.keeper, self.slots, self.world.listener, VirtualClock())

    def _make_fleet(self, on_exit: OnExit) -> VirtualFleet:
        self.fleet = VirtualFleet(self.world, on_exit)
        return self.fleet

    def submit(self, name: str, plan: Plan, steps: int = 4, slo: SLO | None = None) -> Run:
        values = {"prompt": "a red circle", "start": 0, "steps": steps}
        submission = Submission(plan, values, {}, resolve(plan, values), slo or SLO())
        self.world.submissions[RequestId(name)] = submission
        return self.coordinator.submit(submission, request_id=RequestId(name))

    async def crash(self) -> None:
        """The coordinator's process ends: nothing of it runs any more, executors see their connections close."""
        self.coordinator._is_closed = True
        for timer in (self.coordinator._wake, self.coordinator._watch):
            if timer is not None:
                timer.cancel()
        await self.slots.close()
        self.world.listener.close()
