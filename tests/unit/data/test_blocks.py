"""Goal: the words of a span through its lives, and foreign memory refused. Method: single steps by hand, and takers
and droppers next to a model under Hypothesis."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brickwork._native import Spans, Words
from brickwork.data.arena import Arena, create_arena
from brickwork.data.blocks import GENERATIONS, HOLDERS, BlockTable, holders_of
from brickwork.data.layout import VERSION_WORD, WORD_BYTES

BLOCKS = 128  # a span of 2 is large: taken from the top


def table_of(first_word: int = 0, blocks: int = BLOCKS) -> BlockTable:
    memory = bytearray(2 * blocks * WORD_BYTES)
    lives = Words(memory, 0, blocks)
    lives.fetch_or(0, first_word)
    return BlockTable(lives, Spans(memory, 0, blocks))


def test_generation_counts_lives_and_wraps_to_zero() -> None:
    table = table_of((GENERATIONS - 2) << HOLDERS)
    for generation in (GENERATIONS - 1, 0, 1):
        assert table.take(1, 5) == (0, generation, True)
        assert table.held() == {0: (5,)}
        assert table.lease(0, (generation - 1) % GENERATIONS, 6) is None
        assert table.drop(0, generation, 5)


def test_pass_on_is_one_change_that_only_the_holder_can_make() -> None:
    table = table_of()
    block, generation, _ = table.take(1, 3) or (-1, -1, False)
    assert table.pass_on(block, generation, 4, 0) is None
    assert table.lease(block, generation, 39) is True
    assert table.pass_on(block, generation, 3, 0) is True
    assert table.held() == {0: (0, 39)}
    assert table.pass_on(block, generation, 39, 0) is False
    assert table.held() == {0: (0,)}


def test_small_spans_grow_from_the_bottom_and_large_ones_from_the_top() -> None:
    table = table_of()
    assert [taken[0] for _ in range(3) if (taken := table.take(1, 1))] == [0, 1, 2]
    assert [taken[0] for _ in range(2) if (taken := table.take(5, 1))] == [123, 118]
    assert table.used() == (13, 0) and table.longest() == 115
    table.back(123, 5)
    assert table.reclaim(1) == 5
    assert table.used() == (0, 5) and table.longest() == BLOCKS
    assert table.take(BLOCKS, 1) == (0, 2, True)
    assert table.take(1, 1) is None


def test_pages_are_made_until_they_are_noted_as_made() -> None:
    """Who dies between taking and making leaves the making to the next; afterwards it is done for every later life."""
    table = table_of()
    for is_missing in (True, True, False, False):
        head, generation, is_fresh = table.take(4, 3) or (-1, -1, False)
        assert is_fresh == is_missing
        if generation == 2:
            table.back(head, 4)
        assert table.drop(head, generation, 3)


def test_a_span_ends_for_all_its_blocks_with_its_last_holder() -> None:
    table = table_of()
    head, generation, _ = table.take(6, 3) or (-1, -1, False)
    assert table.lease(head, generation, 7)
    assert all(table.belongs(block, head, generation) for block in range(head, head + 6))
    assert not table.belongs(head - 1, head, generation)
    assert table.drop(head, generation, 3)
    assert table.take(BLOCKS, 1) is None and table.used()[0] == 6
    assert table.drop(head, generation, 7)
    assert table.take(BLOCKS, 1) is not None


@given(st.lists(st.tuples(st.integers(1, 12), st.integers(0, 3), st.booleans()), max_size=60))
def test_spans_never_overlap_and_are_found_while_there_is_room(orders: list[tuple[int, int, bool]]) -> None:
    """Against a list of blocks: each order takes a span or, for an odd holder, drops the oldest first."""
    table, owner = table_of(blocks=32), [-1] * 32
    held: list[tuple[int, int, int, int]] = []
    for turn, (count, holder, drops) in enumerate(orders):
        if drops and held:
            head, generation, length, by = held.pop(0)
            assert table.drop(head, generation, by)
            owner[head : head + length] = [-1] * length
        taken = table.take(count, holder)
        rows = "".join(" " if each < 0 else "x" for each in owner).split("x")
        assert (taken is not None) == (max(map(len, rows)) >= count)
        if taken is not None:
            assert owner[taken[0] : taken[0] + count] == [-1] * count
            owner[taken[0] : taken[0] + count] = [turn] * count
            held.append((taken[0], taken[1], count, holder))
        assert table.used()[0] == sum(each >= 0 for each in owner)
        assert table.longest() == max(map(len, "".join(" " if each < 0 else "x" for each in owner).split("x")))


def test_holders_of_a_life() -> None:
    assert holders_of(9 << HOLDERS | 1 << 39 | 1) == (0, 39)


def test_only_an_arena_of_this_version_is_mapped() -> None:
    fd = create_arena(64 << 10)
    Arena(fd)
    os.pwrite(fd, b"\xff", VERSION_WORD * WORD_BYTES)
    with pytest.raises(ValueError, match="not an arena of layout version 2"):
        Arena(fd)
    empty = os.memfd_create("empty")
    with pytest.raises(ValueError, match="the 0 bytes of descriptor"):
        Arena(empty)
    for each in (fd, empty):
        os.close(each)


def test_tables_must_fit_their_buffer() -> None:
    with pytest.raises(ValueError, match="two tables of 3 aligned words do not fit at offset 8"):
        Spans(bytearray(48), 8, 3)
    with pytest.raises(ValueError, match="count >= 1"):
        Spans(bytearray(48), 0, 3).take(0, 1, False)
