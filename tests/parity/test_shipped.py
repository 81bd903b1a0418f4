"""Goal: the shipped picture workflows run on a directory of every picture family, and on one that is told its guidance
their negative text is the stock pipeline's.

Method: in this process; Flux against the stock pipelines with true guidance, bit for bit.
"""

import numpy as np
import pytest

from brickwork.starter.workflows import image_to_image, text_to_image, text_to_image_quick
from parity import workflows
from parity.table import ASK, FLUX, QWEN, SCHNELL, SD3, SD15, SDXL, STRENGTH, Models
from support import inprocess

ROWS = (SD15, SDXL, SD3, FLUX, SCHNELL, QWEN)
NEGATIVE = {"negative_prompt": "blue"}
TRUE_GUIDANCE = workflows.TRUE_GUIDANCE


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    return Models(tmp_path_factory.mktemp("shipped"))


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_shipped_workflows_can_be_declared_for(row: object, models: Models) -> None:
    for build in (text_to_image, text_to_image_quick, image_to_image):
        assert build(row.directory(models)).plan.tasks  # type: ignore[attr-defined]


def test_flux_moves_away_from_a_negative_text(models: Models) -> None:
    ours = inprocess.run(
        text_to_image(FLUX.directory(models)), size=workflows.SIZE, true_guidance=TRUE_GUIDANCE, **ASK, **NEGATIVE
    )
    expected = FLUX.expected(models, true_cfg_scale=TRUE_GUIDANCE, **NEGATIVE, **FLUX.size)
    assert np.array_equal(ours["image"][0].numpy(), expected.image)


def test_flux_from_a_picture_moves_away_from_a_negative_text(models: Models) -> None:
    ask = ASK | NEGATIVE | STRENGTH | {"image": models.picture, "size": workflows.SIZE}
    ours = inprocess.run(image_to_image(FLUX.directory(models)), true_guidance=TRUE_GUIDANCE, **ask)
    more = NEGATIVE | STRENGTH | FLUX.size
    expected = FLUX.expected(models, "Img2Img", image=models.picture, true_cfg_scale=TRUE_GUIDANCE, **more)
    assert np.array_equal(ours["image"][0].numpy(), expected.image)
