"""LoRA files: Diffusers/PEFT and kohya layouts, read into low-rank pairs by the name of the layer that they change.

The library knows the layouts that people use (its pipelines' `lora_state_dict`); this reads what it gives for one
component, checks every tensor against the model, and refuses what would be ignored otherwise. Safetensors only.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diffusers.loaders
import torch
from diffusers.utils import convert_state_dict_to_diffusers, convert_state_dict_to_peft, convert_unet_state_dict_to_peft
from safetensors import SafetensorError, safe_open

from brickwork.core.errors import BrickworkError, ModelError
from brickwork.workflow.identity import ID_DIGITS, file_digest

MIXINS = {
    "sd15": "StableDiffusionLoraLoaderMixin", "sdxl": "StableDiffusionXLLoraLoaderMixin",
    "sd3": "SD3LoraLoaderMixin", "flux": "FluxLoraLoaderMixin", "qwen": "QwenImageLoraLoaderMixin",
}  # fmt: skip
"""Family to the library's class that knows the layouts of its adapters."""

UNSUPPORTED = ("dora_scale", "lora_magnitude_vector", "lokr_", "hada_", "lora_B.bias", "lora_mid")


@dataclass(frozen=True, slots=True)
class Pair:
    """What is added to a layer's output: up(down(x)) * scale * alpha / rank."""

    down: torch.Tensor  # [rank, in] or [rank, in, kh, kw]
    up: torch.Tensor  # [out, rank] or [out, rank, 1, 1]
    alpha: float


Layers = dict[str, Pair]
"""By the name of the layer."""


def read_layers(digest: str, path: Path, part: str, model: Any) -> Layers:
    """The pairs of a file for one component.

    digest    what the workflow that names the file found in it
    part      "<family>:<component>" as in the file: "sdxl:unet", "sd3:text_encoder_2"
    model     the component; every layer named by the file must be one of its, and fit it
    raises    ModelError that names the file and the tensor
    """
    if not file_digest(path).startswith(digest[:ID_DIGITS]):
        raise ModelError(f"{path} was changed after the workflow that names it was declared; declare it again.")
    return _read(path, part, model)


def _read(path: Path, part: str, model: Any) -> Layers:
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        for name, tensor in tensors.items():
            _check_tensor(path, name, tensor)
        return _pairs(path, *_normalised(tensors, metadata, part, model), model)
    except BrickworkError:
        raise
    except (OSError, SafetensorError, ValueError, KeyError, IndexError, RuntimeError) as error:
        raise ModelError(f"{path} can't be read as a LoRA for {part}: {type(error).__name__}: {error}.") from error


def _check_tensor(path: Path, name: str, tensor: torch.Tensor) -> None:
    if any(word in name for word in UNSUPPORTED):
        raise ModelError(f"{path}: {name} is no plain LoRA; supported: down/up (lora_A/lora_B) pairs with alpha.")
    if not tensor.is_floating_point():
        raise ModelError(f"{path}: {name} is {tensor.dtype}; supported: floating point.")
    if not torch.isfinite(tensor).all():
        raise ModelError(f"{path}: {name} holds NaN or infinity; the file is broken, copy or train it anew.")


def _normalised(
    tensors: dict[str, torch.Tensor], metadata: dict[str, str], part: str, model: Any
) -> tuple[dict[str, torch.Tensor], dict[str, float]]:
    """Tensors named `layer.lora_A.weight`, `layer.lora_B.weight` and alphas by layer, of one component."""
    family, _, component = part.partition(":")
    mixin = getattr(diffusers.loaders, MIXINS[family])
    options: dict[str, Any] = {"return_alphas": True} if family == "flux" else {}
    if component == "unet":
        options["unet_config"] = model.config
    given = mixin.lora_state_dict(dict(tensors), **options)
    found, alphas = given if isinstance(given, tuple) else (given, None)
    layers = _peft_names(found, component, model)
    return layers, _alphas(alphas or {}, metadata, component, layers, model)


def _peft_names(named: dict[str, Any], component: str, model: Any) -> dict[str, Any]:
    """Entries of one component, by PEFT's names: `layer.lora_A.weight`."""
    found = {
        key.removeprefix(f"{component}."): value for key, value in named.items() if key.startswith(component + ".")
    }
    if component.startswith("text_encoder"):
        found = convert_state_dict_to_peft(convert_state_dict_to_diffusers(found)) if found else {}
        return found if hasattr(model, "text_model") else {k.removeprefix("text_model."): v for k, v in found.items()}
    return found if not found or any("lora_A" in key for key in found) else convert_unet_state_dict_to_peft(found)


def _alphas(
    named: dict[str, Any], metadata: dict[str, str], component: str, layers: dict[str, torch.Tensor], model: Any
) -> dict[str, float]:
    """Alpha by layer: from tensors of the file, or from the configuration that PEFT leaves in its header.

    The library names an alpha after its layer, or after the layer's `down` tensor in the file's own layout.
    """
    of_tensors = {
        key.removesuffix(".alpha"): alpha for key, alpha in named.items() if key.endswith("down.weight.alpha")
    }
    of_layers = {key: alpha for key, alpha in named.items() if key.removesuffix(".alpha") not in of_tensors}
    alphas = {key.split(".lora_A")[0]: float(a) for key, a in _peft_names(of_tensors, component, model).items()}
    alphas |= {key.removeprefix(f"{component}.").removesuffix(".alpha"): float(a) for key, a in of_layers.items()}
    config = json.loads(metadata.get("lora_adapter_metadata", "{}"))
    default, pattern = config.get(f"{component}.lora_alpha"), config.get(f"{component}.alpha_pattern", {})
    if default is not None:
        for layer in {key.split(".lora_")[0] for key in layers}:
            alphas[layer] = float(next((a for name, a in pattern.items() if layer.endswith(name)), default))
    return alphas


def _pairs(path: Path, found: dict[str, torch.Tensor], alphas: dict[str, float], model: Any) -> Layers:
    modules = dict(model.named_modules())
    layers: Layers = {}
    for layer in dict.fromkeys(key.split(".lora_")[0] for key in found):
        module = modules.get(layer)
        if not isinstance(module, torch.nn.Linear | torch.nn.Conv2d):
            raise ModelError(f"{path}: it changes {layer}, which {type(model).__name__} has not; is it for this model?")
        down, up = found.get(f"{layer}.lora_A.weight"), found.get(f"{layer}.lora_B.weight")
        if down is None or up is None:
            raise ModelError(f"{path}: {layer} has only one of its two tensors (lora_A, lora_B).")
        _check_fit(path, layer, down, up, module.weight)
        down, up = (tensor.to(module.weight.dtype).contiguous() for tensor in (down, up))
        layers[layer] = Pair(down, up, alphas.get(layer, float(down.shape[0])))
    return layers


def _check_fit(path: Path, layer: str, down: torch.Tensor, up: torch.Tensor, weight: torch.Tensor) -> None:
    is_fit = down.shape[1:] == weight.shape[1:] and up.shape[0] == weight.shape[0] and up.shape[1] == down.shape[0]
    if not is_fit or down.ndim != weight.ndim or up.ndim != weight.ndim:
        shapes = f"{list(down.shape)} and {list(up.shape)}"
        raise ModelError(f"{path}: {layer} has {shapes}, but the layer is {list(weight.shape)}; is it for this model?")
