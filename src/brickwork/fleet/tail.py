"""The last lines that a process wrote to stderr, for the error message about its end."""

import asyncio
import logging
import os
from collections import deque
from contextlib import suppress

log = logging.getLogger("brickwork.executor")

MAX_LINES = 50
"""Enough for a Python traceback; older lines are in the log only."""

PIPE_BYTES = 1 << 16
"""What a Linux pipe holds, so that one read empties it; also where a line that never ends is cut."""


class Tail:
    """Reads a pipe on the running loop, logs its lines at INFO, and remembers the last ones.

    name    of the process, put before each logged line
    """

    def __init__(self, name: str):
        self._name = name
        self._lines: deque[str] = deque(maxlen=MAX_LINES)
        self._partial = b""
        self._fd, self.write_fd = os.pipe()
        os.set_blocking(self._fd, False)
        asyncio.get_running_loop().add_reader(self._fd, self._read)

    def lines(self) -> tuple[str, ...]:
        return tuple(self._lines)

    def close_write(self) -> None:
        """Close our copy of the writing end, after the process got its own."""
        os.close(self.write_fd)

    def close(self) -> None:
        """Take what is left in the pipe and stop reading. For after the process ended."""
        if self._fd < 0:
            return
        with suppress(BlockingIOError):  # a child of the process may still have the pipe open
            self._take(os.read(self._fd, PIPE_BYTES))
        if self._partial:
            self._take(b"\n")
        asyncio.get_running_loop().remove_reader(self._fd)
        os.close(self._fd)
        self._fd = -1

    def _read(self) -> None:
        with suppress(BlockingIOError):
            data = os.read(self._fd, PIPE_BYTES)
            self._take(data)
            if not data:
                self.close()

    def _take(self, data: bytes) -> None:
        *lines, self._partial = (self._partial + data).split(b"\n")
        if len(self._partial) >= PIPE_BYTES:
            lines, self._partial = [*lines, self._partial], b""
        for line in lines:
            text = line.decode(errors="replace")
            self._lines.append(text)
            log.info("%s: %s", self._name, text)
