"""Video models that are compared with Diffusers, bit for bit (`test_video_parity.py`). `docs/models.md` prints them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diffusers import LTXImageToVideoPipeline, LTXPipeline, WanImageToVideoPipeline, WanPipeline

import brickwork as bw
from brickwork.starter.workflows import image_to_video, text_to_video
from support.tiny import ltx, wan

FEATURES = {"text to video": text_to_video, "image to video": image_to_video}


@dataclass(frozen=True)
class Model:
    """A kind of directory.

    longest     tokens of a text in the stock pipeline: the tiny tokenizer declares fewer than Wan's would take
    """

    build: Callable[..., Path]
    variant: str
    pipelines: tuple[Any, Any]  # from a text; from an image
    longest: int
    rate: int  # frames per second that the family declares


_WAN = ((WanPipeline, WanImageToVideoPipeline), 11, 16)
_LTX = ((LTXPipeline, LTXImageToVideoPipeline), 128, 25)
MODELS = {
    "Wan 2.1": Model(wan.build, "2.1", *_WAN),
    "Wan 2.2, two transformers": Model(wan.build, "2.2", *_WAN),
    "Wan 2.2, a timestep per token": Model(wan.build, "2.2-5B", *_WAN),
    "LTX-Video": Model(ltx.build, "", *_LTX),
    "LTX-Video, an autoencoder that is told a timestep": Model(ltx.build, "timestep", *_LTX),
}
CELLS = [(name, feature) for name in MODELS for feature in FEATURES]


def workflow_of(name: str, feature: str, root: Path) -> bw.Workflow:
    """The shipped workflow of a feature on a tiny directory below `root`, which is built when it is asked for first."""
    return FEATURES[feature](directory_of(name, feature, root))


def directory_of(name: str, feature: str, root: Path) -> Path:
    directory = root / f"{name} {feature}"
    if not directory.exists():
        MODELS[name].build(directory, feature == "image to video", MODELS[name].variant)
    return directory


def pipeline_of(name: str, feature: str) -> Any:
    """The stock pipeline's class."""
    return MODELS[name].pipelines[feature == "image to video"]
