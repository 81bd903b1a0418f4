"""Policy: what is lowered rather than refuse a request? As little as admits it.

A request names int inputs that may be lowered (`steps`), and how far. All of them go down together, in proportion, and
no further than needed: the smallest lowering with which admission accepts is found by halving, since less work is
never harder to admit.

    steps 28, at least 8: 28 refused, 8 admitted, 18 admitted, 23 refused, 20 admitted, 21 refused -> 20
"""

from collections.abc import Callable


def least_notch(most: int, admits: Callable[[int], bool]) -> int | None:
    """The smallest of 1..most that `admits`, which then admits all larger ones; None when not even `most` does."""
    if most < 1 or not admits(most):
        return None
    low, high = 0, most  # `low` is refused, `high` admitted
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if admits(middle) else (middle, high)
    return high


def lower_nothing(most: int, admits: Callable[[int], bool]) -> int | None:
    """A request is taken as it is, or refused. For comparison."""
    return None
