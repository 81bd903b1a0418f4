"""Goal: blocks never overlap, whatever the size of the arena. Method: Hypothesis over arena sizes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brickwork.data.layout import (
    BLOCK_BYTES,
    HEADER_BYTES,
    MIN_ARENA_BYTES,
    WORD_BYTES,
    file_bytes,
    layout_of,
)

ARENA_BYTES = st.integers(MIN_ARENA_BYTES, 1 << 40)


@given(ARENA_BYTES)
def test_header_table_and_blocks_lie_in_a_row(arena_bytes: int) -> None:
    layout = layout_of(arena_bytes)
    end, first = HEADER_BYTES + layout.blocks * WORD_BYTES, 0
    for size_class in layout.classes:
        assert size_class.first == first < size_class.stop
        assert size_class.offset >= end and size_class.offset % 4096 == 0
        first, end = size_class.stop, size_class.offset_of(size_class.stop)
    assert end == file_bytes(layout)
    assert sum(size.block_bytes * (size.stop - size.first) for size in layout.classes) <= arena_bytes


@given(ARENA_BYTES, st.data())
def test_a_block_knows_its_class(arena_bytes: int, data: st.DataObject) -> None:
    layout = layout_of(arena_bytes)
    size_class = layout.class_of(data.draw(st.integers(0, layout.blocks - 1)))
    assert size_class in layout.classes_for(size_class.block_bytes)
    assert size_class not in layout.classes_for(size_class.block_bytes + 1)


def test_a_large_arena_has_large_blocks_and_a_tiny_one_is_refused() -> None:
    assert [size.block_bytes for size in layout_of(4 << 30).classes] == list(BLOCK_BYTES)
    with pytest.raises(ValueError, match="arena_bytes: 65535 is too small"):
        layout_of(MIN_ARENA_BYTES - 1)
