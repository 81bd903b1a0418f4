"""What was asked of a model of late: a moving average of device seconds, and the replicas wanted for it."""

from dataclasses import dataclass
from math import exp

from brickwork.core.model import ModelSpec

MEMORY_S = 60.0
"""Time constant of the moving average: a minute of arrivals decides."""


@dataclass(slots=True)
class Popularity:
    """One model's."""

    model: ModelSpec
    asked_s: float = 0.0  # device seconds, fading
    as_of_s: float = 0.0
    used_s: float = 0.0  # last time a request asked for it
    target: int = 0  # replicas wanted
    high_s: float = 0.0  # last time that so many were needed

    def fade(self, now_s: float) -> None:
        self.asked_s *= exp(-(now_s - self.as_of_s) / MEMORY_S)
        self.as_of_s = now_s
