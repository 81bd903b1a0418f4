"""The fabric of machines with InfiniBand or RoCE: UCX, looked for at run time.

Looked for in this order: `BRICKWORK_UCX` (libucp.so.0, or the directory that holds it), the system's libucp.so.0, which
has verbs where the distribution built it so, and the wheel libucx-cu12 or libucx-cu13, which has none.

Use it where the self-test finds native verbs. Over tcp UCX carries them out in software in the target's process, checks
neither who connects nor what address is written, and ends that process when a peer gives up in the middle of a request;
brickwork's own tcp fabric does not. docs/internals/fabrics.md has the measurements.
"""

import importlib.util
import os
import re
import secrets
from functools import cache
from pathlib import Path

from typing_extensions import Buffer

from brickwork import _native
from brickwork._native import Endpoint, Region, UcxEndpoint
from brickwork.core.errors import BrickworkError
from brickwork.data.fabric.word import CapabilityWord

TIMEOUT_S = 10.0
NETWORK_TRANSPORTS = "^sm"
"""All that UCX has but shared memory, which finds peers of the same host behind a network's back."""


class UcxUnavailable(BrickworkError):
    """There is no UCX that works; the text says where it was looked for and what was found there."""


class UcxTarget:
    """Serves regions of this process by UCX, until `close`.

    transports    UCX's own list, such as "tcp,self"; "" for what UCX_TLS says
    raises        UcxUnavailable
    """

    def __init__(self, transports: str = NETWORK_TRANSPORTS):
        self.native = _native.UcxTarget(_context(transports))
        self._regions: dict[int, Region | Buffer] = {}

    def serve(self, memory: Region | Buffer) -> bytes:
        """Let peers reach `memory`. Returns the descriptor that they need; give it to nobody else: it is the key."""
        region_id = secrets.randbits(63)
        descriptor = self.native.add_region(region_id, memory.view() if isinstance(memory, Region) else memory)
        self._regions[region_id] = memory
        return descriptor

    def allocate(self, nbytes: int) -> tuple[bytes, memoryview]:
        """Memory of UCX's own, which its shared-memory transports reach natively; valid until `close`."""
        region_id = secrets.randbits(63)
        descriptor = self.native.allocate(region_id, nbytes)
        return descriptor, self.native.memory(region_id)

    def close(self) -> None:
        """Stop serving. Peers notice by their time-outs."""
        self.native.close()
        self._regions.clear()


def connect(
    descriptor: bytes,
    timeout_s: float = TIMEOUT_S,
    capability: CapabilityWord | None = None,
    transports: str = NETWORK_TRANSPORTS,
) -> Endpoint:
    """An endpoint to the region of `descriptor`. Connects with the first call.

    capability    what the self-test found over these transports; None: nothing is native
    raises        UcxUnavailable; FabricError
    """
    word = capability or CapabilityWord(native_put=False, native_get=False, native_atomics=False)
    return UcxEndpoint(
        _context(transports), descriptor, timeout_s, word.native_put, word.native_get, word.native_atomics
    )


def load() -> str:
    """Find UCX and load it for the life of the process. Returns its version.

    raises    UcxUnavailable
    """
    failures = []
    os.environ.setdefault("UCX_MEM_EVENTS", "n")  # no hooks into everybody's malloc: regions are registered once
    os.environ.setdefault("UCX_LOG_LEVEL", "fatal")  # it writes to standard output; what fails reaches us as errors
    for path in candidates():
        try:
            _native.ucx_load(path)
            return str(_native.ucx_version())
        except RuntimeError as error:
            failures.append(f"{path}: {error}")
    raise UcxUnavailable(
        f"UCX was not found ({'; '.join(failures)}). Install the system's libucx0 or `pip install libucx-cu12`, "
        "or name a libucp.so.0 in BRICKWORK_UCX."
    )


def candidates() -> list[str]:
    """Where UCX may be, best first. With BRICKWORK_UCX only there."""
    if named := os.environ.get("BRICKWORK_UCX"):
        return [str(Path(named) / "libucp.so.0") if Path(named).is_dir() else named]
    wheel = importlib.util.find_spec("libucx")
    in_wheel = [str(Path(wheel.origin).parent / "lib" / "libucp.so.0")] if wheel and wheel.origin else []
    return ["libucp.so.0", *in_wheel]


def transports(selection: str = NETWORK_TRANSPORTS) -> tuple[str, ...]:
    """The transports that UCX has here, of those selected.

    raises    UcxUnavailable
    """
    names = re.findall(r"resource\s+\d+.*?(\w+)/\S+\s*$", _context(selection).devices(), re.MULTILINE)
    return tuple(dict.fromkeys(names))


@cache
def _context(selection: str) -> _native.UcxContext:
    load()
    return _native.UcxContext(os.environ.get("UCX_TLS", "") if selection == "" else selection)
