"""One host's tensor memory: a memfd, mapped by every process that puts or gets.

It has no name, so nothing is left behind when the last process is gone, however it went. The tables are
mapped writable (a lease is a write), the blocks twice: read-only for those who read and writable for those
who produce, so that a reader's mistake faults instead of changing a tensor under another reader.
"""

import fcntl
import mmap
import os
import secrets
from pathlib import Path

from brickwork._native import Words
from brickwork.data.blocks import BlockTable
from brickwork.data.layout import (
    ARENA_BYTES_WORD,
    HEADER_BYTES,
    HEADER_WORDS,
    MAGIC,
    MAGIC_WORD,
    MIN_ARENA_BYTES,
    SEGMENT_WORD,
    VERSION,
    VERSION_WORD,
    Layout,
    file_bytes,
    layout_of,
)


class Arena:
    """A mapped arena. Every view of it keeps the mapping alive; `fd` is not needed any longer and stays the
    caller's.

    raises    ValueError when `fd` is not an arena of this version
    """

    def __init__(self, fd: int):
        self.layout = _layout_in(fd)
        self.host = host_id()
        tables = mmap.mmap(fd, self.layout.classes[0].offset)
        marks = Words(tables, 0, HEADER_WORDS)
        self.segment = marks.load(SEGMENT_WORD)
        self.table = BlockTable(Words(tables, HEADER_BYTES, self.layout.blocks), marks)
        self.readable = memoryview(mmap.mmap(fd, file_bytes(self.layout), prot=mmap.PROT_READ))
        self.writable = memoryview(mmap.mmap(fd, file_bytes(self.layout)))


def create_arena(arena_bytes: int) -> int:
    """Make an arena; its descriptor, closed on exec, is the caller's to close."""
    layout = layout_of(arena_bytes)
    fd = os.memfd_create("brickwork-arena", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, file_bytes(layout))
    # A process that could shrink the file would kill every other one that touches it.
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
    words = Words(mmap.mmap(fd, HEADER_BYTES), 0, HEADER_WORDS)
    words.fetch_or(ARENA_BYTES_WORD, arena_bytes)
    words.fetch_or(SEGMENT_WORD, secrets.randbits(48))
    words.fetch_or(VERSION_WORD, VERSION)
    words.fetch_or(MAGIC_WORD, MAGIC)
    return fd


def host_id() -> str:
    """Names this boot of this host: memory of another boot is gone."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _layout_in(fd: int) -> Layout:
    size = os.fstat(fd).st_size
    if size >= MIN_ARENA_BYTES:
        header = Words(mmap.mmap(fd, HEADER_BYTES), 0, HEADER_WORDS)
        arena_bytes = header.load(ARENA_BYTES_WORD)
        if (header.load(MAGIC_WORD), header.load(VERSION_WORD)) == (MAGIC, VERSION):
            layout = layout_of(arena_bytes)
            if file_bytes(layout) == size:
                return layout
    raise ValueError(f"arena: the {size} bytes of descriptor {fd} are not an arena of layout version {VERSION}")
