"""From a Diffusers directory to its family: the object whose methods add that family's nodes to a workflow."""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from brickwork.core.errors import ModelError
from brickwork.workflow.components import Index, is_listed, read_json
from brickwork.workflow.family import Family
from brickwork.workflow.variants import Variants

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*\Z", re.ASCII)

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
    "QwenImagePipeline": "brickwork.models.qwen.family:QwenFamily",
    "QwenImageImg2ImgPipeline": "brickwork.models.qwen.family:QwenFamily",
    "QwenImageInpaintPipeline": "brickwork.models.qwen.family:QwenFamily",
    "WanPipeline": "brickwork.models.wan.family:WanFamily",
    "WanImageToVideoPipeline": "brickwork.models.wan.family:WanFamily",
}
"""Pipeline class, as model_index.json names it, to the class that declares its nodes; imported when asked for."""


SINGLES = {"Swin2SRForImageSuperResolution": "brickwork.models.upscale.family:UpscalerFamily"}
"""The same for directories that hold one model, by the architecture that config.json names."""


def family(
    path: str | Path,
    *,
    precision: str | Mapping[str, str] = "fp32",
    compile: bool | Mapping[str, bool] = False,
) -> Any:
    """The family of a model, by the class that its model_index.json names.

    path      a Diffusers directory, as `save_pretrained` writes it; a name given with `brickwork models add`; or a
              hub id such as "stabilityai/stable-diffusion-3-medium-diffusers"
    precision "fp32", "bf16", "fp16" or "int8" for all models of the directory, or by component, the others being fp32:
              {"transformer": "int8", "text_encoder": "bf16"}; "controlnet" stands for the family's ControlNets
    compile   whether calls go through torch.compile, likewise
    returns   an object with that family's operations (`encode`, `noise`, `denoise`, `decode` ...)
    raises    ModelError saying precisely what is missing, corrupt or unsupported, all of it
    """
    root, variants = resolved(path), Variants(precision, compile)
    if not (root / "model_index.json").is_file() and (root / "config.json").is_file():
        return _single(path, root, variants)
    if not (root / "model_index.json").is_file():
        raise ModelError(f"{path} has no model_index.json; expected a directory as save_pretrained writes it.")
    index = Index(read_json(root / "model_index.json"), variants)
    target = FAMILIES.get(str(index.get("_class_name")))
    if target is None:
        raise ModelError(f"{path} is a {index.get('_class_name')}; supported: {', '.join(FAMILIES)}.")
    module, _, name = target.partition(":")
    variants.check(name for name in index.entries if is_listed(index, name))
    kind: type[Family] = getattr(importlib.import_module(module), name)
    try:
        return kind(root, index)
    except ModelError as error:
        raise _all_that_is_wrong(root, error) from None


def _single(path: str | Path, root: Path, variants: Variants) -> Any:
    """The family of a directory that is one model, by its architecture."""
    config = read_json(root / "config.json")
    name = next(iter(config.get("architectures") or ()), config.get("_class_name"))
    if name not in SINGLES:
        raise ModelError(f"{path} is a single {name}, no pipeline; supported: {', '.join(SINGLES)}.")
    variants.check(["model"])
    module, _, kind = SINGLES[name].partition(":")
    return getattr(importlib.import_module(module), kind)(root, Index({"_class_name": name}, variants))


def resolved(path: str | Path) -> Path:
    """The directory that a path, a name or a hub id means; raises ModelError."""
    root = Path(path).expanduser().absolute()
    if root.is_dir():
        return root
    if (named := importlib.import_module("brickwork.importers.names").known().get(str(path))) is not None:
        return Path(named)
    if HUB_ID.match(str(path)) and not root.parent.is_dir():
        return Path(importlib.import_module("brickwork.importers.hub").snapshot(str(path)))
    raise ModelError(f"{path} is no directory; expected a Diffusers model directory with a model_index.json.")


def _all_that_is_wrong(root: Path, first: ModelError) -> ModelError:
    """The error with what else is wrong, a line each."""
    others = importlib.import_module("brickwork.importers.examine").problems(root)
    return ModelError("\n".join([str(first), *(problem for problem in others if problem != str(first))]))
