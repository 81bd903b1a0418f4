"""Who owns a host's tensor memory: makes the arena, adopts results, reclaims what dead processes held.

For now the keeper lives in the coordinator's process; executors inherit `fd`. It has no thread and no socket.
"""

import os

from brickwork.core.errors import OutOfSpace
from brickwork.core.tensor import TensorHandle
from brickwork.data.arena import Arena, create_arena
from brickwork.data.blocks import HOLDERS
from brickwork.data.layout import DEFAULT_ARENA_BYTES
from brickwork.data.tensors import TensorStore

KEEPER = 0
"""The keeper's own holder number."""


class Keeper:
    """Makes an arena of `arena_bytes` (sparse: memory is taken as tensors are put) and owns it until `close`.

    fd        the arena, closed on exec; pass it to a child explicitly (pass_fds, SCM_RIGHTS)
    store     the keeper's own access, as holder 0
    """

    def __init__(self, arena_bytes: int = DEFAULT_ARENA_BYTES):
        self.fd = create_arena(arena_bytes)
        self._arena = Arena(self.fd)
        self.store = TensorStore(self._arena, KEEPER)
        self._lives: set[int] = set()

    def next_holder(self) -> int:
        """A number for a new executor life, until `free_holder`.

        raises    OutOfSpace when all are taken: one arena serves so many processes at once
        """
        free = [holder for holder in range(1, HOLDERS) if holder not in self._lives]
        if not free:
            raise OutOfSpace(f"An arena serves {HOLDERS - 1} executors at once. Stop one, or start fewer.")
        self._lives.add(free[0])
        return free[0]

    def free_holder(self, holder: int) -> int:
        """Reclaim what a dead life held and give its number back. Returns how many blocks that were."""
        count = self.reclaim(holder)
        self._lives.discard(holder)
        return count

    def adopt(self, handle: TensorHandle, from_holder: int) -> None:
        """Take over a result from its producer; release it through `store`. See TensorStore.adopt."""
        self.store.adopt(handle, from_holder)

    def reclaim(self, holder: int) -> int:
        """Free what `holder` held. Only after its death is proven (pidfd): a stopped process may wake up
        and read.

        raises    ValueError for the keeper's own number
        """
        if not KEEPER < holder < HOLDERS:
            raise ValueError(f"holder: {holder} is not an executor's (1..{HOLDERS - 1})")
        return sum(self._arena.table.reclaim(size_class, holder) for size_class in self._arena.layout.classes)

    def leaked(self) -> list[tuple[int, tuple[int, ...]]]:
        """Blocks that somebody holds, with their holders. After all requests ended it should be empty."""
        classes = self._arena.layout.classes
        return [item for size_class in classes for item in self._arena.table.held(size_class).items()]

    def close(self) -> None:
        """Close the descriptor. The memory goes when the last process that maps it does."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
