"""64-bit atomic words on a mapped buffer. Orders and partners: native/words.cpp."""

from collections.abc import Sequence
from enum import Enum
from typing import Any

from typing_extensions import Buffer

from brickwork.core.ids import ExecutorId

class Words:
    """`count` 64-bit words at `offset` of a writable buffer; every access is atomic.

    The buffer stays exported, so its mapping cannot be closed while the words are alive. No call blocks.

    raises    ValueError when the words do not fit in the buffer or are not aligned to 8 bytes;
              BufferError when the buffer is read-only; IndexError when a word is out of range
    """

    def __init__(self, buffer: Buffer, offset: int, count: int) -> None: ...
    def __len__(self) -> int: ...
    def load(self, i: int) -> int: ...
    def compare_exchange(self, i: int, expected: int, desired: int) -> bool:
        """Change word `i` from `expected` to `desired`; False when it was something else."""

    def fetch_or(self, i: int, bits: int) -> int:
        """Set bits. Returns the word as it was; so do the other two."""

    def fetch_and(self, i: int, bits: int) -> int: ...
    def fetch_add(self, i: int, addend: int) -> int: ...
    def first_equal_masked(self, start: int, stop: int, mask: int, value: int) -> int:
        """Index of the first word in [start, stop) with `word & mask == value`, or -1. A hint: it may change."""

class Ranking:
    """Executors in rising order of a number each, ties by id. Distinct pairs; finding one's place is O(log n).

    Making room moves entries of 24 bytes, under a microsecond for 1,000. Why not a list: ADR 0031.
    """

    def __init__(self) -> None: ...
    def add(self, number: float, name: ExecutorId) -> None:
        """raises ValueError for nan"""

    def remove(self, number: float, name: ExecutorId) -> None:
        """Take a pair out. raises KeyError when it is not there, which means that an index went wrong."""

    def first(self, count: int) -> list[ExecutorId]: ...
    def last(self, count: int) -> list[ExecutorId]:
        """The `count` with the largest numbers, the largest first."""

    def every(self, step: int) -> list[tuple[float, ExecutorId]]:
        """One pair of each `step` >= 1, from the middle of the first `step` on."""

    def number(self, place: int) -> float:
        """Of the one at `place`. raises IndexError"""

    def __len__(self) -> int: ...

SPAN_HOLDERS: int
SPAN_GENERATIONS: int

class Spans:
    """The tables of an arena's blocks, lives and covers, `blocks` words each, at `offset` of a writable buffer.

    How they work together is told in native/spans.cpp, and what the bits of a life mean in data/blocks.py. No call
    blocks; all are safe against every process that maps the tables.
    """

    def __init__(self, buffer: Buffer, offset: int, blocks: int) -> None: ...
    def take(self, count: int, holder: int, from_top: bool) -> tuple[int, int, bool] | None:
        """Lease `count` free blocks in a row: (head, generation, whether pages of some may not exist), or None."""

    def back(self, head: int, count: int) -> None:
        """Note that the pages of a span exist; for who took it, after making them."""

    def heads(self) -> list[int]:
        """Blocks that begin a tensor which somebody holds, each at its own moment."""

    def longest(self) -> int:
        """Blocks of the longest free row, at some moment."""

    def used(self) -> tuple[int, int]:
        """(blocks in use, blocks whose pages exist), each at its own moment."""

    def belongs(self, block: int, head: int, generation: int) -> bool:
        """Whether `block` belongs to that life of `head`, if that life is not over."""

def tensor_view(buffer: Buffer, offset: int, shape: Sequence[int], code: int, bits: int, owner: object) -> Any:
    """The bytes at `offset` as a read-only, C-contiguous tensor that reads as DLPack and as a buffer.

    code, bits    of the DLPack data type (0 int, 1 uint, 2 float, 4 bfloat, 6 bool)
    owner         lives until the last view is gone; it keeps the buffer's memory alive
    raises        ValueError when the tensor reaches beyond the buffer
    """

# Fabrics: native/fabric.hpp

class FabricError(ConnectionError):
    """A verb failed. `fault`: peer_lost, timed_out (both: it may have happened), out_of_range, refused (it did not)."""

    fault: str

class Region:
    """Memory shared by file descriptor; all of the file is mapped, writable."""

    def __init__(self, fd: int) -> None: ...
    @staticmethod
    def create(bytes: int) -> int:
        """A new memfd of zeros, closed on exec. The caller closes it."""

    @property
    def fd(self) -> int: ...
    def __len__(self) -> int: ...
    def view(self) -> memoryview:
        """The bytes, writable. Keep the region for as long as the view is used."""

class Capability:
    @property
    def native_put(self) -> bool: ...
    @property
    def native_get(self) -> bool: ...
    @property
    def native_atomics(self) -> bool: ...
    @property
    def needs_target_progress(self) -> bool: ...
    @property
    def composite_append(self) -> bool: ...

class AppendTarget: ...

class Endpoint:
    @property
    def capability(self) -> Capability: ...
    def __len__(self) -> int: ...
    def put(self, offset: int, source: Buffer) -> None: ...
    def get(self, offset: int, target: Buffer) -> None: ...
    def compare_and_swap(self, offset: int, expected: int, desired: int) -> int: ...
    def fetch_add(self, offset: int, addend: int) -> int: ...
    def flush(self) -> None: ...
    def wake(self, offset: int) -> None: ...
    def append(self, a: int, b: int, record: Buffer) -> int: ...

