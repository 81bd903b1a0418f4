"""Executors as processes of this host: launch, stop, kill, and notice every exit at once.

An exit is noticed by the process's pidfd on the event loop, whoever the parent is and however it ended. Whoever
owns the fleet may die at any moment, by SIGKILL too: no process stays (child.py, forkserver.py).
"""

import asyncio
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from brickwork.core.ids import ExecutorId
from brickwork.fleet.launchers import ForkserverLauncher, LaunchError, SpawnLauncher
from brickwork.fleet.tail import Tail

EXECUTOR = "brickwork.executor.main:main"

START_METHODS = ("forkserver", "spawn")

CLOSE_GRACE_S = 0.5
"""For processes that were not stopped one by one before."""


@dataclass(slots=True)
class _Process:
    executor: ExecutorId
    pid: int
    pidfd: int
    tail: Tail
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class LocalFleet:
    """Processes of this host. Use from one event loop.

    start_method    "forkserver" (milliseconds, memory shared) or "spawn" (a fresh interpreter each)
    preload         modules that the forkserver imports once
    on_exit         called on the loop with (executor, how it ended) for every launched process, exactly once
    target          what a process runs, as `package.module:function`, called with the config

    raises    ValueError for an unknown start method
    """

    def __init__(
        self,
        start_method: str,
        preload: Sequence[str],
        on_exit: Callable[[ExecutorId, str], None],
        target: str = EXECUTOR,
    ):
        if start_method not in START_METHODS:
            raise ValueError(f"start_method: {start_method!r} is none of {', '.join(START_METHODS)}")
        self._launcher = SpawnLauncher() if start_method == "spawn" else ForkserverLauncher(preload)
        self._on_exit = on_exit
        self._target = target
        self._processes: dict[ExecutorId, _Process] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._is_closed = False

    async def start(self) -> None:
        """Prepare for launches: with a forkserver, wait until it has loaded its modules. Raises LaunchError."""
        await self._launcher.start()

    async def launch(
        self, executor: ExecutorId, config: Mapping[str, Any], fds: Mapping[str, int] | None = None
    ) -> int:
        """Start a process and return its pid. It may have ended by then; `on_exit` tells.

        config    plain JSON data, handed to the target
        fds       descriptors to inherit; config[key] becomes the number under which the process has it
        raises    LaunchError when no process was started
        """
        if self._is_closed:
            raise LaunchError(f"{executor} was not started: the fleet is closed.")
        if executor in self._processes:
            raise ValueError(f"executor: {executor} is running already")
        # Never half-way: a process that was started gets registered, though the caller is cancelled and closes `fds`.
        copies = {key: os.dup(fd) for key, fd in (fds or {}).items()}
        task = self._spawn_task(self._launch(executor, config, copies))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(lambda done: done.exception())  # nobody is left to be told
            raise

    def pid(self, executor: ExecutorId) -> int:
        return self._processes[executor].pid

    def last_lines(self, executor: ExecutorId) -> tuple[str, ...]:
        """The last lines on stderr of a running process, or of one whose `on_exit` is being called."""
        return self._processes[executor].tail.lines()

    def kill(self, executor: ExecutorId) -> None:
        """SIGKILL, if the process has not ended. Its `on_exit` follows."""
        self._signal(executor, signal.SIGKILL)

    async def stop(self, executor: ExecutorId, grace_s: float) -> None:
        """End a process: SIGTERM, and SIGKILL after `grace_s`. Returns when it has ended and `on_exit` was called."""
        process = self._processes.get(executor)
        if process is None:
            return
        self._signal(executor, signal.SIGTERM)
        try:
            await asyncio.wait_for(process.ended.wait(), grace_s)
        except TimeoutError:
            self.kill(executor)
            await process.ended.wait()

    async def close(self) -> None:
        """End every process and the forkserver. Afterwards nothing can be launched."""
        self._is_closed = True
        await asyncio.gather(*(self.stop(executor, CLOSE_GRACE_S) for executor in list(self._processes)))
        await self._launcher.close()
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _launch(self, executor: ExecutorId, config: Mapping[str, Any], fds: Mapping[str, int]) -> int:
        tail = Tail(executor)
        try:
            pid, pidfd = await self._launcher.launch(self._target, config, fds, tail.write_fd)
        except BaseException:
            tail.close()
            raise
        finally:
            tail.close_write()
            for fd in fds.values():
                os.close(fd)
        process = _Process(executor, pid, pidfd, tail)
        self._processes[executor] = process
        asyncio.get_running_loop().add_reader(pidfd, self._exited, process)
        if self._is_closed:
            self.kill(executor)
        return pid

    def _signal(self, executor: ExecutorId, number: signal.Signals) -> None:
        process = self._processes.get(executor)
        if process is not None:
            try:
                signal.pidfd_send_signal(process.pidfd, number)
            except ProcessLookupError:
                return  # it ended; the loop is about to notice

    def _exited(self, process: _Process) -> None:
        asyncio.get_running_loop().remove_reader(process.pidfd)
        self._spawn_task(self._bury(process))

    async def _bury(self, process: _Process) -> None:
        code = await self._launcher.status(process.pid)
        process.tail.close()
        os.close(process.pidfd)
        try:
            self._on_exit(process.executor, _how(code, process.tail.lines()))
        finally:
            del self._processes[process.executor]
            process.ended.set()

    def _spawn_task(self, work: Any) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _how(code: int | None, lines: Sequence[str]) -> str:
    """How a process ended, in words, with the last thing it wrote if it failed."""
    if code is None:
        return "was lost with its forkserver"
    if code < 0:
        return "was killed by " + next((each.name for each in signal.Signals if each == -code), f"signal {-code}")
    return f"exited with code {code}" + "".join(f": {line}" for line in lines[-1:] if code)
