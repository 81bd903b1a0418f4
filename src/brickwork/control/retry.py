"""Policy: does a task that ended badly run again?

Losing an executor is nobody's fault at first: the task runs again, in any company. After two lost batches it runs
alone, so that a task that kills executors takes no others with it, and behind others, so that it does not hold them
up; alone and five times bereft it is the killer, and its request fails. A failure in company may be another task's:
each runs alone. A failure alone may be the executor's: it runs once more on another one, if there is one. Then it is
the task's own, and the request fails with what the executor said.
"""

from dataclasses import dataclass

LOST_IN_COMPANY = 2
"""Lost batches after which a task runs alone. One may be chance; two point at the batch."""

LOST_ALONE = 5
"""Executors that a task may lose while running alone. Five by chance would need a fleet that serves nobody."""

SUSPECT_DELAY_S = 10.0
"""By how much later a task ranks for every executor that it lost alone. Where executors die for reasons of their own,
the next death then most likely meets another task; where the task is the reason, others get their turn first."""

FAILED_ALONE = 2
"""Attempts alone: the first, and one on another executor."""


@dataclass(frozen=True, slots=True)
class BadEnd:
    """How an attempt ended and what went before, this attempt included."""

    lost_executor: bool  # else: the executor reported a failure
    was_alone: bool  # in its batch
    lost: int  # batches in which the task lost its executor
    lost_alone: int  # of those, batches of this task only
    failed_alone: int  # failures in batches of this task only
    has_other: bool  # another executor could run it
    error: str  # what the executor, or the driver, said


@dataclass(frozen=True, slots=True)
class Again:
    alone: bool  # it may not share a batch any more
    elsewhere: bool  # not on the same executor while there is another
    reason: str
    later_s: float = 0.0  # by how much its latest start moves back, in the order of ready tasks


@dataclass(frozen=True, slots=True)
class GiveUp:
    error: str


def retry_within_bounds(end: BadEnd) -> Again | GiveUp:
    """What follows from a bad end."""
    if end.lost_executor:
        if end.lost_alone >= LOST_ALONE:
            return GiveUp(
                f"it lost {end.lost_alone} executors while nothing else ran on them (the last: {end.error}); "
                "it is taken for the cause. Look at the executors' logs, and at the memory it needs."
            )
        later_s = SUSPECT_DELAY_S if end.was_alone else 0.0
        alone = end.lost >= LOST_IN_COMPANY
        return Again(alone, elsewhere=False, reason=f"executor lost: {end.error}", later_s=later_s)
    if not end.was_alone:
        return Again(alone=True, elsewhere=False, reason=f"failed in company: {end.error}")
    if end.failed_alone < FAILED_ALONE and end.has_other:
        return Again(alone=True, elsewhere=True, reason=f"failed alone: {end.error}")
    return GiveUp(end.error)
