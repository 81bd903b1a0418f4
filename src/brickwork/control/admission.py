"""Policy: is a request accepted?

With a deadline it is accepted when its predicted finish meets it: work ahead of it, spread over the executors (or the
time until one is idle, if that is longer), then loads of models that are nowhere, then its own critical path in
batches as large as the queue makes them. Without one it is accepted while there is room in the queue. The prediction
is a fluid one: it takes executors for interchangeable and the queue for divisible. A refused request
is told after how many seconds the same prediction would hold, given that nothing else arrives; None when even an idle
system is too slow for it.
"""

from dataclasses import dataclass
from math import inf

MAX_QUEUED_REQUESTS = 10_000
"""Requests accepted and not finished, at most. A request costs control some 5 kB and an executor at least a
millisecond, so a longer queue would only hide that the fleet is too small."""

NO_EXECUTOR_RETRY_S = 5.0
"""What a refused request is told while no executor is there: about the time one takes to start."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """What admission sees of a request and the system."""

    now_s: float
    deadline_s: float | None  # on control's clock
    path_s: float  # critical path of the request, alone
    crowded_path_s: float  # the same in the company of what is queued: in batches of 1 + queued / executors
    load_s: float  # loading of its models that no executor holds
    ahead_s: float  # device seconds of accepted work that is not ranked after it
    first_free_s: float  # until an executor is idle, by prediction
    executors: int
    queued: int  # requests accepted and not finished


@dataclass(frozen=True, slots=True)
class Admitted:
    predicted_finish_s: float  # inf while there is no executor


@dataclass(frozen=True, slots=True)
class Refused:
    error: str
    retry_after_s: float | None


def admit_by_predicted_finish(arrival: Arrival) -> Admitted | Refused:
    """Accept or refuse one request.

    source    DiFlow's admission (work in flight over executors, against the slack); differs: loads count, only work
              that ranks before it counts, and a refusal says when to come back
    """
    wait_s = max(arrival.ahead_s / arrival.executors, arrival.first_free_s) if arrival.executors else inf
    if arrival.queued >= MAX_QUEUED_REQUESTS:
        one_s = wait_s / arrival.queued
        retry_s = one_s if arrival.executors else NO_EXECUTOR_RETRY_S
        return Refused(f"The queue is full ({MAX_QUEUED_REQUESTS} requests).", retry_s)
    finish_s = arrival.now_s + wait_s + arrival.load_s + arrival.crowded_path_s
    if arrival.deadline_s is None or finish_s <= arrival.deadline_s:
        return Admitted(finish_s)
    if not arrival.executors:
        return Refused("No executor is there to meet the deadline.", NO_EXECUTOR_RETRY_S)
    late_s = finish_s - arrival.deadline_s
    if arrival.now_s + arrival.path_s > arrival.deadline_s:
        return Refused(
            f"The deadline cannot be met: the request alone takes {arrival.path_s:.3f} s; give it more time.", None
        )
    return Refused(f"The deadline would be missed by {late_s:.3f} s; come back later.", late_s)


def admit_all(arrival: Arrival) -> Admitted | Refused:
    """Accept every request, however late it will be. For comparison."""
    wait_s = max(arrival.ahead_s / arrival.executors, arrival.first_free_s) if arrival.executors else inf
    return Admitted(arrival.now_s + wait_s + arrival.load_s + arrival.crowded_path_s)
