"""Goal: every executor process starts in a known state, every exit is told exactly once, and nothing is left
behind, whoever dies. Every kind of fleet and start method has to pass this suite.

Method: real processes that do as they are told over a socket (support/stand_in.py). Exits are awaited, not slept
for; what must be gone is watched through pidfds opened while it lived.
"""

import asyncio
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from brickwork.core.ids import ExecutorId
from brickwork.fleet.launchers import LaunchError
from brickwork.fleet.local import START_METHODS, LocalFleet

TESTS = Path(__file__).parents[1]
END_TIMEOUT_S = 10.0
"""Only a failing test waits so long."""


@pytest.fixture(autouse=True)
def _targets_are_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(TESTS))


@pytest.fixture(params=START_METHODS)
def start_method(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class Bench:
    """A fleet of stand-ins, the sockets to order them about, and the exits that it told."""

    def __init__(self, start_method: str, target: str = "obey", preload: str = "support.preloaded"):
        self.exits: dict[str, str] = {}
        self.tails: dict[str, tuple[str, ...]] = {}
        self._told = asyncio.Condition()
        self._sockets: dict[str, socket.socket] = {}
        self.fleet = LocalFleet(start_method, [preload], self._exited, f"support.stand_in:{target}")

    async def launch(self, name: str, config: dict[str, Any] | None = None, **fds: int) -> int:
        mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        mine.setblocking(False)
        self._sockets[name] = mine
        with theirs:
            return await self.fleet.launch(ExecutorId(name), config or {}, {"socket": theirs.fileno(), **fds})

    async def ask(self, name: str, order: Any) -> Any:
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(self._sockets[name], json.dumps(order).encode())
        answer = await asyncio.wait_for(loop.sock_recv(self._sockets[name], 1 << 16), END_TIMEOUT_S)
        return json.loads(answer) if answer else None

    async def ended(self, name: str) -> str:
        async with self._told:
            told = self._told.wait_for(lambda: name in self.exits)
            await asyncio.wait_for(told, END_TIMEOUT_S)
        return self.exits[name]

    async def close(self) -> None:
        await self.fleet.close()
        for each in self._sockets.values():
            each.close()

    def _exited(self, executor: ExecutorId, how: str) -> None:
        assert executor not in self.exits, "told twice"
        self.exits[executor] = how
        self.tails[executor] = self.fleet.last_lines(executor)
        self._notify = asyncio.ensure_future(self._tell())

    async def _tell(self) -> None:
        async with self._told:
            self._told.notify_all()


def on_bench(play: Callable[[Bench], Awaitable[None]], *args: str) -> None:
    """Run `play` on a fresh bench; afterwards no child and no descriptor may be left that was not there before."""

    async def run() -> None:
        bench = Bench(*args)
        try:
            await play(bench)
        finally:
            await bench.close()

    before = children(), set(os.listdir("/proc/self/fd"))
    asyncio.run(run())
    assert (children(), set(os.listdir("/proc/self/fd"))) == before


def children() -> set[int]:
    return {int(pid) for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()}


def all_gone(pidfds: list[int]) -> bool:
    """Wait until every process has ended."""
    poll, left = select.poll(), set(pidfds)
    for pidfd in pidfds:
        poll.register(pidfd, select.POLLIN)
    while left and (ready := poll.poll(END_TIMEOUT_S * 1000)):
        for pidfd, _ in ready:
            poll.unregister(pidfd)
            os.close(pidfd)
            left.discard(pidfd)
    return not left


def test_a_process_starts_in_a_known_state(start_method: str) -> None:
    async def play(bench: Bench) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])  # to be undone in the child
        memory = os.memfd_create("arena")
        os.write(memory, b"tensors")
        pid = await bench.launch("e1.1", {"threads": 2, "name": "é"}, arena_fd=memory)
        os.close(memory)
        state = await bench.ask("e1.1", "state")
        config = state["config"]
        assert state["pid"] == pid == bench.fleet.pid(ExecutorId("e1.1"))
        assert (config["threads"], config["name"]) == (2, "é")
        assert await bench.ask("e1.1", ["read", "arena_fd"]) == "tensors"
        # Ctrl-C is the coordinator's business; the other two are Python's own.
        assert state["ignored"] == sorted([signal.SIGINT, signal.SIGPIPE, signal.SIGXFSZ])
        assert state["blocked"] == []
        assert state["threads"] == 1
        assert state["fds"] == sorted([0, 1, 2, config["socket"], config["arena_fd"]])
        assert state["main"] != Path(getattr(sys.modules["__main__"], "__file__", None) or "").name
        os.kill(pid, signal.SIGINT)
        assert (await bench.ask("e1.1", "state"))["pid"] == pid

    try:
        on_bench(play, start_method)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGUSR1])


