"""Goal: predicted times follow from the profile by the arithmetic that the docstring draws.

Method: round profiles, and comparison with the simulator's row-by-row execution on drawn batches.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brickwork.compiler.instance import ConcreteWork
from brickwork.control.estimate import LOAD_KEY, Estimate, ends_s
from brickwork.core.step import Row, step_batch
from brickwork.profile.correction import Correction
from support.plans import model, profile


def loop(trips: int) -> tuple[ConcreteWork, ...]:
    return (ConcreteWork("toy.dit/toy.predict", "16x8x8", 2, trips),)


def test_early_leavers_make_later_steps_shorter() -> None:
    calls = {4: 1.0, 2: 0.6}
    assert ends_s([loop(4), loop(6)], lambda key, shape, rows: calls[rows]) == pytest.approx([4.0, 5.2])


@given(st.lists(st.integers(0, 8), min_size=1, max_size=5))
def test_the_closed_form_equals_stepping(trips: list[int]) -> None:
    """The live runner and the simulator ask `step_batch` before every call; the estimate must add up to the same."""
    rows, expected, now_s = [Row(0, stop) for stop in trips], [0.0] * len(trips), 0.0
    while active := step_batch(rows):
        now_s += 1.0 + 0.25 * 2 * len(active)
        for row in active:
            row.step += 1
        for k, row in enumerate(rows):
            if row.step == row.stop > 0 and not expected[k]:
                expected[k] = now_s
    assert ends_s([loop(stop) for stop in trips], lambda *call: 1.0 + 0.25 * call[2]) == pytest.approx(expected)


def test_correction_multiplies_calls_and_loads() -> None:
    correction = Correction()
    estimate = Estimate(profile(), correction)
    assert estimate.equal_batch_s("cpu-1", loop(3), 1) == pytest.approx(0.030)
    correction.learn("cpu-1", {"toy.dit/toy.predict": 0.010}, 0.020)
    correction.learn("cpu-1", {LOAD_KEY + "toy.dit": 0.05}, 0.15)
    assert estimate.equal_batch_s("cpu-1", loop(3), 1) == pytest.approx(0.060)
    assert estimate.load_s("cpu-1", model("dit")) == pytest.approx(0.15)
    assert estimate.raw_shares_s("cpu-1", [loop(3), loop(3)]) == {"toy.dit/toy.predict": pytest.approx(0.039)}
