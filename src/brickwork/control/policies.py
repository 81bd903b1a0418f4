"""The decisions of control that may be replaced, each by name or by a function of one's own.

Each is a pure function of a read-only view; its contract is the docstring of the shipped one.

    Policies()                                          what is shipped
    by_name(order="fifo", parallelism="none")           some replaced by their names
    by_name(**ABLATIONS["no-sharing"])                  what one feature is worth
    replace(Policies(), place=my_placement)             some replaced by functions
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from brickwork.compiler.plan import Plan
from brickwork.control.admission import Admitted, Arrival, Refused, admit_all, admit_by_predicted_finish
from brickwork.control.autoscaling import Need, worth_by_need, worth_nothing
from brickwork.control.batching import BatchView, size_by_deadline, size_one
from brickwork.control.degradation import least_notch, lower_nothing
from brickwork.control.fairness import TenantView, lead_by_weight, lead_none
from brickwork.control.parallelism import SpreadView, spread_by_least_device_time, spread_never
from brickwork.control.placement import Spot, place_by_least_finish
from brickwork.control.preemption import UrgentView, Victim, preempt_by_laxity, preempt_never
from brickwork.control.records import Rank
from brickwork.control.residency import Resident, unload_by_age, unload_by_worth
from brickwork.control.retry import Again, BadEnd, GiveUp, retry_within_bounds
from brickwork.control.scheduling import rank_by_arrival, rank_by_laxity
from brickwork.control.sharing import share_by_identity, share_nothing
from brickwork.core.batch import Layout
from brickwork.core.ids import ModelId


@dataclass(frozen=True, slots=True)
class Policies:
    admit: Callable[[Arrival], Admitted | Refused] = admit_by_predicted_finish
    degrade: Callable[[int, Callable[[int], bool]], int | None] = least_notch
    rank: Callable[[float, float, bool, int, int], Rank] = rank_by_laxity
    lead: Callable[[TenantView], float] = lead_by_weight
    share: Callable[[Plan], Plan] = share_by_identity
    size: Callable[[BatchView], int] = size_by_deadline
    place: Callable[[Sequence[Spot]], Spot | None] = place_by_least_finish
    spread: Callable[[SpreadView], Layout] = spread_by_least_device_time
    preempt: Callable[[UrgentView], Victim | None] = preempt_by_laxity
    worth: Callable[[Need, int], float] = worth_by_need
    unload: Callable[[Sequence[Resident], int], tuple[ModelId, ...] | None] = unload_by_worth
    retry: Callable[[BadEnd], Again | GiveUp] = retry_within_bounds


NAMES: Mapping[str, tuple[str, Mapping[str, Callable[..., Any]]]] = {
    "admission": ("admit", {"predicted-finish": admit_by_predicted_finish, "none": admit_all}),
    "degradation": ("degrade", {"least": least_notch, "none": lower_nothing}),
    "order": ("rank", {"laxity": rank_by_laxity, "fifo": rank_by_arrival}),
    "fairness": ("lead", {"weights": lead_by_weight, "none": lead_none}),
    "sharing": ("share", {"identity": share_by_identity, "none": share_nothing}),
    "batching": ("size", {"deadline": size_by_deadline, "none": size_one}),
    "placement": ("place", {"least-finish": place_by_least_finish}),
    "parallelism": ("spread", {"least-device-time": spread_by_least_device_time, "none": spread_never}),
    "preemption": ("preempt", {"laxity": preempt_by_laxity, "none": preempt_never}),
    "autoscaling": ("worth", {"need": worth_by_need, "none": worth_nothing}),
    "residency": ("unload", {"worth": unload_by_worth, "lru": unload_by_age}),
    "retry": ("retry", {"bounds": retry_within_bounds}),
}
"""Decision -> (field of Policies, name -> function). The first name of each is the shipped one."""

ABLATIONS: Mapping[str, Mapping[str, str]] = {
    "no-sharing": {"sharing": "none"},
    "no-batching": {"batching": "none"},
    "no-parallelism": {"parallelism": "none"},
    "no-preemption": {"preemption": "none"},
    "no-autoscaling": {"autoscaling": "none"},
    "fifo": {"order": "fifo", "preemption": "none"},
    "no-admission": {"admission": "none"},
    "no-degradation": {"degradation": "none"},
}
"""The shipped policies with one feature off, as arguments of `by_name`."""


def by_name(**choices: str) -> Policies:
    """The shipped policies, but those that are named here.

    raises    ValueError that lists what there is, for a decision or a name that does not exist
    """
    fields: dict[str, Callable[..., Any]] = {}
    for decision, name in choices.items():
        if decision not in NAMES:
            raise ValueError(f"There is no policy for {decision!r}; there is one for {', '.join(NAMES)}.")
        field, functions = NAMES[decision]
        if name not in functions:
            raise ValueError(f"{decision} has no policy {name!r}; it has {', '.join(functions)}.")
        fields[field] = functions[name]
    return replace(Policies(), **fields)
