"""The fabric that is always there: over TCP, a thread of the target carries the verbs out.

One target per process serves all its regions. An endpoint is one connection to one region. It does not connect anew by
itself: after `timed_out` or `peer_lost` only the caller's protocol knows what may be asked again, so make a new one by
`connect`, whose `patience_s` is the time to go on trying. Whoever removes a region cuts off everybody who uses it.
"""

import random
import secrets
import socket
from time import monotonic, sleep
from types import TracebackType
from typing import Self

from typing_extensions import Buffer

from brickwork._native import AppendTarget, Endpoint, FabricError, Region, TcpEndpoint
from brickwork._native import TcpTarget as NativeTarget
from brickwork.data.fabric.secret import Secret

TIMEOUT_S = 10.0
"""Of a call that nobody gave another one."""


class TcpTarget:
    """Serves regions of this process to peers that know the secret, until `close`.

    host      where it listens; "::" takes IPv4 and IPv6 on all interfaces
    port      what it got when 0 was asked for
    raises    OSError that names the address; ValueError when `host` has none
    """

    def __init__(
        self, secret: Secret, host: str = "127.0.0.1", port: int = 0, hello_s: float = 5.0, stall_s: float = 30.0
    ):
        self.native = NativeTarget(_addresses(host)[0], port, secret.reveal, hello_s, stall_s)
        self.host = host
        self.port = self.native.port
        self._regions: dict[int, Region | Buffer] = {}

    def serve(self, memory: Region | Buffer, append: AppendTarget | None = None) -> int:
        """Let peers reach `memory`, all of it, which must be writable. Returns the region's id, which they need.

        append    what carries out the composite verb, in the target's thread
        """
        region_id = secrets.randbits(63)
        self.native.add_region(region_id, memory.view() if isinstance(memory, Region) else memory, append)
        self._regions[region_id] = memory
        return region_id

    def remove(self, region_id: int) -> None:
        """End all connections to a region. When this returns, nothing that a peer sent can touch it any more."""
        self.native.remove_region(region_id)
        self._regions.pop(region_id, None)

    def close(self) -> None:
        """End all connections. May be repeated."""
        self.native.close()
        self._regions.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def connect(
    host: str, port: int, region_id: int, secret: Secret, timeout_s: float = TIMEOUT_S, patience_s: float = 0.0
) -> Endpoint:
    """An endpoint to a region that a peer's target serves. Blocks.

    timeout_s     within which the connection, and later every call, ends
    patience_s    how long to go on trying while the peer cannot be reached
    raises        FabricError: refused (secret, version, region; never tried again), peer_lost, timed_out;
                  ValueError when `host` has no address
    """
    deadline_s = monotonic() + patience_s
    for attempt in range(1 << 30):
        for address in _addresses(host):
            try:
                return TcpEndpoint(address, port, secret.reveal, region_id, timeout_s)
            except FabricError as error:
                if error.fault == "refused":
                    raise
                last = error
        if monotonic() >= deadline_s:
            raise last
        sleep(min(pause_s(attempt, random.random()), max(0.0, deadline_s - monotonic())))
    raise AssertionError("unreachable")


def pause_s(attempt: int, fraction: float) -> float:
    """Seconds before another attempt: 20 ms doubled up to a second, of which `fraction` picks from the upper half."""
    longest_s: float = min(1.0, 0.02 * 2.0 ** min(attempt, 10))
    return longest_s * (0.5 + fraction / 2)


def _addresses(host: str) -> list[str]:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        raise ValueError(f"host: {host!r} has no address: {error.strerror}") from error
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))
