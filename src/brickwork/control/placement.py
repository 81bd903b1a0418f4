"""Policy: which executor runs a batch? The one that would finish it first, busy ones included. A task may also join a
batch that runs, where its next step has room.

If that is a busy executor, the group waits for it: loading a model twice costs more than it gains. The score adds what
the choice takes from others: models that have to go and are still wanted must be loaded again later.

Which executors are looked at (a dozen at most) is decided by `candidates.py` from indexes; here they are only compared.
"""

from collections.abc import Sequence

from brickwork.core.ids import BatchId, ExecutorId
from brickwork.core.record import record

LOST_S = 3000.0
"""What one request a second that would be lost weighs, in seconds of waiting: ten for each, while it is remembered that
what was unloaded is asked for."""


@record(frozen=True, slots=True)
class Spot:
    """One executor as a place for one batch. All in seconds from now."""

    executor: ExecutorId
    is_idle: bool
    wait_s: float  # until it is idle, and done with what already waits for it
    load_s: float  # models that it lacks
    transfer_s: float  # inputs that lie on another host
    run_s: float  # the batch itself
    displaced_s: float  # what others lose: by what has to be unloaded, wanted now or later; by steps that get longer
    joins: BatchId | None = None  # the running batch that it would join there; None: it starts one

    @property
    def finish_s(self) -> float:
        return self.wait_s + self.load_s + self.transfer_s + self.run_s


def place_by_least_finish(spots: Sequence[Spot]) -> Spot | None:
    """The best of a few executors, None when there is none.

    Ties go to an idle executor, then to the smaller id.
    source    DiFlow, score of eligible workers (queue + load + transfer + execution); differs: few candidates, and what
              is displaced counts
    """
    if len(spots) == 1:
        return spots[0]
    return min(spots, key=lambda s: (s.finish_s + s.displaced_s, not s.is_idle, s.executor), default=None)
