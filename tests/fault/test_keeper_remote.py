"""Goal: a tensor of another host arrives whole or not at all, moves only when it is needed, and a receiver that slept
past its lease is told so. Nothing stays reserved or held at either end, whoever is stopped or killed.

Method: two real processes on one machine whose keepers pretend different hosts; leases of some 100 ms that really pass.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress

import msgspec
import pytest

from brickwork.core.errors import OutOfSpace, StaleHandle
from brickwork.core.tensor import TensorHandle, TensorSpec
from brickwork.data.fabric import Region, connect
from brickwork.data.fabric.secret import Secret, new_secret
from brickwork.data.keeper import Keeper
from brickwork.data.remote import TensorPeer, TensorSource
from support.tensor_source import Source

SECRET = new_secret()
LONG_S = 60.0
MIB = 1 << 20


@pytest.fixture
def source() -> Iterator[Source]:
    made = Source("host-a", SECRET)
    yield made
    made.kill()


@pytest.fixture
def keeper() -> Iterator[Keeper]:
    made = Keeper(64 * MIB, host="host-b")
    yield made
    assert made.leaked() == []
    made.close()


@pytest.fixture
def peer(source: Source) -> Iterator[TensorPeer]:
    made = TensorPeer("127.0.0.1", source.port, SECRET)
    yield made
    made.close()


def has_let_go(source: Source) -> bool:
    """Whether the source holds nothing, at once or soon: its threads end leases when the last byte has gone."""
    deadline_s = time.monotonic() + LONG_S
    while held := source.ask(do="report")[0]:
        if time.monotonic() > deadline_s:
            break
        time.sleep(0.02)
    return not held


def _content(keeper: Keeper, handle: TensorHandle) -> bytes:
    with keeper.store.get(handle) as lease:
        content = bytes(lease.buffer)
    keeper.store.release(handle)
    return content


@pytest.mark.parametrize("nbytes", [0, 1, 4096, 20 * MIB + 3])
def test_a_pull_brings_the_bytes_in_one_trip(source: Source, peer: TensorPeer, keeper: Keeper, nbytes: int) -> None:
    handle = source.put(7, nbytes)
    with pytest.raises(StaleHandle, match="another arena"):
        keeper.store.get(handle)
    local = peer.pull(handle, keeper.store)
    assert (local.host, handle.host) == ("host-b", "host-a")
    assert _content(keeper, local) == bytes([7]) * nbytes
    source.release(handle)
    assert has_let_go(source), "the source still holds what it has sent"


def test_nothing_moves_until_the_bytes_are_needed(source: Source, peer: TensorPeer, keeper: Keeper) -> None:
    """1. Two tensors are deferred and their owner releases them: the leases keep them. 2. One is fetched, the other
    dropped. 3. Only the first has moved; nothing is held."""
    wanted, unwanted = (source.put(fill, MIB) for fill in (1, 2))
    deferred, dropped = peer.defer(wanted, LONG_S), peer.defer(unwanted, LONG_S)
    assert [source.release(handle) for handle in (wanted, unwanted)] == [2, 2]
    assert source.ask(do="report") == [2, 0]
    assert _content(keeper, deferred.fetch(keeper.store)) == bytes([1]) * MIB
    deferred.check()
    for each in (dropped, deferred):
        each.drop()
    assert source.ask(do="report") == [0, MIB]


def test_a_receiver_that_slept_past_its_lease_is_told(source: Source, peer: TensorPeer, keeper: Keeper) -> None:
    """1. A tensor is leased for a moment and released by its owner. 2. The moment passes: the source lets it go,
    without hearing from the receiver. 3. Other bytes take its place. 4. The receiver is told, whatever it asks."""
    handle = source.put(1, MIB)
    deferred = peer.defer(handle, 0.1)
    source.release(handle)
    assert has_let_go(source)
    other = source.put(2, MIB)
    assert (other.block, other.generation) == (handle.block, handle.generation + 1)
    for late in (lambda: deferred.fetch(keeper.store), deferred.check, lambda: peer.pull(handle, keeper.store)):
        with pytest.raises(StaleHandle):
            late()
    assert _content(keeper, peer.pull(other, keeper.store)) == bytes([2]) * MIB
    deferred.drop()


RECEIVER = """
import sys, msgspec
from brickwork.core.errors import StaleHandle
from brickwork.core.tensor import TensorHandle
from brickwork.data.fabric.secret import Secret
from brickwork.data.keeper import Keeper
from brickwork.data.remote import TensorPeer
port, secret, handle = int(sys.argv[1]), Secret(bytes.fromhex(sys.argv[2])), sys.argv[3]
keeper = Keeper(64 << 20, host="host-c")
deferred = TensorPeer("127.0.0.1", port, secret).defer(msgspec.json.decode(handle, type=TensorHandle), 0.2)
print("deferred", flush=True)
sys.stdin.readline()
for late in (deferred.check, lambda: deferred.fetch(keeper.store)):
    try:
        late()
        print("fetched", flush=True)
    except StaleHandle as error:
        print(error, flush=True)
