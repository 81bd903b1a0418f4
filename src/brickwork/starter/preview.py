"""Fit the linear map by which an unfinished picture is previewed, and put it beside the transformer.

    python -m brickwork.starter.preview --model DIRECTORY

Least squares from latents, as the transformer sees them, to the pixels of their patches, over scenes drawn from a seed.
"""

import argparse
import random
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from safetensors.torch import save_file

from brickwork.models.preview import FILE
from brickwork.starter.scenes import render
from brickwork.starter.words import draw_training
from brickwork.starter.workflows import STARTER

SCENES = 2000


def fit(vae: AutoencoderKL, pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, float]:
    """weight [channels, patch], bias [patch], and the PSNR in dB of the map on what it was fitted to.

    pictures    [n, 3, H, W] float32, 0..1
    """
    with torch.inference_mode():
        moments = torch.cat([vae.encode(2 * part - 1).latent_dist.mode() for part in pictures.split(64)])
    latents = (moments - vae.config.shift_factor) * vae.config.scaling_factor
    side = pictures.shape[-1] // latents.shape[-1]
    n, _, height, width = latents.shape
    x = latents.permute(0, 2, 3, 1).reshape(-1, latents.shape[1])
    y = pictures.reshape(n, 3, height, side, width, side).permute(0, 2, 4, 3, 5, 1).reshape(len(x), -1)
    design = torch.cat([x, torch.ones(len(x), 1)], dim=1)
    solution = torch.linalg.lstsq(design, y).solution
    error = torch.mean((design @ solution - y) ** 2).item()
    return solution[:-1], solution[-1], -10 * float(np.log10(error))


def main() -> None:
    parser = argparse.ArgumentParser(description="Fit the preview map of a model directory.")
    parser.add_argument("--model", type=Path, default=STARTER)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    vae = AutoencoderKL.from_pretrained(options.model / "vae", dtype=torch.float32, local_files_only=True)
    rng = random.Random(options.seed)
    drawn = [render(draw_training(rng), rng) for _ in range(SCENES)]
    pictures = torch.from_numpy(np.stack(drawn)).permute(0, 3, 1, 2).float() / 255
    weight, bias, psnr = fit(vae, pictures)
    path = options.model / "transformer" / FILE
    save_file({"weight": weight.half().contiguous(), "bias": bias.half()}, path)
    print(f"{path}: {psnr:.1f} dB over {SCENES} scenes")


if __name__ == "__main__":
    main()
