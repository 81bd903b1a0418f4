"""What a tensor is (TensorSpec) and where its bytes are (TensorHandle).

A handle is a plain, copyable description that travels in messages. It keeps nothing alive: a *lease*
(`brickwork.data`) does. The generation tells a live handle from one whose block was reused.
"""

from math import prod

from brickwork.core.record import record

ITEM_BYTES = {
    "float32": 4, "float16": 2, "bfloat16": 2, "float64": 8,
    "uint8": 1, "int8": 1, "int32": 4, "int64": 8, "bool": 1,
}  # fmt: skip


@record(frozen=True, slots=True)
class TensorSpec:
    """Shape and dtype of a dense, C-contiguous tensor."""

    shape: tuple[int, ...]
    dtype: str  # a key of ITEM_BYTES

    @property
    def nbytes(self) -> int:
        return prod(self.shape) * ITEM_BYTES[self.dtype]


@record(frozen=True, slots=True)
class TensorHandle:
    """Where a tensor's bytes are. Valid while somebody holds a lease on (block, generation)."""

    host: str  # boot id of the host whose keeper owns the segment
    segment: int  # which arena of that host
    block: int  # index into the arena's block table
    offset: int  # bytes from the segment's start to the first byte of the tensor
    spec: TensorSpec
    generation: int  # of the block when the tensor was put
