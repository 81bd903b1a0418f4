"""What a coordinator does with its host's tensor memory: makes it, numbers lives, adopts results, reclaims.

The memory's own truth lies in its shared words, so nothing here has to survive. A process of its own
(keeper_process.py) guards the descriptors and what the dead left behind when a coordinator dies.
"""

import os
from pathlib import Path

from brickwork.core.tensor import TensorHandle
from brickwork.data.blocks import HOLDERS
from brickwork.data.guard import Guard
from brickwork.data.layout import DEFAULT_ARENA_BYTES
from brickwork.data.segments import Segments, create_segments, open_store


class Keeper:
    """This process's hand on its host's tensor memory, in the name of a holder number of its own.

    arena_bytes    of memory (sparse: taken as tensors are put)
    spill_bytes    of disk, used when memory is full; 0: none
    spill_dir      where; None: the system's directory for temporary files
    segments       of an existing keeper, to join it (then the sizes say nothing); they become this object's
    host           a name instead of this host's, for tests of two hosts on one machine
    raises         OutOfSpace when no spill file can be made
    """

    def __init__(
        self,
        arena_bytes: int = DEFAULT_ARENA_BYTES,
        spill_bytes: int = 0,
        spill_dir: Path | None = None,
        segments: Segments | None = None,
        host: str | None = None,
    ):
        self.segments = segments or create_segments(arena_bytes, spill_bytes, spill_dir)
        self.store = open_store(self.segments, host=host)
        self._arenas = tuple(self.store.arenas.values())
        self._lives = self._arenas[0].lives
        self._guard: Guard | None = None
        self._is_closed = False

    def start_process(self) -> Guard:
        """Start the keeper's process on the running event loop, which `close` ends unless others need it. Without one
        nobody reclaims what is left when this process dies, and no successor finds the descriptors."""
        self._guard = Guard(self.segments)
        self._guard.start()
        return self._guard

    @property
    def fd(self) -> int:
        """The arena's descriptor."""
        return self.segments.arena

    def next_holder(self) -> int:
        """Claim a number for a process that is about to be started; it signs with it (`open_store`).

        raises    OutOfSpace when all are taken: one arena serves so many processes at once
        """
        return self._lives.claim(self.store.holder)

    def free_holder(self, holder: int) -> int:
        """Reclaim what a dead life held and give its number back. Returns how many tensors that were."""
        count = self.reclaim(holder)
        self._lives.free(holder)
        return count

    def adopt(self, handle: TensorHandle, from_holder: int) -> None:
        """Take over a result from its producer; release it through `store`. See TensorStore.adopt."""
        self.store.adopt(handle, from_holder)

    def reclaim(self, holder: int) -> int:
        """Free what `holder` held. Only after its death is proven (pidfd): a stopped process may wake up
        and read.

        raises    ValueError for the keeper's own number
        """
        if not 0 <= holder < HOLDERS or holder == self.store.holder:
            raise ValueError(f"holder: {holder} is not another process's (0..{HOLDERS - 1}, not {self.store.holder})")
        return sum(arena.table.reclaim(holder) for arena in self._arenas)

    def leaked(self) -> list[tuple[int, tuple[int, ...]]]:
        """Blocks that begin a tensor which somebody holds, with its holders. Empty after all requests ended."""
        return [item for arena in self._arenas for item in arena.table.held().items()]

    def close(self) -> None:
        """Give the own number back and close the descriptors. The memory goes when the last process that maps it
        does."""
        if self._is_closed:
            return
        self._is_closed = True
        for arena in self._arenas:
            arena.table.reclaim(self.store.holder)
        self._lives.free(self.store.holder)
        if self._guard is not None:
            self._guard.close(may_stay=any(not life.process.is_dead() for life in self._lives))
        for fd in self.segments.fds():
            os.close(fd)
