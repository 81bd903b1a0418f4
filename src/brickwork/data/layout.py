"""Where everything lies in an arena: header, two tables, blocks.

    offset 0              header: magic, version, arena bytes, segment id, PID namespace, one word a holder
    HEADER_BYTES          the life of every block, then the cover of every block: 64-bit words (blocks.py)
    next page             the blocks, all of one size

The layout is a function of the arena's size alone, so a process that attaches derives the same one; the header only
tells whether it may. A tensor takes a *span*: as many blocks in a row as it needs. An arena is sparse: a block costs
memory once it is used, and then keeps it, so that reuse finds pages that are already there.
"""

from dataclasses import dataclass
from functools import cached_property

MAGIC = int.from_bytes(b"BRICKWRK", "little")
VERSION = 2

WORD_BYTES = 8
PAGE_BYTES = 4096
HEADER_BYTES = PAGE_BYTES
HEADER_WORDS = HEADER_BYTES // WORD_BYTES
MAGIC_WORD, VERSION_WORD, ARENA_BYTES_WORD, SEGMENT_WORD, NAMESPACE_WORD, FIRST_HOLDER_WORD = 0, 1, 2, 3, 4, 8

MAX_BLOCKS = 1 << 16
"""Blocks grow with the arena instead of their number: a scan of the tables stays some 50 us, whatever the size."""

MIN_ARENA_BYTES = 64 << 10
DEFAULT_ARENA_BYTES = 1 << 30
"""Sparse: what is never used costs nothing. A video of 720p and 121 frames is 335 MB as uint8."""


@dataclass(frozen=True)
class Layout:
    """Of an arena of `arena_bytes`; at most so many are usable."""

    arena_bytes: int

    @cached_property
    def block_bytes(self) -> int:
        """A power of two, at least a page."""
        return max(PAGE_BYTES, 1 << (-(-self.arena_bytes // MAX_BLOCKS) - 1).bit_length())

    @cached_property
    def blocks(self) -> int:
        return self.arena_bytes // self.block_bytes

    @cached_property
    def offset(self) -> int:
        """Of the first block."""
        return HEADER_BYTES + -(-2 * self.blocks * WORD_BYTES // PAGE_BYTES) * PAGE_BYTES

    @property
    def file_bytes(self) -> int:
        """Size of the shared file: header, tables, blocks."""
        return self.offset_of(self.blocks)

    def offset_of(self, block: int) -> int:
        return self.offset + block * self.block_bytes

    def blocks_for(self, nbytes: int) -> int:
        """Blocks that a tensor takes; one that has no bytes takes one, to be somewhere."""
        return max(1, -(-nbytes // self.block_bytes))


def layout_of(arena_bytes: int) -> Layout:
    """The layout of an arena of `arena_bytes`.

    raises    ValueError below MIN_ARENA_BYTES
    """
    if arena_bytes < MIN_ARENA_BYTES:
        raise ValueError(f"arena_bytes: {arena_bytes} is too small; give at least {MIN_ARENA_BYTES}")
    return Layout(arena_bytes)
