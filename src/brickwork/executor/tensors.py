"""Between torch and the data engine: a tensor into the arena (one copy), a lease as a tensor (no copy)."""

from collections.abc import Callable
from time import monotonic, sleep

import torch

from brickwork.core.errors import OutOfSpace
from brickwork.core.tensor import TensorHandle, TensorSpec
from brickwork.data.tensors import Allocation, TensorStore
from brickwork.data.views import Lease
from brickwork.executor.pinned import pin

RESULT_WAIT_S = 10.0
"""For room for a result: others release what they read within seconds, or the arena is too small for its load."""

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.001, 0.05


def put(store: TensorStore, tensor: torch.Tensor, on_wait: Callable[[int], None] = lambda nbytes: None) -> TensorHandle:
    """Copy `tensor` (any layout and device) into the arena; this process holds a lease on it.

    on_wait    called once with the tensor's bytes when there is no room and a wait of at most RESULT_WAIT_S begins
    raises     OutOfSpace when there was no room within that time
    """
    spec = TensorSpec(tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."))
    allocation = _allocate(store, spec, on_wait)
    if tensor.is_cuda:
        with torch.cuda.device(tensor.device):
            pin(next(iter(store.arenas.values())))
    torch.frombuffer(allocation.buffer, dtype=tensor.dtype, count=tensor.numel()).copy_(tensor.reshape(-1))
    return allocation.handle


def view(lease: Lease) -> torch.Tensor:
    """The leased bytes as a tensor in place; the lease lasts as long as it at least. The memory is read-only: a write
    in place ends the process."""
    return torch.from_dlpack(lease.tensor())


def _allocate(store: TensorStore, spec: TensorSpec, on_wait: Callable[[int], None]) -> Allocation:
    try:
        return store.allocate(spec)
    except OutOfSpace:
        on_wait(spec.nbytes)
    deadline_s, pause_s = monotonic() + RESULT_WAIT_S, FIRST_PAUSE_S
    while True:
        sleep(pause_s)
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        try:
            return store.allocate(spec)
        except OutOfSpace:
            if monotonic() > deadline_s:
                raise
