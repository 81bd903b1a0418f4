"""The trained pipeline as an ordinary Diffusers directory: fp16 safetensors and `brickwork.json`.

Its `vae` folder is a byte-for-byte copy of the text-to-image model's: equal files are one model to brickwork, so a
cluster that serves both directories holds one replica of it.
"""

from __future__ import annotations

import json
import shutil
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, WanImageToVideoPipeline

from brickwork.models.wan.frames import FrameVAE
from brickwork.starter import export as picture_export
from brickwork.starter.video.clips import FRAMES, MAX_WORDS, VOCABULARY

DEFAULTS = {"steps": 10, "guidance": 3.0, "frames": FRAMES, "frames_per_second": 8}
MODELS = ("transformer", "text_encoder", "image_encoder")
SHIPPED = picture_export.SHIPPED.parent / "image-to-video"


def export(
    pipeline: WanImageToVideoPipeline, average: dict[str, torch.Tensor], folder: Path, report: dict[str, Any]
) -> None:
    """Write the pipeline with the averaged weights in place of the trained ones; `pipeline` is left as it is."""
    parts = dict(pipeline.components)
    for name in MODELS:
        parts[name] = deepcopy(parts[name])
        own = {key.removeprefix(f"{name}."): value for key, value in average.items() if key.startswith(f"{name}.")}
        parts[name].load_state_dict(own)
        parts[name].half()
    WanImageToVideoPipeline(**parts).save_pretrained(folder)
    for path in (folder / "text_encoder" / "config.json", folder / "image_encoder" / "config.json"):
        picture_export.say_float32(path)
    shutil.copytree(picture_export.SHIPPED / "vae", folder / "vae", dirs_exist_ok=True)
    index = json.loads((folder / "model_index.json").read_text()) | {"vae": ["diffusers", "AutoencoderKL"]}
    (folder / "model_index.json").write_text(json.dumps(index, indent=2) + "\n")
    for file in folder.rglob("*.safetensors"):
        file.chmod(0o644)
    declare(folder, report)


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


def load(folder: Path = SHIPPED) -> WanImageToVideoPipeline:
    """The stock pipeline from a local directory, its autoencoder under Wan's interface; float32 on the CPU."""
    vae = AutoencoderKL.from_pretrained(folder / "vae", dtype=torch.float32, local_files_only=True)
    pipeline = WanImageToVideoPipeline.from_pretrained(
        folder, vae=FrameVAE.around(vae), dtype=torch.float32, local_files_only=True
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline
