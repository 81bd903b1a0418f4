"""Tensors that stay on a GPU between two processes of one host: the same handles, with an address instead of bytes.

What is put into the arena is a *ticket*, some 200 bytes that tell where the device memory is (CUDA IPC). Its handle is
an ordinary one: leases, adoption, reclaim after a death and stale handles work as for every other tensor. Whoever made
the device tensor keeps it until nobody holds the ticket any more.

Not run where this was written, for want of a GPU; the tests are marked `gpu`. Across hosts a device tensor is staged:
put into the arena (tensors.py copies from any device) and pulled from there.
"""

import ctypes
from dataclasses import dataclass
from typing import Any

import msgspec
import torch

from brickwork.core.errors import BrickworkError, StaleHandle
from brickwork.core.tensor import TensorHandle, TensorSpec
from brickwork.data.tensors import TensorStore
from brickwork.data.views import Lease

IPC_HANDLE_BYTES = 64  # CU_IPC_HANDLE_SIZE, cuda.h
LAZY_ENABLE_PEER_ACCESS = 1  # CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS
CUDA_SUCCESS = 0


class _IpcHandle(ctypes.Structure):
    _fields_ = (("reserved", ctypes.c_char * IPC_HANDLE_BYTES),)


class Ticket(msgspec.Struct, array_like=True):
    """Where a device tensor is: an allocation that its process exported, and an offset into it."""

    allocation: bytes
    offset: int
    device: str  # the GPU's UUID: its number differs between processes
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True, slots=True)
class _Address:
    """What torch reads to make a tensor over memory that it did not allocate."""

    __cuda_array_interface__: dict[str, Any]


class DeviceTensors:
    """One process's exports and imports. For the thread that owns the CUDA context.

    raises    BrickworkError when the CUDA driver is missing
    """

    def __init__(self, store: TensorStore):
        self._store = store
        self._exports: dict[TensorHandle, torch.Tensor] = {}
        self._opened: dict[bytes, int] = {}  # allocation -> its address here; opening is slow, so once
        try:
            self._cuda = ctypes.CDLL("libcuda.so.1")
        except OSError as error:
            raise BrickworkError(f"Device tensors need the CUDA driver: {error}") from None

    def put(self, tensor: torch.Tensor) -> TensorHandle:
        """Export a contiguous CUDA tensor. It is kept until every holder of the handle has released it, and must not
        be written until then. Waits for the work on its stream."""
        self._forget_released()
        tensor = tensor.contiguous()
        torch.cuda.current_stream(tensor.device).synchronize()  # no stream orders two processes
        base, exported = ctypes.c_uint64(), _IpcHandle()
        self._do("cuMemGetAddressRange_v2", ctypes.byref(base), None, ctypes.c_uint64(tensor.data_ptr()))
        self._do("cuIpcGetMemHandle", ctypes.byref(exported), base)
        dtype = str(tensor.dtype).removeprefix("torch.")
        ticket = Ticket(
            bytes(exported), tensor.data_ptr() - base.value, _uuid(tensor.device.index), tuple(tensor.shape), dtype
        )
        content = msgspec.msgpack.encode(ticket)
        handle = self._store.put(content, TensorSpec((len(content),), "uint8"))
        self._exports[handle] = tensor
        return handle

    def get(self, lease: Lease) -> torch.Tensor:
        """The device tensor of a leased ticket, in place. Read-only by agreement; valid while the lease lasts.

        raises    StaleHandle when the process that exported it is gone; BrickworkError when its GPU cannot be seen
        """
        if lease.handle in self._exports:  # CUDA opens no allocation in the process that exported it
            return self._exports[lease.handle]
        ticket = msgspec.msgpack.decode(lease.buffer, type=Ticket)
        index = _index_of(ticket.device)
        address = self._open(ticket.allocation, index) + ticket.offset
        dtype: torch.dtype = getattr(torch, ticket.dtype)
        spec = TensorSpec(ticket.shape, ticket.dtype)
        interface = {"shape": (spec.nbytes,), "typestr": "|u1", "data": (address, False), "version": 3}
        return torch.as_tensor(_Address(interface), device=f"cuda:{index}").view(dtype).reshape(ticket.shape)

    def _open(self, allocation: bytes, index: int) -> int:
        if allocation not in self._opened:
            address, exported = ctypes.c_uint64(), _IpcHandle.from_buffer_copy(allocation)
            with torch.cuda.device(index):
                self._do("cuIpcOpenMemHandle_v2", ctypes.byref(address), exported, LAZY_ENABLE_PEER_ACCESS)
            self._opened[allocation] = address.value
        return self._opened[allocation]

    def _forget_released(self) -> None:
        """Let device memory go whose tickets nobody holds."""
        for handle in [handle for handle in self._exports if not self._store.is_live(handle)]:
            del self._exports[handle]

    def _do(self, call: str, *arguments: Any) -> None:
        code = getattr(self._cuda, call)(*arguments)
        if code != CUDA_SUCCESS:
            raise StaleHandle(f"{call} failed with CUDA error {code}: the exporting process may be gone.")


def _index_of(uuid: str) -> int:
    for index in range(torch.cuda.device_count()):
        if _uuid(index) == uuid:
            return index
    raise BrickworkError(f"The tensor lies on the GPU {uuid}, which this process cannot see (CUDA_VISIBLE_DEVICES).")


def _uuid(index: int) -> str:
    return str(torch.cuda.get_device_properties(index).uuid)
