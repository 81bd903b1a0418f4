"""Policy: what is a replica of a model worth? Models are loaded ahead of need, and leave, by this.

It is worth the requests per second that would be lost without it. The n-th replica is missed by the requests that come
while n are needed: they would have to wait for a load. A load of 2.7 s loses a request that can wait for 2 s, and takes
from one that can wait for 24 s little more than a tenth of that: this share is the request's *risk*. So a model that
loads sooner than its requests have to begin may leave when others need the room; one that does not is there before its
burst comes. Bursts larger than those that were seen come too: as often as they are rare, one that needs twice as many
replicas half as often.

    FLUX-schnell, a request in 4 s (risk 1), of late never more than two replicas needed at once, each request 0.4:
    seen 0.25/s needed one, 0.05/s needed two; the first replica is worth 0.25 + 0.1 x 0.25 x 0.4 = 0.26, the second
    0.05 + 0.005 = 0.055, the fifth 0.002 requests per second
"""

from collections.abc import Sequence
from dataclasses import dataclass

BURSTS = 0.1
"""How often a burst is larger than those that were seen: one in ten, were one replica enough for all that were seen."""

MIN_GAIN = 2.0
"""A model is loaded ahead of need where it is worth so many times what has to leave, since a load costs something."""

KEEP_S = 600.0
"""Replicas of a model are kept so long after its last use."""


@dataclass(frozen=True, slots=True)
class Need:
    """What is known of the need for one model. Requests and replicas count by the risk of the request."""

    seen: Sequence[float] = ()  # per second, requests that came while at least 1, 2 ... replicas were needed
    single: float = 0.0  # per second, replicas that requests need, each alone


def worth_by_need(need: Need, replica: int) -> float:
    """Requests per second that would be lost without the `replica`-th replica, counted from 1."""
    seen = need.seen[replica - 1] if replica <= len(need.seen) else 0.0
    return seen + BURSTS * need.single / replica


def worth_nothing(need: Need, replica: int) -> float:
    """Nothing: models are loaded when a batch needs them, and leave by age. For comparison."""
    return 0.0
