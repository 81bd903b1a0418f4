"""From a ModelSpec to a model in memory: one loader per kind, local files only, safetensors only."""

import importlib
from pathlib import Path
from typing import Any

import torch

from brickwork.core.errors import ModelError
from brickwork.core.model import ModelSpec
from brickwork.models import precision
from brickwork.models.sd3 import positions
from brickwork.models.text import TextEncoder
from brickwork.models.vision import ImageEncoder

CLASSES = {
    "clip_text": "transformers:CLIPTextModelWithProjection",
    "clip_plain": "transformers:CLIPTextModel",
    "t5_text": "transformers:T5EncoderModel",
    "sd3_transformer": "diffusers:SD3Transformer2DModel",
    "sd3_controlnet": "diffusers:SD3ControlNetModel",
    "qwen_text": "transformers:Qwen2_5_VLForConditionalGeneration",
    "qwen_transformer": "diffusers:QwenImageTransformer2DModel",
    "qwen_controlnet": "diffusers:QwenImageControlNetModel",
    "qwen_vae": "diffusers:AutoencoderKLQwenImage",
    "flux_transformer": "diffusers:FluxTransformer2DModel",
    "flux_controlnet": "diffusers:FluxControlNetModel",
    "swin2sr": "transformers:Swin2SRForImageSuperResolution",
    "unet": "diffusers:UNet2DConditionModel",
    "controlnet": "diffusers:ControlNetModel",
    "vae": "diffusers:AutoencoderKL",
    "umt5_text": "transformers:UMT5EncoderModel",
    "clip_vision": "transformers:CLIPVisionModel",
    "wan_transformer": "diffusers:WanTransformer3DModel",
    "wan_vae": "diffusers:AutoencoderKLWan",
    "ltx_transformer": "diffusers:LTXVideoTransformer3DModel",
    "ltx_vae": "diffusers:AutoencoderKLLTXVideo",
}
TOKENIZERS = {
    "clip_text": "transformers:CLIPTokenizer",
    "clip_plain": "transformers:CLIPTokenizer",
    "t5_text": "transformers:T5TokenizerFast",
    "qwen_text": "transformers:Qwen2TokenizerFast",
    "umt5_text": "transformers:T5TokenizerFast",
}
IMAGE_PROCESSORS = {"clip_vision": "transformers:CLIPImageProcessorPil"}
"""Pillow resizes, not torchvision: pictures must not depend on what else is installed."""

CHUNK = 1 << 18
"""Elements that are looked at together: 1 MB of fp32, which stays in a core's cache."""

MODULES = ("torch", "diffusers", "transformers")
"""What a forkserver imports before it forks, so that an executor starts in milliseconds."""


def load(spec: ModelSpec) -> Any:
    """Read the weights of `spec` into memory in its dtype, ready for inference.

    raises    ModelError that names the directory, when files are missing or corrupt
    """
    if spec.kind not in CLASSES:
        raise ModelError(f"{spec.id}: no loader for models of kind {spec.kind!r}")
    try:
        model = _model(spec)
        model.eval()  # and parameters that ask for gradients: torch picks other kernels when they do not, so other bits
        if spec.kind in TOKENIZERS:
            return TextEncoder(model, _tokenizer(TOKENIZERS[spec.kind], dict(spec.extras)["tokenizer"]))
        if spec.kind in IMAGE_PROCESSORS:
            return ImageEncoder(model, _pretrained(IMAGE_PROCESSORS[spec.kind], dict(spec.extras)["tokenizer"]))
        return model
    except ModelError:
        raise
    except Exception as error:  # the libraries raise many kinds for a broken file; all mean the same here
        raise ModelError(f"{spec.id}: cannot load {spec.path}: {error}") from error


def _tokenizer(target: str, path: str) -> Any:
    """The tokenizer. Without any of its files the library would make an empty one."""
    tokenizer = _pretrained(target, path)
    names = tokenizer.vocab_files_names.values()
    if not any((Path(path) / name).is_file() for name in names):
        raise ModelError(f"{path} has none of {', '.join(names)}: the tokenizer is missing; copy it anew.")
    return tokenizer


def _pretrained(target: str, path: str, **options: Any) -> Any:
    module, name = target.split(":")
    cls = getattr(importlib.import_module(module), name)
    return cls.from_pretrained(path, local_files_only=True, **options)


def _model(spec: ModelSpec) -> Any:
    """The model, when the files hold every tensor of it, each finite. The libraries draw missing ones at random."""
    target = CLASSES[spec.kind]
    options = precision.load_options(spec, target.partition(":")[0])
    with precision.converting(spec):
        model, info = _pretrained(target, spec.path, use_safetensors=True, output_loading_info=True, **options)
    if (transformer := dict(spec.extras).get("positions")) is not None:
        positions.lend(model, Path(transformer))
    for what in ("missing_keys", "mismatched_keys", "error_msgs"):
        if found := [str(entry) for entry in info.get(what) or ()]:
            raise ModelError(f"{spec.path}: {what.replace('_', ' ')}: {', '.join(sorted(found)[:3])}; copy it anew.")
    for name, tensor in model.state_dict().items():
        if not _is_finite(precision.factors(tensor)):
            hint = " Or fp16 can't hold them: try bf16." if spec.dtype == "float16" else ""
            raise ModelError(
                f"{spec.path}: {name} holds NaN or infinity; the weights are broken, copy them anew.{hint}"
            )
    precision.prepare(model, spec)
    return model


def _is_finite(tensor: torch.Tensor) -> bool:
    """No NaN or infinity. Reads every page of a mapped file once, and makes no temporaries of the tensor's size."""
    if not tensor.is_floating_point():
        return True
    return all(bool(torch.isfinite(chunk).all()) for chunk in tensor.flatten().split(CHUNK))