class ShmEndpoint(Endpoint):
    def __init__(self, region: Region) -> None: ...

# The inbox: native/inbox.hpp

class Ring(Enum):
    lossless = ...
    locked = ...
    lanes = ...

class Append(Enum):
    committed = ...
    full = ...
    too_large = ...
    fenced = ...

def crc32c(bytes: Buffer) -> int: ...
def inbox_bytes(ring: Ring, slots: int, lanes: int, lane_bytes: int) -> int:
    """raises    ValueError that names the field"""

def format_inbox(
    region: Region,
    ring: Ring,
    slots: int,
    lanes: int,
    lane_bytes: int,
    grace_min_ns: int,
    grace_max_ns: int,
    lock_lease_ns: int,
) -> None:
    """raises    ValueError that names the field"""

class LaneHold:
    """One producer life's right to a lane; ends with `leave`, or with the process.

    raises    FabricError, refused, when no lane is free now
    """

    def __init__(self, region: Region) -> None: ...
    @property
    def lane(self) -> int: ...
    @property
    def life(self) -> int: ...
    def leave(self) -> None: ...

class InboxTarget(AppendTarget):
    def __init__(self, region: Region, lease_s: float) -> None: ...
    def append(self, a: int, b: int, record: Buffer) -> int: ...

class Producer:
    @staticmethod
    def local(endpoint: Endpoint, lane: int, life: int) -> Producer: ...
    @staticmethod
    def remote(endpoint: Endpoint) -> Producer: ...
    def append(self, kind: int, payload: Buffer, timeout_s: float) -> Append: ...
    def try_append(self, kind: int, payload: Buffer) -> Append: ...
    def acknowledged(self) -> int: ...
    def reconnect(self, endpoint: Endpoint) -> None: ...
    @property
    def life(self) -> int: ...
    @property
    def appended(self) -> int: ...
    @property
    def skipped(self) -> int: ...

class Message:
    """One record as received. `payload` is a copy."""

    @property
    def number(self) -> int: ...
    @property
    def life(self) -> int: ...
    @property
    def sequence(self) -> int: ...
    @property
    def kind(self) -> int: ...
    @property
    def redelivered(self) -> bool: ...
    @property
    def payload(self) -> bytes: ...

class Counters:
    @property
    def delivered(self) -> int: ...
    @property
    def skipped(self) -> int: ...
    @property
    def duplicates(self) -> int: ...
    @property
    def damaged(self) -> int: ...
    @property
    def recycled(self) -> int: ...

class Consumer:
    @staticmethod
    def attach(region: Region, spin_s: float) -> Consumer: ...
    def receive(self, at_most: int, timeout_s: float) -> list[Message]: ...
    def acknowledge(self, number: int) -> None: ...
    @property
    def counters(self) -> Counters: ...
    @property
    def epoch(self) -> int: ...
    @property
    def depth(self) -> int: ...

class Watcher:
    """A thread that sleeps on many inboxes and tells through one eventfd. Tells once for each `watch`."""

    def __init__(self) -> None: ...
    @property
    def fd(self) -> int: ...
    def watch_consumer(self, id: int, consumer: Consumer) -> None: ...
    def watch_credit(self, id: int, producer: Producer) -> None: ...
    def forget(self, id: int) -> None: ...
    def take_ready(self) -> list[int]: ...

class TcpTarget:
    """One thread that carries out on this process's regions what peers ask for (native/tcp_target.hpp).

    raises    OSError; ValueError when `host` is not in digits
    """

    def __init__(self, host: str, port: int, secret: bytes, hello_s: float = 5.0, stall_s: float = 30.0) -> None: ...
    @property
    def port(self) -> int: ...
    def add_region(self, region_id: int, memory: Buffer, append: AppendTarget | None = None) -> None: ...
    def remove_region(self, region_id: int) -> None: ...
    def counts(self) -> tuple[int, int, int]:
        """Connections so far: accepted, refused, ended."""

    def close(self) -> None: ...

class TcpEndpoint(Endpoint):
    """raises    FabricError; ValueError when `host` is not in digits"""

    def __init__(self, host: str, port: int, secret: bytes, region_id: int, timeout_s: float) -> None: ...

TCP_VERSION: int

def tcp_sha256(message: bytes) -> bytes: ...
def tcp_hmac_sha256(key: bytes, message: bytes) -> bytes: ...
def ucx_load(path: str) -> None:
    """raises    RuntimeError that tells why it cannot be loaded"""

def ucx_version() -> str: ...

class UcxContext:
    def __init__(self, transports: str = "") -> None: ...
    def devices(self) -> str: ...

class UcxTarget:
    """Memory that peers reach by UCX, and a thread for what UCX does in software (native/ucx_target.hpp)."""

    def __init__(self, context: UcxContext) -> None: ...
    def add_region(self, region_id: int, memory: Buffer) -> bytes: ...
    def allocate(self, region_id: int, bytes: int) -> bytes: ...
    def memory(self, region_id: int) -> memoryview: ...
    def remove_region(self, region_id: int) -> None: ...
    def close(self) -> None: ...

class UcxEndpoint(Endpoint):
    def __init__(
        self,
        context: UcxContext,
        descriptor: bytes,
        timeout_s: float,
        native_put: bool = False,
        native_get: bool = False,
        native_atomics: bool = False,
    ) -> None: ...
    def transports(self) -> str: ...
