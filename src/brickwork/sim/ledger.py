"""The books over synthetic tensors: who made one, and that it is given back exactly once."""

from brickwork.core.tensor import TensorHandle, TensorSpec


class Ledger:
    """Handles alive in the simulated arena."""

    def __init__(self) -> None:
        self.live: dict[int, int] = {}  # block -> bytes
        self.live_bytes = 0
        self.peak_bytes = 0
        self._blocks = 0

    def put(self, spec: TensorSpec) -> TensorHandle:
        self._blocks += 1
        nbytes = self.live[self._blocks] = spec.nbytes
        self.live_bytes += nbytes
        self.peak_bytes = max(self.peak_bytes, self.live_bytes)
        return TensorHandle("sim", 0, self._blocks, 0, spec, 1)

    def take_back(self, handle: TensorHandle) -> None:
        """Free a tensor. raises KeyError when it is not alive: it was released twice, or used after."""
        self.live_bytes -= self.live.pop(handle.block)

    def take_all(self) -> None:
        """Free what is left: the host is gone."""
        self.live.clear()
        self.live_bytes = 0
