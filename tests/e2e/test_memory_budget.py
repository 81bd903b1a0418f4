"""Goal: what an executor holds never exceeds its memory budget, while models come and go and all requests end right; a
model that can never fit is refused with its size and the budget.

Method: benchmarks/system/residency.py at a smaller size: five workflows of which two fit, on a live executor whose
memory is read from the kernel all the time. A third model beside two would not hide in the executor's own share.
"""

import sys
from pathlib import Path

import pytest

import brickwork as bw
from brickwork.starter.workflows import text_to_image

SYSTEM = Path(__file__).parents[2] / "benchmarks" / "system"
sys.path.insert(0, str(SYSTEM))

import residency  # noqa: E402

SIZES_MB = (120, 123, 126, 129, 132)
REQUESTS = 30


def test_the_budget_holds_while_two_of_five_workflows_fit(tmp_path: Path) -> None:
    measured = residency.measure(tmp_path, SIZES_MB, REQUESTS, seed=3, policies={})
    assert measured.peak_bytes <= measured.budget_bytes, measured.figures()
    assert measured.peak_bytes > sum(sorted(SIZES_MB)[:2]) * residency.MB, "two were resident at once"
    assert len(SIZES_MB) <= measured.loads <= REQUESTS
    assert measured.loads >= measured.loads_clairvoyant, "nobody loads less than the best possible"
    assert measured.parts.anonymous_bytes < min(SIZES_MB) * residency.MB, "weights stay in the mapped files"


def test_a_model_that_can_never_fit_is_refused_with_size_and_budget(tmp_path: Path) -> None:
    workflow = text_to_image(residency.build(tmp_path / "large", 90, seed=0))
    [large] = [model for model in workflow.plan.models if model.weight_bytes > 80 * residency.MB]
    with bw.Cluster(executors=1, memory_bytes=150 * residency.MB) as cluster:
        with pytest.raises(bw.RequestFailed, match=rf"{large.id} \({large.weight_bytes:,} bytes\).*budget of .* bytes"):
            cluster.run(workflow, prompt="a red circle", steps=1)
        assert cluster.run(text_to_image(), prompt="a red circle", steps=1).image.size == (64, 64)
