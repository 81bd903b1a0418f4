"""A process that owns a fleet and waits to be killed: run as a script with a start method.

It prints one JSON line, the pids of everything that must not outlive it.
"""

import asyncio
import json
import os
import socket
import sys
from pathlib import Path

from brickwork.core.ids import ExecutorId
from brickwork.fleet.local import LocalFleet


def descendants(pid: int) -> list[int]:
    children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return children + [each for child in children for each in descendants(child)]


async def own(start_method: str) -> None:
    fleet = LocalFleet(start_method, ["support.preloaded"], lambda *_: None, "support.stand_in:obey")
    ours = []
    for i in range(3):
        mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            await fleet.launch(ExecutorId(f"e{i}.1"), {}, {"socket": theirs.fileno()})
        mine.send(b'"state"')
        await asyncio.get_running_loop().run_in_executor(None, mine.recv, 1 << 16)  # it has settled
        ours.append(mine)
    print(json.dumps(descendants(os.getpid())), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(own(sys.argv[1]))
