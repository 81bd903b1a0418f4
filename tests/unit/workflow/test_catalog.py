"""Goal: a model directory that can't work is refused at once; the error says what is missing, corrupt or unsupported.

Method: copies of a tiny SD3 directory, each damaged in one way.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import brickwork as bw
from brickwork.core.errors import ModelError


def _edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def _cut(path: Path, length: int) -> None:
    path.write_bytes(path.read_bytes()[:length])


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no index": (lambda d: (d / "model_index.json").unlink(), "has no model_index.json"),
    "broken index": (lambda d: (d / "model_index.json").write_text("{"), "model_index.json can't be read"),
    "index is a list": (lambda d: (d / "model_index.json").write_text("[]"), "expected a JSON object, found list"),
    "unknown pipeline": (
        lambda d: _edit(d / "model_index.json", _class_name="SanaPipeline"),
        "is a SanaPipeline; supported: StableDiffusionPipeline, ",
    ),
    "component not listed": (
        lambda d: _edit(d / "model_index.json", text_encoder_2=[None, None]),
        "model_index.json lists no text_encoder_2; expected one of class CLIPTextModelWithProjection.",
    ),
    "component missing": (lambda d: shutil.rmtree(d / "vae"), "vae is missing, but model_index.json lists it"),
    "other class": (
        lambda d: _edit(d / "model_index.json", vae=["diffusers", "AutoencoderTiny"]),
        "vae is a AutoencoderTiny; supported: AutoencoderKL.",
    ),
    "no config": (lambda d: (d / "transformer/config.json").unlink(), "transformer/config.json is missing"),
    "no weights": (lambda d: (d / "vae/diffusion_pytorch_model.safetensors").unlink(), "vae has no weights"),
    "pickled weights": (
        lambda d: (d / "vae/diffusion_pytorch_model.safetensors").rename(d / "vae/diffusion_pytorch_model.bin"),
        "has pickled weights only (diffusion_pytorch_model.bin), and loading those would run code",
    ),
    "cut weights": (
        lambda d: _cut(d / "text_encoder/model.safetensors", 80_000),
        "text_encoder/model.safetensors has 80,000 bytes, but its header promises 85,032; copy it anew.",
    ),
    "cut header": (lambda d: _cut(d / "text_encoder/model.safetensors", 100), "its header is broken (it is cut short)"),
    "empty weights": (lambda d: _cut(d / "text_encoder/model.safetensors", 0), "is no safetensors file, or its header"),
    "text instead of weights": (
        lambda d: (d / "vae/diffusion_pytorch_model.safetensors").write_text("version https://git-lfs..." * 9),
        "vae/diffusion_pytorch_model.safetensors is no safetensors file",
    ),
    "other sampler option": (
        lambda d: _edit(d / "scheduler/scheduler_config.json", stochastic_sampling=True),
        "scheduler: stochastic_sampling is True; supported: False.",
    ),
    "components that do not fit": (
        lambda d: _edit(d / "transformer/config.json", joint_attention_dim=95),
        "transformer: joint_attention_dim is 95, but the other components give 96.",
    ),
    "no scaling factor": (
        lambda d: _edit(d / "vae/config.json", scaling_factor=None),
        "vae: expected scaling_factor (float) in its config, found None.",
    ),
    "border with an unknown key": (lambda d: _edit(d / "brickwork.json", size=[1]), "unknown key 'size'"),
    "border with an impossible size": (
        lambda d: _edit(d / "brickwork.json", sizes=[[60, 64]]),
        "size [60, 64] is impossible; sides are multiples of 8 up to 128.",
    ),
    "border with a wrong default": (
        lambda d: _edit(d / "brickwork.json", defaults={"steps": "4"}),
        "brickwork.json is not as expected: expected a positive whole number, found '4'.",
    ),
}


@pytest.mark.parametrize(("damage", "expected"), DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_directory_is_refused(
    damage: Callable[[Path], object], expected: str, tiny_sd3: Path, tmp_path: Path
) -> None:
    directory = shutil.copytree(tiny_sd3, tmp_path / "damaged")
    damage(directory)
    with pytest.raises(ModelError) as caught:
        bw.family(directory)
    assert expected in str(caught.value)


def test_no_directory_at_all(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is no directory; expected a Diffusers model directory"):
        bw.family(tmp_path / "nowhere")


def test_sharded_weights_are_read(tiny_sd3: Path, tmp_path: Path) -> None:
    directory = shutil.copytree(tiny_sd3, tmp_path / "sharded")
    (directory / "vae/diffusion_pytorch_model.safetensors").rename(directory / "vae/part-1.safetensors")
    index = directory / "vae/diffusion_pytorch_model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "part-1.safetensors"}}))
    assert bw.family(directory) is not None
    index.write_text(json.dumps({"weight_map": {"a": "../text_encoder/model.safetensors"}}))
    with pytest.raises(ModelError, match="lists shards that are not beside it"):
        bw.family(directory)
