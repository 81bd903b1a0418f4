"""Stock Diffusers pipelines in the test's own process: fp32, one thread, final latents and picture of one run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import torch
import transformers
from diffusers import FluxPipeline


@dataclass(frozen=True)
class Reference:
    latents: torch.Tensor  # [1, c, h, w], unpacked
    image: np.ndarray  # [H, W, 3] uint8


def run(cls: str, directory: Path, seed: int, loras: Any = (), parts: Any = None, **call: Any) -> Reference:
    """One run of the pipeline class `cls` on a directory.

    loras   (file, scale) pairs, loaded as users do
    parts   components that are given instead of loaded: ControlNets; None for ones that the directory lacks
    """
    torch.set_num_threads(1)
    pipe = getattr(diffusers, cls).from_pretrained(directory, local_files_only=True, **(parts or {}))
    pipe.set_progress_bar_config(disable=True)
    for k, (file, _) in enumerate(loras):
        pipe.load_lora_weights(str(file.parent), weight_name=file.name, adapter_name=f"a{k}")
    if loras:
        pipe.set_adapters([f"a{k}" for k in range(len(loras))], [scale for _, scale in loras])
    last: dict[str, torch.Tensor] = {}

    def keep(_pipe: Any, _i: int, _t: Any, given: dict[str, Any]) -> dict[str, Any]:
        last["latents"] = given["latents"]
        return given

    torch.manual_seed(0)  # the SD3 ControlNet pipeline draws from the global generator
    image = pipe(
        generator=torch.Generator().manual_seed(seed), callback_on_step_end=keep,
        callback_on_step_end_tensor_inputs=["latents"], **call,
    ).images[0]  # fmt: skip
    latents = last["latents"]
    if latents.ndim == 3:
        latents = FluxPipeline._unpack_latents(latents, image.height, image.width, 8)
    return Reference(latents, np.asarray(image))


def upscaled(directory: Path, picture: np.ndarray) -> np.ndarray:
    """A picture [H, W, 3] uint8 through a Swin2SR model: as wide as it makes it, less what fills whole windows."""
    model = transformers.Swin2SRForImageSuperResolution.from_pretrained(directory, local_files_only=True)
    pixels = torch.from_numpy(picture.copy())[None].to(torch.float32).div(255).permute(0, 3, 1, 2).contiguous()
    with torch.no_grad():
        larger = model(pixel_values=pixels).reconstruction
    made = (larger.clamp(0, 1).permute(0, 2, 3, 1) * 255).round().to(torch.uint8)[0]
    return made[: 2 * picture.shape[0], : 2 * picture.shape[1]].numpy()


def decoded(directory: Path, latents: torch.Tensor) -> np.ndarray:
    """Latents as the text-to-image pipeline of the directory decodes them."""
    vae = diffusers.AutoencoderKL.from_pretrained(directory / "vae", local_files_only=True)
    with torch.no_grad():
        scaled = latents / vae.config.scaling_factor + vae.config.shift_factor
        pixels = vae.decode(scaled, return_dict=False)[0]
    (picture,) = diffusers.image_processor.VaeImageProcessor().postprocess(pixels, output_type="pil")
    return np.asarray(picture)
