"""The trained pipeline as an ordinary Diffusers directory: fp16 safetensors and `brickwork.json`."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from diffusers import StableDiffusion3Pipeline

from brickwork.starter.words import MAX_WORDS, VOCABULARY

DEFAULTS = {"steps": 12, "guidance": 2.0}
MODELS = ("vae", "transformer", "text_encoder", "text_encoder_2", "text_encoder_3")
SHIPPED = Path(__file__).parent / "text-to-image"


def export(
    pipeline: StableDiffusion3Pipeline, average: dict[str, torch.Tensor], folder: Path, report: dict[str, Any]
) -> None:
    """Write the pipeline with the averaged weights in place of the trained ones; `pipeline` is left as it is.

    average   tensors named "transformer.…", "text_encoder.…" and so on, as `train_dit` keeps them
    """
    parts = dict(pipeline.components)
    for name in MODELS:
        parts[name] = deepcopy(parts[name])
        own = {key.removeprefix(f"{name}."): value for key, value in average.items() if key.startswith(f"{name}.")}
        if own:
            parts[name].load_state_dict(own)
        parts[name].half()
    StableDiffusion3Pipeline(**parts).save_pretrained(folder)
    for path in folder.glob("text_encoder*/config.json"):
        say_float32(path)
    for file in folder.rglob("*.safetensors"):
        file.chmod(0o644)
    declare(folder, report)


def say_float32(path: Path) -> None:
    """A config of a model stored in half precision and meant for float32: else stock loaders run it in fp16."""
    config = json.loads(path.read_text()) | {"dtype": "float32"}
    path.write_text(json.dumps(config, indent=2) + "\n")


def declare(folder: Path, report: dict[str, Any]) -> None:
    """Write what brickwork needs to know and Diffusers does not say."""
    facts = {
        "sizes": [[64, 64]],
        "defaults": DEFAULTS,
        "words": list(VOCABULARY),
        "max_words": MAX_WORDS,
        "licence": "Apache-2.0",
        "training": report,
    }
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in facts.items())
    (folder / "brickwork.json").write_text(f"{{\n{lines}\n}}\n")


def load(folder: Path = SHIPPED) -> StableDiffusion3Pipeline:
    """The stock pipeline from a local directory, float32 on the CPU, without its progress bar."""
    pipeline = StableDiffusion3Pipeline.from_pretrained(folder, dtype=torch.float32, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline
