"""Image encoders: CLIP's vision model, its image processor included. Batched calls are one forward.

source    diffusers WanImageToVideoPipeline.encode_image
"""

from dataclasses import dataclass
from typing import Any

from PIL import Image

from brickwork.models.ops import Call, Op, Outputs


@dataclass(slots=True)
class ImageEncoder:
    """A vision model with its image processor; together they are one model identity."""

    model: Any
    processor: Any


def clip(encoder: ImageEncoder, calls: list[Call]) -> list[Outputs]:
    """image [1, H, W, 3] uint8 -> hidden [1, tokens, width] of the last but one layer, in the model's dtype."""
    pictures = [Image.fromarray(call.args["image"][0].numpy()) for call in calls]
    pixels = encoder.processor(images=pictures, return_tensors="pt")
    hidden = encoder.model(**pixels, output_hidden_states=True).hidden_states[-2]
    return [(row[None].contiguous(),) for row in hidden]


OPS: dict[str, Op] = {"image.clip_vision": clip}
