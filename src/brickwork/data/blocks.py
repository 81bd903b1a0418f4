"""Who holds a block: one 64-bit word a block, changed only by compare-and-swap.

    generation : 24 | holders : 40

Bit h of `holders` is set while holder h (0: the keeper; 1..39: lives of executors) has the block leased. A
block without holders is free. Taking it counts the generation up, so that a handle of its earlier life is
known as stale. Nobody holds a lock, so nobody can die holding one; what a dead process held is exactly the
words with its bit.

The generation wraps after 2**24 lives of one block. A stale handle would be mistaken for a live one only if
it is used exactly a multiple of 16.7 million lives later. Handles outlive their lease only while a message
is on its way, and a block would need a life every microsecond to get there in 16 seconds.
"""

from brickwork._native import Words
from brickwork.data.layout import SizeClass

HOLDERS = 40
GENERATIONS = 1 << 24
HOLDER_MASK = (1 << HOLDERS) - 1

assert HOLDERS + (GENERATIONS - 1).bit_length() == 64


def holders_of(word: int) -> tuple[int, ...]:
    return tuple(holder for holder in range(HOLDERS) if word >> holder & 1)


class BlockTable:
    """The words of all blocks. Every method is safe against every other, in any process, without blocking.

    words     one a block
    marks     the header's words, for the high-water marks
    """

    def __init__(self, words: Words, marks: Words):
        self._words = words
        self._marks = marks

    def take(self, size_class: SizeClass, holder: int) -> tuple[int, int] | None:
        """Lease the first free block of a class to `holder`: (block, generation), or None if none is."""
        start = size_class.first
        while (block := self._words.first_equal_masked(start, size_class.stop, HOLDER_MASK, 0)) >= 0:
            # Before the block is taken: whoever looks for a dead holder's blocks looks below the mark only.
            self._raise_mark(size_class.mark, block - size_class.first + 1)
            word = self._words.load(block)
            generation = ((word >> HOLDERS) + 1) % GENERATIONS
            taken = generation << HOLDERS | 1 << holder
            if not word & HOLDER_MASK and self._words.compare_exchange(block, word, taken):
                return block, generation
            start = block  # somebody was faster; each round is progress of another process
        return None

    def lease(self, block: int, generation: int, holder: int) -> bool | None:
        """Set the bit of `holder`. True: it was clear; False: it was set already; None: that life is over."""
        while True:
            word = self._words.load(block)
            if word >> HOLDERS != generation or not word & HOLDER_MASK:
                return None
            if word >> holder & 1:
                return False
            if self._words.compare_exchange(block, word, word | 1 << holder):
                return True

    def is_held(self, block: int, generation: int, holder: int) -> bool:
        word = self._words.load(block)
        return word >> HOLDERS == generation and bool(word >> holder & 1)

    def drop(self, block: int, generation: int, holder: int) -> bool:
        """Clear the bit of `holder`. False when it was not set, or that life of the block is over."""
        return self._swap(block, generation, holder, 0) is not None

    def pass_on(self, block: int, generation: int, source: int, target: int) -> bool | None:
        """Clear the bit of `source` and set that of `target` in one change: no death between loses the block.

        returns   True: target's bit was clear; False: it was set; None: source does not hold that life
        """
        word = self._swap(block, generation, source, 1 << target)
        return None if word is None else not word >> target & 1

    def reclaim(self, size_class: SizeClass, holder: int) -> int:
        """Clear the bit of a holder that is proven dead. Returns how many blocks had it."""
        bit, count, start, stop = 1 << holder, 0, size_class.first, self._stop(size_class)
        while (block := self._words.first_equal_masked(start, stop, bit, bit)) >= 0:
            self._words.fetch_and(block, ~bit & (1 << 64) - 1)
            count += 1
            start = block + 1
        return count

    def held(self, size_class: SizeClass) -> dict[int, tuple[int, ...]]:
        """Blocks of a class that are not free, with their holders; each word at its own moment."""
        words = ((block, self._words.load(block)) for block in range(size_class.first, self._stop(size_class)))
        return {block: holders_of(word) for block, word in words if word & HOLDER_MASK}

    def peak(self, size_class: SizeClass) -> int:
        """Most blocks of the class that were in use at once: the first free block is always taken."""
        return self._marks.load(size_class.mark)

    def _swap(self, block: int, generation: int, cleared: int, set_bits: int) -> int | None:
        """Clear one holder's bit and set others; the word as it was, or None when nothing was changed."""
        while True:
            word = self._words.load(block)
            if word >> HOLDERS != generation or not word >> cleared & 1:
                return None
            if self._words.compare_exchange(block, word, word & ~(1 << cleared) | set_bits):
                return word

    def _stop(self, size_class: SizeClass) -> int:
        return size_class.first + self.peak(size_class)

    def _raise_mark(self, mark: int, value: int) -> None:
        while (seen := self._marks.load(mark)) < value:
            self._marks.compare_exchange(mark, seen, value)
