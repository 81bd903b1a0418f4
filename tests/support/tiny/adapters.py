"""Tiny random LoRA files, in the layouts that people have: Diffusers/PEFT and kohya."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

RANK = 3
TARGETS = ("to_q", "to_k", "to_v", "to_out.0", "q_proj", "k_proj", "v_proj", "out_proj", "ff.net.0.proj")


def build(file: Path, components: dict[str, Any], seed: int = 0) -> Path:
    """A Diffusers/PEFT file that changes attention of every component: {"unet": model, "text_encoder": model}."""
    tensors = {}
    for component, layer, down, up in _pairs(components, seed):
        tensors[f"{component}.{layer}.lora_A.weight"] = down
        tensors[f"{component}.{layer}.lora_B.weight"] = up
    save_file(tensors, file)
    return file


def build_kohya(file: Path, components: dict[str, Any], alpha: float = 2.0, seed: int = 0) -> Path:
    """A kohya file: flat names, and an alpha for every layer."""
    prefixes = {"unet": "lora_unet", "text_encoder": "lora_te"}
    tensors = {}
    for component, layer, down, up in _pairs(components, seed):
        layer = layer if layer.startswith("text_model.") or component == "unet" else f"text_model.{layer}"
        name = f"{prefixes[component]}_{layer.replace('.', '_')}"
        tensors |= {
            f"{name}.lora_down.weight": down,
            f"{name}.lora_up.weight": up,
            f"{name}.alpha": torch.tensor(alpha),
        }
    save_file(tensors, file)
    return file


def _pairs(components: dict[str, Any], seed: int) -> Iterator[tuple[str, str, torch.Tensor, torch.Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    for component, model in components.items():
        for layer, module in model.named_modules():
            if isinstance(module, torch.nn.Linear) and layer.endswith(TARGETS):
                out, into = module.weight.shape
                down = 0.3 * torch.randn(RANK, into, generator=generator)
                yield component, layer, down, 0.3 * torch.randn(out, RANK, generator=generator)
