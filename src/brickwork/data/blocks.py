"""Who holds a tensor: the *life* of its first block, one 64-bit word changed only by compare-and-swap.

    generation : 24 | holders : 40

Bit h of `holders` is set while holder h, a process (lives.py), has the tensor leased. A block whose life has no
holders begins no tensor. Taking it counts the generation up, so that a handle of its earlier life is known as stale.
Which further blocks belong to a life tells their *cover* (native/spans.cpp), and a cover lapses with the life: so one
change of one word frees a span of any length. Nobody holds a lock, so nobody can die holding one; what a dead process
held is exactly the lives with its bit.

The generation wraps after 2**24 lives of one block. A stale handle would be mistaken for a live one only if
it is used exactly a multiple of 16.7 million lives later. Handles outlive their lease only while a message
is on its way, and a block would need a life every microsecond to get there in 16 seconds.
"""

from brickwork._native import SPAN_GENERATIONS, SPAN_HOLDERS, Spans, Words

HOLDERS = 40
GENERATIONS = 1 << 24
HOLDER_MASK = (1 << HOLDERS) - 1

LARGE = 64
"""A span of 1/64 of the arena or more is taken from its top, others from its bottom: what comes and goes in small
pieces does not cut up the space of the large ones, and both ends find pages that were used before."""

assert HOLDERS + (GENERATIONS - 1).bit_length() == 64
assert (SPAN_HOLDERS, SPAN_GENERATIONS) == (HOLDERS, GENERATIONS)


def holders_of(life: int) -> tuple[int, ...]:
    return tuple(holder for holder in range(HOLDERS) if life >> holder & 1)


class BlockTable:
    """The lives and covers of all blocks. Every method is safe against every other, in any process, without
    blocking.

    lives     one word a block
    spans     the same words and those of the covers, for taking
    """

    def __init__(self, lives: Words, spans: Spans):
        self._lives = lives
        self._spans = spans

    def take(self, count: int, holder: int) -> tuple[int, int, bool] | None:
        """Lease `count` free blocks in a row to `holder`: (first block, generation, whether pages of some of them
        may not exist), or None if there is no such row."""
        return self._spans.take(count, holder, count * LARGE >= len(self._lives))

    def back(self, block: int, count: int) -> None:
        """Note that the pages of a taken span exist, after they were made."""
        self._spans.back(block, count)

    def belongs(self, block: int, head: int, generation: int) -> bool:
        """Whether `block` is of the span that began at `head` in that life, if that life is not over."""
        return self._spans.belongs(block, head, generation)

    def lease(self, block: int, generation: int, holder: int) -> bool | None:
        """Set the bit of `holder`. True: it was clear; False: it was set already; None: that life is over."""
        while True:
            life = self._lives.load(block)
            if life >> HOLDERS != generation or not life & HOLDER_MASK:
                return None
            if life >> holder & 1:
                return False
            if self._lives.compare_exchange(block, life, life | 1 << holder):
                return True

    def is_held(self, block: int, generation: int, holder: int) -> bool:
        life = self._lives.load(block)
        return life >> HOLDERS == generation and bool(life >> holder & 1)

    def is_live(self, block: int, generation: int) -> bool:
        """Whether anybody holds the tensor that began at `block` in that life."""
        life = self._lives.load(block)
        return life >> HOLDERS == generation and bool(life & HOLDER_MASK)

    def drop(self, block: int, generation: int, holder: int) -> bool:
        """Clear the bit of `holder`. False when it was not set, or that life of the block is over."""
        return self._swap(block, generation, holder, 0) is not None

    def pass_on(self, block: int, generation: int, source: int, target: int) -> bool | None:
        """Clear the bit of `source` and set that of `target` in one change: no death between loses the tensor.

        returns   True: target's bit was clear; False: it was set; None: source does not hold that life
        """
        life = self._swap(block, generation, source, 1 << target)
        return None if life is None else not life >> target & 1

    def reclaim(self, holder: int) -> int:
        """Clear the bit of a holder that is proven dead. Returns how many tensors had it."""
        bit, count, block = 1 << holder, 0, -1
        while (block := self._lives.first_equal_masked(block + 1, len(self._lives), bit, bit)) >= 0:
            self._lives.fetch_and(block, ~bit & (1 << 64) - 1)
            count += 1
        return count

    def held(self) -> dict[int, tuple[int, ...]]:
        """First blocks of the tensors that somebody holds, with their holders; each at its own moment."""
        lives = ((block, self._lives.load(block)) for block in self._spans.heads())
        return {block: holders_of(life) for block, life in lives if life & HOLDER_MASK}

    def used(self) -> tuple[int, int]:
        """(blocks in use, blocks whose pages exist), each block at its own moment."""
        return self._spans.used()

    def longest(self) -> int:
        """Blocks of the longest free row, at some moment."""
        return self._spans.longest()

    def _swap(self, block: int, generation: int, cleared: int, set_bits: int) -> int | None:
        """Clear one holder's bit and set others; the life as it was, or None when nothing was changed."""
        while True:
            life = self._lives.load(block)
            if life >> HOLDERS != generation or not life >> cleared & 1:
                return None
            if self._lives.compare_exchange(block, life, life & ~(1 << cleared) | set_bits):
                return life
