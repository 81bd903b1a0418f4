"""Which process is behind a holder number, and whether it is dead: one 64-bit word a number in the arena's header.

    birth : 32 | pid : 24 | sponsor : 6 | state : 2

A *sponsor* (a coordinator) claims a number for a process that it starts; the process signs the word before it leases
anything. Because a pid and the moment of its birth mean one process for ever, everybody who maps the arena can prove
a death, also a keeper that was started a moment ago and has been told nothing.

When a dead holder's leases may be taken is its sponsor's decision, who may still read what the dead process sent with
its last breath. Once the sponsor is dead too, anybody may.
"""

import os
import select
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from brickwork._native import Words
from brickwork.core.errors import OutOfSpace, StaleHandle
from brickwork.data.blocks import HOLDERS

FREE, CLAIMED, LIVING = range(3)
"""FREE, or claimed by the process in the word for one that it is starting, or the number of that process itself."""


@dataclass(frozen=True, slots=True)
class Process:
    """One process of this PID namespace, for ever: the pid may come back, the birth does not with it."""

    pid: int
    birth: int  # clock ticks from boot to its start, modulo 2**32

    def descriptor(self) -> int | None:
        """A pidfd of it, the caller's to close; None when it is dead and was waited for."""
        try:
            pidfd = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return None
        if _birth_of(self.pid) != self.birth:  # read after the open: now the pid cannot change hands unnoticed
            os.close(pidfd)
            return None
        return pidfd

    def is_dead(self) -> bool:
        """Proof, not suspicion: a stopped process is not dead."""
        pidfd = self.descriptor()
        if pidfd is None:
            return True
        try:
            return bool(select.select([pidfd], [], [], 0)[0])
        finally:
            os.close(pidfd)


@dataclass(frozen=True, slots=True)
class Life:
    """What the word of one number tells."""

    holder: int
    process: Process  # CLAIMED: the sponsor's
    sponsor: int
    state: int

    def word(self) -> int:
        return self.process.birth << 32 | self.process.pid << 8 | self.sponsor << 2 | self.state


def this_process() -> Process:
    return Process(os.getpid(), _birth_of(os.getpid()))


def pid_namespace() -> int:
    """Names the PID namespace of this process: in another one its pid means nothing."""
    return os.stat("/proc/self/ns/pid").st_ino


class Lives:
    """The words of all numbers. Safe against everybody else, without blocking."""

    def __init__(self, words: Words):
        self._words = words

    def enter(self) -> int:
        """A number for this process, which is its own sponsor. Raises OutOfSpace when all are taken."""
        return self._take(None, LIVING)

    def claim(self, sponsor: int) -> int:
        """A number for a process that `sponsor`, this process, is going to start. Raises OutOfSpace."""
        return self._take(sponsor, CLAIMED)

    def sign(self, holder: int) -> None:
        """Make a claimed number this process's own; before it leases anything.

        raises    StaleHandle when it is not claimed (any more): the sponsor is dead, or gave it up
        """
        life = self[holder]
        own = Life(holder, this_process(), life.sponsor if life else 0, LIVING)
        if life is None or life.state != CLAIMED or not self._swap(holder, life.word(), own.word()):
            raise StaleHandle(f"Holder number {holder} is not claimed for a new process. Its sponsor is gone.")

    def free(self, holder: int) -> None:
        """Give a number back whose leases are reclaimed: its sponsor's right."""
        self._words.fetch_and(holder, 0)

    def end(self, life: Life) -> bool:
        """Give the number of a dead orphan back. False if the word has changed since `life` was read."""
        return self._swap(life.holder, life.word(), FREE)

    def is_orphan(self, life: Life) -> bool:
        """Whether the sponsor is dead, or the number is its own: then anybody may take what a dead life leaves."""
        sponsor = self[life.sponsor]
        is_own = life.sponsor == life.holder or life.state == CLAIMED
        return is_own or sponsor is None or sponsor.state != LIVING or sponsor.process.is_dead()

    def __getitem__(self, holder: int) -> Life | None:
        word = self._words.load(holder)
        if word == FREE:
            return None
        return Life(holder, Process(word >> 8 & 0xFFFFFF, word >> 32), word >> 2 & 0x3F, word & 3)

    def __iter__(self) -> Iterator[Life]:
        """Numbers that are not free, each at its own moment."""
        return (life for holder in range(HOLDERS) if (life := self[holder]) is not None)

    def _take(self, sponsor: int | None, state: int) -> int:
        me = this_process()
        for holder in range(HOLDERS):
            life = Life(holder, me, holder if sponsor is None else sponsor, state)
            if self._swap(holder, FREE, life.word()):
                return holder
        raise OutOfSpace(f"An arena serves {HOLDERS} processes at once. Stop an executor, or start fewer.")

    def _swap(self, holder: int, seen: int, word: int) -> bool:
        return self._words.compare_exchange(holder, seen, word)


def _birth_of(pid: int) -> int:
    """Start time of a process; -1 when there is none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return -1
    return int(fields[19]) % 2**32
