"""The two ways to start a process. Both answer with a pid and a pidfd that cannot mean another process.

ForkserverLauncher asks the warm server (forkserver.py) over a socket and learns of ends from it, who is the parent.
SpawnLauncher is the parent itself. Neither knows executors: LocalFleet (local.py) does.
"""

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from brickwork.core.errors import BrickworkError
from brickwork.fleet.forkserver import MAX_PACKET_BYTES
from brickwork.fleet.tail import Tail

REPORT_TIMEOUT_S = 1.0
"""For the server to tell the exit status of a child that is known to be gone."""

CLOSE_TIMEOUT_S = 1.0
"""For the server to end after its socket closed; then it is killed, as when it hangs in an import."""


async def wait_readable(fd: int, timeout_s: float) -> bool:
    """Wait on the running loop until `fd` is readable (a pidfd: until the process ended); False after the time."""
    future, loop = _future(), asyncio.get_running_loop()
    loop.add_reader(fd, _settle, future, None)
    try:
        await asyncio.wait_for(future, timeout_s)
    except TimeoutError:
        return False
    finally:
        loop.remove_reader(fd)
    return True


class LaunchError(BrickworkError):
    """A process could not be started. The text tells what the system or the server said."""


class SpawnLauncher:
    """A fresh interpreter a process: slower, larger, and independent of what was loaded before."""

    def __init__(self) -> None:
        self._children: dict[int, subprocess.Popen[bytes]] = {}

    async def start(self) -> None:
        """Nothing to prepare."""

    async def launch(
        self, target: str, config: Mapping[str, Any], fds: Mapping[str, int], stderr: int
    ) -> tuple[int, int]:
        """Start `target` with `config`; (pid, pidfd). Raises LaunchError."""
        order = json.dumps({"parent": os.getpid(), "target": target, "config": {**config, **fds}}).encode()
        command = [sys.executable, "-P", "-m", "brickwork.fleet.child"]
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=stderr, stderr=stderr, pass_fds=tuple(fds.values())
            )
        except OSError as error:
            raise LaunchError(f"A process could not be started: {error}") from error
        assert process.stdin
        with suppress(BrokenPipeError), process.stdin:
            process.stdin.write(order)
        self._children[process.pid] = process
        return process.pid, os.pidfd_open(process.pid)

    async def status(self, pid: int) -> int | None:
        """The exit code of a process that ended (negative: the signal), or None when nobody knows."""
        return self._children.pop(pid).wait()

    async def close(self) -> None:
        """Nothing is left once every process has ended."""


class ForkserverLauncher:
    """Starts the server at the first use, and another one when it was lost (its children die with it).

    preload    modules that the server imports before it forks
    """

    def __init__(self, preload: Sequence[str]):
        self._preload = tuple(preload)
        self._server: _Server | None = None
        self._is_closed = False
        self._turn = asyncio.Lock()

    async def start(self) -> None:
        """Return when the server is ready. Raises LaunchError when it ends instead."""
        async with self._turn:
            await self._ready_server()

    async def launch(
        self, target: str, config: Mapping[str, Any], fds: Mapping[str, int], stderr: int
    ) -> tuple[int, int]:
        """Start `target` with `config`; (pid, pidfd). Raises LaunchError."""
        order = json.dumps({"target": target, "config": dict(config), "fds": list(fds)}).encode()
        async with self._turn:
            server = await self._ready_server()
            return await server.fork(order, [stderr, *fds.values()])

    async def status(self, pid: int) -> int | None:
        """The exit code of a process that ended (negative: the signal), or None when nobody knows."""
        return None if self._server is None else await self._server.status(pid)

    async def close(self) -> None:
        """End the server, and with it every process that it forked."""
        self._is_closed = True
        if self._server is not None:
            await self._server.close()

    async def _ready_server(self) -> "_Server":
        if self._is_closed:
            raise LaunchError("A process could not be started: the fleet is closed.")
        if self._server is not None and self._server.is_lost:
            await self._server.close()
            self._server = None
        if self._server is None:
            self._server = _Server(self._preload)
        await self._server.ready()
        return self._server


