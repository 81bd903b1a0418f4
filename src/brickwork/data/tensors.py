"""What everybody uses of the data engine: put a tensor, get it by handle, release it.

A tensor lives in one block of the arena from `put` or `allocate` until its last holder released it. Within a
process leases are counted; between processes one bit a process tells who still holds the block (blocks.py).
The shared bit is the truth and the count only tells when to clear it: when the keeper adopts a result it
clears the producer's bit, and the producer's count lapses without a message.

The life of a result:

    producer   put / allocate -> hand_over -> reports the handle
    keeper     adopt -> sends the handle to consumers -> release, when nobody will need it
    consumer   get -> reads in place -> release

A process that is stopped keeps what it leased: only its release or its proven death (`Keeper.reclaim`)
frees it.
"""

from dataclasses import dataclass
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from brickwork.core.errors import OutOfSpace, StaleHandle
from brickwork.core.tensor import TensorHandle, TensorSpec
from brickwork.data.arena import Arena
from brickwork.data.blocks import HOLDERS

if TYPE_CHECKING:
    from typing_extensions import Buffer


@dataclass(frozen=True, slots=True)
class Allocation:
    """A tensor about to be computed. `buffer` is writable until the handle is handed over or released."""

    handle: TensorHandle
    buffer: memoryview


@dataclass(frozen=True, slots=True)
class ClassUse:
    """How full one size class is."""

    block_bytes: int
    blocks: int
    blocks_in_use: int
    peak_blocks: int


@dataclass(frozen=True, slots=True)
class ArenaUse:
    """How full the arena is, over all processes; each class at its own moment."""

    classes: tuple[ClassUse, ...]

    @property
    def bytes_in_use(self) -> int:
        return sum(use.block_bytes * use.blocks_in_use for use in self.classes)

    @property
    def peak_bytes(self) -> int:
        """An upper bound: the classes need not have peaked together."""
        return sum(use.block_bytes * use.peak_blocks for use in self.classes)


