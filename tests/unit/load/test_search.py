"""Goal: the search finds the highest rate that holds, to its resolution, with few measurements.

Method: systems with a known capacity.
"""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from brickwork.load.search import MAX_STEPS, STEP, highest_rate


@given(st.floats(0.1, 100), st.floats(0.1, 100), st.sampled_from([1.05, 1.1, 1.3]))
def test_it_ends_just_below_the_capacity(capacity: float, start: float, resolution: float) -> None:
    assume(start / STEP**MAX_STEPS < capacity < start * STEP**MAX_STEPS)
    measured: list[float] = []

    def holds(rate: float) -> bool:
        measured.append(rate)
        return rate <= capacity

    found = highest_rate(holds, start, resolution)
    assert found <= capacity < found * resolution * (1 + 1e-9)
    assert found in measured
    assert len(measured) <= MAX_STEPS + 1 + 5
    assert len(set(measured)) == len(measured)


def test_nothing_holds() -> None:
    assert highest_rate(lambda rate: False, 4.0, 1.1) == 0.0


def test_everything_holds() -> None:
    assert highest_rate(lambda rate: True, 4.0, 1.1) == pytest.approx(4.0 * STEP**MAX_STEPS)
