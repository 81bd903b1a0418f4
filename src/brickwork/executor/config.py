"""What an executor is told at launch, and how its memory budget is shared out. Its own file, since the coordinator
needs both and must not load the rest."""

from dataclasses import dataclass

from brickwork.core.errors import BrickworkError
from brickwork.core.ids import ExecutorId

OWN_BYTES = 64 * 2**20
"""What an executor holds besides, above what its imports hold: the interpreter's and the allocator's growth, code of
the libraries that is imported late, pages of the tensor arena that it has touched. The starter model's executor grows
by 16 MB and touches 6 MB of the arena in its first 120 requests."""

ADAPTER_SHARE = 16
"""One part in so many of the budget is for adapters (LoRA): they come with the requests, so nobody plans them."""


@dataclass(frozen=True, slots=True)
class ExecutorConfig:
    """All that an executor is told at launch. Travels as JSON."""

    executor: ExecutorId
    holder: int  # its bit in the arena's block words
    address: str  # Unix socket of the coordinator
    token: str  # secret for Hello
    threads: int  # torch threads
    memory_bytes: int  # budget for all that it holds above what its imports hold, see `shares`
    arena_fd: int = -1  # memfd of the host's arena; the fleet sets the number under which the process has it
    spill_fd: int = -1  # likewise, of the arena on disk; -1: there is none
    heartbeat_s: float = 0.25


@dataclass(frozen=True, slots=True)
class Shares:
    """How a memory budget is shared out. The parts add up to it."""

    own_bytes: int
    adapter_bytes: int
    model_bytes: int  # weights and activations: what control plans with


def shares(memory_bytes: int) -> Shares:
    """The shares of a budget.

    raises    BrickworkError when nothing would be left for models
    """
    adapter_bytes = memory_bytes // ADAPTER_SHARE
    model_bytes = memory_bytes - OWN_BYTES - adapter_bytes
    if model_bytes <= 0:
        raise BrickworkError(
            f"A memory budget of {memory_bytes:,} bytes leaves nothing for models: an executor needs {OWN_BYTES:,} for "
            f"itself and keeps one part in {ADAPTER_SHARE} for adapters. Raise it."
        )
    return Shares(OWN_BYTES, adapter_bytes, model_bytes)
