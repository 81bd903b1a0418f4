"""A server without models: real keeper and executor processes, requests of a few KiB of tensors.

Run as a script with (first, stop, seed). It takes requests first .. stop - 1, several at a time: puts a tensor, has an
executor add one to each byte, compares, releases. An executor that dies is replaced and what it had is sent again.
Prints one line an event, the parent reads:

    up KEEPER_PID ARENA_INODE NAME      ready
    keeper PID                          another keeper was started
    done N                              request N has its right result
    end LEAKED FDS                      all done: tensors still held, and descriptors more than at the start
"""

import asyncio
import json
import os
import random
import socket
import sys
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from brickwork.core.ids import ExecutorId
from brickwork.core.tensor import TensorSpec
from brickwork.data.keeper import Keeper
from brickwork.fleet.local import LocalFleet
from support.holder import handle_from
from support.tensor_worker import ADD_ONE

WORKERS, LANES = 2, 4


def say(*words: Any) -> None:
    print(*words, flush=True)


class Worker:
    """One executor slot: its process, its link, and the request that waits for it."""

    def __init__(self, server: "Server", slot: int):
        self.server, self.slot, self.births = server, slot, 0
        self.turn = asyncio.Lock()

    async def launch(self) -> None:
        self.births += 1
        self.holder = self.server.keeper.next_holder()
        ours, theirs = socket.socketpair()
        with theirs:
            fds = {"arena_fd": self.server.keeper.fd, "link_fd": theirs.fileno()}
            await self.server.fleet.launch(ExecutorId(self.name), {"holder": self.holder}, fds)
        self.reader, self.writer = await asyncio.open_unix_connection(sock=ours)

    @property
    def name(self) -> str:
        return f"w{self.slot}.{self.births}"

    async def run(self, number: int, content: bytes) -> bool:
        """Whether the executor lived to the end."""
        keeper = self.server.keeper
        handle = keeper.store.put(content, TensorSpec((len(content),), "uint8"))
        try:
            async with self.turn:
                self.writer.write(json.dumps(asdict(handle)).encode() + b"\n")
                with suppress(ConnectionError):  # it died with the order unread
                    line = b""
                    line = await self.reader.readline()
                if not line.endswith(b"\n"):
                    await self.renew()
                    return False
                result = handle_from(json.loads(line))
                keeper.adopt(result, self.holder)
        finally:
            keeper.store.release(handle)
        with keeper.store.get(result) as lease:
            assert lease.buffer == content.translate(ADD_ONE), f"request {number} got something else"
        keeper.store.release(result)
        return True

    async def renew(self) -> None:
        self.writer.close()
        await self.server.ended[self.name].wait()
        self.server.keeper.free_holder(self.holder)
        await self.launch()


class Server:
    async def start(self) -> None:
        self.ended = {f"w{slot}.{birth}": asyncio.Event() for slot in range(WORKERS) for birth in range(200)}
        self.keeper = Keeper(1 << 20)
        self.guard = self.keeper.start_process()
        self.fleet = LocalFleet(
            "forkserver",
            ["support.tensor_worker"],
            lambda name, how: self.ended[name].set(),
            "support.tensor_worker:main",
        )
        self.workers = [Worker(self, slot) for slot in range(WORKERS)]
        await self.fleet.start()
        for worker in self.workers:
            await worker.launch()

    async def lane(self, numbers: list[int], draw: random.Random) -> None:
        while numbers:
            number = numbers.pop()
            content = draw.randbytes(draw.choice((1, 100, 5000, 20000)))
            while not await draw.choice(self.workers).run(number, content):
                pass
            say("done", number)

    async def watch_keeper(self) -> None:
        known = self.guard.pid
        while True:
            await asyncio.sleep(0.01)
            if self.guard.pid not in (known, None):
                known = self.guard.pid
                say("keeper", known)

    async def close(self) -> None:
        await self.fleet.close()
        for worker in self.workers:
            worker.writer.close()
            self.keeper.free_holder(worker.holder)


async def main(first: int, stop: int, seed: int) -> None:
    server = Server()
    await server.start()
    before = len(os.listdir("/proc/self/fd"))
    pids = [server.fleet.pid(ExecutorId(worker.name)) for worker in server.workers]
    say("up", server.guard.pid, os.fstat(server.keeper.fd).st_ino, server.guard.name, *pids)
    watching = asyncio.ensure_future(server.watch_keeper())
    numbers = list(range(first, stop))[::-1]
    await asyncio.gather(*(server.lane(numbers, random.Random(f"{seed}.{lane}")) for lane in range(LANES)))
    watching.cancel()
    more = len(os.listdir("/proc/self/fd")) - before
    leaked = len(server.keeper.leaked())
    await server.close()
    server.keeper.close()
    say("end", leaked, more)


if __name__ == "__main__":
    asyncio.run(main(*map(int, sys.argv[1:])))
