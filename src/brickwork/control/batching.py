"""Policy: how many of the ready tasks of a group run together?

Two bounds, and then the deadlines. The *limit* comes from the profile alone: tasks join while one more costs clearly
less in the batch than alone (CLIP and DiT rows do, a VAE decode does not). The *fair part* leaves work for other idle
holders of the models, which is faster than a larger batch. Then tasks join in order while every deadline in the batch
that can still be met is met. A batch is never delayed to grow.
"""

from collections.abc import Callable, Sequence
from math import ceil

from brickwork.core.record import record

MIN_GAIN = 0.2
"""A task joins while it costs at most (1 - MIN_GAIN) of what it costs alone. On the starter's figures this batches
text encoders and DiT steps (0.1 to 0.65 of the lone cost) and leaves VAE decodes alone (0.81)."""

MAX_BATCH = 16
"""Tasks of a batch, at most: the curves that we know are measured up to 16 rows and are flat there."""


@record(frozen=True, slots=True)
class BatchView:
    """A group of ready tasks, and the executor that was chosen for it."""

    start_s: float  # when the batch will start to compute: after loads and transfers
    ready: int  # tasks in the group
    holders: int  # idle executors that hold the models, the chosen one included
    limit: int  # from `batch_limit`, and from memory
    deadlines_s: Sequence[float | None]  # of the most urgent min(ready, limit) tasks, in order
    run_s: Callable[[int], float]  # seconds until the first n of them are all done


def batch_limit(run_s: Callable[[int], float]) -> int:
    """How many equal tasks are worth running together.

    run_s     seconds of a batch of n such tasks
    returns   1..MAX_BATCH
    source    DiFlow keeps a table of batch limits per model; differs: derived from the profile's marginal gain
    """
    alone_s = before_s = run_s(1)
    for size in range(2, MAX_BATCH + 1):
        together_s = run_s(size)
        if together_s - before_s > (1.0 - MIN_GAIN) * alone_s:
            return size - 1
        before_s = together_s
    return MAX_BATCH


def size_by_deadline(view: BatchView) -> int:
    """Number of tasks, from the most urgent on, that run as one batch: 1..min(ready, limit)."""
    fair = ceil(view.ready / max(1, view.holders))
    size = min(view.ready, view.limit, fair, len(view.deadlines_s))
    if size == 1 or not any([deadline_s is not None for deadline_s in view.deadlines_s[:size]]):
        return size
    lone_finish_s = view.start_s + view.run_s(1)
    earliest_s = float("inf")
    for count, deadline_s in enumerate(view.deadlines_s[:size], start=1):
        if deadline_s is not None and deadline_s >= lone_finish_s:  # it can be met, so it has a say
            earliest_s = min(earliest_s, deadline_s)
        if count > 1 and view.start_s + view.run_s(count) > earliest_s:
            return count - 1
    return size


def size_one(view: BatchView) -> int:
    """Every task runs alone. For comparison."""
    return 1
