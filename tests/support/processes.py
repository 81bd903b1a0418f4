"""What tests need to know of processes: who descends from whom, and whether they are gone. Read from /proc."""

import os
import random
import select
import signal
from collections.abc import Iterable
from pathlib import Path
from time import monotonic


def children_of(pid: int) -> list[int]:
    """All living descendants of `pid`."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if fields[0] != "Z":
                parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found, unseen = [], [pid]
    while unseen:
        below = parents.get(unseen.pop(), [])
        found += below
        unseen += below
    return found


def all_gone(pids: list[int], within_s: float) -> list[int]:
    """Wait until every process of `pids` is dead, at most `within_s`. Returns those that still live."""
    deadline_s = monotonic() + within_s
    return [pid for pid in pids if not _gone(pid, deadline_s - monotonic())]


def _gone(pid: int, within_s: float) -> bool:
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        ready, _, _ = select.select([descriptor], [], [], max(0.0, within_s))
        return bool(ready)
    finally:
        os.close(descriptor)


def kill_one(pids: Iterable[int], rng: random.Random) -> int:
    """SIGKILL one that still runs, and wait until it is dead. Returns 1, or 0 when none could be killed any more:
    who lists processes may not have noticed yet that they are gone."""
    for pid in sorted(pids, key=lambda _: rng.random()):
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            if not select.select([descriptor], [], [], 0)[0]:
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
                select.select([descriptor], [], [], 30)
                return 1
        except ProcessLookupError:
            continue
        finally:
            os.close(descriptor)
    return 0


def shared_memory_names() -> set[str]:
    """Names in /dev/shm of the kinds that Python, torch or brickwork would leave; other programs use it too."""
    return {name for name in os.listdir("/dev/shm") if name.startswith(("brickwork", "psm_", "torch_", "sem."))}
