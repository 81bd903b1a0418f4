"""What was asked of a model of late: how many replicas its requests needed at once, and how long they could wait.

A request that asks for 1.6 device seconds within 4 s needs 0.4 replicas; five that come together need two. Every
arrival is counted under the number of replicas that were needed with it, so that bursts are remembered as bursts. What
was counted fades with MEMORY_S: not by making it smaller, but by counting what comes later for more, so an arrival
costs the same whatever is remembered.
"""

from dataclasses import dataclass, field
from itertools import accumulate
from math import ceil, exp

from brickwork.control.autoscaling import Need
from brickwork.core.ids import ModelId
from brickwork.core.model import ModelSpec

MEMORY_S = 300.0
"""Time constant of what is remembered: long enough for several bursts, short enough to follow the day."""

MAX_NEEDED = 1024
"""Replicas that are told apart; who needed more needed so many."""

MAX_AGE = 20.0
"""When the origin is so many time constants old, now becomes the origin: numbers stay in their range."""

MIN_WINDOW_S = 1e-3
"""A request that has less time than this is taken for one that has so much."""


@dataclass(slots=True)
class Popularity:
    """One model's."""

    model: ModelSpec
    leader: ModelId  # heaviest model of the program that asked for it last
    leads: bool = False  # it was the heaviest of a program
    used_s: float = 0.0  # last time a request asked for it
    need: Need = field(default_factory=Need)  # as of the last look
    _needed: float = 0.0  # replicas that were needed at used_s
    _seen: list[float] = field(default_factory=list)  # risk of the requests that came when 1, 2 ... were needed
    _single: float = 0.0  # risk of every request, times the replicas that it needs alone
    _origin_s: float = 0.0  # an arrival at this time counts 1

    def note(self, now_s: float, asked_s: float, window_s: float, risk: float) -> None:
        """A request asks for `asked_s` device seconds within `window_s`.

        risk    chance that it would be lost if it had to wait for a load of the model
        """
        window_s = max(MIN_WINDOW_S, window_s)
        alone = asked_s / window_s
        self._needed = alone + self._needed * exp((self.used_s - now_s) / window_s)
        self.used_s = now_s
        count = risk * self._weight(now_s)
        needed = min(MAX_NEEDED, max(1, ceil(self._needed)))
        self._seen += [0.0] * (needed - len(self._seen))
        self._seen[needed - 1] += count
        self._single += alone * count

    def look(self, now_s: float) -> None:
        """Bring `need` up to date."""
        per_s = 1.0 / (self._weight(now_s) * MEMORY_S)
        at_least = [per_s * count for count in accumulate(reversed(self._seen))]
        self.need = Need(tuple(reversed(at_least)), per_s * self._single)

    def _weight(self, now_s: float) -> float:
        """What an arrival counts now."""
        age = (now_s - self._origin_s) / MEMORY_S
        if age <= MAX_AGE:
            return exp(age)
        faded = exp(-age)
        self._seen = [count * faded for count in self._seen]
        self._single *= faded
        self._origin_s = now_s
        return 1.0
