"""What is loaded. Obeys Load and Unload; which model to evict is control's decision, the budget is kept here too.

A model counts as resident when it is complete: a load that fails, for whatever reason, leaves nothing behind. Two
things are asked before a load: whether the weights fit the models' share of the budget by their declared sizes, and
whether the process, as the kernel counts it, would stay within the whole budget. On a CPU the weights of a model whose
files have its dtype are the mapped files themselves (see docs/concepts/memory.md).

Models are loaded and unloaded by one thread while another one uses those that are resident.
"""

import gc
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

from brickwork.core.errors import ModelError
from brickwork.core.ids import ModelId
from brickwork.core.model import ModelSpec
from brickwork.executor.config import Shares
from brickwork.executor.memory import give_back, held
from brickwork.graph.ir import Loop
from brickwork.models import loaders
from brickwork.models.lora_cache import adapters
from brickwork.models.preview import Preview


@dataclass(frozen=True, slots=True)
class _Resident:
    model: Any
    weight_bytes: int
    preview: Preview | None


class Residency:
    """Models in memory, within the shares of one budget.

    To be made when all is imported: what the process holds then is not counted.
    """

    def __init__(self, shares: Shares):
        self._shares = shares
        self._budget_bytes = shares.own_bytes + shares.adapter_bytes + shares.model_bytes
        self._imported_bytes = held().total_bytes
        self._residents: dict[ModelId, _Resident] = {}
        self._failed: dict[ModelId, str] = {}  # why the last load failed; batches ordered behind it say the same
        adapters.limit(shares.adapter_bytes)

    def load(self, spec: ModelSpec) -> float:
        """Load `spec` unless it is resident. Returns the seconds it took.

        raises    ModelError when it does not fit the budget or its files are broken
        """
        if spec.id in self._residents:
            return 0.0
        start_s = monotonic()
        try:
            self._check_room(spec)
            self._residents[spec.id] = _Resident(loaders.load(spec), spec.weight_bytes, _preview(spec))
        except ModelError as error:
            why = self._failed[spec.id] = str(error)
        else:
            self._failed.pop(spec.id, None)
            return monotonic() - start_s
        gc.collect()  # tensors of the failed load hang in cycles of frames and exceptions
        raise ModelError(why)

    def unload(self, model: ModelId) -> None:
        """Forget a model that nothing uses any more; the memory is free when this returns."""
        if (resident := self._residents.pop(model, None)) is not None:
            del resident
            gc.collect()  # some of the libraries' models have cycles

    def preview(self, loop: Loop) -> Preview | None:
        """How the latents of a loop can be shown, if one of its models brought a map for that."""
        found = (self._residents.get(node.model) for node in loop.body if node.model is not None)
        return next((resident.preview for resident in found if resident and resident.preview), None)

    def model(self, model: ModelId) -> Any:
        """The loaded model.

        raises    ModelError when it is not resident, which means that an order was lost or its load failed
        """
        if model not in self._residents:
            raise ModelError(self._failed.get(model) or f"{model} is not resident on this executor")
        return self._residents[model].model

    def _check_room(self, spec: ModelSpec) -> None:
        used = sum(resident.weight_bytes for resident in self._residents.values())
        if used + spec.weight_bytes > self._shares.model_bytes:
            raise ModelError(
                f"{spec.id} needs {spec.weight_bytes:,} bytes; {used:,} of {self._shares.model_bytes:,} are in use. "
                "Raise the executor's memory budget."
            )
        if self._free_bytes() < spec.weight_bytes:
            adapters.clear()
            give_back()
        if (free_bytes := self._free_bytes()) < spec.weight_bytes:
            raise ModelError(
                f"{spec.id} needs {spec.weight_bytes:,} bytes; of the executor's memory budget of "
                f"{self._budget_bytes:,} bytes {max(0, free_bytes):,} are left: it holds {held()} and held "
                f"{self._imported_bytes:,} before the first load. Raise the budget."
            )

    def _free_bytes(self) -> int:
        """What may still be taken by the kernel's count."""
        return self._budget_bytes - (held().total_bytes - self._imported_bytes)


def _preview(spec: ModelSpec) -> Preview | None:
    if (path := dict(spec.extras).get("preview")) is None:
        return None
    try:
        return Preview(Path(path))
    except Exception as error:  # the library raises many kinds for a broken file
        raise ModelError(f"{spec.id}: cannot read {path}: {error}") from error
