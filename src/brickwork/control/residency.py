"""Policy: which models leave an executor so that others fit?

First those that are worth least for their size (`autoscaling.py`), of equals the one least recently used. What waits is
known, so it comes before what is likely: the only replica of a model that somebody waits for goes after all others, and
of several such the one that is needed latest goes first. Models of the batch that is about to run never go, and nothing
goes that does not have to.

source    Belady's rule, as far as the queue tells the future
"""

from collections.abc import Callable, Sequence
from typing import Any

from brickwork.core.ids import ModelId
from brickwork.core.record import record


@record(frozen=True, slots=True)
class Resident:
    """A model on the executor that the next batch does not need."""

    model: ModelId
    weight_bytes: int
    used_s: float  # last dispatch that needed it
    worth: float = 0.0  # requests per second that would be lost without this replica
    needed_s: float | None = None  # latest start of the first task that waits for it, if it is the only replica


def unload_by_worth(residents: Sequence[Resident], missing_bytes: int) -> tuple[ModelId, ...] | None:
    """Models to unload, in order, so that at least `missing_bytes` become free; None when all together are too few."""
    return _unload(residents, missing_bytes, _worth)


def unload_by_age(residents: Sequence[Resident], missing_bytes: int) -> tuple[ModelId, ...] | None:
    """The least recently used first. For comparison."""
    return _unload(residents, missing_bytes, lambda resident: (resident.used_s, resident.model))


def _unload(
    residents: Sequence[Resident], missing_bytes: int, key: Callable[[Resident], Any]
) -> tuple[ModelId, ...] | None:
    chosen: list[Resident] = []
    for resident in sorted(residents, key=key):
        if missing_bytes <= 0:
            break
        chosen.append(resident)
        missing_bytes -= resident.weight_bytes
    if missing_bytes > 0:
        return None
    return tuple(resident.model for resident in _without_needless(chosen, -missing_bytes))


def _worth(resident: Resident) -> tuple[bool, float, float, float, ModelId]:
    is_needed = resident.needed_s is not None
    per_byte = resident.worth / max(1, resident.weight_bytes)
    return (is_needed, -(resident.needed_s or 0.0), per_byte, resident.used_s, resident.model)


def _without_needless(chosen: list[Resident], surplus_bytes: int) -> list[Resident]:
    """Keep what turned out to be needless once a larger model was chosen after it; the most useful is kept first."""
    kept = set()
    for resident in reversed(chosen):
        if resident.weight_bytes <= surplus_bytes:
            surplus_bytes -= resident.weight_bytes
            kept.add(resident.model)
    return [resident for resident in chosen if resident.model not in kept]
