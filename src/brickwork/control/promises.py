"""Who was refused and told to come back when, so that the time is true for all of them together.

A refusal that names a time is a promise. If it looked only at the work that is there, everybody who is refused in one
second would be told the same moment, and nearly all would be refused again. So a promise holds its share of the
devices from the moment it is made, as accepted work does, and the next one is told a later time: the promises are a
queue whose members wait at home.

```
 devices   |--- accepted work ---|- promise 1 -|- promise 2 -|- promise 3 -|
           now                   ^ the slack of a deadline before this point is when 1 may come, and so on
```

A request is recognised by its resend key when it comes again; one that comes before its time may as well be another
client's equal one, and is treated as new. A promise ends when it is kept (the request came back
and was accepted) or GRACE_S after its time. Not everybody comes back, and devices must not idle for those who do not:
what is held is multiplied by the share of promises that were kept lately.
"""

from bisect import insort
from collections.abc import Iterator
from dataclasses import dataclass
from heapq import heappop, heappush

from brickwork.control.demand import Demand
from brickwork.control.records import Rank

GRACE_S = 1.5
"""For how long after its time a promise is held: `Retry-After` has whole seconds, so a client may be up to one late,
and the way takes its time."""

EARLY_S = 0.01
"""A request that comes so little before its time is on time: clients' clocks tick in milliseconds."""

MAX_PROMISES = 10_000
"""Promises held at most, as many as requests may queue. Beyond, a refused request is told a time, and nothing is held
for it: its client would wait behind more work than the queue may hold."""

WEIGHT = 1 / 16
"""Of the newest promise in the share of those that are kept: about the last fifty count."""


@dataclass(slots=True, eq=False)
class Promise:
    key: str  # resend key of the request
    due_s: float  # when it was told to come, on control's clock
    work_s: float  # device seconds held for it
    rank: Rank  # that its request will have
    is_open: bool = True


def is_due(promise: Promise, now_s: float) -> bool:
    """Its time has come, so that its request is to be accepted."""
    return promise.due_s - EARLY_S <= now_s


class Promises:
    """Promises that are open, by key and by time."""

    def __init__(self) -> None:
        self.demand = Demand()  # device seconds that are wanted for them, by rank
        self.kept = 1.0  # share of promises that were kept lately; believed until seen otherwise
        self._by_key: dict[str, list[Promise]] = {}  # each list in the order of due_s
        self._by_time: list[tuple[float, int, Promise]] = []  # heap of (due_s, number, promise), closed ones too
        self._number = 0
        self._open = 0

    @property
    def held_requests(self) -> float:
        """Requests that are expected to come back."""
        return self.kept * self._open

    def find(self, key: str) -> Promise | None:
        """The promise that a request with this key may claim: the earliest one, for equal requests are equal."""
        promises = self._by_key.get(key)
        return promises[0] if promises else None

    def give(self, key: str, due_s: float, slack_s: float, work_s: float) -> None:
        """Promise a request with this key that it will be accepted at `due_s`. Without a key nobody could claim it.

        slack_s    by how much later than that it may start
        """
        if not key or len(self._by_time) >= MAX_PROMISES:
            return
        self._number += 1
        promise = Promise(key, due_s, work_s, (due_s + slack_s, self._number, 0))
        self._open += 1
        heappush(self._by_time, (due_s, self._number, promise))
        insort(self._by_key.setdefault(key, []), promise, key=lambda each: each.due_s)
        self.demand.add(promise.rank, work_s, is_hard=True)

    def keep(self, promise: Promise) -> None:
        """Its request came back and was accepted."""
        self._close(promise)
        self._learn(1.0)

    def withdraw(self, promise: Promise) -> None:
        """Its request came back and is about to be told another time."""
        self._close(promise)

    def expire(self, now_s: float) -> None:
        """Forget those whose time has passed: their requests did not come."""
        while self._by_time and (not self._by_time[0][2].is_open or self._by_time[0][0] + GRACE_S < now_s):
            promise = heappop(self._by_time)[2]
            if promise.is_open:
                self._close(promise)
                self._learn(0.0)

    def __iter__(self) -> Iterator[Promise]:
        for own in self._by_key.values():
            yield from own

    def _close(self, promise: Promise) -> None:
        promise.is_open = False
        self._open -= 1
        own = self._by_key[promise.key]
        own.remove(promise)
        if not own:
            del self._by_key[promise.key]
        self.demand.remove(promise.rank)

    def _learn(self, kept: float) -> None:
        self.kept += WEIGHT * (kept - self.kept)
