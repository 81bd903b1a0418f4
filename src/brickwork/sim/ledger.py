"""The books over synthetic tensors: who made one, and that it is given back exactly once."""

from brickwork.core.tensor import TensorHandle, TensorSpec


class Ledger:
    """Handles alive in the simulated arena."""

    def __init__(self) -> None:
        self.live: set[TensorHandle] = set()
        self.live_bytes = 0
        self.peak_bytes = 0
        self._blocks = 0

    def put(self, spec: TensorSpec) -> TensorHandle:
        self._blocks += 1
        handle = TensorHandle("sim", 0, self._blocks, 0, spec, generation=1)
        self.live.add(handle)
        self.live_bytes += spec.nbytes
        self.peak_bytes = max(self.peak_bytes, self.live_bytes)
        return handle

    def take_back(self, handle: TensorHandle) -> None:
        """Free a tensor. raises KeyError when it is not alive: it was released twice, or used after."""
        self.live.remove(handle)
        self.live_bytes -= handle.spec.nbytes
