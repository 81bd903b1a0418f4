"""From a Diffusers directory to its family: the object whose methods add that family's nodes to a workflow."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from brickwork.core.errors import ModelError
from brickwork.workflow.components import read_json
from brickwork.workflow.family import Family

FAMILIES = {
    "StableDiffusionPipeline": "brickwork.models.sd15.family:SD15Family",
    "StableDiffusionImg2ImgPipeline": "brickwork.models.sd15.family:SD15Family",
    "StableDiffusionInpaintPipeline": "brickwork.models.sd15.family:SD15Family",
    "StableDiffusionXLPipeline": "brickwork.models.sdxl.family:SDXLFamily",
    "StableDiffusionXLImg2ImgPipeline": "brickwork.models.sdxl.family:SDXLFamily",
    "StableDiffusionXLInpaintPipeline": "brickwork.models.sdxl.family:SDXLFamily",
    "StableDiffusion3Pipeline": "brickwork.models.sd3.family:SD3Family",
    "FluxPipeline": "brickwork.models.flux.family:FluxFamily",
    "FluxImg2ImgPipeline": "brickwork.models.flux.family:FluxFamily",
    "FluxInpaintPipeline": "brickwork.models.flux.family:FluxFamily",
    "LTXPipeline": "brickwork.models.ltx.family:LTXFamily",
    "LTXImageToVideoPipeline": "brickwork.models.ltx.family:LTXFamily",
    "WanPipeline": "brickwork.models.wan.family:WanFamily",
    "WanImageToVideoPipeline": "brickwork.models.wan.family:WanFamily",
}
"""Pipeline class, as model_index.json names it, to the class that declares its nodes; imported when asked for."""


def family(path: str | Path) -> Any:
    """The family of a model directory, by the class that its model_index.json names.

    path      a Diffusers directory, as `save_pretrained` writes it
    returns   an object with that family's operations (`encode`, `noise`, `denoise`, `decode` ...)
    raises    ModelError saying precisely what is missing, corrupt or unsupported
    """
    root = Path(path).expanduser().absolute()
    if not root.is_dir():
        raise ModelError(f"{path} is no directory; expected a Diffusers model directory with a model_index.json.")
    if not (root / "model_index.json").is_file():
        raise ModelError(f"{path} has no model_index.json; expected a directory as save_pretrained writes it.")
    index = read_json(root / "model_index.json")
    target = FAMILIES.get(str(index.get("_class_name")))
    if target is None:
        raise ModelError(f"{path} is a {index.get('_class_name')}; supported: {', '.join(FAMILIES)}.")
    module, _, name = target.partition(":")
    kind: type[Family] = getattr(importlib.import_module(module), name)
    return kind(root, index)
