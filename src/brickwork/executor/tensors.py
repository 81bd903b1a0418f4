"""Between torch and the data engine: a tensor into the arena (one copy), a lease as a tensor (no copy)."""

import warnings

import torch

from brickwork.core.tensor import TensorHandle, TensorSpec
from brickwork.data.tensors import Lease, TensorStore

warnings.filterwarnings("ignore", message="The given buffer is not writable")


def put(store: TensorStore, tensor: torch.Tensor) -> TensorHandle:
    """Copy `tensor` (any layout, CPU) into a block of the arena; this process holds a lease on it.

    raises    OutOfSpace when no block is free
    """
    spec = TensorSpec(tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."))
    allocation = store.allocate(spec)
    torch.frombuffer(allocation.buffer, dtype=tensor.dtype, count=tensor.numel()).copy_(tensor.reshape(-1))
    return allocation.handle


def view(lease: Lease) -> torch.Tensor:
    """The leased bytes as a tensor: read-only memory, valid until the lease is released."""
    spec = lease.handle.spec
    flat = torch.frombuffer(lease.buffer, dtype=getattr(torch, spec.dtype))
    return flat.reshape(spec.shape)
