"""What latents look like before they are decoded: a linear map from each latent to its patch of pixels.

The map is fitted by least squares when a model is made (`brickwork.starter.preview`) and shipped beside the transformer
as `preview.safetensors`: weight [channels, side * side * 3], bias [side * side * 3], pixels in 0..1. It costs some tens
of microseconds where decoding costs milliseconds, and needs no VAE on the executor that denoises.
"""

from io import BytesIO
from pathlib import Path

import torch
from PIL import Image
from safetensors.torch import load_file

FILE = "preview.safetensors"


class Preview:
    """The linear map of one latent space."""

    def __init__(self, path: Path):
        tensors = load_file(path)
        self._weight = tensors["weight"].to(torch.float32)
        self._bias = tensors["bias"].to(torch.float32)
        self._side = round((self._bias.numel() / 3) ** 0.5)

    def png(self, latents: torch.Tensor) -> bytes:
        """latents [1, channels, h, w] -> a PNG of h * side x w * side pixels."""
        _, _, height, width = latents.shape
        patches = latents[0].to(torch.float32).permute(1, 2, 0) @ self._weight + self._bias
        pixels = patches.reshape(height, width, self._side, self._side, 3).permute(0, 2, 1, 3, 4)
        pixels = pixels.reshape(height * self._side, width * self._side, 3)
        picture = Image.fromarray((pixels.clamp(0, 1) * 255).round().to(torch.uint8).numpy())
        buffer = BytesIO()
        picture.save(buffer, "PNG")
        return buffer.getvalue()
