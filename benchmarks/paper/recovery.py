"""How long a fault is felt: attainment of the requests that arrive in windows after it, over all seeds."""

from collections.abc import Sequence
from typing import Any

from brickwork.load.report import attainment
from brickwork.sim.points import Point
from brickwork.sim.run import WARM_S
from brickwork.sim.runs import Run

WINDOW_S, WINDOWS = 30.0, 20
BEFORE_S = 300.0

NEAR = 0.03
"""A window is as before when its attainment is so near that of the time before the fault, or above."""


def recovery(point: Point, fault_s: float) -> dict[str, Any]:
    """Attainment before the fault and in windows after it, and seconds until the first window that is as before."""
    runs = [run for report in point.reports for run in report.runs]
    before = _share(runs, fault_s - BEFORE_S, fault_s)
    after = [_share(runs, fault_s + k * WINDOW_S, fault_s + (k + 1) * WINDOW_S) for k in range(WINDOWS)]
    seconds = next((k * WINDOW_S for k, share in enumerate(after) if share >= before - NEAR), None)
    return {"before": round(before, 4), "after": [round(share, 4) for share in after], "recovery_s": seconds}


def _share(runs: Sequence[Run], from_s: float, until_s: float) -> float:
    return attainment([run.sample for run in runs if from_s <= run.arrived_s - WARM_S < until_s])
