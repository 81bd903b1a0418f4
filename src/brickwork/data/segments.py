"""The descriptors of a host's tensor memory, and what a process makes of them: a store of its own."""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from brickwork.data.arena import Arena, create_arena
from brickwork.data.spill import create_spill
from brickwork.data.tensors import TensorStore


@dataclass(frozen=True, slots=True)
class Segments:
    """Descriptors of a host's tensor memory, closed on exec; pass them to a child explicitly (pass_fds, SCM_RIGHTS).

    They belong to one `Keeper`, which closes them.
    """

    arena: int
    spill: int | None = None

    def fds(self) -> tuple[int, ...]:
        return (self.arena,) if self.spill is None else (self.arena, self.spill)

    def named(self) -> dict[str, int]:
        """By the fields of ExecutorConfig in which an executor finds them."""
        return dict(zip(("arena_fd", "spill_fd"), self.fds(), strict=False))


def open_store(segments: Segments, holder: int | None = None, host: str | None = None) -> TensorStore:
    """Map a host's tensor memory.

    holder    the number that a coordinator claimed for this process; None: a number of its own
    raises    StaleHandle when the number is not claimed; OutOfSpace when none is free; ValueError for a descriptor
              that is no arena
    """
    arena, *spill = (Arena(fd, host) for fd in segments.fds())
    if holder is None:
        holder = arena.lives.enter()
    else:
        arena.lives.sign(holder)
    return TensorStore(arena, holder, *spill)


def create_segments(arena_bytes: int, spill_bytes: int, spill_dir: Path | None) -> Segments:
    """A new arena, and a new spill file in `spill_dir` (None: the system's temporary directory) unless `spill_bytes`
    is 0. Raises OutOfSpace."""
    arena = create_arena(arena_bytes)
    if not spill_bytes:
        return Segments(arena)
    try:
        return Segments(arena, create_spill(spill_dir or Path(tempfile.gettempdir()), spill_bytes))
    except BaseException:
        os.close(arena)
        raise
