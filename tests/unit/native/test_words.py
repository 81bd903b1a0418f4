"""Goal: words behave as 64-bit atomics, alone and under real processes that hammer one word.

Method: a model (plain integers) next to the words under Hypothesis; refusals by hand; then several processes
on one memfd, whose total is exact only when every change is atomic.
"""

import mmap
import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brickwork._native import Words

WORD = st.integers(0, 2**64 - 1)
INDEX = st.integers(0, 3)


@given(st.lists(st.tuples(st.sampled_from(["or", "and", "add", "cas_hit", "cas_miss"]), INDEX, WORD)))
def test_changes_follow_the_model(changes: list[tuple[str, int, int]]) -> None:
    words, model = Words(bytearray(40), 8, 4), [0] * 4
    for change, i, operand in changes:
        before = model[i]
        if change == "or":
            model[i] |= operand
            assert words.fetch_or(i, operand) == before
        elif change == "and":
            model[i] &= operand
            assert words.fetch_and(i, operand) == before
        elif change == "add":
            model[i] = (before + operand) % 2**64
            assert words.fetch_add(i, operand) == before
        elif change == "cas_hit":
            model[i] = operand
            assert words.compare_exchange(i, before, operand)
        else:
            assert not words.compare_exchange(i, before ^ 1, operand)
        assert [words.load(k) for k in range(4)] == model


@given(st.lists(st.integers(0, 3), max_size=12), st.integers(0, 12), st.integers(0, 12))
def test_scan_finds_the_first(values: list[int], start: int, stop: int) -> None:
    words = Words(bytearray(8 * len(values)), 0, len(values))
    for i, value in enumerate(values):
        words.fetch_add(i, value << 32 | i)
    if not start <= stop <= len(values):
        with pytest.raises(IndexError):
            words.first_equal_masked(start, stop, 3 << 32, 2 << 32)
        return
    found = [i for i in range(start, stop) if values[i] == 2]
    assert words.first_equal_masked(start, stop, 3 << 32, 2 << 32) == (found[0] if found else -1)


@pytest.mark.parametrize(
    ("offset", "count", "reason"),
    [
        (4, 1, "multiple of 8"),
        (4096, 1, "beyond"),
        (8, 512, "beyond"),
        (2**63, 1, "beyond"),
        (0, 2**61, "beyond"),
    ],
)
def test_refuses_words_that_do_not_fit(offset: int, count: int, reason: str) -> None:
    with mmap.mmap(-1, 4096) as memory, pytest.raises(ValueError, match=reason):
        Words(memory, offset, count)


def test_refuses_a_read_only_buffer_and_a_foreign_index() -> None:
    with pytest.raises(BufferError):
        Words(bytes(16), 0, 1)
    words = Words(bytearray(16), 0, 2)
    for call in (words.load, lambda i: words.fetch_add(i, 1), lambda i: words.compare_exchange(i, 0, 1)):
        with pytest.raises(IndexError):
            call(2)


def test_keeps_the_mapping_alive() -> None:
    memory = mmap.mmap(-1, 4096)
    words = Words(memory, 0, 1)
    with pytest.raises(BufferError):
        memory.close()
    words.fetch_add(0, 7)
    assert words.load(0) == 7
    del words
    memory.close()


HAMMER = """
import mmap, sys
from brickwork._native import Words
fd, times = int(sys.argv[1]), int(sys.argv[2])
words = Words(mmap.mmap(fd, 4096), 0, 3)
for _ in range(times):
    words.fetch_add(0, 1)
    word = words.load(1)
    while not words.compare_exchange(1, word, word + 1):
        word = words.load(1)
"""


def test_processes_lose_no_change() -> None:
    fd, processes, times = os.memfd_create("words"), 4, 100_000
    os.ftruncate(fd, 4096)
    children = [
        subprocess.Popen([sys.executable, "-c", HAMMER, str(fd), str(times)], pass_fds=[fd]) for _ in range(processes)
    ]
    assert [child.wait(timeout=60) for child in children] == [0] * processes
    words = Words(mmap.mmap(fd, 4096), 0, 3)
    os.close(fd)
    assert words.load(0) == words.load(1) == processes * times
