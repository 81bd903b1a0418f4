"""Corrects predictions by what was measured: per (device, key) a moving average of measured / predicted.

The profile stays as it was written; the factors live in control's State and multiply what the profile says. The first
measurement counts fully, later ones with weight ALPHA, and a factor never leaves 1/LIMIT .. LIMIT, so that one
outlier (a suspended machine) cannot make a model look free or endless.
"""

from collections.abc import Iterable
from dataclasses import dataclass

ALPHA = 0.2
"""Weight of a new measurement: the last dozen or so count. 1.0 would follow noise, 0.01 would not follow a change."""

LIMIT = 100.0
"""Furthest that a guess is believed to be wrong, either way."""


IN_TIME = 0.95
"""Share of those who had to wait that is to be in time. More than the 0.9 that is wanted of all who are accepted, as
the estimate follows only so fast."""

STEP = 0.01
"""How far one request moves the allowance at most; one in 20 being late leaves it where it is."""

MAX_ALLOWANCE = 3.0
"""Where waits are further off than this, they are not waits that can be predicted."""


class Allowance:
    """By how much predicted waits are taken longer, 1.0 or more, so that IN_TIME of those who waited are in time.

    A deadline that is met by prediction is missed half the time, as predictions are right on average at best. This
    follows the quantile of their errors that matters, whatever the shape of their distribution.
    """

    def __init__(self) -> None:
        self.factor = 1.0

    def learn(self, was_late: bool) -> None:
        """Take in how a request that had to wait has ended."""
        moved = self.factor + STEP * (IN_TIME if was_late else IN_TIME - 1.0)
        self.factor = min(max(moved, 1.0), MAX_ALLOWANCE)


@dataclass(slots=True, eq=False)
class Factor:
    """One factor. Whoever multiplies by it often keeps it; `Correction.learn` changes its value."""

    value: float = 1.0
    is_measured: bool = False


class Correction:
    """Factors by which predicted seconds are multiplied. Mutated by `learn` and `forget` only."""

    def __init__(self) -> None:
        self._factors: dict[tuple[str, str], Factor] = {}

    def factor(self, device: str, key: str) -> Factor:
        """The one of this work on this device, for as long as this correction lives."""
        factor = self._factors.get((device, key))
        if factor is None:
            factor = self._factors[device, key] = Factor()
        return factor

    def learn(self, device: str, shares: dict[str, float], measured_s: float) -> None:
        """Take in that work predicted (uncorrected) as `shares` seconds by key took `measured_s` in all.

        Which key was off is not known, so each moves towards the common ratio in proportion to its share.
        """
        predicted_s = sum(shares.values())
        if predicted_s <= 0.0 or measured_s <= 0.0:
            return
        ratio = min(max(measured_s / predicted_s, 1.0 / LIMIT), LIMIT)
        for key, share_s in shares.items():
            factor = self.factor(device, key)
            if factor.is_measured:
                factor.value += ALPHA * share_s / predicted_s * (ratio - factor.value)
            else:
                factor.value, factor.is_measured = ratio, True

    def forget(self, device: str, keys: Iterable[str]) -> None:
        """Believe the profile again, until the next measurement."""
        for key in keys:
            factor = self.factor(device, key)
            factor.value, factor.is_measured = 1.0, False