class TensorStore:
    """One process's access to an arena. Safe to use from several threads; no call blocks on another process.

    holder    this process's bit; no two living processes share one
    """

    def __init__(self, arena: Arena, holder: int):
        if not 0 <= holder < HOLDERS:
            raise ValueError(f"holder: {holder} is not in 0..{HOLDERS - 1}")
        self.holder = holder
        self._arena = arena
        self._counts: dict[int, int] = {}  # block -> leases; void where the shared bit is clear
        self._lock = Lock()

    def put(self, buffer: "Buffer", spec: TensorSpec) -> TensorHandle:
        """Copy a C-contiguous tensor in, once. The caller holds it until it hands it over or releases it.

        raises    ValueError when `buffer` has not the size that `spec` tells; OutOfSpace
        """
        source = memoryview(buffer).cast("B") if spec.nbytes else memoryview(b"")
        if source.nbytes != spec.nbytes:
            raise ValueError(f"buffer: {source.nbytes} bytes given, but {spec} has {spec.nbytes}")
        allocation = self.allocate(spec)
        allocation.buffer[:] = source
        return allocation.handle

    def allocate(self, spec: TensorSpec) -> Allocation:
        """Reserve the bytes of a tensor that is then computed in place; they hold anything at first.

        raises    OutOfSpace when no block that is large enough is free; nothing waits
        """
        for size_class in self._arena.layout.classes_for(spec.nbytes):
            with self._lock:
                taken = self._arena.table.take(size_class, self.holder)
                if taken is None:
                    continue
                block, generation = taken
                self._counts[block] = 1
            offset = size_class.offset_of(block)
            handle = TensorHandle(self._arena.host, self._arena.segment, block, offset, spec, generation)
            return Allocation(handle, self._arena.writable[offset : offset + spec.nbytes])
        raise OutOfSpace(self._why_full(spec))

    def get(self, handle: TensorHandle) -> "Lease":
        """Lease a live tensor and map it read-only, without a copy.

        raises    StaleHandle when its bytes were released, belong to another arena, or are being handed over
        """
        self._check(handle)
        with self._lock:
            is_new = self._arena.table.lease(handle.block, handle.generation, self.holder)
            if is_new is None:
                raise StaleHandle(f"{_name(handle)} was released, and its block may hold another tensor now.")
            if not is_new and handle.block not in self._counts:
                raise StaleHandle(f"{_name(handle)} is being handed over and the keeper has not adopted it yet.")
            self._counts[handle.block] = 1 if is_new else self._counts[handle.block] + 1
        return Lease(self, handle, self._arena.readable[handle.offset : handle.offset + handle.spec.nbytes])

    def release(self, handle: TensorHandle) -> None:
        """Give up one lease of this process: of `put`, `allocate`, `adopt`, or (by its Lease) of `get`.

        raises    StaleHandle when this process does not hold the tensor
        """
        self._check(handle)
        with self._lock:
            self._require_held(handle, "releases it")
            self._counts[handle.block] -= 1
            if self._counts[handle.block] == 0:
                del self._counts[handle.block]
                self._arena.table.drop(handle.block, handle.generation, self.holder)

    def hand_over(self, handle: TensorHandle) -> None:
        """Leave a result to the keeper. The block stays held in this process's name until `adopt`.

        A producer calls it before it reports the handle. It may `get` the tensor again, like anybody else,
        once the keeper has adopted it.

        raises    StaleHandle when this process does not hold the tensor; ValueError when it holds it more
                  than once, since `adopt` would end those leases too
        """
        self._check(handle)
        with self._lock:
            self._require_held(handle, "hands it over")
            if self._counts[handle.block] > 1:
                raise ValueError(f"handle: {_name(handle)} is leased besides; release that before handing it over")
            del self._counts[handle.block]

    def adopt(self, handle: TensorHandle, from_holder: int) -> None:
        """Take over what another holder handed over, in one change: no death loses or leaks it.

        raises    StaleHandle when `from_holder` does not hold the tensor (any more)
        """
        self._check(handle)
        with self._lock:
            is_new = self._arena.table.pass_on(handle.block, handle.generation, from_holder, self.holder)
            if is_new is not None:
                self._counts[handle.block] = 1 if is_new else self._counts[handle.block] + 1
        if is_new is None:
            raise StaleHandle(f"{_name(handle)} is not held by holder {from_holder}, who was to hand it over.")

    def statistics(self) -> ArenaUse:
        """How full the arena is. Reads the word of every block that was ever used: not for every task."""
        table = self._arena.table
        return ArenaUse(
            tuple(
                ClassUse(
                    size_class.block_bytes,
                    size_class.stop - size_class.first,
                    len(table.held(size_class)),
                    table.peak(size_class),
                )
                for size_class in self._arena.layout.classes
            )
        )

    def _require_held(self, handle: TensorHandle, act: str) -> None:
        is_held = self._arena.table.is_held(handle.block, handle.generation, self.holder)
        if not is_held or handle.block not in self._counts:
            raise StaleHandle(f"{_name(handle)} is not held by holder {self.holder}, who {act}.")

    def _check(self, handle: TensorHandle) -> None:
        """A handle comes from a message; believe none of its numbers before the arena agrees."""
        arena = self._arena
        if (handle.host, handle.segment) != (arena.host, arena.segment):
            raise StaleHandle(f"{_name(handle)} belongs to another arena, which this process does not map.")
        if 0 <= handle.block < arena.layout.blocks:
            size_class = arena.layout.class_of(handle.block)
            fits = 0 <= handle.spec.nbytes <= size_class.block_bytes
            if fits and handle.offset == size_class.offset_of(handle.block):
                return
        raise StaleHandle(f"{_name(handle)} does not describe a block of this arena.")

    def _why_full(self, spec: TensorSpec) -> str:
        need = f"A tensor {list(spec.shape)} {spec.dtype} of {spec.nbytes} bytes"
        arena_bytes = self._arena.layout.arena_bytes
        largest = self._arena.layout.classes[-1].block_bytes
        if spec.nbytes > largest:
            return (
                f"{need} is larger than the largest block ({largest} bytes) of an arena of "
                f"{arena_bytes} bytes. A larger arena (arena_bytes) has larger blocks."
            )
        full = [
            f"{fitting.stop - fitting.first} of {fitting.block_bytes} bytes"
            for fitting in self._arena.layout.classes_for(spec.nbytes)
        ]
        return (
            f"{need} finds no free block: all that are large enough are in use ({', '.join(full)}). "
            f"Finish or cancel requests, or start with a larger arena (arena_bytes, now {arena_bytes})."
        )


class Lease:
    """A tensor that stays as it is until `release`. Views of `buffer` must not be used after that.

    buffer    read-only bytes in place, C-contiguous; valid until `release`
    """

    def __init__(self, store: TensorStore, handle: TensorHandle, buffer: memoryview):
        self.handle = handle
        self.buffer = buffer
        self._store: TensorStore | None = store

    def numpy(self) -> np.ndarray[Any, Any]:
        """The tensor as a read-only array in place. NumPy has no bfloat16: read `buffer` with torch."""
        spec = self.handle.spec
        if spec.dtype == "bfloat16":
            raise TypeError("numpy has no bfloat16; use torch.frombuffer(lease.buffer, dtype=torch.bfloat16)")
        return np.ndarray(spec.shape, np.dtype(spec.dtype), self.buffer)

    def release(self) -> None:
        """Give the lease up. A second call does nothing."""
        store, self._store = self._store, None
        if store is not None:
            store.release(self.handle)

    def __enter__(self) -> "Lease":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.release()


def _name(handle: TensorHandle) -> str:
    shape = "x".join(map(str, handle.spec.shape))
    return f"Tensor {shape} {handle.spec.dtype} (block {handle.block}, generation {handle.generation})"
