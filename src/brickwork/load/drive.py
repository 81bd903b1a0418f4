"""Open loop: requests are sent when they are due, however slowly the ones before are answered.

Clients of a busy service do not wait for each other, so neither may a load tool; and latency counts from when a
request was *due*, so that whatever delays its sending (no connection left, this process too busy) counts against the
result and does not hide. Such late sends are reported.

```
 due      |--1--2-------3--4---------->
 sent     |--1--2-------3---4--------->     4 found all connections taken: it was sent late
 latency        |----------------|          of 2: from due to its result in hand
```
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from time import monotonic

from brickwork.core.errors import RequestFailed
from brickwork.core.request import Outcome
from brickwork.load.offers import Offer
from brickwork.load.report import Sample
from brickwork.load.servers import Answer, Servers

LATE_SEND_S = 0.02
"""A request sent later than this after it was due is counted as a late send."""


@dataclass(frozen=True, slots=True)
class Sent:
    """One request of a run that has ended."""

    offer: Offer
    answer: Answer | None  # None: the run was cut off when its deadline had passed already
    sent_late_s: float
    latency_s: float  # from due to its end, or to the cut-off

    @property
    def sample(self) -> Sample:
        outcome = self.answer.outcome if self.answer else None
        latency_s = self.latency_s if self.answer else None
        return Sample(self.offer.workflow, outcome, latency_s, self.offer.deadline_s)


class Drive:
    """One run, to be looked at while it goes on.

    max_connections    requests in flight at most; further ones wait, and count as sent late
    timeout_s          after a request was due without a result, it has failed; also bounds the end of the run
    """

    def __init__(self, servers: Servers, offers: Sequence[Offer], max_connections: int, timeout_s: float):
        self.ended: list[Sent] = []
        self.in_flight = 0  # due, and not ended
        self.is_complete = False  # every request was sent and has ended
        self.undecided = 0  # in flight when the run was cut off, with time left: they say nothing
        self._servers = servers
        self._offers = offers
        self._connections = asyncio.Semaphore(max_connections)
        self._timeout_s = timeout_s
        self._start_s = monotonic()
        self._stop_s: float | None = None

    @property
    def elapsed_s(self) -> float:
        """Since the start, until the end or the cut-off."""
        return (monotonic() if self._stop_s is None else self._stop_s) - self._start_s

    async def run(self) -> None:
        """Send every request when it is due and wait for all of them. May be cancelled; what has ended is kept."""
        self._start_s = monotonic()
        tasks = []
        async with asyncio.TaskGroup() as group:
            try:
                for offer in self._offers:
                    await asyncio.sleep(max(0.0, offer.due_s - self.elapsed_s))
                    self.in_flight += 1
                    tasks.append(group.create_task(self._serve(offer)))
                if tasks:
                    await asyncio.wait(tasks)
                self.is_complete = True
            finally:  # before a cancellation reaches the requests: what they do last is no part of the run
                self._stop_s = monotonic()

    async def _serve(self, offer: Offer) -> None:
        sent_s: float | None = None
        answer: Answer | None = None
        try:
            async with asyncio.timeout(max(0.0, offer.due_s + self._timeout_s - self.elapsed_s)), self._connections:
                sent_s = self.elapsed_s
                answer = await self._servers.send(offer)
        except TimeoutError:
            answer = Answer(Outcome.FAILED, f"no result within {self._timeout_s:g} s")
        except asyncio.CancelledError:
            self._cut_off(offer, sent_s)
            raise
        self._end(offer, sent_s, answer)

    def _cut_off(self, offer: Offer, sent_s: float | None) -> None:
        if offer.deadline_s is not None and self.elapsed_s - offer.due_s > offer.deadline_s:
            self._end(offer, sent_s, None)
        else:
            self.undecided += 1
            self.in_flight -= 1

    def _end(self, offer: Offer, sent_s: float | None, answer: Answer | None) -> None:
        self.in_flight -= 1
        end_s = self.elapsed_s
        late_s = (end_s if sent_s is None else sent_s) - offer.due_s
        self.ended.append(Sent(offer, answer, late_s, end_s - offer.due_s))


async def solo_latency_s(servers: Servers, offers: Sequence[Offer], timeout_s: float) -> float:
    """Median latency of requests sent one after the other; the first is not counted, for it may have to load models.

    raises    RequestFailed when one has no result
    """
    latencies_s = []
    for offer in offers:
        start_s = monotonic()
        try:
            async with asyncio.timeout(timeout_s):
                answer = await servers.send(offer)
        except TimeoutError:
            answer = Answer(Outcome.FAILED, f"no result within {timeout_s:g} s")
        if answer.outcome is not Outcome.SUCCEEDED:
            raise RequestFailed(f"A request of {offer.workflow}, sent alone, {answer.outcome}: {answer.error}")
        latencies_s.append(monotonic() - start_s)
    return median(latencies_s[1:] or latencies_s)
