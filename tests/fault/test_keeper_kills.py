"""Goal: whatever is killed, executors, keeper or server, every request ends with its right result and nothing is left:
no tensor, no memory, no descriptor, no process, no name.

Method: real processes without torch (support/tensor_server.py), SIGKILLs after drawn numbers of results, so that they
fall into running work; the parent plays the client, who asks again for what a killed server had not answered. Then a
server's death next to executors that live on, and a successor that finds what they hold.
"""

import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep

import pytest

from brickwork.core.errors import StaleHandle
from brickwork.data.arena import Arena
from brickwork.data.guard import join
from brickwork.data.keeper import Keeper
from support.holder import Holder
from support.processes import all_gone, children_of, kill_one, shared_memory_names

REQUESTS, KILLS, SERVERS = 10_000, 50, 5
TESTS = Path(__file__).parents[1]
WITHIN_S = 30.0


class Server:
    """A running tensor_server and what it has said."""

    def __init__(self, first: int, seed: int):
        command = [sys.executable, "-m", "support.tensor_server", str(first), str(REQUESTS), str(seed)]
        environment = {**os.environ, "PYTHONPATH": str(TESTS)}
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        assert self.process.stdout
        self.lines = self.process.stdout
        word, keeper, inode, self.name, *_ = self.lines.readline().split()
        assert word == "up"
        self.keeper, self.inode = int(keeper), int(inode)

    def close(self) -> None:
        self.process.wait(WITHIN_S)
        self.lines.close()

    def executors(self) -> list[int]:
        """Children of its forkserver: the only grandchildren there are."""
        children = children_of(self.process.pid)
        return [pid for pid in children if _parent_of(pid) in children]


