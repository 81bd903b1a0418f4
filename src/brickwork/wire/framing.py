"""Length-prefixed msgpack frames: `u32 little-endian length | body`.

One codec a direction. A body that is not a valid message, or longer than `MAX_FRAME_BYTES`, raises FrameError: the
peer is broken or foreign, and the connection is to be closed.
"""

import struct
from collections.abc import Iterator
from typing import Any

import msgspec

from brickwork.wire.messages import Notice, Order

MAX_FRAME_BYTES = 16 << 20
"""Messages carry handles, not tensors; the largest seen is a Define of some 10 KiB."""

_LENGTH = struct.Struct("<I")
_encoder = msgspec.msgpack.Encoder()


class FrameError(Exception):
    """The bytes are not a stage-plane frame."""


def frame(message: Order | Notice) -> bytes:
    body = _encoder.encode(message)
    return _LENGTH.pack(len(body)) + body


class Decoder:
    """Turns a byte stream into messages of one direction; keeps the incomplete tail."""

    def __init__(self, direction: Any):
        self._decode = msgspec.msgpack.Decoder(direction).decode
        self._tail = bytearray()

    def feed(self, data: bytes | memoryview) -> Iterator[Any]:
        """Yield the messages that `data` completes."""
        self._tail += data
        while len(self._tail) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._tail)
            if length > MAX_FRAME_BYTES:
                raise FrameError(f"frame of {length} bytes exceeds {MAX_FRAME_BYTES}")
            end = _LENGTH.size + length
            if len(self._tail) < end:
                return
            body = bytes(self._tail[_LENGTH.size : end])
            del self._tail[:end]
            try:
                message = self._decode(body)
            except msgspec.DecodeError as error:
                raise FrameError(f"not a message: {error}") from error
            yield message


def order_decoder() -> Decoder:
    """For executors."""
    return Decoder(Order)


def notice_decoder() -> Decoder:
    """For the coordinator."""
    return Decoder(Notice)
