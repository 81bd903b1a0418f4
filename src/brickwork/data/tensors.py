"""What everybody uses of the data engine: put a tensor, get it by handle, release it.

A tensor lives in a span of blocks from `put` or `allocate` until its last holder released it. Within a process leases
are counted; between processes one bit a process tells who still holds the tensor (blocks.py). The shared bit is the
truth and the count only tells when to clear it: when a coordinator adopts a result it clears the producer's bit, and
the producer's count lapses without a message.

The life of a result:

    producer      put / allocate -> hand_over -> reports the handle
    coordinator   adopt -> sends the handle to consumers -> release, when nobody will need it
    consumer      get -> reads in place -> release

A process that is stopped keeps what it leased: only its release or its proven death (`Keeper.reclaim`) frees it.
"""

from collections import deque
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

from brickwork.core.errors import OutOfSpace, StaleHandle
from brickwork.core.tensor import TensorHandle, TensorSpec
from brickwork.data.arena import Arena
from brickwork.data.blocks import HOLDERS
from brickwork.data.views import Hold, Lease

if TYPE_CHECKING:
    from typing_extensions import Buffer

Key = tuple[int, int]
"""(segment, block) of a tensor that this process holds."""


RESULT_CREDIT = 8
"""An eighth of memory is reserved for results."""


@dataclass(frozen=True, slots=True)
class Allocation:
    """A tensor about to be computed. `buffer` is writable until the handle is handed over or released."""

    handle: TensorHandle
    buffer: memoryview


@dataclass(frozen=True, slots=True)
class SegmentUse:
    """How full one segment is, over all processes; every block at its own moment."""

    bytes_total: int
    bytes_in_use: int
    peak_bytes: int  # whose pages exist, since they were used once: what the segment costs of memory, or disk
    largest_free_bytes: int  # the largest tensor that would fit now


