"""64-bit atomic words on a mapped buffer. Orders and partners: native/words.cpp."""

from typing_extensions import Buffer

class Words:
    """`count` 64-bit words at `offset` of a writable buffer; every access is atomic.

    The buffer stays exported, so its mapping cannot be closed while the words are alive. No call blocks.

    raises    ValueError when the words do not fit in the buffer or are not aligned to 8 bytes;
              BufferError when the buffer is read-only; IndexError when a word is out of range
    """

    def __init__(self, buffer: Buffer, offset: int, count: int) -> None: ...
    def __len__(self) -> int: ...
    def load(self, i: int) -> int: ...
    def compare_exchange(self, i: int, expected: int, desired: int) -> bool:
        """Change word `i` from `expected` to `desired`; False when it was something else."""

    def fetch_or(self, i: int, bits: int) -> int:
        """Set bits. Returns the word as it was; so do the other two."""

    def fetch_and(self, i: int, bits: int) -> int: ...
    def fetch_add(self, i: int, addend: int) -> int: ...
    def first_equal_masked(self, start: int, stop: int, mask: int, value: int) -> int:
        """Index of the first word in [start, stop) with `word & mask == value`, or -1. A hint: it may change."""
