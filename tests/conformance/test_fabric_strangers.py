"""Goal: whatever a stranger or a broken peer sends, a tcp target stays up, serves the others, and writes nothing
outside of the region, nor anything at all for those who do not know the secret.

Method: the protocol once more, written here from its description (native/tcp_wire.hpp) on plain sockets with Python's
hmac, so that it can be broken at every place: cut, flipped, lied about, sent a byte at a time, flooded. Around the
region lie margins that must not change. After each attack a good peer has to be served.
"""

import hashlib
import hmac
import os
import random
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from time import monotonic, sleep

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brickwork import _native
from brickwork._native import Region
from brickwork.data.fabric import shm, tcp
from brickwork.data.fabric.secret import new_secret

MARGIN, SIZE = 4096, 1 << 18
REGION = 5
PUT, GET, SWAP, ADD, APPEND, FLUSH, WAKE = range(1, 8)


class Prey:
    """A target in this process, and a good peer."""

    def __init__(self, hello_s: float = 5.0, stall_s: float = 30.0) -> None:
        self.secret = new_secret()
        self.region: Region = shm.create_region(SIZE + 2 * MARGIN)
        self.all: memoryview = self.region.view()
        self.all[:] = b"\xaa" * len(self.all)
        self.target = _native.TcpTarget("127.0.0.1", 0, self.secret.reveal, hello_s, stall_s)
        self.target.add_region(REGION, self.all[MARGIN : MARGIN + SIZE])
        self.good = tcp.connect("127.0.0.1", self.target.port, REGION, self.secret, 20)

    def assert_unharmed(self) -> None:
        """Margins as they were; the old peer and a new one are served."""
        margin = b"\xaa" * MARGIN
        assert self.all[:MARGIN] == margin and self.all[-MARGIN:] == margin
        was = self.good.fetch_add(0, 1)
        assert (
            tcp.connect("127.0.0.1", self.target.port, REGION, self.secret, 20, patience_s=20).fetch_add(0, 1)
            == was + 1
        )

    def dial(self) -> socket.socket:
        peer = socket.create_connection(("127.0.0.1", self.target.port), 20)
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return peer

    def hello(self, peer: socket.socket) -> tuple[bytes, bytes]:
        own = struct.pack("<8sII32s", b"brkw-tcp", 1, 0, os.urandom(32))
        peer.sendall(own)
        return own, receive(peer, 48)

    def claim(self, own: bytes, theirs: bytes, secret: bytes, region: int = REGION) -> bytes:
        said = struct.pack("<Q32s", region, bytes(32))
        return said[:8] + hmac.digest(secret, b"i" + own + theirs + said, "sha256")

    def enter(self) -> socket.socket:
        """A peer that knows the secret, on a socket of the test's own."""
        peer = self.dial()
        own, theirs = self.hello(peer)
        claim = self.claim(own, theirs, self.secret.reveal)
        peer.sendall(claim)
        verdict = receive(peer, 48)
        answer, zero, size, proof = struct.unpack("<IIQ32s", verdict)
        said = claim[:8] + claim[8:] + struct.pack("<IIQ32s", answer, zero, size, bytes(32))
        expected = hmac.digest(self.secret.reveal, b"t" + own + theirs + said, "sha256")
        assert (answer, size) == (0, SIZE) and proof == expected
        return peer


