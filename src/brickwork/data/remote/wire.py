"""What two hosts say about tensors, and how each shows the other that it knows the cluster's secret."""

import hmac
import secrets
import socket
import struct

import msgspec

from brickwork.core.tensor import TensorHandle
from brickwork.data.fabric.secret import Secret

MAX_MESSAGE_BYTES = 1 << 16
NONCE_BYTES = 32
LENGTH = struct.Struct("!I")


class Ask(msgspec.Struct, array_like=True):
    """From the receiver. `handle` for lease and push, `grant` for check and drop."""

    verb: str
    handle: TensorHandle | None = None
    grant: int = 0
    lease_s: float = 0.0


class Answer(msgspec.Struct, array_like=True):
    """`error` is "" or why not; after a push `nbytes` bytes follow."""

    error: str = ""
    grant: int = 0
    nbytes: int = 0


def prove(peer: socket.socket, secret: Secret, own: bytes, other: bytes) -> None:
    """Both ends show that they know the secret, which does not travel. Raises ConnectionError."""
    mine = secrets.token_bytes(NONCE_BYTES)
    peer.sendall(mine)
    theirs = exactly(peer, NONCE_BYTES)
    peer.sendall(hmac.digest(secret.reveal, b"brickwork tensors 1 " + own + theirs + mine, "sha256"))
    proof = hmac.digest(secret.reveal, b"brickwork tensors 1 " + other + mine + theirs, "sha256")
    if not hmac.compare_digest(exactly(peer, len(proof)), proof):
        raise ConnectionError("the other end does not know the secret, or speaks another version")


def send(peer: socket.socket, message: Ask | Answer) -> None:
    """One whole message."""
    content = msgspec.msgpack.encode(message)
    peer.sendall(LENGTH.pack(len(content)) + content)


def receive(peer: socket.socket) -> bytes:
    """The content of one message. Raises ConnectionError at the end of the connection, or for one that is too long."""
    (length,) = LENGTH.unpack(exactly(peer, LENGTH.size))
    if length > MAX_MESSAGE_BYTES:
        raise ConnectionError(f"it announces a message of {length} bytes")
    return exactly(peer, length)


def exactly(peer: socket.socket, nbytes: int) -> bytes:
    content = bytearray(nbytes)
    receive_into(peer, memoryview(content))
    return bytes(content)


def receive_into(peer: socket.socket, buffer: memoryview) -> None:
    """Fill `buffer`. Raises ConnectionError at the end of the connection."""
    while buffer.nbytes:
        count = peer.recv_into(buffer)
        if not count:
            raise ConnectionError("the other end closed the connection")
        buffer = buffer[count:]