def test_every_exit_is_told_once_with_its_reason(start_method: str) -> None:
    async def play(bench: Bench) -> None:
        names = ["exit", "fail", "crash", "kill", "stop", "close"]
        pids = await asyncio.gather(*(bench.launch(name) for name in names))
        assert len(set(pids)) == len(names)
        await asyncio.gather(*(bench.ask(name, "state") for name in names))
        await bench.ask("exit", ["exit", 0])
        await bench.ask("fail", ["exit", 3])
        await bench.ask("crash", ["crash", "out of luck"])
        bench.fleet.kill(ExecutorId("kill"))
        await bench.fleet.stop(ExecutorId("stop"), END_TIMEOUT_S)
        assert bench.exits["stop"] == "was killed by SIGTERM"
        assert await bench.ended("exit") == "exited with code 0"
        assert await bench.ended("fail") == "exited with code 3"
        assert await bench.ended("crash") == "exited with code 1: RuntimeError: out of luck"
        assert await bench.ended("kill") == "was killed by SIGKILL"
        assert bench.tails["crash"][0] == "Traceback (most recent call last):"
        assert "close" not in bench.exits
        await bench.fleet.stop(ExecutorId("kill"), 0)  # one that ended: nothing to do
        bench.fleet.kill(ExecutorId("kill"))
        await bench.fleet.close()
        assert set(bench.exits) == set(names)

    on_bench(play, start_method)


def test_a_death_during_start_is_told_with_the_last_lines(start_method: str) -> None:
    async def play(bench: Bench) -> None:
        await bench.launch("e1.1")
        assert await bench.ended("e1.1") == "exited with code 1: RuntimeError: no device"
        assert any("in fail" in line for line in bench.tails["e1.1"])

    on_bench(play, start_method, "fail")


def test_a_target_that_does_not_exist_is_told(start_method: str) -> None:
    async def play(bench: Bench) -> None:
        await bench.launch("e1.1")
        assert "has no attribute 'nobody'" in await bench.ended("e1.1")

    on_bench(play, start_method, "nobody")


@pytest.mark.parametrize("is_stopped", [False, True])
def test_a_process_that_does_not_obey_is_killed_after_its_grace(start_method: str, is_stopped: bool) -> None:
    async def play(bench: Bench) -> None:
        pid = await bench.launch("e1.1")
        await bench.ask("e1.1", ["ignore", signal.SIGTERM])
        if is_stopped:
            os.kill(pid, signal.SIGSTOP)
        await bench.fleet.stop(ExecutorId("e1.1"), 0.05)
        assert bench.exits["e1.1"] == "was killed by SIGKILL"

    on_bench(play, start_method)


def test_a_talkative_process_keeps_its_last_lines_only(start_method: str) -> None:
    async def play(bench: Bench) -> None:
        await bench.launch("e1.1")
        await bench.ask("e1.1", ["write", 50_000])  # more than a pipe holds: it needs a reader
        await bench.ask("e1.1", ["exit", 1])
        assert await bench.ended("e1.1") == "exited with code 1: line 49999"
        assert bench.tails["e1.1"] == tuple(f"line {i}" for i in range(49_950, 50_000))

    on_bench(play, start_method)


