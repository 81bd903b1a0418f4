"""The reference: stock Diffusers pipelines in the test's own process, one thread, fp32."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import StableDiffusion3Img2ImgPipeline, StableDiffusion3Pipeline
from PIL import Image


@cache
def _pipeline(cls: Any, directory: Path) -> Any:
    torch.set_num_threads(1)
    pipe = cls.from_pretrained(directory, dtype=torch.float32, local_files_only=True)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def text_to_image(
    directory: Path, prompt: str, seed: int, steps: int, guidance: float, negative: str = ""
) -> np.ndarray:
    """The stock picture, [H, W, 3] uint8."""
    pipe = _pipeline(StableDiffusion3Pipeline, directory)
    return _image(pipe, seed, prompt=prompt, steps=steps, guidance=guidance, negative=negative)


def image_to_image(
    directory: Path, image: Image.Image, prompt: str, seed: int, steps: int, guidance: float, strength: float
) -> np.ndarray:
    """The stock picture of the image-to-image pipeline, [H, W, 3] uint8."""
    pipe = _pipeline(StableDiffusion3Img2ImgPipeline, directory)
    size = pipe.transformer.config.sample_size * pipe.vae_scale_factor
    extra = {"image": image, "strength": strength, "height": size, "width": size}
    return _image(pipe, seed, prompt=prompt, steps=steps, guidance=guidance, negative="", **extra)


def _image(pipe: Any, seed: int, prompt: str, steps: int, guidance: float, negative: str, **extra: Any) -> np.ndarray:
    done = pipe(
        prompt=prompt,
        negative_prompt=negative,
        num_inference_steps=steps,
        guidance_scale=guidance,
        max_sequence_length=pipe.tokenizer_3.model_max_length,
        generator=torch.Generator("cpu").manual_seed(seed),
        **extra,
    )
    return np.asarray(done.images[0])
