"""Two network namespaces with a link between them, for tests; as root only.

    with two_namespaces() as link: ...            a veth pair: the kernel's own speed
    with two_namespaces(Weather(delay_s=0.05)):   delay, loss and partitions

Weather is made by netem where the kernel has it. Where it has not, the link is a pair of TUN devices, and a process
carries the packets between them (wire.py): real TCP of the real kernel, whose packets are late or lost. Names are
unique to the process, and everything goes with the namespaces.
"""

import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from time import monotonic, sleep

import pytest

_numbers = itertools.count()


@dataclass(frozen=True)
class Weather:
    """What packets meet on their way, in each direction. `loss` is a share of 1."""

    delay_s: float = 0.0
    loss: float = 0.0


@dataclass(frozen=True)
class Link:
    """`near` and `far` are namespaces; `how` says what the link is made of."""

    near: str
    far: str
    near_address: str
    far_address: str
    how: str

    def environment(self) -> dict[str, str]:
        """What support/remote.py needs to put the far end there, and `link_here` to know this link."""
        words = [self.near, self.far, self.near_address, self.far_address, self.how]
        return {"BRICKWORK_TEST_FAR_END": f"{self.far} {self.far_address}", "BRICKWORK_TEST_LINK": "|".join(words)}

    def part(self) -> None:
        """Packets vanish from now on, without a word to either end."""
        _ip("-n", self.far, "link", "set", "wire", "down")

    def heal(self) -> None:
        _ip("-n", self.far, "link", "set", "wire", "up")


def link_here() -> Link:
    """In a process that was started with a link's environment: that link."""
    return Link(*os.environ["BRICKWORK_TEST_LINK"].split("|"))


def need_namespaces() -> None:
    """Skip the test where namespaces cannot be made, and say why."""
    if reason := _why_no_namespaces():
        pytest.skip(reason)


@cache
def _why_no_namespaces() -> str:
    if os.geteuid() != 0:
        return "network namespaces need root"
    if not shutil.which("ip"):
        return "network namespaces need iproute2's `ip`, which is missing"
    name = f"bw-try-{os.getpid()}"
    done = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True)
    subprocess.run(["ip", "netns", "del", name], capture_output=True)
    return f"network namespaces cannot be made here: {done.stderr.strip()}" if done.returncode else ""


@contextmanager
def two_namespaces(weather: Weather | None = None) -> Iterator[Link]:
    need_namespaces()
    number = next(_numbers)
    near, far = (f"bw{os.getpid()}-{number}{side}" for side in "nf")
    addresses = f"10.213.{number % 256}.1", f"10.213.{number % 256}.2"
    wire: subprocess.Popen[bytes] | None = None
    try:
        for namespace in (near, far):
            _ip("netns", "add", namespace)
            _ip("-n", namespace, "link", "set", "lo", "up")
        if weather and not has_netem():
            wire, how = _tun_link(near, far, weather), "TUN and a user-space wire (the kernel has no sch_netem)"
        else:
            how = _veth_link(near, far, weather)
        for namespace, address in zip((near, far), addresses, strict=True):
            _ip("-n", namespace, "addr", "add", f"{address}/24", "dev", "wire")
            _ip("-n", namespace, "link", "set", "wire", "up")
        _wait_for_carrier((near, far))
        yield Link(near, far, *addresses, how)
    finally:
        if wire:
            wire.kill()
            wire.wait()
        for namespace in (near, far):
            subprocess.run(["ip", "netns", "del", namespace], capture_output=True)


def _wait_for_carrier(namespaces: tuple[str, str]) -> None:
    """UCX asks once which devices are up, and the kernel takes a moment to say so."""
    deadline_s = monotonic() + 20
    for namespace in namespaces:
        while "state DOWN" in (state := _ip("-n", namespace, "link", "show", "wire")) or "LOWER_UP" not in state:
            assert monotonic() < deadline_s, f"no carrier: {state}"
            sleep(0.01)


def _veth_link(near: str, far: str, weather: Weather | None) -> str:
    _ip("-n", near, "link", "add", "wire", "type", "veth", "peer", "name", "wire", "netns", far)
    if not weather:
        return "veth"
    for namespace in (near, far):
        words = ["delay", f"{weather.delay_s * 1e3:g}ms", "loss", f"{weather.loss * 100:g}%", "limit", "100000"]
        _run("tc", "-n", namespace, "qdisc", "add", "dev", "wire", "root", "netem", *words)
    return "veth and netem"


def _tun_link(near: str, far: str, weather: Weather) -> "subprocess.Popen[bytes]":
    wire = Path(__file__).with_name("wire.py")
    words = [near, far, str(weather.delay_s), str(weather.loss)]
    process = subprocess.Popen([sys.executable, str(wire), *words], stdout=subprocess.PIPE)
    assert process.stdout is not None
    if not process.stdout.readline():
        process.wait()
        pytest.skip("the kernel has neither sch_netem nor TUN devices: no delay, loss or partition can be made here")
    return process


@cache
def has_netem() -> bool:
    """Tried, on a loopback device of its own."""
    name = f"bw-netem-{os.getpid()}"
    _ip("netns", "add", name)
    try:
        command = ["tc", "-n", name, "qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms"]
        return subprocess.run(command, capture_output=True).returncode == 0
    finally:
        _ip("netns", "del", name)


def _ip(*words: str) -> str:
    return _run("ip", *words)


def _run(*words: str) -> str:
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stderr.strip()}"
    return done.stdout