class TensorStore:
    """One process's access to a host's tensors. Safe to use from several threads; no call waits for another process.

    arena     memory; handles into it are found first
    holder    this process's number (lives.py); no two living processes share one
    spill     a second arena, on disk (spill.py), taken when the first is full; or None
    """

    def __init__(self, arena: Arena, holder: int, spill: Arena | None = None):
        if not 0 <= holder < HOLDERS:
            raise ValueError(f"holder: {holder} is not in 0..{HOLDERS - 1}")
        self.holder = holder
        self.arenas = {each.segment: each for each in (arena, spill) if each is not None}
        self._counts: dict[Key, int] = {}  # leases of this process; void where the shared bit is clear
        self._lock = Lock()
        self._lapsed: deque[TensorHandle] = deque()  # leases whose last view is gone and whose count is not yet less

    @property
    def result_credit_bytes(self) -> int:
        """What new work leaves free, so that what runs can deliver and results are never waited for in a circle."""
        return min(arena.layout.arena_bytes for arena in self.arenas.values()) // RESULT_CREDIT

    def put(self, buffer: "Buffer", spec: TensorSpec, spare_bytes: int = 0) -> TensorHandle:
        """Copy a C-contiguous tensor in, once. The caller holds it until it hands it over or releases it.

        spare_bytes    as for `allocate`
        raises         ValueError when `buffer` has not the size that `spec` tells; OutOfSpace
        """
        source = memoryview(buffer).cast("B") if spec.nbytes else memoryview(b"")
        if source.nbytes != spec.nbytes:
            raise ValueError(f"buffer: {source.nbytes} bytes given, but {spec} has {spec.nbytes}")
        allocation = self.allocate(spec, spare_bytes)
        allocation.buffer[:] = source
        return allocation.handle

    def allocate(self, spec: TensorSpec, spare_bytes: int = 0) -> Allocation:
        """Reserve the bytes of a tensor that is then computed in place; they hold anything at first.

        spare_bytes    the tensor is refused unless one of so many bytes still fits after it. Who brings new work
                       leaves room for the results of what runs; a result leaves none (0)
        raises         OutOfSpace when no row of free blocks is long enough; nothing waits
        """
        for arena in self.arenas.values():
            taken = self._take(arena, spec.nbytes, spare_bytes)
            if taken is not None:
                block, generation = taken
                offset = arena.layout.offset_of(block)
                handle = TensorHandle(arena.host, arena.segment, block, offset, spec, generation)
                return Allocation(handle, arena.writable[offset : offset + spec.nbytes])
        raise OutOfSpace(self._why_full(spec, spare_bytes))

    def get(self, handle: TensorHandle) -> Lease:
        """Lease a live tensor and map it read-only, without a copy.

        raises    StaleHandle when its bytes were released, belong to another arena, or are being handed over
        """
        arena, key = self._find(handle), (handle.segment, handle.block)
        with self._lock:
            is_new = arena.table.lease(handle.block, handle.generation, self.holder)
            if is_new is None:
                raise StaleHandle(f"{_name(handle)} was released, and its block may hold another tensor now.")
            if not is_new and key not in self._counts:
                raise StaleHandle(f"{_name(handle)} is being handed over and has not been adopted yet.")
            self._counts[key] = 1 if is_new else self._counts[key] + 1
        self._settle()
        return Lease(Hold(handle, arena.readable, self._lapse))

    def release(self, handle: TensorHandle) -> None:
        """Give up one lease of this process: of `put`, `allocate` or `adopt`. Those of `get` end by their Lease.

        raises    StaleHandle when this process does not hold the tensor
        """
        arena = self._find(handle)
        with self._lock:
            self._require_held(arena, handle, "releases it")
            self._give_up(arena, handle)
        self._settle()

    def hand_over(self, handle: TensorHandle) -> None:
        """Leave a result to the coordinator. It stays held in this process's name until `adopt`.

        A producer calls it before it reports the handle. It may `get` the tensor again, like anybody else, once it
        is adopted.

        raises    StaleHandle when this process does not hold the tensor; ValueError when it holds it more
                  than once, since `adopt` would end those leases too
        """
        arena, key = self._find(handle), (handle.segment, handle.block)
        with self._lock:
            self._require_held(arena, handle, "hands it over")
            if self._counts[key] > 1:
                raise ValueError(f"handle: {_name(handle)} is leased besides; release that before handing it over")
            del self._counts[key]

    def adopt(self, handle: TensorHandle, from_holder: int) -> None:
        """Take over what another holder handed over, in one change: no death loses or leaks it.

        raises    StaleHandle when `from_holder` does not hold the tensor (any more)
        """
        arena, key = self._find(handle), (handle.segment, handle.block)
        with self._lock:
            is_new = arena.table.pass_on(handle.block, handle.generation, from_holder, self.holder)
            if is_new is not None:
                self._counts[key] = 1 if is_new else self._counts[key] + 1
        if is_new is None:
            raise StaleHandle(f"{_name(handle)} is not held by holder {from_holder}, who was to hand it over.")

    def is_live(self, handle: TensorHandle) -> bool:
        """Whether anybody, in any process, holds the tensor."""
        arena = self.arenas.get(handle.segment)
        return arena is not None and arena.table.is_live(handle.block, handle.generation)

    def statistics(self) -> tuple[SegmentUse, ...]:
        """How full memory is, and the spill file if there is one. Reads both tables: some 100 us."""
        return tuple(_use_of(arena) for arena in self.arenas.values())

    def _take(self, arena: Arena, nbytes: int, spare_bytes: int) -> tuple[int, int] | None:
        """A span with its pages, in this process's name: (block, generation)."""
        count = arena.layout.blocks_for(nbytes)
        with self._lock:
            taken = arena.table.take(count, self.holder)
            if taken is None:
                return None
            block, generation, is_fresh = taken
            self._counts[arena.segment, block] = 1
        try:
            if spare_bytes and arena.table.longest() < arena.layout.blocks_for(spare_bytes):
                raise OutOfSpace("reserved for results")
            if is_fresh:
                arena.populate(block, count)
        except OutOfSpace:
            with self._lock:
                del self._counts[arena.segment, block]
                arena.table.drop(block, generation, self.holder)
            return None
        return block, generation

    def _lapse(self, handle: TensorHandle) -> None:
        """The last view under a lease is gone. Called by the garbage collector too, perhaps in the middle of a call
        of this store in this very thread: so it never waits for the lock."""
        self._lapsed.append(handle)
        self._settle()

    def _settle(self) -> None:
        """Give up lapsed leases. Who finds the lock taken leaves them to its owner, who comes here afterwards."""
        while self._lapsed and self._lock.acquire(blocking=False):
            try:
                while self._lapsed:
                    handle = self._lapsed.popleft()
                    arena = self.arenas[handle.segment]
                    if self._is_held(arena, handle):
                        self._give_up(arena, handle)
            finally:
                self._lock.release()

    def _give_up(self, arena: Arena, handle: TensorHandle) -> None:
        key = handle.segment, handle.block
        self._counts[key] -= 1
        if self._counts[key] == 0:
            del self._counts[key]
            arena.table.drop(handle.block, handle.generation, self.holder)

    def _is_held(self, arena: Arena, handle: TensorHandle) -> bool:
        is_mine = arena.table.is_held(handle.block, handle.generation, self.holder)
        return is_mine and (handle.segment, handle.block) in self._counts

    def _require_held(self, arena: Arena, handle: TensorHandle, act: str) -> None:
        if not self._is_held(arena, handle):
            raise StaleHandle(f"{_name(handle)} is not held by holder {self.holder}, who {act}.")

    def _find(self, handle: TensorHandle) -> Arena:
        """A handle comes from a message; believe none of its numbers before the arena agrees."""
        arena = self.arenas.get(handle.segment)
        if arena is None or handle.host != arena.host:
            raise StaleHandle(f"{_name(handle)} belongs to another arena, which this process does not map.")
        layout = arena.layout
        if 0 <= handle.block < layout.blocks and handle.offset == layout.offset_of(handle.block):
            last = handle.block + layout.blocks_for(handle.spec.nbytes) - 1
            if last < layout.blocks and arena.table.belongs(last, handle.block, handle.generation):
                return arena
        raise StaleHandle(f"{_name(handle)} does not describe a tensor of this arena.")

    def _why_full(self, spec: TensorSpec, spare_bytes: int) -> str:
        need = f"A tensor {list(spec.shape)} {spec.dtype} of {spec.nbytes} bytes"
        largest = max(arena.layout.blocks * arena.layout.block_bytes for arena in self.arenas.values())
        if spec.nbytes + spare_bytes > largest:
            return f"{need} is larger than tensor memory. Start with a larger arena (arena_bytes, now {largest})."
        rows = [
            f"{use.largest_free_bytes} in a row ({use.bytes_in_use} of {use.bytes_total} in use)"
            for use in self.statistics()
        ]
        kept = f", of which {spare_bytes} are kept for results" if spare_bytes else ""
        return (
            f"{need} finds no room: free are {' and '.join(rows)} bytes{kept}. "
            f"Finish or cancel requests, or start with a larger arena (arena_bytes)."
        )


def _use_of(arena: Arena) -> SegmentUse:
    size = arena.layout.block_bytes
    in_use, ever = arena.table.used()
    return SegmentUse(arena.layout.blocks * size, in_use * size, ever * size, arena.table.longest() * size)


def _name(handle: TensorHandle) -> str:
    shape = "x".join(map(str, handle.spec.shape))
    return f"Tensor {shape} {handle.spec.dtype} (block {handle.block}, generation {handle.generation})"
