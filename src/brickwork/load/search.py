"""The highest rate that a system carries, by few measurements."""

from collections.abc import Callable

MAX_STEPS = 12
"""Up or down from where the search starts; a factor of 130 at a STEP of 1.5."""

STEP = 1.5


def highest_rate(holds: Callable[[float], bool], start_per_s: float, resolution: float) -> float:
    """Walk from `start_per_s` until one rate holds and the next does not, then halve between them.

    holds         measures a rate; holding is taken to end at some rate for good
    resolution    > 1; the search ends when a rate holds and one higher by this factor does not
    returns       the highest rate that was seen to hold; 0.0 when none did within MAX_STEPS
    """
    low, high = _bracket(holds, start_per_s)
    while low and high / low > resolution:
        middle = (low * high) ** 0.5
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def _bracket(holds: Callable[[float], bool], start_per_s: float) -> tuple[float, float]:
    """A rate that holds and a higher one that does not; (0, ...) when none holds, equal ones when all hold."""
    rate = start_per_s
    goes_up = holds(rate)
    for _ in range(MAX_STEPS):
        following = rate * STEP if goes_up else rate / STEP
        if holds(following) != goes_up:
            return (rate, following) if goes_up else (following, rate)
        rate = following
    return (rate, rate) if goes_up else (0.0, rate)
