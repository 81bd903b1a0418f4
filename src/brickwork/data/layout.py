"""Where everything lies in an arena: header, block table, blocks in size classes.

    offset 0              header: magic, version, arena bytes, segment id, one high-water mark a class
    HEADER_BYTES          block table: one 64-bit word a block, all classes in a row
    next page             blocks of the first class, then of the second, ...

The layout is a function of the arena's size alone, so a process that attaches derives the same one; the
header only tells whether it may. Every class gets an equal share of the arena. An arena is sparse: a share
costs memory only once it is used, and then keeps it, so that reuse finds pages that are already there.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

MAGIC = int.from_bytes(b"BRICKWRK", "little")
VERSION = 1

WORD_BYTES = 8
PAGE_BYTES = 4096
HEADER_BYTES = PAGE_BYTES
HEADER_WORDS = HEADER_BYTES // WORD_BYTES
MAGIC_WORD, VERSION_WORD, ARENA_BYTES_WORD, SEGMENT_WORD, FIRST_MARK_WORD = 0, 1, 2, 3, 8

BLOCK_BYTES = (4 << 10, 64 << 10, 1 << 20, 16 << 20, 256 << 20)
"""Size classes. A tensor takes the smallest class that fits; pages that it does not touch cost nothing."""

MIN_BLOCKS = 2
"""A class exists only in an arena where its share has room for this many of its blocks."""

MIN_ARENA_BYTES = 64 << 10
DEFAULT_ARENA_BYTES = 256 << 20

assert FIRST_MARK_WORD + len(BLOCK_BYTES) <= HEADER_WORDS
assert all(size % PAGE_BYTES == 0 for size in BLOCK_BYTES)


@dataclass(frozen=True, slots=True)
class SizeClass:
    """Blocks `first` .. `stop - 1`, each of `block_bytes`, in a row from `offset` on."""

    block_bytes: int
    first: int
    stop: int
    offset: int
    mark: int  # header word: 1 + the highest block of the class that was ever taken, counted from `first`

    def offset_of(self, block: int) -> int:
        return self.offset + (block - self.first) * self.block_bytes


@dataclass(frozen=True)
class Layout:
    arena_bytes: int
    classes: tuple[SizeClass, ...]

    @cached_property
    def blocks(self) -> int:
        return self.classes[-1].stop

    def classes_for(self, nbytes: int) -> Iterator[SizeClass]:
        """Classes whose blocks hold `nbytes`, smallest first."""
        return (size_class for size_class in self.classes if size_class.block_bytes >= nbytes)

    def class_of(self, block: int) -> SizeClass:
        return next(size_class for size_class in self.classes if block < size_class.stop)


def layout_of(arena_bytes: int) -> Layout:
    """The layout of an arena of `arena_bytes`.

    raises    ValueError below MIN_ARENA_BYTES
    """
    if arena_bytes < MIN_ARENA_BYTES:
        raise ValueError(f"arena_bytes: {arena_bytes} is too small; give at least {MIN_ARENA_BYTES}")
    sizes = [size for n, size in enumerate(BLOCK_BYTES, 1) if arena_bytes // n >= size * MIN_BLOCKS]
    counts = [arena_bytes // len(sizes) // size for size in sizes]
    offset = HEADER_BYTES + _pages(sum(counts) * WORD_BYTES)
    classes: list[SizeClass] = []
    first = 0
    for index, (size, count) in enumerate(zip(sizes, counts, strict=True)):
        classes.append(SizeClass(size, first, first + count, offset, FIRST_MARK_WORD + index))
        first += count
        offset += size * count
    return Layout(arena_bytes, tuple(classes))


def file_bytes(layout: Layout) -> int:
    """Size of the shared file: the arena's blocks plus header and table."""
    last = layout.classes[-1]
    return last.offset_of(last.stop)


def _pages(nbytes: int) -> int:
    return -(-nbytes // PAGE_BYTES) * PAGE_BYTES
