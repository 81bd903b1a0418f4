"""Time as an argument. Drivers own a clock; everything that decides receives `now_s`."""

from time import monotonic
from typing import Protocol


class Clock(Protocol):
    def now_s(self) -> float:
        """Seconds since an arbitrary start; never goes back."""


class SystemClock:
    def now_s(self) -> float:
        return monotonic()


class ManualClock:
    """A clock that tests move by hand."""

    def __init__(self, now_s: float = 0.0):
        self._now_s = now_s

    def now_s(self) -> float:
        return self._now_s

    def advance(self, seconds: float) -> None:
        self._now_s += seconds
