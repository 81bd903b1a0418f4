"""How much device time is wanted before what: sums over entries in the order in which they will run.

```
 rank  |--- block ---|--- block ---|--- block ---|       each block: sorted entries, and their sum
              41 s          12 s        ^  7 s            before(rank) = 41 + 12 + part of the last
```

A sum costs one pass over the blocks and one within a block; entering and taking out cost the latter.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field

from brickwork.control.records import Rank

MAX_BLOCK = 64
"""Entries of a block; beyond, it is split in two."""

Entry = tuple[Rank, float, bool]
"""(rank, device seconds, is_hard). A hard entry has a deadline: rank[0] is when it has to start to be in time."""


@dataclass(slots=True)
class _Block:
    """Neighbouring entries, a list for each part of them, so that places are found and sums taken without looking at
    the others."""

    ranks: list[Rank] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    are_hard: list[bool] = field(default_factory=list)

    def __iter__(self) -> Iterator[Entry]:
        return zip(self.ranks, self.seconds, self.are_hard, strict=True)

    def split(self) -> "_Block":
        """Move the later half into a new block."""
        half = len(self.ranks) // 2
        later = _Block(self.ranks[half:], self.seconds[half:], self.are_hard[half:])
        del self.ranks[half:], self.seconds[half:], self.are_hard[half:]
        return later


class Demand:
    """Entries with distinct ranks."""

    def __init__(self) -> None:
        self._blocks: list[_Block] = []  # none empty, in rising order
        self._firsts: list[Rank] = []  # the first rank of each
        self._sums_s: list[float] = []  # of each
        self._squares = 0.0  # sum of squared seconds

    def add(self, rank: Rank, seconds: float, is_hard: bool) -> None:
        if not self._blocks:
            self._blocks, self._firsts, self._sums_s, self._squares = [_Block()], [rank], [0.0], 0.0
        self._squares += seconds * seconds
        at = self._at(rank)
        block = self._blocks[at]
        place = bisect_left(block.ranks, rank)
        block.ranks.insert(place, rank)
        block.seconds.insert(place, seconds)
        block.are_hard.insert(place, is_hard)
        self._firsts[at] = block.ranks[0]
        self._sums_s[at] += seconds
        if len(block.ranks) > MAX_BLOCK:
            later = block.split()
            self._blocks.insert(at + 1, later)
            self._firsts.insert(at + 1, later.ranks[0])
            self._sums_s[at : at + 1] = [sum(block.seconds, 0.0), sum(later.seconds, 0.0)]

    def remove(self, rank: Rank) -> None:
        """Take an entry out. raises KeyError when it is not there, which means that an account went wrong"""
        at = self._at(rank)
        block = self._blocks[at] if self._blocks else _Block()
        place = bisect_left(block.ranks, rank)
        if place == len(block.ranks) or block.ranks[place] != rank:
            raise KeyError(rank)
        self._squares -= block.seconds[place] * block.seconds[place]
        del block.ranks[place], block.seconds[place], block.are_hard[place]
        if not block.ranks:
            del self._blocks[at], self._firsts[at], self._sums_s[at]
            return
        self._firsts[at] = block.ranks[0]
        self._sums_s[at] = sum(block.seconds, 0.0)  # anew, so that rounding does not add up

    @property
    def total_s(self) -> float:
        return sum(self._sums_s, 0.0)

    @property
    def typical_s(self) -> float:
        """Length of the entry in which a moment lies, on average, while they are worked off: often in a long one."""
        total_s = self.total_s
        return max(0.0, self._squares) / total_s if total_s else 0.0

    def before(self, rank: Rank) -> float:
        """Seconds of everything that ranks before."""
        if not self._blocks:
            return 0.0
        at = self._at(rank)
        block = self._blocks[at]
        return sum(self._sums_s[:at], 0.0) + sum(block.seconds[: bisect_left(block.ranks, rank)], 0.0)

    def later(self, rank: Rank) -> Iterator[tuple[float, float]]:
        """Of hard entries that rank after `rank`, in order: when each has to start, and the seconds before it.

        Of blocks that lie wholly after `rank` only the first one: with so much work, others are not far from it.
        """
        first = self._at(rank)
        before_s = sum(self._sums_s[:first], 0.0)
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
        for block in self._blocks:
            yield from block

    def _at(self, rank: Rank) -> int:
        """The block in which `rank` has its place: the last one that begins at or before it, else the first."""
        return max(0, bisect_right(self._firsts, rank) - 1)