def test_a_name_is_used_once_at_a_time_and_a_closed_fleet_starts_nothing(start_method: str) -> None:
    async def play(bench: Bench) -> None:
        await bench.launch("e1.1")
        with pytest.raises(ValueError, match=r"executor: e1\.1 is running already"):
            await bench.launch("e1.1")
        await bench.fleet.close()
        with pytest.raises(LaunchError, match="the fleet is closed"):
            await bench.launch("e1.2")

    on_bench(play, start_method)


@pytest.mark.parametrize("ticks", [1, 2, 3])
def test_a_cancelled_launch_is_not_left_half_way(start_method: str, ticks: int) -> None:
    async def play(bench: Bench) -> None:
        await bench.fleet.start()
        launch = asyncio.ensure_future(bench.launch("e1.1"))
        for _ in range(ticks):
            await asyncio.sleep(0)
        launch.cancel()
        with pytest.raises(asyncio.CancelledError):
            await launch
        assert await bench.ask("e1.1", "state")
        await bench.fleet.stop(ExecutorId("e1.1"), END_TIMEOUT_S)
        assert bench.exits["e1.1"] == "was killed by SIGTERM"

    on_bench(play, start_method)


def test_launches_cancelled_by_a_closing_fleet_leave_no_process(start_method: str) -> None:
    async def play(bench: Bench) -> None:
        launches = [asyncio.ensure_future(bench.launch(f"e{i}.1")) for i in range(4)]
        await asyncio.sleep(0)
        for launch in launches:
            launch.cancel()
        await asyncio.gather(*launches, return_exceptions=True)

    on_bench(play, start_method)  # which looks for what is left


def test_nothing_outlives_an_owner_killed_by_sigkill(start_method: str) -> None:
    command = [sys.executable, str(TESTS / "support" / "fleet_owner.py"), start_method]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as owner:
        assert owner.stdout
        pids = json.loads(owner.stdout.readline())
        assert len(pids) == (4 if start_method == "forkserver" else 3)
        pidfds = [os.pidfd_open(pid) for pid in pids]
        owner.kill()
        assert all_gone(pidfds)


def test_an_unknown_start_method_is_refused() -> None:
    with pytest.raises(ValueError, match="start_method: 'fork' is none of forkserver, spawn"):
        LocalFleet("fork", [], lambda *_: None)


def test_the_forkserver_shares_what_it_loaded() -> None:
    async def play(bench: Bench) -> None:
        await bench.fleet.start()
        await bench.launch("e1.1")
        assert (await bench.ask("e1.1", "state"))["has_preloaded"]

    on_bench(play, "forkserver")


def test_a_killed_forkserver_takes_its_children_along_and_is_replaced() -> None:
    async def play(bench: Bench) -> None:
        before = children()
        await bench.fleet.start()
        (server,) = children() - before
        await asyncio.gather(bench.launch("e1.1"), bench.launch("e2.1"))
        await asyncio.gather(bench.ask("e1.1", "state"), bench.ask("e2.1", "state"))
        os.kill(server, signal.SIGKILL)
        assert await bench.ended("e1.1") == await bench.ended("e2.1") == "was lost with its forkserver"
        await bench.launch("e1.2")
        assert (await bench.ask("e1.2", "state"))["has_preloaded"]

    on_bench(play, "forkserver")


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        ("support.nowhere", "No module named 'support.nowhere'"),
        ("support.preloaded_thread", "started 1 threads, which do not survive a fork"),
    ],
)
def test_a_forkserver_that_cannot_start_says_why(module: str, reason: str) -> None:
    async def play(bench: Bench) -> None:
        with pytest.raises(LaunchError, match=reason):
            await bench.fleet.start()
        with pytest.raises(LaunchError, match=reason):
            await bench.launch("e1.1")

    on_bench(play, "forkserver", "obey", module)


def test_a_fleet_closes_while_its_forkserver_hangs() -> None:
    async def play(bench: Bench) -> None:
        before = children()
        launch = asyncio.ensure_future(bench.launch("e1.1"))
        while children() == before:
            await asyncio.sleep(0)
        await bench.close()
        with pytest.raises(LaunchError, match="was closed"):
            await launch

    on_bench(play, "forkserver", "obey", "support.preloaded_forever")
