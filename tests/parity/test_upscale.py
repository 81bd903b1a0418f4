"""Goal: upscaling pictures and latents has the libraries' bits.

Method: a tiny Swin2SR against transformers' own model and image processor, on sides that are no whole windows; a second
pass over enlarged latents against the stock image-to-image pipeline, which takes latents in place of a picture.
"""

from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from PIL import Image
from transformers import Swin2SRForImageSuperResolution

import brickwork as bw
from brickwork.core.errors import ModelError
from parity import workflows
from parity.table import ASK, SD15, Models
from support import inprocess
from support.tiny import swin2sr


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    return Models(tmp_path_factory.mktemp("upscale"))


def _picture_of(family: Any, upscaler: Any) -> bw.Workflow:
    @bw.workflow
    def picture_of(prompt: str, seed: int, steps: int, guidance: float):
        noise = family.noise(seed, "64x64")
        picture = family.decode(family.denoise(noise, family.encode(prompt), steps=steps, guidance=guidance))
        return {"small": picture, "image": upscaler.upscale(picture)}

    return picture_of


def test_a_picture_is_upscaled_as_transformers_does(models: Models) -> None:
    directory = models.get("swin2sr", swin2sr.build)
    result = inprocess.run(_picture_of(bw.family(SD15.directory(models)), bw.family(directory)), **ASK | {"steps": 1})
    assert result["image"].shape == (1, 128, 128, 3)
    pixels = result["small"].to(torch.float32).div(255).permute(0, 3, 1, 2).contiguous()
    with torch.no_grad():
        larger = Swin2SRForImageSuperResolution.from_pretrained(directory)(pixel_values=pixels).reconstruction
    expected = (larger.clamp(0, 1).permute(0, 2, 3, 1) * 255).round().to(torch.uint8)
    assert torch.equal(result["image"], expected[:, :128, :128])


def test_sides_that_are_no_whole_windows_are_filled_and_cut(models: Models) -> None:
    from brickwork.models.ops import Call
    from brickwork.models.registry import operations

    model = Swin2SRForImageSuperResolution.from_pretrained(models.get("swin2sr", swin2sr.build))
    picture = torch.randint(0, 256, (1, 21, 30, 3), dtype=torch.uint8)
    with torch.inference_mode():
        ((larger,),) = operations()["upscale.image"](model, [Call({"image": picture}, {"times": 2})])
    assert larger.shape == (1, 42, 60, 3)


def test_a_second_pass_over_enlarged_latents_is_the_stock_pipelines(models: Models) -> None:
    directory = SD15.directory(models)
    family = bw.family(directory)

    @bw.workflow
    def twice(prompt: str, seed: int, steps: int, guidance: float, strength: float):
        text = family.encode(prompt)
        first = family.denoise(family.noise(seed, workflows.SIZE), text, steps=steps, guidance=guidance)
        second = family.enlarge(first, seed, steps, strength)
        latents = family.denoise(second.latents, text, steps=steps, guidance=guidance, start=second.step)
        return {"latents": latents, "image": family.decode(latents)}

    ours = inprocess.run(twice, **ASK, strength=0.6)
    small = SD15.expected(models, **SD15.size).latents
    pipe = diffusers.StableDiffusionImg2ImgPipeline.from_pretrained(directory, local_files_only=True)
    pipe.set_progress_bar_config(disable=True)
    large = torch.nn.functional.interpolate(small, scale_factor=2, mode="nearest")
    picture = pipe(
        prompt=ASK["prompt"], image=large, strength=0.6, num_inference_steps=ASK["steps"],
        guidance_scale=ASK["guidance"], generator=torch.Generator().manual_seed(ASK["seed"]),
    ).images[0]  # fmt: skip
    assert np.array_equal(ours["image"][0].numpy(), np.asarray(picture))
    assert Image.fromarray(ours["image"][0].numpy()).size == (128, 128)


def test_another_single_model_is_refused(models: Models, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is a single CLIPTextModel, no pipeline"):
        bw.family(SD15.directory(models) / "text_encoder")
