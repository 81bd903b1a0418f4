"""Goal: the step at which Wan 2.2 changes its transformer is the stock pipeline's, though it is computed without torch.

Method: every number of steps up to 120, the shifts and boundaries of published models, against the library's timesteps.
"""

import json
import math
from pathlib import Path

import pytest
from diffusers import UniPCMultistepScheduler

from brickwork.models.wan.config import _read_share
from brickwork.workflow.components import Index


@pytest.mark.parametrize("shift", (3.0, 5.0, 8.0, 12.0))
@pytest.mark.parametrize("boundary", (0.875, 0.9))
def test_the_share_of_high_noise(shift: float, boundary: float, tmp_path: Path) -> None:
    options = {"prediction_type": "flow_prediction", "use_flow_sigmas": True, "flow_shift": shift}
    scheduler = UniPCMultistepScheduler(**options)
    (tmp_path / "scheduler").mkdir()
    (tmp_path / "scheduler" / "scheduler_config.json").write_text(json.dumps(dict(scheduler.config)))
    index = {
        "boundary_ratio": boundary,
        "transformer_2": ["diffusers", "WanTransformer3DModel"],
        "scheduler": ["diffusers", "UniPCMultistepScheduler"],
    }
    share = _read_share(tmp_path, Index(index))
    for steps in range(1, 121):
        scheduler.set_timesteps(steps)
        high = int((scheduler.timesteps >= boundary * 1000).sum())
        assert min(steps, math.floor(steps * share) + 1) == high
