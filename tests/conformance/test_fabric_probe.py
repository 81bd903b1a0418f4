"""Goal: the capability word says what a fabric does while its target sleeps; what is missing is told in a sentence.

Method: the self-test itself, whose target is stopped by a signal and whose memory is read by the kernel. What it must
find on any machine is known for shm (all native), tcp (nothing) and UCX confined to tcp (nothing).
"""

import os
import subprocess
import sys

import pytest

from brickwork._native import FabricError
from brickwork.data.fabric import shm, tcp, ucx
from brickwork.data.fabric.probe import probe
from brickwork.data.fabric.secret import new_secret
from brickwork.data.fabric.word import CapabilityWord
from support.remote import need_ucx


@pytest.mark.parametrize("fabric", ["shm", "tcp"])
def test_our_own_fabrics_claim_what_the_test_finds(fabric: str) -> None:
    found = probe(fabric)
    assert found.why_not == "" and found.version and found.transports
    assert found.word == CapabilityWord(*[fabric == "shm"] * 3)
    region, secret = shm.create_region(4096), new_secret()
    with tcp.TcpTarget(secret) as target:
        endpoint = (
            shm.connect(region)
            if fabric == "shm"
            else tcp.connect("127.0.0.1", target.port, target.serve(region), secret)
        )
        claims = endpoint.capability
        assert CapabilityWord(claims.native_put, claims.native_get, claims.native_atomics) == found.word
        assert claims.needs_target_progress == found.word.needs_target_progress


def test_ucx_over_tcp_is_not_one_sided() -> None:
    need_ucx()
    found = probe("ucx", "tcp,self")
    assert found.word == CapabilityWord(False, False, False) and set(found.transports) == {"self", "tcp"}


def test_ucx_over_shared_memory_puts_while_the_target_sleeps() -> None:
    """Its get depends on the release and on whether the kernel lets one process read another."""
    need_ucx()
    found = probe("ucx", "posix,self")
    assert found.word is not None, found.why_not
    assert found.word.native_put and found.word.native_atomics


def test_a_missing_ucx_is_a_sentence() -> None:
    """In a process of its own: a library that was found stays."""
    code = "from brickwork.data.fabric.probe import probe; print(probe('ucx'))"
    environment = {**os.environ, "BRICKWORK_UCX": "/nonexistent"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120)
    assert "UCX was not found" in done.stdout and "libucx0" in done.stdout and done.stderr == ""


def test_a_descriptor_from_elsewhere_is_refused() -> None:
    need_ucx()
    good = ucx.UcxTarget("tcp,self").serve(shm.create_region(4096))
    for bad in (
        b"",
        b"brkw-ucx",
        good[:39],
        good[:-1],
        good + b"x",
        os.urandom(200),
        good[:12] + b"\xff" * 4 + good[16:],
    ):
        with pytest.raises(FabricError) as caught:
            ucx.connect(bad, 5, transports="tcp,self")
        assert caught.value.fault == "refused"