def _parent_of(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return -1


def _arena_users(inode: int) -> list[int]:
    """Processes that have the memory of an arena mapped or open."""
    users = []
    for entry in Path("/proc").iterdir():
        try:
            maps = (entry / "maps").read_text() if entry.name.isdigit() else ""
        except OSError:
            continue
        if any(line.split()[4] == str(inode) and "memfd:brickwork" in line for line in maps.splitlines()):
            users.append(int(entry.name))
    return users


def _sockets(name: str) -> bool:
    return any(name in line for line in Path("/proc/net/unix").read_text().splitlines())


def eventually(claim: Callable[[], bool]) -> bool:
    deadline_s = monotonic() + WITHIN_S
    while not claim():
        if monotonic() > deadline_s:
            return False
        sleep(0.02)
    return True


def _assert_nothing_left(server: Server, family: list[int]) -> None:
    """Not at once: a server may start a keeper, or an executor, between the look at its family and its death."""
    assert all_gone([server.process.pid, *family], WITHIN_S) == []
    assert eventually(lambda: set(_arena_users(server.inode)) <= {os.getpid()}), _arena_users(server.inode)
    assert eventually(lambda: not _sockets(server.name)), "a keeper still listens"


class Client:
    """Asks for every request until it was answered, and kills whom it likes meanwhile."""

    def __init__(self) -> None:
        self.rng = random.Random(7)
        self.done: set[int] = set()
        self.left = {"executor": 30, "keeper": KILLS - 30 - SERVERS, "server": SERVERS}
        self.server = Server(0, seed=0)

    def run(self) -> None:
        until_kill = 1
        while not self.has_ended():
            until_kill -= 1
            if until_kill == 0:
                self.kill(self.rng.choice([kind for kind, left in self.left.items() if left]))
                until_kill = self.rng.randint(1, 150) if any(self.left.values()) else -1

    def is_content(self) -> bool:
        """A keeper that is just being replaced cannot be killed, so some tries miss: then there are more requests."""
        return not any(self.left.values())

    def has_ended(self) -> bool:
        """Read one line of the server."""
        word, *rest = self.server.lines.readline().split()
        if word == "keeper":
            self.server.keeper = int(rest[0])
        elif word == "done":
            self.done.add(int(rest[0]))
        else:
            leaked, more = map(int, rest)
            assert leaked == 0 and more <= 0, f"{leaked} tensors still held, {more} descriptors more than at the start"
        return word == "end"

    def kill(self, kind: str) -> None:
        if kind != "server":
            pids = self.server.executors() if kind == "executor" else [self.server.keeper]
            self.left[kind] -= kill_one(pids, self.rng)
            return
        family = children_of(self.server.process.pid)
        self.left[kind] -= kill_one([self.server.process.pid], self.rng)
        rest = [line.split() for line in self.server.lines if line.endswith("\n")]  # it may have died within a line
        self.done |= {int(line[1]) for line in rest if line[0] == "done"}
        self.server.close()
        _assert_nothing_left(self.server, family)
        self.server = Server(min(set(range(REQUESTS)) - self.done, default=0), seed=self.left["server"])


def test_fifty_kills_of_everybody_during_ten_thousand_requests() -> None:
    open_before, names_before = len(os.listdir("/proc/self/fd")), shared_memory_names()
    client = Client()
    client.run()
    while not client.is_content():
        client.server.close()
        client.server = Server(0, seed=sum(client.left.values()))
        client.run()
    family = children_of(client.server.process.pid)
    assert client.server.process.wait(WITHIN_S) == 0
    client.server.close()
    _assert_nothing_left(client.server, family)
    assert client.done == set(range(REQUESTS))
    assert len(os.listdir("/proc/self/fd")) == open_before
    assert shared_memory_names() <= names_before


def test_a_successor_finds_what_executors_hold_after_the_server_died() -> None:
    """1. A server and an executor that outlives it hold tensors. 2. The server is killed: its own tensors go, once its
    death is proven. 3. A successor joins the keeper by name and reads in place what the executor holds. 4. The keeper
    is killed, the executor too: the bytes stay. 5. The successor reclaims what the executor held."""
    server = Server(0, seed=0)
    segments, connection = join(server.name)
    successor = Keeper(segments=segments)
    executor = Holder(successor.fd, successor.next_holder())
    handle = executor.put(7, 5000)
    family = children_of(server.process.pid)
    kill_one([server.process.pid], random.Random(0))
    server.close()
    assert eventually(lambda: [holders for _, holders in successor.leaked()] == [(executor.number,)])
    with successor.store.get(handle) as lease:
        assert lease.buffer == bytes([7]) * 5000
    assert all_gone([server.process.pid, *(pid for pid in family if pid != server.keeper)], WITHIN_S) == []
    assert _sockets(server.name), "the keeper ended while it had a client"
    kill_one([server.keeper], random.Random(0))
    executor.kill()
    with successor.store.get(handle) as lease:
        assert lease.buffer == bytes([7]) * 5000
    assert successor.free_holder(executor.number) == 1
    assert successor.leaked() == []
    connection.close()
    successor.close()
    _assert_nothing_left(server, family)


SPONSOR = """
import sys, time
from brickwork.data.guard import join
from brickwork.data.keeper import Keeper
segments, connection = join(sys.argv[1])
print(Keeper(segments=segments).next_holder(), flush=True)
time.sleep(600)
"""


def test_a_keeper_outlives_its_clients_while_an_orphan_lives() -> None:
    """1. A sponsor claims a number for an executor. 2. Sponsor and server are killed: no client is left. 3. The
    executor, stopped, holds its tensor: it may wake up. 4. It is killed: the keeper reclaims and ends."""
    server = Server(0, seed=0)
    segments, connection = join(server.name)
    sponsor = subprocess.Popen([sys.executable, "-c", SPONSOR, server.name], stdout=subprocess.PIPE, text=True)
    assert sponsor.stdout
    orphan = Holder(segments.arena, int(sponsor.stdout.readline()))
    orphan.put(7, 100)
    os.kill(orphan.process.pid, signal.SIGSTOP)
    family = [*children_of(server.process.pid), sponsor.pid]
    kill_one([sponsor.pid], random.Random(0))
    kill_one([server.process.pid], random.Random(0))
    sponsor.communicate()
    server.close()
    witness = Arena(segments.arena)
    connection.close()
    assert eventually(lambda: [*witness.table.held().values()] == [(orphan.number,)])
    assert _sockets(server.name)
    os.kill(orphan.process.pid, signal.SIGCONT)
    orphan.kill()
    assert all_gone(family, WITHIN_S) == [] and not _sockets(server.name)
    assert witness.table.held() == {} and list(witness.lives) == []
    os.close(segments.arena)


def test_nobody_answers_under_a_wrong_name() -> None:
    with pytest.raises(StaleHandle, match="No keeper of this user answers under the name brickwork-keeper-none"):
        join("brickwork-keeper-none", timeout_s=0)
