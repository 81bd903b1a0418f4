"""Goal: searches find the last number that holds, from any guess, in few points.

Method: every threshold in a range against every guess; the points asked for are counted.
"""

import pytest

from brickwork.sim.search import largest

LOW, HIGH = -20, 40


@pytest.mark.parametrize("step", [1, 8])
@pytest.mark.parametrize("last", range(LOW - 1, HIGH + 1))
def test_the_last_that_holds_is_found_from_any_guess(last: int, step: int) -> None:
    for guess in range(LOW - 5, HIGH + 6):
        asked: list[int] = []

        def holds(n: int, asked: list[int] = asked) -> bool:
            asked.append(n)
            return n <= last

        assert largest(holds, guess, LOW, HIGH, step) == (last if last >= LOW else None)
        assert len(set(asked)) == len(asked) and all(LOW <= n <= HIGH for n in asked)
        assert len(asked) <= 2 + 2 * (abs(guess - last) + 8).bit_length()


def test_a_good_guess_costs_two_points() -> None:
    asked: list[int] = []
    assert largest(lambda n: (asked.append(n), n <= 7)[1], 7, LOW, HIGH) == 7  # type: ignore[func-returns-value]
    assert asked == [7, 8]
