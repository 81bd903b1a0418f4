"""What is loaded. Obeys Load and Unload; which model to evict is control's decision, the budget is checked here too."""

from pathlib import Path
from time import monotonic
from typing import Any

from brickwork.core.errors import ModelError
from brickwork.core.ids import ModelId
from brickwork.core.model import ModelSpec
from brickwork.graph.ir import Loop
from brickwork.models import loaders
from brickwork.models.preview import Preview


class Residency:
    """Models in memory, never more than `memory_bytes` of weights."""

    def __init__(self, memory_bytes: int):
        self._memory_bytes = memory_bytes
        self._models: dict[ModelId, Any] = {}
        self._weight_bytes: dict[ModelId, int] = {}
        self._previews: dict[ModelId, Preview] = {}
        self._failed: dict[ModelId, str] = {}  # why the last load failed; batches ordered behind it say the same

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
        self._failed.pop(spec.id, None)
        try:
            self._models[spec.id] = loaders.load(spec)
        except ModelError as error:
            self._failed[spec.id] = str(error)
            raise
        self._weight_bytes[spec.id] = spec.weight_bytes
        for name, path in spec.extras:
            if name == "preview":
                self._previews[spec.id] = Preview(Path(path))
        return monotonic() - start_s

    def unload(self, model: ModelId) -> None:
        self._models.pop(model, None)
        self._weight_bytes.pop(model, None)
        self._previews.pop(model, None)

    def preview(self, loop: Loop) -> Preview | None:
        """How the latents of a loop can be shown, if one of its models brought a map for that."""
        found = (self._previews.get(node.model) for node in loop.body if node.model is not None)
        return next((preview for preview in found if preview is not None), None)

    def model(self, model: ModelId) -> Any:
        """The loaded model.

        raises    ModelError when it is not resident, which means that an order was lost or its load failed
        """
        if model not in self._models:
            raise ModelError(self._failed.get(model) or f"{model} is not resident on this executor")
        return self._models[model]
