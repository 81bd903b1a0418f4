"""A leased tensor as others see it: bytes, a numpy array, anything that reads DLPack. Nothing is copied.

A lease lasts until it was released *and* its last view is gone: a view that somebody forgot keeps bytes alive, it never
shows another tensor's. All views are read-only. Torch has no read-only tensors; in one made from a view, a write in
place ends the process with SIGSEGV, because the memory below is mapped for reading.
"""

from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

from brickwork._native import tensor_view
from brickwork.core.tensor import TensorHandle

if TYPE_CHECKING:  # a process that only puts and gets bytes starts five times as fast without
    import numpy as np

INT, UINT, FLOAT, BFLOAT, BOOL = 0, 1, 2, 4, 6  # DLDataTypeCode, dlpack.h

DLPACK = {
    "float32": (FLOAT, 32), "float16": (FLOAT, 16), "bfloat16": (BFLOAT, 16), "float64": (FLOAT, 64),
    "uint8": (UINT, 8), "int8": (INT, 8), "int32": (INT, 32), "int64": (INT, 64), "bool": (BOOL, 8),
}  # fmt: skip
"""(code, bits) of each dtype of core/tensor.py."""


class Tensor(Protocol):
    """What `Lease.tensor` gives: numpy.from_dlpack and torch.from_dlpack read it."""

    def __dlpack__(self, **options: Any) -> Any: ...

    def __dlpack_device__(self) -> tuple[int, int]: ...


class Hold:
    """One lease, ended by its own end: whoever refers to it may read.

    memory    the arena, mapped for reading
    lapse     called once with the handle when nobody refers to this any more, in whatever thread that happens
    """

    __slots__ = ("_lapse", "handle", "memory")

    def __init__(self, handle: TensorHandle, memory: memoryview, lapse: Callable[[TensorHandle], None]):
        self.handle = handle
        self.memory = memory
        self._lapse = lapse

    def __del__(self) -> None:
        self._lapse(self.handle)


class Lease:
    """A tensor that stays as it is until `release` and the end of every view that was taken before."""

    def __init__(self, hold: Hold):
        self.handle = hold.handle
        self._hold: Hold | None = hold

    @property
    def buffer(self) -> memoryview:
        """The bytes in place: [nbytes] uint8, read-only."""
        return memoryview(self._view((self.handle.spec.nbytes,), "uint8"))

    def tensor(self) -> Tensor:
        """The tensor in place, for anything that reads DLPack, bfloat16 included. Read-only, on the CPU."""
        tensor: Tensor = self._view(self.handle.spec.shape, self.handle.spec.dtype)
        return tensor

    def numpy(self) -> "np.ndarray[Any, Any]":
        """The tensor as a read-only array in place. NumPy has no bfloat16: use `tensor` and torch."""
        if self.handle.spec.dtype == "bfloat16":
            raise TypeError("numpy has no bfloat16; use torch.from_dlpack(lease.tensor())")
        import numpy as np

        return np.from_dlpack(self.tensor())

    def release(self) -> None:
        """Give the lease up. A second call does nothing."""
        self._hold = None

    def __enter__(self) -> "Lease":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.release()

    def _view(self, shape: tuple[int, ...], dtype: str) -> Any:
        if self._hold is None:
            raise ValueError(f"The lease of {self.handle.spec} was released.")
        code, bits = DLPACK[dtype]
        return tensor_view(self._hold.memory, self.handle.offset, shape, code, bits, self._hold)
