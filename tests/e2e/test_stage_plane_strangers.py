"""Goal: whoever dials the coordinator without the secret, or talks nonsense, is dropped and disturbs nobody.

Method: raw sockets against a real listener on an event loop.
"""

import asyncio
import socket
import struct

import pytest

from brickwork.coordinator.links import ExecutorLink, LinkEvents, Listener
from brickwork.core.ids import ExecutorId
from brickwork.wire.framing import frame
from brickwork.wire.messages import VERSION, Heartbeat, Hello

KNOWN = {ExecutorId("e1.1"): "right"}

STRANGERS = {
    "wrong token": frame(Hello(VERSION, ExecutorId("e1.1"), "wrong", 1)),
    "empty token": frame(Hello(VERSION, ExecutorId("e1.1"), "", 1)),
    "unknown executor": frame(Hello(VERSION, ExecutorId("e9.1"), "right", 1)),
    "unknown executor, empty token": frame(Hello(VERSION, ExecutorId("e9.1"), "", 1)),
    "other version": frame(Hello(VERSION + 1, ExecutorId("e1.1"), "right", 1)),
    "no hello": frame(Heartbeat()),
    "noise": b"\xff" * 100,
    "endless frame": struct.pack("<I", 2**32 - 1),
}


async def _dial(address: str, first: bytes) -> bytes:
    """Send `first`; whatever is read until the other end closes."""
    loop = asyncio.get_running_loop()
    dialler = socket.socket(socket.AF_UNIX)
    dialler.setblocking(False)
    with dialler:
        await loop.sock_connect(dialler, address)
        await loop.sock_sendall(dialler, first)
        try:
            return await asyncio.wait_for(loop.sock_recv(dialler, 1), 5)
        except ConnectionResetError:
            return b""


@pytest.mark.parametrize("first", STRANGERS.values(), ids=STRANGERS.keys())
def test_strangers_are_dropped(first: bytes) -> None:
    joined: list[ExecutorLink] = []

    async def scene() -> bytes:
        listener = Listener()
        events = LinkEvents(joined.append, lambda *_: None, lambda *_: None)
        await listener.start(lambda: ExecutorLink(events, KNOWN, asyncio.get_running_loop().time))
        try:
            return await _dial(listener.address, first)
        finally:
            listener.close()

    assert asyncio.run(scene()) == b""
    assert joined == []


def test_an_expected_executor_joins_among_strangers() -> None:
    """The valid Hello comes in two pieces, between strangers."""

    async def scene() -> list[str]:
        listener, joined = Listener(), asyncio.get_running_loop().create_future()
        events = LinkEvents(joined.set_result, lambda *_: None, lambda *_: None)
        await listener.start(lambda: ExecutorLink(events, KNOWN, asyncio.get_running_loop().time))
        hello = frame(Hello(VERSION, ExecutorId("e1.1"), "right", 1))
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_UNIX) as dialler:
            dialler.setblocking(False)
            await loop.sock_connect(dialler, listener.address)
            await loop.sock_sendall(dialler, hello[:7])
            await _dial(listener.address, STRANGERS["noise"])
            await loop.sock_sendall(dialler, hello[7:])
            link = await asyncio.wait_for(joined, 5)
        listener.close()
        return [link.executor]

    assert asyncio.run(scene()) == ["e1.1"]
