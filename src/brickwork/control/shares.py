"""How the requests of each workflow fared of late, what a request asks for on average, and who asks: the books behind
the share that admission leaves to every workflow. Only requests with a deadline are in them."""

from dataclasses import dataclass, field
from math import exp

MAX_WORKFLOWS = 1024
"""Workflows that are remembered; the one that was seen first is forgotten, and counts as served if it comes again."""

SERVED_WEIGHT = 1 / 32
"""Of a workflow's newest request in its share: about the last hundred count."""

ASKED_WEIGHT = 1 / 128
"""Of the newest request in the mean of what requests ask for: several workflows in turn are in it."""

ALONE_S = 10.0
"""Time constant of what is remembered of who asks for how much: in a spike one workflow is soon nearly all of it."""

OTHERS = 0.3
"""Share of the other workflows in what is asked for from which on none is alone."""


@dataclass(slots=True)
class Asked:
    """Device seconds asked for of late."""

    sum_s: float = 0.0  # fading
    as_of_s: float = 0.0

    def add(self, now_s: float, work_s: float) -> None:
        self.sum_s = self.sum_s * exp((self.as_of_s - now_s) / ALONE_S) + work_s
        self.as_of_s = now_s


@dataclass(slots=True)
class Shares:
    _served: dict[str, float] = field(default_factory=dict)  # by workflow
    _asked_s: float = 0.0  # sum of device seconds, fading
    _asked: float = 0.0  # requests in it, fading likewise
    _all: Asked = field(default_factory=Asked)
    _by: dict[str, Asked] = field(default_factory=dict)  # by workflow

    def ask(self, now_s: float, workflow: str, work_s: float) -> None:
        """A request for `work_s` device seconds has come."""
        if workflow not in self._by and len(self._by) >= MAX_WORKFLOWS:
            del self._by[next(iter(self._by))]
        self._all.add(now_s, work_s)
        self._by.setdefault(workflow, Asked()).add(now_s, work_s)
        self._asked_s += ASKED_WEIGHT * (work_s - self._asked_s)
        self._asked += ASKED_WEIGHT * (1.0 - self._asked)

    def learn(self, workflow: str, is_served: bool) -> None:
        """A request of a workflow was refused, or has ended: `is_served` if it was accepted and in time."""
        if workflow not in self._served and len(self._served) >= MAX_WORKFLOWS:
            del self._served[next(iter(self._served))]
        served = self.served(workflow)
        self._served[workflow] = served + SERVED_WEIGHT * (is_served - served)

    def served(self, workflow: str) -> float:
        """Share of the workflow's requests that were served of late."""
        return self._served.get(workflow, 1.0)

    def alone(self, workflow: str) -> float:
        """How far the workflow that asked last is alone: 1 while no other asks, 0 from OTHERS on."""
        own = self._by.get(workflow)
        if own is None or not self._all.sum_s:
            return 0.0
        return max(0.0, 1.0 - (1.0 - own.sum_s / self._all.sum_s) / OTHERS)

    def dearness(self, work_s: float) -> float:
        """How many times the mean of what was asked for a request of `work_s` device seconds asks for."""
        mean_s = self._asked_s / self._asked if self._asked else 0.0
        return work_s / mean_s if mean_s else 1.0
