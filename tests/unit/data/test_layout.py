"""Goal: tables and blocks never overlap, whatever the size of the arena. Method: Hypothesis over arena sizes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brickwork.data.layout import HEADER_BYTES, MAX_BLOCKS, MIN_ARENA_BYTES, PAGE_BYTES, WORD_BYTES, layout_of

ARENA_BYTES = st.integers(MIN_ARENA_BYTES, 1 << 44)


@given(ARENA_BYTES)
def test_header_tables_and_blocks_lie_in_a_row(arena_bytes: int) -> None:
    layout = layout_of(arena_bytes)
    assert layout.offset >= HEADER_BYTES + 2 * layout.blocks * WORD_BYTES
    assert layout.offset % PAGE_BYTES == layout.block_bytes % PAGE_BYTES == 0
    assert layout.file_bytes == layout.offset + layout.blocks * layout.block_bytes


@given(ARENA_BYTES)
def test_an_arena_has_many_blocks_but_not_too_many_and_wastes_less_than_one(arena_bytes: int) -> None:
    layout = layout_of(arena_bytes)
    assert MIN_ARENA_BYTES // PAGE_BYTES <= layout.blocks <= MAX_BLOCKS
    assert 0 <= arena_bytes - layout.blocks * layout.block_bytes < layout.block_bytes


@given(ARENA_BYTES, st.integers(0, 1 << 40))
def test_a_span_is_just_long_enough(arena_bytes: int, nbytes: int) -> None:
    layout = layout_of(arena_bytes)
    count = layout.blocks_for(nbytes)
    assert count * layout.block_bytes >= nbytes
    assert count == 1 or (count - 1) * layout.block_bytes < nbytes


def test_a_tiny_arena_is_refused() -> None:
    assert layout_of(256 << 20).block_bytes == 4096
    assert layout_of(64 << 30).block_bytes == 1 << 20
    with pytest.raises(ValueError, match="arena_bytes: 65535 is too small"):
        layout_of(MIN_ARENA_BYTES - 1)
