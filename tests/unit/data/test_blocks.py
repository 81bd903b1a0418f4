"""Goal: the word of a block through its lives, and foreign memory refused. Method: single steps by hand."""

import os

import pytest

from brickwork._native import Words
from brickwork.data.arena import Arena, create_arena
from brickwork.data.blocks import GENERATIONS, HOLDERS, BlockTable, holders_of
from brickwork.data.layout import HEADER_WORDS, VERSION_WORD, WORD_BYTES, layout_of

LAYOUT = layout_of(64 << 10)
SMALL = LAYOUT.classes[0]


def table_of(first_word: int = 0) -> BlockTable:
    words = Words(bytearray(LAYOUT.blocks * WORD_BYTES), 0, LAYOUT.blocks)
    words.fetch_or(0, first_word)
    return BlockTable(words, Words(bytearray(HEADER_WORDS * WORD_BYTES), 0, HEADER_WORDS))


def test_generation_counts_lives_and_wraps_to_zero() -> None:
    table = table_of((GENERATIONS - 2) << HOLDERS)
    for generation in (GENERATIONS - 1, 0, 1):
        assert table.take(SMALL, 5) == (0, generation)
        assert table.held(SMALL) == {0: (5,)}
        assert table.lease(0, (generation - 1) % GENERATIONS, 6) is None
        assert table.drop(0, generation, 5)


def test_pass_on_is_one_change_that_only_the_holder_can_make() -> None:
    table = table_of()
    block, generation = table.take(SMALL, 3) or (-1, -1)
    assert table.pass_on(block, generation, 4, 0) is None
    assert table.lease(block, generation, 39) is True
    assert table.pass_on(block, generation, 3, 0) is True
    assert table.held(SMALL) == {0: (0, 39)}
    assert table.pass_on(block, generation, 39, 0) is False
    assert table.held(SMALL) == {0: (0,)}


def test_peak_is_the_most_blocks_at_once() -> None:
    table = table_of()
    taken = [table.take(SMALL, 1) for _ in range(3)]
    assert [block for block, _ in filter(None, taken)] == [0, 1, 2]
    assert table.reclaim(SMALL, 1) == 3
    assert table.take(SMALL, 1) == (0, 2)
    assert table.peak(SMALL) == 3


def test_holders_of_a_word() -> None:
    assert holders_of(9 << HOLDERS | 1 << 39 | 1) == (0, 39)


def test_only_an_arena_of_this_version_is_mapped(tmp_path: os.PathLike[str]) -> None:
    fd = create_arena(64 << 10)
    mapped = os.dup(fd)
    os.lseek(mapped, VERSION_WORD * WORD_BYTES, os.SEEK_SET)
    os.write(mapped, b"\xff")
    with pytest.raises(ValueError, match="not an arena of layout version 1"):
        Arena(fd)
    empty = os.memfd_create("empty")
    with pytest.raises(ValueError, match="the 0 bytes of descriptor"):
        Arena(empty)
    for each in (fd, mapped, empty):
        os.close(each)
