"""One segment of a host's tensor memory: a file without a name, mapped by every process that puts or gets.

In memory it is a memfd, on disk an unlinked file (spill.py): nothing is left behind when the last process is gone,
however it went. The tables are mapped writable (a lease is a write), the blocks twice: read-only for those who read and
writable for those who produce, so that a reader's mistake faults instead of changing a tensor under another reader.
"""

import errno
import fcntl
import mmap
import os
import secrets
from contextlib import suppress
from pathlib import Path

from brickwork._native import Spans, Words
from brickwork.core.errors import OutOfSpace
from brickwork.data.blocks import HOLDERS, BlockTable
from brickwork.data.layout import (
    ARENA_BYTES_WORD,
    FIRST_HOLDER_WORD,
    HEADER_BYTES,
    HEADER_WORDS,
    MAGIC,
    MAGIC_WORD,
    MIN_ARENA_BYTES,
    NAMESPACE_WORD,
    SEGMENT_WORD,
    VERSION,
    VERSION_WORD,
    WORD_BYTES,
    Layout,
    layout_of,
)
from brickwork.data.lives import Lives, pid_namespace

MADV_POPULATE_WRITE = 23  # <linux/mman.h>; since Linux 5.14
NO_MEMORY = (errno.ENOMEM, errno.EFAULT, errno.ENOSPC)
"""What populating says where a write would end the process: no memory, no room in the file's file system."""


class Arena:
    """A mapped segment. Every view of it keeps the mapping alive; `fd` is not needed any longer and stays the caller's.

    host      names the host that the segment is on; None: this one. Tests of two hosts on one machine give another
    raises    ValueError when `fd` is not an arena of this version, or of another PID namespace
    """

    def __init__(self, fd: int, host: str | None = None):
        self.layout = _layout_in(fd)
        self.host = host or host_id()
        tables = mmap.mmap(fd, self.layout.offset)
        header = Words(tables, 0, HEADER_WORDS)
        self.segment = header.load(SEGMENT_WORD)
        blocks = self.layout.blocks
        self.table = BlockTable(Words(tables, HEADER_BYTES, blocks), Spans(tables, HEADER_BYTES, blocks))
        self.lives = Lives(Words(tables, FIRST_HOLDER_WORD * WORD_BYTES, HOLDERS))
        self.readable = memoryview(mmap.mmap(fd, self.layout.file_bytes, prot=mmap.PROT_READ))
        self._map = mmap.mmap(fd, self.layout.file_bytes)
        self.writable = memoryview(self._map)
        with suppress(OSError):  # a kernel without huge pages for shared memory
            self._map.madvise(mmap.MADV_HUGEPAGE)

    def populate(self, block: int, count: int) -> None:
        """Make the pages of a taken span exist, so that writing them cannot fail. They stay with the arena.

        raises    OutOfSpace when the host has no memory, or the disk no room, for them
        """
        start = self.layout.offset_of(block)
        try:
            self._map.madvise(MADV_POPULATE_WRITE, start, count * self.layout.block_bytes)
        except OSError as error:
            if error.errno in NO_MEMORY:
                raise OutOfSpace(
                    f"The host has no room for {count * self.layout.block_bytes} bytes more of segment "
                    f"{self.segment:x}: {os.strerror(error.errno)}. Free memory or disk space."
                ) from None
            # an older kernel: pages come when they are touched
        self.table.back(block, count)


def create_arena(arena_bytes: int) -> int:
    """Make an arena in memory; its descriptor, closed on exec, is the caller's to close."""
    fd = os.memfd_create("brickwork-arena", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    format_arena(fd, arena_bytes)
    # A process that could shrink the file would kill every other one that touches it.
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
    return fd


def format_arena(fd: int, arena_bytes: int) -> None:
    """Make an empty file an arena."""
    os.ftruncate(fd, layout_of(arena_bytes).file_bytes)
    words = Words(mmap.mmap(fd, HEADER_BYTES), 0, HEADER_WORDS)
    words.fetch_or(ARENA_BYTES_WORD, arena_bytes)
    words.fetch_or(SEGMENT_WORD, secrets.randbits(48))
    words.fetch_or(NAMESPACE_WORD, pid_namespace())
    words.fetch_or(VERSION_WORD, VERSION)
    words.fetch_or(MAGIC_WORD, MAGIC)


def host_id() -> str:
    """Names this boot of this host: memory of another boot is gone."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _layout_in(fd: int) -> Layout:
    size = os.fstat(fd).st_size
    if size >= MIN_ARENA_BYTES:
        header = Words(mmap.mmap(fd, HEADER_BYTES), 0, HEADER_WORDS)
        arena_bytes = header.load(ARENA_BYTES_WORD)
        if (header.load(MAGIC_WORD), header.load(VERSION_WORD)) == (MAGIC, VERSION):
            if header.load(NAMESPACE_WORD) != pid_namespace():
                raise ValueError(
                    "arena: it belongs to another PID namespace, where this process could not be proven dead. "
                    "Containers that share an arena must share their PID namespace."
                )
            layout = layout_of(arena_bytes)
            if layout.file_bytes == size:
                return layout
    raise ValueError(f"arena: the {size} bytes of descriptor {fd} are not an arena of layout version {VERSION}")
