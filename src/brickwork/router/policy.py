"""Policy: which workflow set gets a request?

A set is a coordinator with its executors. The router knows of each only a summary that is some seconds old, so it
decides by few facts: the set in which the request would wait least, where a set that lacks some of its models counts as
if the loads were waiting time, and one that has no executor as if it were about to get one. Of equals the one that got
least of late: otherwise every router would send everything to the same set until its next summary.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from brickwork.core.ids import ModelId

LOAD_S = 3.0
"""What one absent model counts as: a FLUX transformer from host memory takes so long, others less."""

START_S = 60.0
"""What having no executor counts as: the cold start of a device, roughly."""


@dataclass(frozen=True, slots=True)
class SetSummary:
    """What is known of one workflow set."""

    name: str
    executors: int  # that it has
    work_s: float  # device seconds accepted and not done, those sent since the summary included
    sent_s: float  # time of the last request sent there
    models: frozenset[ModelId]  # with a replica


def choose_set(sets: Sequence[SetSummary], models: frozenset[ModelId]) -> str:
    """Name of the set, of one or more, for a request that needs `models`."""

    def wait_s(each: SetSummary) -> tuple[float, float, str]:
        absent = len(models - each.models)
        start_s = 0.0 if each.executors else START_S
        return (each.work_s / max(1, each.executors) + LOAD_S * absent + start_s, each.sent_s, each.name)

    return min(sets, key=wait_s).name
