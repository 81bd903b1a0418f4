"""Tensor memory on disk, for when memory is full: the same arena on an unlinked file.

Nothing is moved between the two. A tensor that finds no room in memory is put into the file and mapped in place like
any other, and the kernel's page cache decides what of it stays in memory and what is written out: the pages that nobody
touches. The file is bounded by its size, and its room is taken when a span is used first, so that a full disk is an
error and not a dead process.
"""

import os
import tempfile
from pathlib import Path

from brickwork.core.errors import OutOfSpace
from brickwork.data.arena import format_arena

DEFAULT_SPILL_BYTES = 1 << 30
"""Of an embedded cluster: as much again as its memory. The file is sparse."""


def create_spill(directory: Path, spill_bytes: int) -> int:
    """Make an arena of at most `spill_bytes` in a file of `directory` that has no name. Returns its descriptor, closed
    on exec; the caller's to close.

    raises    OutOfSpace that names the directory when no file can be made there
    """
    try:
        with tempfile.TemporaryFile(dir=directory, prefix="brickwork-spill-") as file:
            format_arena(file.fileno(), spill_bytes)
            return os.dup(file.fileno())
    except OSError as error:
        raise OutOfSpace(
            f"No spill file can be made in {directory}: {error.strerror}. Name another directory."
        ) from None
