"""The keeper of a host: holds the descriptors of its tensor memory and reclaims what dead processes leave behind.

Run as `python -m brickwork.data.keeper_process CONTROL_FD NAME`. It outlives every executor and every coordinator, ends
with its last client, and has nothing of its own that could be lost: who lives and who holds what is written in the
memory itself (lives.py, blocks.py). A keeper that is killed is started anew from any client's descriptors.

Sockets are SOCK_SEQPACKET. An open connection is a client.

    control        -> "keep" + [arena, spill...]     from who starts it; the first client
                   <- "ready"
    abstract NAME  <- "kept" + [arena, spill...]     to everybody of this user who connects: a coordinator's successor

It wakes only when a connection opens or closes, or when a process ends whose sponsor is dead.
"""

import os
import select
import signal
import socket
import struct
import sys
from contextlib import suppress

from brickwork.data.arena import Arena
from brickwork.data.lives import CLAIMED, Lives

MAX_SEGMENTS = 2
MAX_CLIENTS = 64
MAX_PACKET_BYTES = 64


class KeeperProcess:
    """The loop: one listener, one socket a client, one pidfd a living process that nobody else looks after."""

    def __init__(self, control: socket.socket, name: str, fds: list[int]):
        self._fds = fds
        self._arenas = [Arena(fd) for fd in fds]
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.bind("\0" + name)
        self._listener.listen()
        self._clients = {control.fileno(): control}
        self._watched: dict[int, int] = {}  # pidfd -> holder
        self._poll = select.poll()
        for each in (self._listener, control):
            self._poll.register(each, select.POLLIN)

    @property
    def _lives(self) -> Lives:
        return self._arenas[0].lives

    def serve(self) -> None:
        """Until no client is connected and no process lives that could read or put."""
        self._bury()
        while self._clients or self._watched:
            for fd, _ in self._poll.poll():
                if fd == self._listener.fileno():
                    self._welcome()
                elif fd in self._clients:
                    self._hear(fd)
                else:
                    self._unwatch(fd)
            self._bury()

    def _welcome(self) -> None:
        client, _ = self._listener.accept()
        _, uid, _ = struct.unpack("3i", client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        if uid != os.getuid() or len(self._clients) == MAX_CLIENTS:
            client.close()
            return
        with suppress(OSError):  # gone already: the poll tells
            socket.send_fds(client, [b"kept"], self._fds)
        self._clients[client.fileno()] = client
        self._poll.register(client, select.POLLIN)

    def _hear(self, fd: int) -> None:
        """A client has nothing to say; what can be read is its end."""
        with suppress(ConnectionResetError):
            if self._clients[fd].recv(MAX_PACKET_BYTES):
                return
        self._poll.unregister(fd)
        self._clients.pop(fd).close()

    def _bury(self) -> None:
        """Reclaim what orphans left, and watch those that live. A dead sponsor's number stays until they are gone,
        so that its successor is not taken for it."""
        while self._bury_once():
            continue

    def _bury_once(self) -> bool:
        """Whether a number was given back, and with it perhaps its sponsor's can be."""
        is_changed = False
        lives = list(self._lives)
        sponsors = {life.sponsor for life in lives if life.sponsor != life.holder}
        watched = set(self._watched.values())
        for life in lives:
            if not self._lives.is_orphan(life):
                continue
            pidfd = life.process.descriptor()
            if pidfd is None or select.select([pidfd], [], [], 0)[0]:
                if life.state != CLAIMED:
                    for arena in self._arenas:
                        arena.table.reclaim(life.holder)
                if life.holder not in sponsors:
                    is_changed |= self._lives.end(life)
            elif life.holder not in watched and life.state != CLAIMED:
                self._watched[pidfd] = life.holder
                self._poll.register(pidfd, select.POLLIN)
                continue
            if pidfd is not None:
                os.close(pidfd)
        return is_changed

    def _unwatch(self, pidfd: int) -> None:
        del self._watched[pidfd]
        self._poll.unregister(pidfd)
        os.close(pidfd)


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the coordinator's business; its end is this one's
    control = socket.socket(fileno=int(sys.argv[1]))
    packet, fds, _, _ = socket.recv_fds(control, MAX_PACKET_BYTES, MAX_SEGMENTS)
    if packet:
        keeper = KeeperProcess(control, sys.argv[2], fds)
        with suppress(OSError):
            control.send(b"ready")
        keeper.serve()


if __name__ == "__main__":
    main()
