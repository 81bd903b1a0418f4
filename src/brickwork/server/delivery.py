"""How long a result takes from the end of its run into the client's hands: kept, committed, told.

A deadline is the client's: control is given what this leaves of it. A smoothed mean and deviation, as TCP estimates
its round trips (RFC 6298): cheap, and quick to follow a disk that slows down.
"""

GAIN = 1 / 8
"""Weight of a new measurement in the mean, and twice that in the deviation; RFC 6298 has 1/8 and 1/4."""

DEVIATIONS = 2.0
"""Added to the mean. Where RFC 6298 wants a bound that is hardly ever passed (4), one in twenty is good enough here."""

MAX_SHARE = 0.5
"""Of a deadline, at most; a delivery that takes longer is not what the deadline was made for."""


class Delivery:
    def __init__(self) -> None:
        self._mean_s = 0.0
        self._deviation_s = 0.0

    def learn(self, seconds: float) -> None:
        """Take in how long one result took."""
        if self._mean_s == 0.0:
            self._mean_s, self._deviation_s = seconds, seconds / 2
            return
        self._deviation_s += 2 * GAIN * (abs(seconds - self._mean_s) - self._deviation_s)
        self._mean_s += GAIN * (seconds - self._mean_s)

    def allowance_s(self, deadline_s: float) -> float:
        """How much of a deadline to keep for the delivery."""
        return min(self._mean_s + DEVIATIONS * self._deviation_s, MAX_SHARE * deadline_s)
