"""An image upscaler: a directory of one transformers model, Swin2SR. `bw.family(path).upscale(image)`.

source    transformers Swin2SRForImageSuperResolution, Swin2SRImageProcessor
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from brickwork.graph.types import Dim, Type
from brickwork.models.image.images import fitted_image
from brickwork.workflow.components import Index, read_model
from brickwork.workflow.family import Family, operation
from brickwork.workflow.identity import model_spec
from brickwork.workflow.trace import Value, emit


class UpscalerFamily(Family):
    """Operations of one upscaler."""

    def __init__(self, root: Path, index: Index) -> None:
        super().__init__(root, index)
        model = read_model(root, ("Swin2SRForImageSuperResolution",), index.variants.of("model"))
        self.times = model.get("upscale", int)
        self.spec = model_spec("swin2sr", model)

    @operation
    def upscale(self, image: Any) -> Value:
        """The picture, larger by the model's factor on each side."""
        image = fitted_image("upscale: image", image, None)
        height, width = (_times(axis, self.times) for axis in image.type.shape[1:3])
        larger = Type("image", dtype="uint8", shape=(1, height, width, 3))
        attrs = {"times": self.times}
        return emit("upscale.image", {"image": image}, {"image": larger}, model=self.spec, attrs=attrs)["image"]


def _times(axis: int | Dim, times: int) -> int | Dim:
    return Dim(axis.scalar, axis.times * times, axis.over) if isinstance(axis, Dim) else axis * times
