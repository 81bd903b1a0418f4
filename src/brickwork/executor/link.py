"""The executor's end of the stage plane: a blocking socket, one reading thread, any number of sending ones."""

import socket
import threading
from collections.abc import Iterator

from brickwork.wire.framing import frame, order_decoder
from brickwork.wire.messages import Notice, Order

READ_BYTES = 1 << 18


class Link:
    """A connection to the coordinator.

    A send after the coordinator is gone is dropped: the reading thread sees the end of the stream and ends the
    process.
    """

    def __init__(self, address: str):
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.connect(address)
        self._sending = threading.Lock()

    def send(self, notice: Notice) -> None:
        """Write one whole frame; blocks while the coordinator does not read."""
        data = frame(notice)
        with self._sending:
            try:
                self._socket.sendall(data)
            except OSError:
                return

    def orders(self) -> Iterator[Order]:
        """Yield orders until the coordinator closes the connection. For one thread."""
        decoder = order_decoder()
        while True:
            try:
                data = self._socket.recv(READ_BYTES)
            except OSError:
                return
            if not data:
                return
            yield from decoder.feed(data)
