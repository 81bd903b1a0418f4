"""The decisions of control that may be replaced, by name: `Policies(place=my_placement)`.

Each is a pure function of a read-only view; its contract is the docstring of the shipped one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from brickwork.control.admission import Admitted, Arrival, Refused, admit_by_predicted_finish
from brickwork.control.batching import BatchView, size_by_deadline
from brickwork.control.placement import Spot, place_by_least_finish
from brickwork.control.records import Rank
from brickwork.control.residency import Resident, unload_by_reuse
from brickwork.control.retry import Again, BadEnd, GiveUp, retry_within_bounds
from brickwork.control.scheduling import rank_by_laxity
from brickwork.core.ids import ModelId


@dataclass(frozen=True, slots=True)
class Policies:
    admit: Callable[[Arrival], Admitted | Refused] = admit_by_predicted_finish
    rank: Callable[[float, float, int, int], Rank] = rank_by_laxity
    size: Callable[[BatchView], int] = size_by_deadline
    place: Callable[[Sequence[Spot]], Spot | None] = place_by_least_finish
    unload: Callable[[Sequence[Resident], int], tuple[ModelId, ...] | None] = unload_by_reuse
    retry: Callable[[BadEnd], Again | GiveUp] = retry_within_bounds
