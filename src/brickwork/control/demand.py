"""How much device time is wanted before what: sums over entries in the order in which they will run.

```
 rank  |--- block ---|--- block ---|--- block ---|       each block: sorted entries, and their sum
              41 s          12 s        ^  7 s            before(rank) = 41 + 12 + part of the last
```

A sum costs one pass over the blocks and one within a block; entering and taking out cost the latter.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator

from brickwork.control.records import Rank

MAX_BLOCK = 64
"""Entries of a block; beyond, it is split in two."""

Entry = tuple[Rank, float, bool]
"""(rank, device seconds, is_hard). A hard entry has a deadline: rank[0] is when it has to start to be in time."""


class Demand:
    """Entries with distinct ranks."""

    def __init__(self) -> None:
        self._blocks: list[list[Entry]] = []  # none empty, in rising order
        self._sums_s: list[float] = []  # of each

    def add(self, rank: Rank, seconds: float, is_hard: bool) -> None:
        if not self._blocks:
            self._blocks, self._sums_s = [[]], [0.0]
        at = self._at(rank)
        block = self._blocks[at]
        insort(block, (rank, seconds, is_hard))
        self._sums_s[at] += seconds
        if len(block) > MAX_BLOCK:
            half = len(block) // 2
            self._blocks[at : at + 1] = [block[:half], block[half:]]
            self._sums_s[at : at + 1] = [_sum_s(block[:half]), _sum_s(block[half:])]

    def remove(self, rank: Rank) -> None:
        """Take an entry out. raises KeyError when it is not there, which means that an account went wrong"""
        at = self._at(rank)
        block = self._blocks[at] if self._blocks else []
        place = bisect_left(block, (rank,))
        if place == len(block) or block[place][0] != rank:
            raise KeyError(rank)
        del block[place]
        self._sums_s[at] = _sum_s(block)  # anew, so that rounding does not add up
        if not block:
            del self._blocks[at], self._sums_s[at]

    @property
    def total_s(self) -> float:
        return sum(self._sums_s)

    def before(self, rank: Rank) -> float:
        """Seconds of everything that ranks before."""
        if not self._blocks:
            return 0.0
        at = self._at(rank)
        block = self._blocks[at]
        return sum(self._sums_s[:at]) + _sum_s(block[: bisect_left(block, (rank,))])

    def later(self, rank: Rank) -> Iterator[tuple[float, float]]:
        """Of hard entries that rank after `rank`, in order: when each has to start, and the seconds before it.

        Of blocks that lie wholly after `rank` only the first one: with so much work, others are not far from it.
        """
        first = self._at(rank)
        before_s = sum(self._sums_s[:first])
        for at in range(first, len(self._blocks)):
            within_s = 0.0
            for other, seconds, is_hard in self._blocks[at]:
                if is_hard and other > rank:
                    yield other[0], before_s + within_s
                    if at > first:
                        break
                within_s += seconds
            before_s += self._sums_s[at]

    def __iter__(self) -> Iterator[Entry]:
        return (entry for block in self._blocks for entry in block)

    def _at(self, rank: Rank) -> int:
        """The block in which `rank` has its place: the last one that begins at or before it, else the first."""
        return max(0, bisect_right(self._blocks, rank, key=lambda block: block[0][0] if block else rank) - 1)


def _sum_s(entries: list[Entry]) -> float:
    return sum(seconds for _, seconds, _ in entries)