print(keeper.leaked(), flush=True)
"""


def test_a_receiver_that_is_stopped_longer_than_its_lease_is_told(source: Source) -> None:
    """1. A process leases a tensor and is stopped. 2. Its lease passes; other bytes take the place. 3. It wakes up and
    asks for its tensor: it gets an error instead of the other one's bytes, and nothing stays reserved in its memory."""
    handle = source.put(1, MIB)
    command = [sys.executable, "-c", RECEIVER, str(source.port), SECRET.reveal.hex()]
    receiver = subprocess.Popen(
        [*command, msgspec.json.encode(handle).decode()], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert receiver.stdout and receiver.stdout.readline() == "deferred\n"
    os.kill(receiver.pid, signal.SIGSTOP)
    os.waitpid(receiver.pid, os.WUNTRACED)
    source.release(handle)
    assert has_let_go(source), "the lease of a stopped process never ended"
    assert source.put(2, MIB).block == handle.block
    os.kill(receiver.pid, signal.SIGCONT)
    told = receiver.communicate("go on\n", timeout=LONG_S)[0].splitlines()
    assert ["its lease is over" in line for line in told] == [True, False, False]
    assert "refuses" in told[1] and told[2] == "[]", told


def test_a_copy_that_outlasts_its_lease_is_thrown_away(source: Source, peer: TensorPeer, keeper: Keeper) -> None:
    """The bytes may have been right; nobody can know, so they are not used. The copy is made to outlast the lease by
    stopping the source, as a long stall of the network would."""
    handle = source.put(1, MIB)
    deferred = peer.defer(handle, 0.2)
    source.stop()
    time.sleep(0.3)  # the lease really passes; that is the fault injected here
    os.kill(source.process.pid, signal.SIGCONT)
    with pytest.raises(StaleHandle, match="its lease is over"):
        deferred.fetch(keeper.store)
    assert source.release(handle) == 0


def test_a_source_that_dies_leaves_nothing_reserved(source: Source, peer: TensorPeer, keeper: Keeper) -> None:
    handle = source.put(1, MIB)
    deferred = peer.defer(handle, LONG_S)
    source.process.kill()
    source.process.wait()
    for lost in (lambda: peer.pull(handle, keeper.store), lambda: deferred.fetch(keeper.store), deferred.check):
        with pytest.raises(StaleHandle, match="is lost"):
            lost()


def test_a_stopped_source_is_given_up_in_time(source: Source, keeper: Keeper) -> None:
    handle = source.put(1, MIB)
    peer = TensorPeer("127.0.0.1", source.port, SECRET, timeout_s=0.2)
    source.stop()
    with pytest.raises(StaleHandle, match="is lost: timed out"):
        peer.pull(handle, keeper.store)
    os.kill(source.process.pid, signal.SIGCONT)


def test_a_receiver_that_dies_gives_its_leases_back(source: Source) -> None:
    handle = source.put(1, MIB)
    peer = TensorPeer("127.0.0.1", source.port, SECRET)
    peer.defer(handle, LONG_S)
    assert source.release(handle) == 1
    peer.close()
    assert has_let_go(source)


def test_a_full_receiver_asks_for_nothing(source: Source, peer: TensorPeer) -> None:
    keeper = Keeper(MIB, host="host-b")
    handle = source.put(1, 2 * MIB)
    with pytest.raises(OutOfSpace, match="larger than tensor memory"):
        peer.pull(handle, keeper.store)
    assert source.ask(do="report") == [1, 0]
    keeper.close()


def test_strangers_get_nothing(keeper: Keeper) -> None:
    served = TensorSource(keeper.store, SECRET)
    with pytest.raises(StaleHandle, match="cannot be reached"):
        TensorPeer("127.0.0.1", served.port, Secret(b"another secret 0"))
    with socket.create_connection(("127.0.0.1", served.port)) as stranger:
        stranger.sendall(b"GET / HTTP/1.1\r\nHost: a-tensor-source\r\n" + b"x" * 100)
        stranger.settimeout(LONG_S)
        answer = b""
        with suppress(ConnectionResetError):
            while chunk := stranger.recv(4096):
                answer += chunk
        assert len(answer) == 64, "no more than a nonce and a proof that tells nothing"
    served.close()


def test_a_fabric_with_native_gets_moves_the_bytes_without_the_source(keeper: Keeper) -> None:
    """Here shared memory plays the fabric: the source leases and checks, and sends no byte."""
    far = Keeper(MIB, host="host-a")
    served = TensorSource(far.store, SECRET)
    peer = TensorPeer("127.0.0.1", served.port, SECRET, endpoint=connect(Region(far.fd)))
    handle = far.store.put(b"abc" * 1000, TensorSpec((3000,), "uint8"))
    deferred = peer.defer(handle, LONG_S)
    assert _content(keeper, deferred.fetch(keeper.store)) == b"abc" * 1000
    assert served.bytes_pushed == 0
    deferred.drop()
    far.store.release(handle)
    assert far.leaked() == []
    peer.close()
    served.close()
    far.close()


def test_what_a_peer_may_not_ask_is_refused(source: Source, peer: TensorPeer, keeper: Keeper) -> None:
    handle = source.put(1, 100)
    forged = TensorHandle("host-a", handle.segment, handle.block + 1, handle.offset, handle.spec, handle.generation)
    with pytest.raises(StaleHandle, match="refuses"):
        peer.pull(forged, keeper.store)
    assert _content(keeper, peer.pull(handle, keeper.store)) == bytes([1]) * 100, "a refusal ended the connection"
