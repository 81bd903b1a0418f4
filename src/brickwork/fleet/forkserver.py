"""A process that has the heavy libraries loaded and forks executors, each in some ten milliseconds.

Run as `python -m brickwork.fleet.forkserver CONTROL_FD MODULE...`. It never starts a thread, runs a torch op or maps
the arena, since none of these survives a fork. Why not multiprocessing's: docs/adr/0003-own-forkserver.md.

Control is a SOCK_SEQPACKET socket: JSON, one message a packet, descriptors beside it.

    -> {"target", "config", "fds": [key...]} + [stderr, fd...]   fork; each fd's number becomes config[key]
    <- {"ready": true}                                           modules are loaded
    <- {"pid": n} + [pidfd]   or   {"error": text}               the answer to a launch
    <- {"exited": n, "status": wait status}                      a child ended

When the other end closes, however the coordinator went, this process ends; and when this process ends, however it
went, the kernel kills its children (child.py).
"""

import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from brickwork.fleet import child

MAX_PACKET_BYTES = 1 << 18
MAX_FDS = 16


class ForkServer:
    """The loop: one control socket, one pidfd a child, nothing else."""

    def __init__(self, control: socket.socket):
        self._control = control
        self._pid = os.getpid()
        self._children: dict[int, int] = {}  # pidfd -> pid
        self._poll = select.poll()
        self._poll.register(control, select.POLLIN)

    def serve(self) -> None:
        """Fork on demand until the control socket closes."""
        self._send({"ready": True})
        while True:
            for fd, _ in self._poll.poll():
                if fd in self._children:
                    self._reap(fd)
                elif not self._answer():
                    return

    def _answer(self) -> bool:
        """Read one order and carry it out; False when there will be no more."""
        try:
            packet, fds, _, _ = socket.recv_fds(self._control, MAX_PACKET_BYTES, MAX_FDS)
        except ConnectionResetError:  # the owner died with answers unread
            return False
        if not packet:
            return False
        try:
            pid = os.fork()
        except OSError as error:
            self._send({"error": f"fork failed: {error}"})
        else:
            if pid == 0:
                self._become_child(json.loads(packet), fds)
            pidfd = os.pidfd_open(pid)
            self._children[pidfd] = pid
            self._poll.register(pidfd, select.POLLIN)
            self._send({"pid": pid}, pidfd)
        finally:
            for fd in fds:
                os.close(fd)
        return True

    def _become_child(self, order: dict[str, Any], fds: list[int]) -> NoReturn:
        code = 1
        try:
            stderr, *passed = fds
            os.dup2(stderr, 1)
            os.dup2(stderr, 2)
            child.settle(self._pid)
            for fd in (stderr, self._control.detach(), *self._children):
                os.close(fd)
            code = child.run(order["target"], order["config"] | dict(zip(order["fds"], passed, strict=True)))
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)  # not sys.exit: the stack below is the server's

    def _reap(self, pidfd: int) -> None:
        pid = self._children.pop(pidfd)
        _, status = os.waitpid(pid, 0)
        self._poll.unregister(pidfd)
        os.close(pidfd)
        self._send({"exited": pid, "status": status})

    def _send(self, message: dict[str, Any], *fds: int) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):  # the next read tells that nobody is there
            socket.send_fds(self._control, [json.dumps(message).encode()], list(fds))


def preload(modules: list[str]) -> None:
    """Import what every executor needs, without a thread left behind; freeze it, so that forks share its pages."""
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # else numpy starts a pool as it is imported
    for name in modules:
        importlib.import_module(name)
    threads = len(list(Path("/proc/self/task").iterdir()))
    if threads > 1:
        sys.exit(
            f"forkserver: loading {', '.join(modules)} started {threads - 1} threads, which do not survive a fork. "
            "Preload fewer modules, or use the start method spawn."
        )
    gc.collect()
    gc.freeze()


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    control = socket.socket(fileno=int(sys.argv[1]))
    preload(sys.argv[2:])
    ForkServer(control).serve()


if __name__ == "__main__":
    main()
