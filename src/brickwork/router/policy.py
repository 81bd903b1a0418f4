"""Policy: which workflow set gets a request?

A set is a coordinator with its executors. The router knows of each only a summary that is some seconds old, so it
decides by few facts: the set in which the request would wait least, where a set that lacks some of its models counts as
if the loads were waiting time. Of equals the one that got least of late: otherwise every router would send everything
to the same set until its next summary.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from brickwork.core.ids import ModelId

LOAD_S = 3.0
"""What one absent model counts as: a FLUX transformer from host memory takes so long, others less."""


@dataclass(frozen=True, slots=True)
class SetSummary:
    """What is known of one workflow set."""

    name: str
    executors: int  # alive
    work_s: float  # device seconds accepted and not done, those sent since the summary included
    sent_s: float  # time of the last request sent there
    models: frozenset[ModelId]  # with a replica


def choose_set(sets: Sequence[SetSummary], models: frozenset[ModelId]) -> str | None:
    """Name of the set for a request that needs `models`; None when no set has an executor."""
    alive = [each for each in sets if each.executors]

    def wait_s(each: SetSummary) -> tuple[float, float, str]:
        absent = len(models - each.models)
        return (each.work_s / each.executors + LOAD_S * absent, each.sent_s, each.name)

    return min(alive, key=wait_s).name if alive else None
