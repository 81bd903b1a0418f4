"""A coordinator's end of the keeper's process: started, handed the descriptors, started again when it dies.

Nobody waits for the keeper. It is needed when a coordinator dies; while one lives, killing the keeper costs nothing but
its restart: the memory lives on in the mappings, and what it holds is told by its own words.
"""

import asyncio
import logging
import secrets
import socket
import subprocess
import sys
from contextlib import suppress
from time import monotonic, sleep

from brickwork.core.errors import StaleHandle
from brickwork.data.keeper_process import MAX_PACKET_BYTES, MAX_SEGMENTS
from brickwork.data.segments import Segments

log = logging.getLogger(__name__)

MAX_EARLY_DEATHS = 5
"""Keepers that may die in a row before they are ready; then tensor memory goes on without one."""

BACKOFF_S = 0.2
"""Times the early deaths in a row: the pause before the next start."""

CLOSE_TIMEOUT_S = 1.0
"""For the keeper to end after its last client; then it is killed, as when it is stopped."""


JOIN_PAUSE_S = 0.02
"""Between two attempts to reach a keeper."""


class Guard:
    """Keeps one keeper process alive. Make and use it on one running event loop.

    segments    what it is handed; they stay the caller's
    name        of its abstract socket, which leaves no file; `join` connects there
    """

    def __init__(self, segments: Segments):
        self._segments = segments
        self.name = f"brickwork-keeper-{secrets.token_hex(8)}"
        self._process: subprocess.Popen[bytes] | None = None
        self._early_deaths = 0
        self._retry: asyncio.TimerHandle | None = None
        self._is_closed = False
        self._loop = asyncio.get_running_loop()

    @property
    def pid(self) -> int | None:
        """Of the keeper; None while there is none."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start a keeper; does not wait for it."""
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control.setblocking(False)
        command = [sys.executable, "-P", "-m", "brickwork.data.keeper_process", str(theirs.fileno()), self.name]
        with theirs:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, pass_fds=[theirs.fileno()]
            )
        with suppress(OSError):  # dead already: the loop is about to notice
            socket.send_fds(self._control, [b"keep"], self._segments.fds())
        self._loop.add_reader(self._control, self._hear)

    def close(self, may_stay: bool) -> None:
        """Leave the keeper, which ends with its last client. Blocks at most CLOSE_TIMEOUT_S.

        may_stay    others need it; else it is made to end, also if it is stopped
        """
        self._is_closed = True
        if self._retry is not None:
            self._retry.cancel()
        if self._process is None:
            return
        self._hang_up()
        if may_stay:
            return
        try:
            self._process.wait(CLOSE_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _hear(self) -> None:
        """Read "ready", or the end."""
        with suppress(ConnectionResetError):
            if self._control.recv(MAX_PACKET_BYTES):
                self._early_deaths = 0
                return
        assert self._process is not None
        self._hang_up()
        self._process.kill()  # its socket is closed, so it is of no use though it may not be dead yet
        self._process.wait()
        log.warning("the keeper %d was lost; starting another", self._process.pid)
        self._process = None
        self._start_again()

    def _start_again(self) -> None:
        self._early_deaths += 1
        if self._early_deaths > MAX_EARLY_DEATHS:
            log.error("%d keepers in a row died at their start; tensor memory goes on without one", MAX_EARLY_DEATHS)
        elif not self._is_closed:
            delay_s = BACKOFF_S * (self._early_deaths - 1)
            self._retry = self._loop.call_later(delay_s, self.start)

    def _hang_up(self) -> None:
        self._loop.remove_reader(self._control)
        self._control.close()


def join(name: str, timeout_s: float = 5.0) -> tuple[Segments, socket.socket]:
    """Become a client of a keeper: its segments, and the connection that keeps it running. A keeper that is just being
    started is waited for. Blocks.

    raises    StaleHandle when no keeper of this user answers under that name in time
    """
    deadline_s = monotonic() + timeout_s
    while True:
        client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        client.settimeout(timeout_s)
        try:
            client.connect("\0" + name)
            packet, fds, _, _ = socket.recv_fds(client, MAX_PACKET_BYTES, MAX_SEGMENTS)
            if packet:
                client.settimeout(None)
                return Segments(*fds), client
        except OSError:
            sleep(JOIN_PAUSE_S)
        client.close()
        if monotonic() > deadline_s:
            raise StaleHandle(f"No keeper of this user answers under the name {name}.")
