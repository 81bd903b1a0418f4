"""What each fabric can do on this machine, found by trying: is it there, and what does it do while the target sleeps?

A child process serves memory over the fabric and is stopped (SIGSTOP: none of its threads runs). Then put, get and
atomics are tried, each over a connection that was made before; what they changed is read from the child's memory by the
kernel (/proc/PID/mem), past the fabric. A verb is *native* when it is done, and seen, while the child is stopped.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version

from brickwork import _native
from brickwork._native import Endpoint, FabricError
from brickwork.core.errors import BrickworkError
from brickwork.data.fabric import shm, tcp, ucx
from brickwork.data.fabric.secret import Secret, new_secret
from brickwork.data.fabric.word import CapabilityWord

FABRICS = ("shm", "tcp", "ucx")
REGION_BYTES = 1 << 20
SIZES = (8, 1 << 18)
"""Bytes tried: a word, and more than any fabric carries inline."""

ASLEEP_S = 1.0
"""A verb that takes longer while the target is stopped is not native. Native ones take microseconds."""


@dataclass(frozen=True)
class Probe:
    """What was found. `word` is None, and `why_not` tells why, when the fabric cannot be used."""

    fabric: str
    version: str
    transports: tuple[str, ...]
    word: CapabilityWord | None
    why_not: str = ""


def probe(fabric: str, transports: str = ucx.NETWORK_TRANSPORTS, timeout_s: float = ASLEEP_S) -> Probe:
    """Try a fabric of FABRICS. Takes a second or two; starts and ends a child process.

    transports    ucx: UCX's own list
    """
    try:
        if fabric == "ucx":
            release, names = ucx.load(), ucx.transports(transports)
        else:
            release, names = version("brickwork"), {"shm": ("memfd",), "tcp": ("ipv4", "ipv6")}[fabric]
        with _stopped_target(fabric, transports, timeout_s) as (child, endpoints):
            return Probe(fabric, release, names, _try_asleep(child, endpoints))
    except (BrickworkError, FabricError, OSError) as error:
        return Probe(fabric, "", (), None, str(error))


@dataclass(frozen=True)
class _Child:
    pid: int
    address: int  # of the served memory, in the child

    def read(self, offset: int, size: int) -> bytes | None:
        """The child's memory, past every fabric. None where this process may not look."""
        try:
            with open(f"/proc/{self.pid}/mem", "rb", buffering=0) as memory:
                memory.seek(self.address + offset)
                return memory.read(size)
        except OSError:
            return None


@contextmanager
def _stopped_target(fabric: str, transports: str, timeout_s: float) -> Iterator[tuple[_Child, list[Endpoint]]]:
    secret = new_secret()
    region = shm.create_region(REGION_BYTES)
    command = [sys.executable, "-m", "brickwork.data.fabric.sleeper", fabric, transports, str(region.fd)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=[region.fd]) as process:
        try:
            assert process.stdin is not None and process.stdout is not None
            process.stdin.write(secret.reveal.hex().encode() + b"\n")
            process.stdin.flush()
            line = process.stdout.readline()
            if not line:
                raise BrickworkError(f"the child that serves {fabric} ended at once")
            told = json.loads(line)
            endpoints = [_connect(fabric, transports, told, secret, region, timeout_s) for _ in range(3)]
            for endpoint in endpoints:  # whatever is set up with the first use is set up now
                _put(endpoint, 0)
                endpoint.get(0, bytearray(8))
                endpoint.fetch_add(0, 0)
            os.kill(process.pid, signal.SIGSTOP)
            os.waitpid(process.pid, os.WUNTRACED)  # returns when all its threads stand still
            yield _Child(process.pid, told["address"]), endpoints
        finally:
            process.kill()


def _connect(
    fabric: str, transports: str, told: dict[str, int | str], secret: Secret, region: _native.Region, timeout_s: float
) -> Endpoint:
    if fabric == "shm":
        return shm.connect(region)
    if fabric == "tcp":
        return tcp.connect("127.0.0.1", int(told["port"]), int(told["region_id"]), secret, timeout_s)
    return ucx.connect(bytes.fromhex(str(told["descriptor"])), timeout_s, transports=transports)


def _put(endpoint: Endpoint, mark: int) -> None:
    for size in SIZES:
        endpoint.put(size, bytes([mark]) * size)
    endpoint.flush()


def _try_asleep(child: _Child, endpoints: list[Endpoint]) -> CapabilityWord:
    """The three at the same time, since each may take all of its time-out."""

    def put() -> bool:
        _put(endpoints[0], 7)
        return all(child.read(size, size) in (None, bytes([7]) * size) for size in SIZES)

    def get() -> bool:
        for size in SIZES:
            endpoints[1].get(len(endpoints[1]) - size, bytearray(size))
        return True

    def atomics() -> bool:
        was = endpoints[2].fetch_add(0, 5)
        endpoints[2].compare_and_swap(0, was + 5, was + 6)
        return child.read(0, 8) in (None, (was + 6).to_bytes(8, sys.byteorder))

    def is_native(verb: Callable[[], bool]) -> bool:
        try:
            return verb()
        except FabricError:
            return False

    with ThreadPoolExecutor(3) as pool:
        return CapabilityWord(*pool.map(is_native, (put, get, atomics)))
