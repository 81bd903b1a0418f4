"""LoRA adapters beside the weights, never in them: every row of a batch may have its own, and nothing drifts.

While a model runs, forward hooks on the layers that an adapter changes add `up(down(x)) * scale` to the rows that asked
for it. Weights are only read, so the base model is bit for bit what it was whenever the hooks are gone. A batch whose
rows all have the same adapters computes what peft computes for one request, in its order.

source    peft LoraLayer.forward (unmerged)
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from brickwork.models.lora_cache import adapters as loaded
from brickwork.models.lora_files import Pair
from brickwork.models.precision import uncompiled


@dataclass(frozen=True, slots=True)
class Adapter:
    """One line of an `adapters` text: "<scale> <digest> <path>"."""

    scale: float
    digest: str
    path: Path


@dataclass(frozen=True, slots=True)
class _Part:
    """Rows `first` up to `last` of a batch, and what is added to them in one layer."""

    first: int
    last: int
    pairs: tuple[tuple[Pair, float], ...]


def adapters_of(text: str) -> tuple[Adapter, ...]:
    """What a text names after its header (`models/image/adapters.py` writes it)."""
    lines = (line.split(" ", 2) for line in text.splitlines()[1:])
    return tuple(Adapter(float(scale), digest, Path(path)) for scale, digest, path in lines)


@contextmanager
def applied(model: Any, part: str, requests: Sequence[tuple[str, int]]) -> Iterator[None]:
    """While inside, `model` runs with the adapters of each request.

    part        which component of the adapters' files this is: "sdxl:unet"
    requests    (adapters text, rows) of each request, in the order of the batch
    raises      ModelError for files that are broken or for another model
    """
    if not any(adapters_of(text) for text, _ in requests):
        yield
        return
    modules = dict(model.named_modules())
    hooks = [
        modules[layer].register_forward_hook(_adding(parts, sum(rows for _, rows in requests)))
        for layer, parts in _by_layer(model, part, requests).items()
    ]
    try:
        with uncompiled(model):
            yield
    finally:
        for hook in hooks:
            hook.remove()


def _by_layer(model: Any, part: str, requests: Sequence[tuple[str, int]]) -> dict[str, list[_Part]]:
    """For each layer, the rows that change; neighbours with equal adapters are one part."""
    files = {adapter.digest: adapter.path for text, _ in requests for adapter in adapters_of(text)}
    layers_of = loaded.take(files, part, model)
    found: dict[str, list[_Part]] = {}
    for text, first, last in _runs(requests):
        pairs: dict[str, list[tuple[Pair, float]]] = {}
        for adapter in adapters_of(text):
            for layer, pair in layers_of[adapter.digest].items():
                scale = adapter.scale * pair.alpha / pair.down.shape[0]
                pairs.setdefault(layer, []).append((pair, scale))
        for layer, listed in pairs.items():
            found.setdefault(layer, []).append(_Part(first, last, tuple(listed)))
    return found


def _runs(requests: Sequence[tuple[str, int]]) -> list[tuple[str, int, int]]:
    """(text, first row, last row): neighbours with the same text together."""
    runs: list[tuple[str, int, int]] = []
    row = 0
    for text, rows in requests:
        if runs and runs[-1][0] == text:
            runs[-1] = (text, runs[-1][1], row + rows)
        else:
            runs.append((text, row, row + rows))
        row += rows
    return runs


def _adding(parts: list[_Part], rows: int) -> Callable[[Any, tuple[torch.Tensor, ...], torch.Tensor], torch.Tensor]:
    def hook(module: Any, args: tuple[torch.Tensor, ...], output: torch.Tensor) -> torch.Tensor:
        x = args[0]
        if x.shape[0] != rows:
            raise RuntimeError(f"a layer with an adapter sees {x.shape[0]} rows of {rows}")
        if len(parts) == 1 and parts[0].last - parts[0].first == rows:
            return _added(module, x, output, parts[0].pairs)
        output = output.clone()
        for part in parts:
            chosen = slice(part.first, part.last)
            output[chosen] = _added(module, x[chosen], output[chosen], part.pairs)
        return output

    return hook


def _added(module: Any, x: torch.Tensor, output: torch.Tensor, pairs: Sequence[tuple[Pair, float]]) -> torch.Tensor:
    for pair, scale in pairs:
        down, up = pair.down.to(x.dtype), pair.up.to(x.dtype)
        if isinstance(module, torch.nn.Conv2d):
            low = torch.nn.functional.conv2d(x, down, None, module.stride, module.padding, module.dilation)
            output = output + torch.nn.functional.conv2d(low, up) * scale
        else:
            low = torch.nn.functional.linear(x, down)
            output = output + torch.nn.functional.linear(low, up) * scale
    return output
