"""Goal: every experiment of benchmarks/paper still runs, and its lines say what they must.

Method: the harness in this process with one seed and few requests on the first row of each sweep. The figures mean
nothing at this size and are not looked at. Sweeps on recorded traces that are not here say so in their line.
"""

import sys
from pathlib import Path

import pytest

PAPER = Path(__file__).parents[2] / "benchmarks" / "paper"
sys.path.insert(0, str(PAPER))

from harness import line_of  # noqa: E402
from tasks import Choice, tasks_of, text_of  # noqa: E402

TRACES = PAPER.parents[2] / "shared" / "traces"


@pytest.mark.parametrize(
    ("name", "only", "policies"),
    [
        ("e1", "s-a,s-c", "brickwork,B0,B1,B3,B4,fifo-pool,edf-pool,fluid,ideal2"),
        ("e1", "s-d", "brickwork,B2,B5,B5r"),
        ("e2", "burst-cv", "brickwork,B0,fluid"),
        ("e3", "", "brickwork,B1"),
        ("e4", "", "brickwork,B1"),
        ("e5", "video-480p", ""),
        ("e6", "sizes-uniform", ""),
        ("e7", "", ""),
        ("ablation", "s-g", "brickwork,brickwork:fifo"),
    ],
    ids=["e1", "e1-searched", "e2", "e3", "e4", "e5", "e6", "e7", "ablation"],
)
def test_an_experiment_runs(name: str, only: str, policies: str) -> None:
    chosen = [tuple(text.split(",")) if text else () for text in (only, policies)]
    tasks = tasks_of(name, Choice(chosen[0], (), chosen[1], admission="common", resolution=1.5, smoke=True))
    assert tasks and len({text_of(task.key) for task in tasks}) == len(tasks)
    for task in tasks:
        line = line_of(task, TRACES)
        assert line["simulated"] is True and line["seeds"] == [1] and line["code"]
        if "skipped" in line:
            print("skipped:", line["skipped"])
            assert "was not found" in line["skipped"]
        elif "points" not in line:
            assert 0.0 <= line["attainment"] <= 1.0


def test_the_calculator_of_video_agrees_with_what_is_published() -> None:
    """Stages apart against a monolith of 8 scaled to zero: 13 % at 40 steps, 3.1 times at 4 steps."""
    import e5

    forty = e5.calculator("wan21_i2v_480p")[0]
    four = e5.calculator("wan21_i2v_480p_4step")[0]
    assert 1 - 1 / float(str(forty["against_scaled"])) == pytest.approx(0.13, abs=0.01)
    assert float(str(four["against_scaled"])) == pytest.approx(3.1, abs=0.05)


def test_goals_are_computed_from_lines() -> None:
    """Ratios of what stands in the lines, a policy that held nothing; a line that is missing."""
    from goals import goals_of
    from lines import Lines

    def line(rate: float | None) -> dict[str, object]:
        return {"rate": rate}

    rows = {
        ("s-d.yaml", '{"arrivals.cv": 3, "arrivals.streams": "merged"}', "all"): {
            ("brickwork", "common"): line(2.0), ("B0", "common"): line(0.5), ("B1", "common"): line(None),
            ("B2", "common"): line(1.6), ("B2", "own"): line(9.0), ("B5r", "common"): line(0.9),
            ("ideal", "common"): line(2.4),
        }
    }  # fmt: skip
    found = {goal: told for goal, *told in goals_of("e1", Lines(rows))}
    assert found["S-D, CV 3, one stream: times B0: at least 3"] == ["4.00", "4.80", True]
    assert found["S-D, CV 3, one stream: times B1: at least 3"][2] is True
    assert found["S-D, CV 3, one stream: times the best of B0 to B2: at least 1.6"] == ["1.25", "1.50", False]
    assert found["S-D, CV 3, one stream: times ideal2: at least 0.9"] == ["", "", None]


def test_one_more_unit_costs_what_is_published() -> None:
    from scale_out import scale_out

    base_s = {each.family: each.base_s for each in scale_out()}
    assert base_s["SD3"] == pytest.approx(0.4, abs=0.05) and base_s["FLUX-dev"] == pytest.approx(2.9, abs=0.05)
