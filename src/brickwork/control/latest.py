"""When each accepted request with a deadline is to be looked at again: a heap of latest starts.

A request whose queued tasks have not begun by then can no longer make its deadline, and must not take devices from
those that can. What follows is decided in `lateness.py`. Entries of requests that have ended are dropped when they
surface, or all at once when they are the most.
"""

from collections.abc import Iterator
from heapq import heapify, heappop, heappush

from brickwork.control.records import RequestRecord

MIN_SWEEP = 64
"""Entries below which nobody minds the outdated ones."""

Entry = tuple[float, int, RequestRecord]
"""(time to look, number of the request, the request)"""


class LatestStarts:
    """One entry for each request that is watched, and outdated ones of requests that have ended."""

    def __init__(self) -> None:
        self._heap: list[Entry] = []

    def watch(self, request: RequestRecord, at_s: float, requests: int) -> None:
        """Look at `request` at `at_s`.

        requests    accepted and not finished: no more than so many entries count
        """
        if len(self._heap) >= MIN_SWEEP + 2 * requests:
            self._heap = [entry for entry in self._heap if _counts(entry)]
            heapify(self._heap)
        heappush(self._heap, (at_s, request.number, request))

    def due(self, now_s: float) -> Iterator[RequestRecord]:
        """Take out the requests whose time has come, in order."""
        while (at_s := self.next_s()) is not None and at_s <= now_s:
            yield heappop(self._heap)[2]

    def next_s(self) -> float | None:
        """The earliest time at which there is something to look at; None: nothing is watched."""
        while self._heap and not _counts(self._heap[0]):
            heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._heap)


def _counts(entry: Entry) -> bool:
    request = entry[2]
    return request.open > 0 and not request.ending
