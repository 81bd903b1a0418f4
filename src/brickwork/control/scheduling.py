"""Policy: in which order do ready tasks run? By least laxity.

Laxity is how long a task can wait and still let its request meet its deadline: deadline - now - remaining critical
path. `now` is the same for all, so the order is by latest start, deadline - remaining path, which never changes and
needs no re-sorting. Requests without a deadline get a soft one, so that urgent ones pass them, but only so long.

A task that is short beside what follows it (a text encoder before a denoise loop) ranks as if that took twice as long,
when its request has a deadline: it delays others by little, and what it makes ready may join a batch. Without one
nobody gains by it, and loops that are interrupted less often are done sooner.

    due at 0.34 s, 0.168 s to go: the denoise loop has to start by 0.17 s, and the encoders before it rank at 0.004 s
"""

from brickwork.control.records import Rank

SOFT_WAIT_S = 30.0
"""A best-effort request ranks as if it had to start at most this long after its arrival. The bound on starvation: work
that arrives later than that, with the same or a later latest start, never passes it."""


def soft_deadline_s(arrived_s: float, path_s: float) -> float:
    """The deadline by which a best-effort request is ranked; missing it means nothing."""
    return arrived_s + path_s + SOFT_WAIT_S


SHORT = 0.1
"""Share of the path from a task to the end of its request within which the task is short."""


def rank_by_laxity(due_s: float, remaining_s: float, is_short: bool, number: int, position: int) -> Rank:
    """Place of a task among all ready tasks, smallest first.

    due_s         deadline of its request, hard or soft
    remaining_s   critical path from the start of the task to the end of its request
    is_short      the task is little beside the rest of a request with a deadline
    number        of the request's arrival; breaks ties in favour of the older
    position      of the task in its plan
    source        DiFlow orders by (arrival, depth); differs: deadlines, and depth in seconds
    """
    return (due_s - (2.0 if is_short else 1.0) * remaining_s, number, position)


def rank_by_arrival(due_s: float, remaining_s: float, is_short: bool, number: int, position: int) -> Rank:
    """First come, first served; within a request in plan order. For comparison."""
    return (0.0, number, position)
