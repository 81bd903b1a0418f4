"""Executor slots of this host: each holds one living executor process at a time and is refilled when it dies.

A *life* is one process in a slot. It ends when two things are true, in either order: the process is dead (the fleet
says so) and its connection has been read to the end. Only then are its leases reclaimed and its loss told, so that
results it sent with its last breath are kept and nothing it still reads is reused.
"""

import asyncio
import logging
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from brickwork.core.errors import RequestFailed
from brickwork.core.ids import ExecutorId
from brickwork.data.keeper import Keeper
from brickwork.executor.config import ExecutorConfig
from brickwork.fleet.launchers import LaunchError

log = logging.getLogger(__name__)

STOP_GRACE_S = 1.5
"""For an executor to obey Shutdown before it is killed; Ctrl-C promises an end within 5 s."""

MAX_EARLY_DEATHS = 5
"""Lives of one slot that may end in a row before they joined; then the slot is given up."""

MAX_BACKOFF_S = 2.0


@dataclass(frozen=True, slots=True)
class ExecutorShape:
    """What one slot offers."""

    device: str  # the profile's name of the device type
    threads: int
    memory_bytes: int


@dataclass(slots=True)
class Life:
    """One executor process, from launch to proven death."""

    executor: ExecutorId
    slot: int
    holder: int
    has_joined: bool = False
    is_connected: bool = False
    ended: str | None = None  # how the process ended; None while it lives


class Processes(Protocol):
    """What starts executors and proves their death: LocalFleet, which says what is to be expected of each."""

    async def start(self) -> None: ...
    async def launch(self, executor: ExecutorId, config: Mapping[str, Any], fds: Mapping[str, int]) -> int: ...
    def pid(self, executor: ExecutorId) -> int: ...
    def kill(self, executor: ExecutorId) -> None: ...
    async def stop(self, executor: ExecutorId, grace_s: float) -> None: ...
    async def close(self) -> None: ...


OnExit = Callable[[ExecutorId, str], None]
"""Told once for every process that ended: (executor, how)."""


class Slots:
    """Keeps one executor alive per shape. Use from one event loop.

    address    where executors find the coordinator
    fleet      makes what starts them, given whom to tell of their ends
    """

    def __init__(
        self, keeper: Keeper, address: str, shapes: Sequence[ExecutorShape], fleet: Callable[[OnExit], Processes]
    ):
        self._keeper = keeper
        self._address = address
        self._shapes = shapes
        self._fleet = fleet(self._exited)
        self._lives: dict[ExecutorId, Life] = {}
        self._births = [0] * len(shapes)  # lives so far, by slot
        self._early_deaths = [0] * len(shapes)
        self._is_closing = False
        self._tasks: set[asyncio.Task[None]] = set()
        self.tokens: dict[ExecutorId, str] = {}  # of living processes, checked at Hello

    async def start(self, on_lost: Callable[[ExecutorId, str], None], on_abandoned: Callable[[str], None]) -> None:
        """Launch every slot and return when the first executor has joined.

        on_lost         a joined executor is dead and read to the end
        on_abandoned    no slot is left that starts; the text says how the last one died
        raises          RequestFailed when none joins
        """
        self._on_lost = on_lost
        self._on_abandoned = on_abandoned
        self._first_join: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        await self._fleet.start()
        await asyncio.gather(*(self._launch(slot) for slot in range(len(self._shapes))))
        await self._first_join

    async def close(self) -> None:
        """Stop every executor and the fleet. What does not obey within STOP_GRACE_S is killed."""
        self._is_closing = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*(self._fleet.stop(executor, STOP_GRACE_S) for executor in list(self._lives)))
        await self._fleet.close()

    def joined(self, executor: ExecutorId) -> ExecutorShape:
        life = self._lives[executor]
        life.has_joined = life.is_connected = True
        self._early_deaths[life.slot] = 0
        if not self._first_join.done():
            self._first_join.set_result(None)
        return self._shapes[life.slot]

    def disconnected(self, executor: ExecutorId) -> None:
        """Its connection ended. An executor without one is of no use, so its process is ended too."""
        life = self._lives[executor]
        life.is_connected = False
        if life.ended is None:
            self.kill(executor)
        self._bury(life)

    def kill(self, executor: ExecutorId) -> None:
        self._fleet.kill(executor)

    def holder(self, executor: ExecutorId) -> int:
        return self._lives[executor].holder

    def pids(self) -> dict[ExecutorId, int]:
        """Process ids of the executors that have joined and live."""
        living = [life.executor for life in self._lives.values() if life.is_connected and life.ended is None]
        found = {}
        for executor in living:
            with suppress(KeyError):  # it ended a moment ago, and that is about to be told
                found[executor] = self._fleet.pid(executor)
        return found

    async def _launch(self, slot: int) -> None:
        self._births[slot] += 1
        executor = ExecutorId(f"e{slot + 1}.{self._births[slot]}")
        shape = self._shapes[slot]
        life = Life(executor, slot, self._keeper.next_holder())
        self._lives[executor] = life
        self.tokens[executor] = secrets.token_hex(16)
        config = ExecutorConfig(
            executor=executor,
            holder=life.holder,
            address=self._address,
            token=self.tokens[executor],
            threads=shape.threads,
            memory_bytes=shape.memory_bytes,
        )
        try:
            await self._fleet.launch(executor, asdict(config), self._keeper.segments.named())
        except LaunchError as error:
            self._exited(executor, str(error))

    def _exited(self, executor: ExecutorId, how: str) -> None:
        life = self._lives[executor]
        life.ended = how
        self._bury(life)

    def _bury(self, life: Life) -> None:
        if life.ended is None or life.is_connected:
            return
        del self._lives[life.executor]
        del self.tokens[life.executor]
        self._keeper.free_holder(life.holder)
        if self._is_closing:
            return
        if life.has_joined:
            log.warning("executor %s was lost: %s", life.executor, life.ended)
            self._on_lost(life.executor, life.ended)
        else:
            self._early_deaths[life.slot] += 1
        self._refill(life)

    def _refill(self, life: Life) -> None:
        deaths = self._early_deaths[life.slot]
        if deaths >= MAX_EARLY_DEATHS:
            self._give_up(life)
            return
        task = asyncio.ensure_future(self._relaunch(life.slot, min(MAX_BACKOFF_S, 0.1 * deaths)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _relaunch(self, slot: int, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        await self._launch(slot)

    def _give_up(self, life: Life) -> None:
        reason = f"executors of slot {life.slot + 1} die at their start, {MAX_EARLY_DEATHS} in a row: {life.ended}"
        log.error("%s", reason)
        if min(self._early_deaths) < MAX_EARLY_DEATHS:
            return
        if not self._first_join.done():
            self._first_join.set_exception(RequestFailed(f"No executor can be started: {reason}"))
        self._on_abandoned(reason)
