"""Goal: an upscaler takes pictures of any sides, and a directory that holds no upscaler is refused.

Method: a tiny Swin2SR on sides that are no whole windows. That its pictures, and second passes over enlarged latents,
have the libraries' bits is in the table of families (`test_families.py`).
"""

import pytest
import torch
from transformers import Swin2SRForImageSuperResolution

import brickwork as bw
from brickwork.core.errors import ModelError
from parity.table import SD15, Models
from support.tiny import swin2sr


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    return Models(tmp_path_factory.mktemp("upscale"))


def test_sides_that_are_no_whole_windows_are_filled_and_cut(models: Models) -> None:
    from brickwork.models.ops import Call
    from brickwork.models.registry import operations

    model = Swin2SRForImageSuperResolution.from_pretrained(models.get("swin2sr", swin2sr.build))
    picture = torch.randint(0, 256, (1, 21, 30, 3), dtype=torch.uint8)
    with torch.inference_mode():
        ((larger,),) = operations()["upscale.image"](model, [Call({"image": picture}, {"times": 2})])
    assert larger.shape == (1, 42, 60, 3)


def test_another_single_model_is_refused(models: Models) -> None:
    with pytest.raises(ModelError, match="is a single CLIPTextModel, no pipeline"):
        bw.family(SD15.directory(models) / "text_encoder")
