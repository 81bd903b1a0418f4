"""Policy: which models leave an executor so that others fit?

First those that no unfinished task needs, then those that have another replica, then the only replicas; within each,
least recently used first. Models of the batch that is about to run never go, and nothing goes that does not have to.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from brickwork.core.ids import ModelId


@dataclass(frozen=True, slots=True)
class Resident:
    """A model on the executor that the next batch does not need."""

    model: ModelId
    weight_bytes: int
    used_s: float  # last dispatch that needed it
    demand: int  # unfinished tasks that need it
    replicas: int  # executors that hold it, this one included


def unload_by_reuse(residents: Sequence[Resident], missing_bytes: int) -> tuple[ModelId, ...] | None:
    """Models to unload, in order, so that at least `missing_bytes` become free; None when all together are too few."""
    chosen: list[Resident] = []
    for resident in sorted(residents, key=_reuse):
        if missing_bytes <= 0:
            break
        chosen.append(resident)
        missing_bytes -= resident.weight_bytes
    if missing_bytes > 0:
        return None
    return tuple(resident.model for resident in _without_needless(chosen, -missing_bytes))


def _reuse(resident: Resident) -> tuple[bool, bool, float, ModelId]:
    is_wanted = resident.demand > 0
    return (is_wanted, is_wanted and resident.replicas == 1, resident.used_s, resident.model)


def _without_needless(chosen: list[Resident], surplus_bytes: int) -> list[Resident]:
    """Keep what turned out to be needless once a larger model was chosen after it; the most useful is kept first."""
    kept = set()
    for resident in reversed(chosen):
        if resident.weight_bytes <= surplus_bytes:
            surplus_bytes -= resident.weight_bytes
            kept.add(resident.model)
    return [resident for resident in chosen if resident.model not in kept]
