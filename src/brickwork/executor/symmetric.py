"""Tensors in NVSHMEM's symmetric heap, which every member of a fixed gang of executors reads from its own GPU.

As in device.py a *ticket* is put into the arena, and its handle is an ordinary one; the ticket tells the member and the
offset in its heap. The heap is allocated by all members together, so it is a pool made once for a gang: nobody joins
it later, and it does not outlive a member (ADR 0020).

Written against nvshmem4py 0.4; not run where this was written, for want of a GPU.
"""

from importlib import import_module
from typing import Any

import msgspec
import numpy as np
import torch

from brickwork.core.errors import BrickworkError, OutOfSpace
from brickwork.core.tensor import TensorHandle, TensorSpec
from brickwork.data.tensors import TensorStore
from brickwork.data.views import Lease

ALIGNMENT = 512  # bytes; of every tensor in the heap, as torch's own allocator aligns


class SymmetricTicket(msgspec.Struct, array_like=True):
    member: int
    offset: int
    shape: tuple[int, ...]
    dtype: str


def new_gang_id() -> bytes:
    """What one process makes and all members of a new gang are given."""
    return bytes(_library().get_unique_id()._data.view(np.int8))


class SymmetricPool:
    """One member's heap. For the thread that owns the CUDA context; one pool a process, for its life.

    gang_id       from `new_gang_id`, the same for all
    member        0..members-1, this process's
    heap_bytes    the same for all; half is for what this member puts, half for what it is just reading
    device        CUDA index
    raises        BrickworkError when nvshmem4py is missing

    Making and closing it blocks until every member does the same.
    """

    def __init__(self, store: TensorStore, gang_id: bytes, member: int, members: int, heap_bytes: int, device: int):
        self._nvshmem, self._cuda = _library(), import_module("cuda.core")
        self._store, self._member, self._half = store, member, heap_bytes // 2 // ALIGNMENT * ALIGNMENT
        self._exports: dict[TensorHandle, tuple[int, int]] = {}  # what it put -> (first byte, end)
        torch.cuda.set_device(device)
        own = self._cuda.Device(device)
        own.set_current()
        uid = self._nvshmem.get_unique_id(empty=True)
        uid._data.view(np.int8)[:] = np.frombuffer(gang_id, np.int8)
        self._nvshmem.init(device=own, uid=uid, rank=member, nranks=members, initializer_method="uid")
        self._heap = self._nvshmem.bytetensor((2 * self._half,), dtype=torch.uint8)

    def put(self, tensor: torch.Tensor) -> TensorHandle:
        """Copy a CUDA tensor into this member's heap. Its room is free again when nobody holds the handle.

        raises    OutOfSpace when the heap has no room for it
        """
        self._exports = {handle: span for handle, span in self._exports.items() if self._store.is_live(handle)}
        spec = TensorSpec(tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."))
        offset = first_fit(list(self._exports.values()), spec.nbytes, self._half)
        if offset is None:
            raise OutOfSpace(f"{spec} finds no room in the {self._half} bytes of a gang's symmetric heap.")
        self._heap[offset : offset + spec.nbytes].copy_(tensor.contiguous().reshape(-1).view(torch.uint8))
        torch.cuda.current_stream().synchronize()  # no stream orders two processes
        content = msgspec.msgpack.encode(SymmetricTicket(self._member, offset, spec.shape, spec.dtype))
        handle = self._store.put(content, TensorSpec((len(content),), "uint8"))
        self._exports[handle] = (offset, offset + spec.nbytes)
        return handle

    def get(self, lease: Lease) -> torch.Tensor:
        """Fetch the tensor of a leased ticket onto this member's GPU. The copy is the caller's.

        It passes through the reading half of the own heap: other memory is unknown to the network.
        raises    BrickworkError when the ticket is of a gang with another size of heap
        """
        ticket = msgspec.msgpack.decode(lease.buffer, type=SymmetricTicket)
        spec = TensorSpec(ticket.shape, ticket.dtype)
        if not 0 <= ticket.offset <= self._half - spec.nbytes:
            raise BrickworkError(f"{spec} at {ticket.offset} lies outside the {self._half} bytes of a gang's heap.")
        stream, base = torch.cuda.current_stream(), self._heap.data_ptr()
        if spec.nbytes:
            target = self._cuda.Buffer.from_handle(base + self._half, spec.nbytes)
            source = self._cuda.Buffer.from_handle(base + ticket.offset, spec.nbytes)  # the same place at the peer
            self._nvshmem.get(target, source, remote_pe=ticket.member, stream=stream)
        landed = self._heap[self._half : self._half + spec.nbytes].clone()
        stream.synchronize()  # the lease may end now
        return landed.view(getattr(torch, spec.dtype)).reshape(spec.shape)

    def close(self) -> None:
        self._nvshmem.free_tensor(self._heap)
        self._nvshmem.finalize()


def first_fit(taken: list[tuple[int, int]], nbytes: int, total: int) -> int | None:
    """The lowest aligned offset where `nbytes` lie apart from all `taken` (first byte, end); None without one."""
    offset = 0
    for start, end in sorted(taken):
        if offset + nbytes <= start:
            break
        offset = max(offset, -(-end // ALIGNMENT) * ALIGNMENT)
    return offset if offset + nbytes <= total else None


def _library() -> Any:
    try:
        return import_module("nvshmem.core")
    except ImportError as error:
        raise BrickworkError(
            f"The symmetric heap needs nvshmem4py ({error}): install nvshmem4py-cu12 or -cu13, as torch's CUDA is."
        ) from None
