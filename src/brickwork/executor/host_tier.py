"""The tier below a GPU's memory: models that left it, their weights pinned in the host's, so that they come back at the
bus's speed instead of being read, checked and converted again.

    device    --keep-->    pinned memory of the host    --when room is missing-->    forgotten: loaded from files again
              <--take--

Control decides what leaves the device, as on any other executor; here is decided what leaves the host after that.
Forgotten is what is worth least: what its load costs per byte, on top of a level that rises with all that is forgotten,
so that what nobody asks for sinks below what comes and goes. A CPU has no such tier: its weights are mapped files, and
the page cache keeps them (docs/concepts/memory.md).

For the thread that loads. Copies from and to a GPU were not run where this was written, for want of one.

source    GreedyDual-Size (Cao and Irani, Cost-Aware WWW Proxy Caching Algorithms, 1997)
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch

from brickwork.core.ids import ModelId


@dataclass(frozen=True, slots=True)
class _Kept:
    model: Any
    nbytes: int
    worth: float  # seconds per byte, above the level at which it came


class HostTier:
    """Models of one device that are not on it, within a budget of the host's memory."""

    def __init__(self, budget_bytes: int, device: torch.device):
        self._budget_bytes = budget_bytes
        self._device = device
        self._kept: dict[ModelId, _Kept] = {}
        self._level = 0.0

    @property
    def used_bytes(self) -> int:
        return sum(kept.nbytes for kept in self._kept.values())

    def keep(self, name: ModelId, model: Any, load_s: float) -> None:
        """Take a model off the device. Blocks until its weights are in the host's memory, or are forgotten.

        model     what `loaders.load` gave; nobody calls it until it was taken again. Weights are moved in place
        load_s    what its load from files took
        """
        nbytes = sum(tensor.nbytes for tensor in _weights(model))
        if nbytes > self._budget_bytes:
            return
        while self.used_bytes + nbytes > self._budget_bytes:
            self._forget_one()
        self._to_host(model)
        self._kept[name] = _Kept(model, nbytes, self._level + load_s / max(1, nbytes))

    def take(self, name: ModelId) -> Any | None:
        """The model on its device again, or None when it is not here. Copies are queued on the device's current
        stream, so calls on that stream find the weights; another stream has to wait for it."""
        if (kept := self._kept.pop(name, None)) is None:
            return None
        for tensor in _weights(kept.model):
            tensor.data = tensor.data.to(self._device, non_blocking=True)  # torch keeps pinned pages until it is over
        return kept.model

    def _forget_one(self) -> None:
        name = min(self._kept, key=lambda name: self._kept[name].worth)  # of equals, the one that came first
        self._level = self._kept.pop(name).worth

    def _to_host(self, model: Any) -> None:
        is_pinned = self._device.type == "cuda"
        for tensor in _weights(model):
            room = torch.empty_like(tensor.data, device="cpu", pin_memory=is_pinned)
            tensor.data = room.copy_(tensor.data, non_blocking=is_pinned)
        if is_pinned:
            torch.cuda.current_stream(self._device).synchronize()


def _weights(model: Any) -> Iterator[torch.Tensor]:
    """What of a model has to be on the device, tied weights once. An encoder of texts brings its tokenizer along."""
    module = model if isinstance(model, torch.nn.Module) else model.model
    return chain(module.parameters(), module.buffers())
