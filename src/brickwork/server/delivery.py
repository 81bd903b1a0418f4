"""How long a result takes from the end of its run into the client's hands: kept, committed, told.

A deadline is the client's: control is given what this leaves of it. A smoothed mean and deviation, as TCP estimates
its round trips (RFC 6298): cheap, and quick to follow a disk that slows down.

What takes time from deadlines must not outlast its cause. While all are refused no result teaches that the disk is fast
again; so one stall counts little, and what was learned is believed less the longer nothing was delivered.
"""

import math

GAIN = 1 / 8
"""Weight of a new measurement in the mean, and twice that in the deviation; RFC 6298 has 1/8 and 1/4."""

DEVIATIONS = 2.0
"""Added to the mean. Where RFC 6298 wants a bound that is hardly ever passed (4), one in twenty is good enough here."""

OUTLIER = 4.0
"""Deviations over the mean, or twice the mean, beyond which a measurement counts no further: a stall of the disk is no
delivery of every day. A disk that stays slow is followed all the same: the deviation grows by three quarters each."""

STALE_S = 10.0
"""After so long without a delivery the allowance is halved, and again after as long. The same as admission's."""

MAX_SHARE = 0.5
"""Of a deadline, at most; a delivery that takes longer is not what the deadline was made for."""


class Delivery:
    """Times are seconds, `now_s` on any clock that does not go back."""

    def __init__(self) -> None:
        self._mean_s = 0.0
        self._deviation_s = 0.0
        self._learned_s = 0.0  # when

    def learn(self, seconds: float, now_s: float) -> None:
        """Take in how long one result took."""
        if self._mean_s == 0.0:
            self._mean_s, self._deviation_s = seconds, seconds / 2
        else:
            belief, usual_s = self._belief(now_s), max(OUTLIER * self._deviation_s, self._mean_s)
            mean_s, deviation_s = belief * self._mean_s, belief * self._deviation_s
            off_s = min(seconds - mean_s, usual_s)
            self._deviation_s = deviation_s + 2 * GAIN * (abs(off_s) - deviation_s)
            self._mean_s = mean_s + GAIN * off_s
        self._learned_s = now_s

    def allowance_s(self, deadline_s: float, now_s: float) -> float:
        """How much of a deadline to keep for the delivery."""
        kept_s = self._belief(now_s) * (self._mean_s + DEVIATIONS * self._deviation_s)
        return min(kept_s, MAX_SHARE * deadline_s)

    def _belief(self, now_s: float) -> float:
        """Share of what was learned that is still believed."""
        return math.pow(0.5, (now_s - self._learned_s) // STALE_S)
