"""Policy: does a running batch give its device to a task that cannot wait?

A task pre-empts when it would miss its deadline by waiting and would meet it on the victim's device; or when it is so
short, beside what it would wait, that letting it through costs next to nothing (a text encoder behind a denoise loop).
In both cases only if the victim can afford the delay: it still meets its own deadlines afterwards, or it has none to
lose. The victim stops at
its next step boundary and goes on later from there, so what it has computed is not lost. While a batch runs its laxity
(deadline - predicted end) stays as it is, so that the batch with most of it is found by an index.

    a FLUX-dev request has 9 s of laxity; a schnell request needs 2 s within 2.2 s and every device is busy:
    the FLUX request yields, is delayed by 2.1 s, and has 6.9 s left
"""

from collections.abc import Iterable
from math import inf

from brickwork.core.ids import ExecutorId
from brickwork.core.record import record

SHORT = 0.1
"""A task is let through when it delays the victim by at most this share of what it would have to wait."""


@record(frozen=True, slots=True)
class Victim:
    """A running batch that could yield. All in seconds."""

    executor: ExecutorId  # its leader
    laxity_s: float  # how much later it may end; inf when it has no deadline that it can still meet
    delay_s: float  # how much later it would end
    finish_s: float  # until the urgent task would be done on its device, from now


@record(frozen=True, slots=True)
class UrgentView:
    """A ready task for which no device is idle."""

    slack_s: float | None  # seconds from now within which it has to end; None: no deadline
    waiting_finish_s: float  # until it would be done if it waits for a device, from now
    victims: Iterable[Victim]  # worked out as they are looked at; can be gone through once
    run_s: float = 0.0  # that the task takes, wherever its models are: no victim is delayed by less


def preempt_by_laxity(view: UrgentView) -> Victim | None:
    """The batch that yields, None when nobody should.

    Of those that can afford it the one with most laxity left; ties go to the smaller id.
    source    GENSERVE pre-empts video at step boundaries; differs: only where both can be in time
    """
    slack_s = inf if view.slack_s is None else view.slack_s
    can_wait = view.waiting_finish_s <= slack_s
    if view.run_s > slack_s or (can_wait and view.run_s > SHORT * (view.waiting_finish_s - view.run_s)):
        return None  # whoever it is
    able = [v for v in view.victims if v.finish_s <= slack_s and v.laxity_s >= v.delay_s]
    if can_wait:
        able = [v for v in able if v.delay_s <= SHORT * (view.waiting_finish_s - v.finish_s)]
    return min(able, key=lambda victim: (victim.delay_s - victim.laxity_s, victim.executor), default=None)


def preempt_never(view: UrgentView) -> Victim | None:
    """What runs, runs to its end."""
    return None
