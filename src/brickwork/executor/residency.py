"""What is loaded. Obeys Load and Unload; which model to evict is control's decision, the budget is checked here too."""

from time import monotonic
from typing import Any

from brickwork.core.errors import ModelError
from brickwork.core.ids import ModelId
from brickwork.core.model import ModelSpec
from brickwork.models import loaders


class Residency:
    """Models in memory, never more than `memory_bytes` of weights."""

    def __init__(self, memory_bytes: int):
        self._memory_bytes = memory_bytes
        self._models: dict[ModelId, Any] = {}
        self._weight_bytes: dict[ModelId, int] = {}

    def load(self, spec: ModelSpec) -> float:
        """Load `spec` unless it is resident. Returns the seconds it took.

        raises    ModelError when it does not fit the budget or its files are broken
        """
        if spec.id in self._models:
            return 0.0
        used = sum(self._weight_bytes.values())
        if used + spec.weight_bytes > self._memory_bytes:
            raise ModelError(
                f"{spec.id} needs {spec.weight_bytes:,} bytes; {used:,} of {self._memory_bytes:,} are in use. "
                "Raise the executor's memory budget."
            )
        start_s = monotonic()
        self._models[spec.id] = loaders.load(spec)
        self._weight_bytes[spec.id] = spec.weight_bytes
        return monotonic() - start_s

    def unload(self, model: ModelId) -> None:
        self._models.pop(model, None)
        self._weight_bytes.pop(model, None)

    def model(self, model: ModelId) -> Any:
        """The loaded model.

        raises    ModelError when it is not resident, which means that an order was lost or its load failed
        """
        if model not in self._models:
            raise ModelError(f"{model} is not resident on this executor")
        return self._models[model]
