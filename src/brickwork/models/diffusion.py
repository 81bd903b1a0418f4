"""What image and video families share as an author sees them: defaults, limits of a request's inputs. No torch here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from brickwork.graph.types import FLOAT, INT, SIZE, TEXT
from brickwork.models.image.sampling import Sampler
from brickwork.models.image.space import Sizes, check_border
from brickwork.workflow.arguments import constrain, expect
from brickwork.workflow.components import Index
from brickwork.workflow.family import Border, Family, read_border
from brickwork.workflow.inputs import parse_size
from brickwork.workflow.trace import Value

MAX_GUIDANCE = 100.0
MAX_SEED = 2**53 - 1
"""The largest integer that JSON numbers carry exactly."""

MAX_CHARS = 10_000
"""Of a prompt, where the model declares no vocabulary: far beyond what its tokenizers keep."""


class DiffusionFamily(Family):
    """One directory of a family that denoises. A family sets these, and reads the directory."""

    steps: int  # defaults of the stock pipeline
    guidance: float
    min_steps = 1
    sizes: Sizes
    sampler: Sampler

    def __init__(self, root: Path, index: Index) -> None:
        super().__init__(root, index)
        self.border: Border = read_border(root)
        self.read(root, index)
        check_border(root, self.border, self.sizes)

    def read(self, root: Path, index: Index) -> None:
        """Set the family's attributes from the directory; raise ModelError for what can't be computed exactly."""
        raise NotImplementedError

    @property
    def native_size(self) -> tuple[int, int]:
        """(height, width) in pixels that the model was trained for."""
        return self.border.sizes[0] if self.border.sizes else self.sizes.native

    @property
    def default_steps(self) -> int:
        return self.border.steps or self.steps

    @property
    def default_guidance(self) -> float:
        return self.guidance if self.border.guidance is None else self.border.guidance

    def _prompt(self, prompt: Any) -> Value:
        """A text, whose words must be in the model's vocabulary when it declares one."""
        text = expect("encode: prompt", prompt, TEXT)
        border = self.border
        constrain("encode: prompt", text, words=border.words, max_words=border.max_words, max_chars=MAX_CHARS)
        return text

    def _seed(self, what: str, seed: Any) -> Value:
        value = expect(f"{what}: seed", seed, INT)
        constrain(f"{what}: seed", value, minimum=0, maximum=MAX_SEED)
        return value

    def _steps(self, what: str, steps: Any) -> Value:
        value = expect(f"{what}: steps", steps, INT)
        constrain(f"{what}: steps", value, minimum=self.min_steps, maximum=self.sampler.max_steps)
        return value

    def _guidance(self, guidance: Any) -> Value:
        value = expect("denoise: guidance", guidance, FLOAT)
        constrain("denoise: guidance", value, minimum=0.0, maximum=MAX_GUIDANCE)
        return value

    def _sides(self, what: str, size: Any) -> tuple[Value, Value]:
        """Height and width of a size, which from now on must be one that the model draws."""
        if not isinstance(size, Value):
            size = self.native_size if size == "auto" else parse_size(size) or size
        value = expect(f"{what}: size", size, SIZE)
        if self.border.sizes:
            constrain(f"{what}: size", value, choices=self.border.sizes)
        else:
            unit, side = self.sizes.multiple_of, self.sizes.max_side
            limits = dict(minimum=unit, maximum=side, multiple_of=unit)
            constrain(f"{what}: size", value, choices=(self.native_size,), **limits)
        return value.height, value.width
