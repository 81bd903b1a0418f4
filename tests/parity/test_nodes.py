"""Goal: every model-free operation computes the library's bits; batched model calls stay within the stated tolerance.

Method: drawn inputs through our operation and through the Diffusers class that defines it.
"""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers.image_processor import VaeImageProcessor
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from brickwork.core.ids import ModelId
from brickwork.core.model import ModelSpec
from brickwork.models import loaders
from brickwork.models.noise import gaussian
from brickwork.models.ops import Call
from brickwork.models.registry import operations
from brickwork.models.sampler import guide
from brickwork.models.vae import to_uint8

SHAPE = (1, 4, 8, 8)


def _randn(seed: int, shape: tuple[int, ...] = SHAPE) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_guidance_is_the_pipelines_arithmetic() -> None:
    pair = _randn(0, (2, 4, 8, 8))
    unconditional, conditional = pair.chunk(2)
    assert torch.equal(guide(pair, 3.5, 2), unconditional + 3.5 * (conditional - unconditional))
    assert guide(conditional, 3.5, 1) is conditional


def test_noise_depends_on_the_seed_alone() -> None:
    attrs = {"channels": 4, "over": 8}
    calls = [Call({"seed": seed, "height": 64, "width": 64}, attrs) for seed in (5, 6, 5)]
    (a,), (b,), (c,) = gaussian(None, calls)
    assert torch.equal(a, c) and not torch.equal(a, b)
    assert torch.equal(a, torch.randn(SHAPE, generator=torch.Generator("cpu").manual_seed(5)))


@given(seed=st.integers(0, 1000), scale=st.floats(0.1, 3))
@settings(max_examples=25)
def test_pixels_are_rounded_as_the_image_processor_does(seed: int, scale: float) -> None:
    pixels = _randn(seed, (1, 3, 16, 16)) * scale
    (reference,) = VaeImageProcessor(vae_scale_factor=8).postprocess(pixels, output_type="pil")
    assert np.array_equal(to_uint8(pixels)[0].numpy(), np.asarray(reference))


def _load(kind: str, directory: Path, name: str) -> object:
    tokenizer = name.replace("text_encoder", "tokenizer")
    extras = (("tokenizer", str(directory / tokenizer)),) if name.startswith("text") else ()
    return loaders.load(ModelSpec(ModelId(name), kind, str(directory / name), "float32", 0, name, extras))


def test_vae_encode_is_the_pipelines_preprocessing_and_encoder(tiny_sd3: Path) -> None:
    vae = _load("vae", tiny_sd3, "vae")
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    processor = VaeImageProcessor(vae_scale_factor=8, vae_latent_channels=4)
    image = torch.from_numpy(np.asarray(picture)[None].copy())
    with torch.inference_mode():
        reference = vae.encode(processor.preprocess(picture, height=64, width=64)).latent_dist.parameters
        ((moments,),) = operations()["vae.encode"](vae, [Call({"image": image}, {})])
    assert torch.equal(moments, reference)


@pytest.mark.parametrize(
    "name, kind, op", [("text_encoder", "clip_text", "text.clip"), ("text_encoder_3", "t5_text", "text.t5")]
)
def test_batched_text_is_within_tolerance(name: str, kind: str, op: str, tiny_sd3: Path) -> None:
    encoder = _load(kind, tiny_sd3, name)
    calls = [
        Call({"text": text, "adapters": ""}, {"max_length": 10, "lora": "sd3:text_encoder"})
        for text in ("a red circle", "", "a blue square above a red circle")
    ]
    with torch.inference_mode():
        together = operations()[op](encoder, calls)
        for call, outputs in zip(calls, together, strict=True):
            for ours, alone in zip(outputs, operations()[op](encoder, [call])[0], strict=True):
                assert torch.allclose(ours, alone, rtol=1e-4, atol=5e-5)


@pytest.mark.parametrize("rows", [1, 2])
def test_a_batch_of_different_steps_is_within_tolerance(rows: int, tiny_sd3: Path) -> None:
    """Requests at steps of their own, with other texts, in one transformer call."""
    transformer = _load("sd3_transformer", tiny_sd3, "transformer")
    sampler = json.dumps({"class": "FlowMatchEulerDiscreteScheduler", "options": {"shift": 2.0}})
    attrs = {"sampler": sampler, "lora": "sd3:transformer"}
    config = transformer.config
    calls = [
        Call(
            {
                "latents": _randn(k, (1, config.in_channels, 8, 8)),
                "embeds": _randn(10 + k, (1, 20, config.joint_attention_dim)),
                "negative_embeds": _randn(20 + k, (1, 20, config.joint_attention_dim)),
                "pooled": _randn(30 + k, (1, config.pooled_projection_dim)),
                "negative_pooled": _randn(40 + k, (1, config.pooled_projection_dim)),
                "rows": rows, "i": 2 * k, "steps": 8 + k, "adapters": "",
            },
            attrs,
        )
        for k in range(3)
    ]  # fmt: skip
    predict = operations()["sd3.predict"]
    with torch.inference_mode():
        together = predict(transformer, calls)
        for call, (velocity,) in zip(calls, together, strict=True):
            ((alone,),) = predict(transformer, [call])
            assert velocity.shape[0] == rows
            assert torch.allclose(velocity, alone, rtol=1e-4, atol=5e-5)