def receive(peer: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = peer.recv(size - len(data))
        if not part:
            raise ConnectionError(f"closed after {len(data)} of {size} bytes")
        data += part
    return data


def request(verb: int, offset: int = 0, length: int = 0, a: int = 0, b: int = 0) -> bytes:
    return struct.pack("<IIQQQQ", verb, 0, offset, length, a, b)


def assert_closed(peer: socket.socket) -> None:
    """The target hangs up, at the latest when its time-outs are over."""
    with suppress(ConnectionResetError):
        while peer.recv(1 << 16):
            pass


@pytest.fixture
def prey() -> Iterator[Prey]:
    prey = Prey()
    yield prey
    prey.target.close()


def test_digests_are_the_published_ones() -> None:
    assert _native.tcp_sha256(b"abc") == bytes.fromhex(  # FIPS 180-4
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )
    assert _native.tcp_hmac_sha256(b"Jefe", b"what do ya want for nothing?") == bytes.fromhex(  # RFC 4231, case 2
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    )


@given(key=st.binary(max_size=200), message=st.binary(max_size=300))
def test_digests_are_those_of_the_standard_library(key: bytes, message: bytes) -> None:
    assert _native.tcp_sha256(message) == hashlib.sha256(message).digest()
    assert _native.tcp_hmac_sha256(key, message) == hmac.digest(key, message, "sha256")


def test_the_protocol_as_described(prey: Prey) -> None:
    """A peer written from the description alone is served, so the description is right."""
    with prey.enter() as peer:
        peer.sendall(request(PUT, 64, 3) + b"abc" + request(FLUSH) + request(ADD, 8, 0, 5))
        assert struct.unpack("<IIQ", receive(peer, 16)) == (FLUSH, 0, 0)
        assert struct.unpack("<IIQ", receive(peer, 16))[0] == ADD
        peer.sendall(request(GET, 64, 3))
        assert receive(peer, 19)[16:] == b"abc"
    prey.assert_unharmed()


def test_the_secret_is_never_said(prey: Prey) -> None:
    with prey.dial() as peer:
        own, theirs = prey.hello(peer)
        peer.sendall(prey.claim(own, theirs, b"another secret, long enough"))
        verdict = receive(peer, 48)
    assert struct.unpack("<I", verdict[:4]) == (1,) and verdict[16:] == bytes(32), "a stranger gets no proof to work on"
    assert prey.secret.reveal not in own + theirs + verdict and prey.secret.reveal.hex() not in repr(prey.secret)


def test_a_proof_cannot_be_sent_again_nor_sent_back(prey: Prey) -> None:
    with prey.dial() as peer:
        own, theirs = prey.hello(peer)
        claim = prey.claim(own, theirs, prey.secret.reveal)
    with prey.dial() as peer:  # the same hello and claim, to another nonce
        peer.sendall(own)
        receive(peer, 48)
        peer.sendall(claim)
        assert struct.unpack("<I", receive(peer, 48)[:4]) == (1,)
        assert_closed(peer)


@pytest.mark.parametrize(
    "attack",
    [
        request(PUT, SIZE, 1) + b"x",
        request(PUT, 0, SIZE + 1),
        request(PUT, 2**64 - 8, 16) + bytes(16),
        request(PUT, 8, 2**64 - 4) + bytes(64),
        request(GET, 1, SIZE),
        request(GET, 2**63, 2**63),
        request(GET, 0, 2**64 - 1),
        request(SWAP, SIZE, 0, 0xAAAAAAAAAAAAAAAA, 1),
        request(SWAP, 4),
        request(ADD, SIZE - 4),
        request(ADD, 2**64 - 8, 0, 1),
        request(WAKE, SIZE),
        request(WAKE, 2),
        request(APPEND, 0, 4) + b"none",
        request(APPEND, 0, 2**63),
        request(0),
        request(99),
        request(2**32 - 1, 2**64 - 1, 2**64 - 1, 2**64 - 1, 2**64 - 1),
    ],
)
def test_requests_that_cannot_be_end_the_connection(prey: Prey, attack: bytes) -> None:
    before = bytes(prey.all)
    with prey.enter() as peer:
        with suppress(ConnectionError):
            peer.sendall(attack)
        assert_closed(peer)
    assert prey.all == before
    prey.assert_unharmed()


def test_unfinished_peers_are_dropped_in_time() -> None:
    """Half a hello, a hello that comes a byte at a time, half a request, half a payload, a reply that nobody reads."""
    prey = Prey(hello_s=1.5, stall_s=1.5)
    stuck = [prey.dial() for _ in range(3)]
    stuck[1].sendall(b"brkw-tc")
    entered = [prey.enter() for _ in range(4)]
    entered[0].sendall(request(ADD)[:-1])
    entered[1].sendall(request(PUT, 0, SIZE) + bytes(SIZE // 2))
    entered[2].sendall(request(PUT, 0, 9) + b"12345678")
    with suppress(ConnectionError):  # more than both sockets hold
        entered[3].setblocking(False)
        for _ in range(200):
            entered[3].send(request(GET, 0, SIZE))
    deadline_s = monotonic() + 30
    with suppress(ConnectionError):
        while monotonic() < deadline_s:  # slow loris: never silent, never finished
            stuck[2].sendall(b"b")
            sleep(0.05)
    for peer in (*stuck[:2], *entered[:3]):
        assert_closed(peer)
    while prey.target.counts()[2] < 4:
        assert monotonic() < deadline_s + 30, f"still connected: {prey.target.counts()}"
        sleep(0.05)
    for peer in (*stuck, *entered):
        peer.close()
    prey.assert_unharmed()
    prey.target.close()


def test_a_crowd_of_strangers_leaves_room_for_friends(prey: Prey) -> None:
    crowd = []
    for _ in range(200):
        crowd.append(prey.dial())
        if len(crowd) % 50 == 0:
            prey.assert_unharmed()
    for peer in crowd:
        peer.close()


@cache
def shared_prey() -> Prey:
    return Prey()


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32), place=st.sampled_from(["before", "hello", "claim", "requests"]), cut=st.booleans())
def test_garbage_at_every_place(seed: int, place: str, cut: bool) -> None:
    """What is right until some place, and then noise: bytes flipped, lengths lied about, or the end."""
    prey = shared_prey()
    rng = random.Random(seed)
    noise = rng.randbytes(rng.choice([1, 39, 40, 41, 100, 5000]))
    with prey.dial() if place != "requests" else prey.enter() as peer, suppress(ConnectionError):
        if place == "claim":
            prey.hello(peer)
        elif place == "hello":
            peer.sendall(b"brkw-tcp" + noise[:16])
        elif place == "requests":
            for _ in range(rng.randrange(1, 8)):
                whole = bytearray(
                    request(rng.randrange(1, 8), rng.randrange(SIZE), rng.randrange(64), rng.getrandbits(64))
                )
                if rng.random() < 0.5:
                    whole[rng.randrange(40)] ^= 1 << rng.randrange(8)
                peer.sendall(bytes(whole))
        if not cut:
            peer.sendall(noise)
    prey.assert_unharmed()
