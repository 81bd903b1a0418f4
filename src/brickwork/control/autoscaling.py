"""Policy: how many executors should hold a model?

As many as its load keeps busy: device seconds wanted per second (a moving average over arrivals), and the backlog, to
be worked off within BACKLOG_S. More replicas are ordered at once, since a burst does not wait; fewer only after the
need has been lower for a while, since load comes back. A model that nobody asked for in KEEP_S seconds goes from
everywhere. Which executors gain or lose a replica is decided in `scaling.py`; what has to leave an executor when
memory is short, in `residency.py`, where surplus replicas go first.

    0.5 requests/s x 1.6 device seconds = 0.8 busy devices; at 80 % utilisation one replica; with 12 s of ready work 4
"""

from dataclasses import dataclass
from math import ceil

UTILISATION = 0.8
"""Share of a replica's time that load may fill; beyond it queues grow faster than load."""

BACKLOG_S = 4.0
"""Within so many seconds ready work should be done: about two image requests."""

COOL_DOWN_S = 30.0
"""A target falls only when no higher one was wanted for so long: several times a load of the largest models."""

KEEP_S = 600.0
"""Replicas of a model are kept so long after its last use."""


@dataclass(frozen=True, slots=True)
class ModelLoad:
    """What is asked of one model."""

    rate: float  # device seconds wanted per second, moving average
    backlog_s: float  # device seconds of its ready tasks
    target: int  # replicas wanted until now
    lower_for_s: float  # since when less than `target` would do, seconds
    unused_s: float  # since its last use, seconds
    max_replicas: int  # executors that could hold it


def replicas_by_load(load: ModelLoad) -> int:
    """Replicas that the model should have: 0..max_replicas."""
    if load.backlog_s == 0.0 and load.unused_s >= KEEP_S:
        return 0
    need = min(load.max_replicas, ceil(load.rate / UTILISATION + load.backlog_s / BACKLOG_S))
    if need >= load.target or load.lower_for_s >= COOL_DOWN_S:
        return need
    return load.target


def replicas_on_demand(load: ModelLoad) -> int:
    """No target: models are loaded when a batch needs them, and leave when memory is short."""
    return 0