class _Server:
    """Our end of one forkserver process."""

    def __init__(self, preload: Sequence[str]):
        loop = asyncio.get_running_loop()
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control.setblocking(False)
        self._tail = Tail("forkserver")
        module = ["-P", "-m", "brickwork.fleet.forkserver", str(theirs.fileno())]
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, *module, *preload],
                stdin=subprocess.DEVNULL,
                stdout=self._tail.write_fd,
                stderr=self._tail.write_fd,
                pass_fds=[theirs.fileno()],
            )
        self._pidfd = os.pidfd_open(self._process.pid)
        self._tail.close_write()
        self.is_lost = False
        self._is_ready: asyncio.Future[None] = loop.create_future()
        self._answer: asyncio.Future[tuple[int, int]] | None = None
        self._statuses: dict[int, asyncio.Future[int | None]] = {}
        loop.add_reader(self._control, self._receive)

    async def ready(self) -> None:
        await asyncio.shield(self._is_ready)

    async def fork(self, order: bytes, fds: list[int]) -> tuple[int, int]:
        """One at a time, so that no more than one order is ever on its way."""
        self._answer = asyncio.get_running_loop().create_future()
        try:
            socket.send_fds(self._control, [order], fds)
        except OSError as error:
            raise LaunchError(f"A process could not be started: {error}") from error
        pid, pidfd = await self._answer
        return pid, pidfd

    async def status(self, pid: int) -> int | None:
        future = self._statuses.setdefault(pid, _future())
        if self.is_lost:
            _settle(future, None)
        try:
            return await asyncio.wait_for(future, REPORT_TIMEOUT_S)
        except TimeoutError:
            return None
        finally:
            self._statuses.pop(pid, None)

    async def close(self) -> None:
        self._lose("was closed")
        if self._pidfd < 0:
            return
        try:
            await wait_readable(self._pidfd, CLOSE_TIMEOUT_S)
        finally:
            os.close(self._pidfd)
            self._pidfd = -1
            self._process.kill()
            self._process.wait()
            self._tail.close()

    def _receive(self) -> None:
        try:
            packet, fds, _, _ = socket.recv_fds(self._control, MAX_PACKET_BYTES, 1)
        except BlockingIOError:
            return
        except ConnectionError:
            packet, fds = b"", []
        if not packet:
            self._tail.close()  # what it had to say it said before its socket closed
            self._lose("ended" + "".join(f"; {line}" for line in self._tail.lines()[-1:]))
            return
        message = json.loads(packet)
        if "exited" in message:
            future = self._statuses.setdefault(message["exited"], _future())
            _settle(future, os.waitstatus_to_exitcode(message["status"]))
        elif "ready" in message:
            _settle(self._is_ready, None)
        elif "error" in message:
            _fail(self._answer, message["error"])
        elif self._answer is None or self._answer.done():
            os.close(fds[0])  # whoever asked is gone; LocalFleet lets no launch be cancelled half-way
        else:
            self._answer.set_result((message["pid"], fds[0]))

    def _lose(self, how: str) -> None:
        if self.is_lost:
            return
        self.is_lost = True
        asyncio.get_running_loop().remove_reader(self._control)
        self._control.close()
        _fail(self._is_ready, f"The forkserver {how}")
        _fail(self._answer, f"The forkserver {how}")
        for future in self._statuses.values():
            _settle(future, None)


def _future() -> asyncio.Future[Any]:
    return asyncio.get_running_loop().create_future()


def _settle(future: asyncio.Future[Any], value: Any) -> None:
    if not future.done():
        future.set_result(value)


def _fail(future: asyncio.Future[Any] | None, reason: str) -> None:
    if future is not None and not future.done():
        future.set_exception(LaunchError(f"A process could not be started: {reason}"))
        future.exception()  # mark as seen: there may be nobody who waits
