"""What an executor is told at launch. Its own file, since the coordinator needs it and must not load the rest."""

from dataclasses import dataclass

from brickwork.core.ids import ExecutorId


@dataclass(frozen=True, slots=True)
class ExecutorConfig:
    """All that an executor is told at launch. Travels as JSON."""

    executor: ExecutorId
    holder: int  # its bit in the arena's block words
    address: str  # Unix socket of the coordinator
    token: str  # secret for Hello
    threads: int  # torch threads
    memory_bytes: int  # budget for weights
    arena_fd: int = -1  # memfd of the host's arena; the fleet sets the number under which the process has it
    spill_fd: int = -1  # likewise, of the arena on disk; -1: there is none
    heartbeat_s: float = 0.25
