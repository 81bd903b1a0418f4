"""64-bit atomic words on a mapped buffer. Orders and partners: native/words.cpp."""

from collections.abc import Sequence
from typing import Any

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

SPAN_HOLDERS: int
SPAN_GENERATIONS: int

class Spans:
    """The tables of an arena's blocks, lives and covers, `blocks` words each, at `offset` of a writable buffer.

    How they work together is told in native/spans.cpp, and what the bits of a life mean in data/blocks.py. No call
    blocks; all are safe against every process that maps the tables.
    """

    def __init__(self, buffer: Buffer, offset: int, blocks: int) -> None: ...
    def take(self, count: int, holder: int, from_top: bool) -> tuple[int, int, bool] | None:
        """Lease `count` free blocks in a row: (head, generation, whether some were never used before), or None."""

    def heads(self) -> list[int]:
        """Blocks that begin a tensor which somebody holds, each at its own moment."""

    def longest(self) -> int:
        """Blocks of the longest free row, at some moment."""

    def used(self) -> tuple[int, int]:
        """(blocks in use, blocks that were ever used), each at its own moment."""

    def belongs(self, block: int, head: int, generation: int) -> bool:
        """Whether `block` belongs to that life of `head`, if that life is not over."""

def tensor_view(buffer: Buffer, offset: int, shape: Sequence[int], code: int, bits: int, owner: object) -> Any:
    """The bytes at `offset` as a read-only, C-contiguous tensor that reads as DLPack and as a buffer.

    code, bits    of the DLPack data type (0 int, 1 uint, 2 float, 4 bfloat, 6 bool)
    owner         lives until the last view is gone; it keeps the buffer's memory alive
    raises        ValueError when the tensor reaches beyond the buffer
    """
