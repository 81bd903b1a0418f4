"""What a process holds, as the kernel counts it: what a memory budget is measured by.

    anonymous    private pages: converted weights, activations, the interpreter
    shared       pages of shared memory that it has touched: the tensor arena
    mapped       resident pages of weight files in its address space. They lie in the page cache, once for all
                 processes that map the file, and count in full for each

It knows no models. A look costs some 20 ms of kernel time per GB.
"""

import ctypes
from dataclasses import dataclass
from pathlib import Path

WEIGHTS_SUFFIX = b".safetensors"
HEX_DIGITS = b"0123456789abcdef"


@dataclass(frozen=True, slots=True)
class Held:
    """Bytes that a process holds."""

    anonymous_bytes: int
    shared_bytes: int
    mapped_bytes: int  # of weight files

    @property
    def total_bytes(self) -> int:
        return self.anonymous_bytes + self.shared_bytes + self.mapped_bytes


def held(pid: int | str = "self") -> Held:
    """What a process holds now.

    raises    OSError when it has ended or belongs to another user
    """
    process = Path("/proc") / str(pid)
    anonymous_kb = mapped_kb = 0
    is_weights = False
    for line in (process / "smaps").read_bytes().splitlines():
        if line[0] in HEX_DIGITS:  # a mapping begins; its figures follow, in capitals
            is_weights = line.endswith(WEIGHTS_SUFFIX)
        elif line.startswith(b"Anonymous:"):
            anonymous_kb += int(line.split()[1])
        elif is_weights and line.startswith(b"Rss:"):
            mapped_kb += int(line.split()[1])
    return Held(1024 * anonymous_kb, 1024 * _status_kb(process, "RssShmem:"), 1024 * mapped_kb)


def resident_bytes() -> int:
    """All resident pages of this process. The next `peak_bytes` tells the most from here on."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return 1024 * _status_kb(Path("/proc/self"), "VmRSS:")


def peak_bytes() -> int:
    """The most that was resident at once since `resident_bytes` was asked."""
    return 1024 * _status_kb(Path("/proc/self"), "VmHWM:")


def give_back() -> None:
    """Have the allocator return what it keeps of freed memory to the kernel."""
    ctypes.CDLL(None).malloc_trim(0)


def _status_kb(process: Path, field: str) -> int:
    lines = (process / "status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field))
