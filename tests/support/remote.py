"""Tests' end of a fabric's far end (fabric_host.py): a process of its own, in another network namespace if
`BRICKWORK_TEST_FAR_END` names one ("NAMESPACE ADDRESS").

Both processes map the memory that is served, so a test sees what landed there without asking the fabric.
"""

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from brickwork._native import Endpoint, Producer, Region
from brickwork.data.fabric import tcp, ucx
from brickwork.data.fabric.secret import new_secret
from brickwork.data.inbox import Inbox, Shape, join_remote
from brickwork.data.inbox import Producer as InboxProducer

TIMEOUT_S = 20.0
TCP_ONLY = "tcp,self"


class FarEnd:
    """One serving process, until `close`."""

    def __init__(self, transports: str = TCP_ONLY):
        namespace, _, address = os.environ.get("BRICKWORK_TEST_FAR_END", " 127.0.0.1").partition(" ")
        self.address = address
        self.transports = transports
        self.secret = new_secret()
        self._link, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [
            sys.executable,
            str(Path(__file__).with_name("fabric_host.py")),
            str(far.fileno()),
            transports,
            address,
        ]
        prefix = ["ip", "netns", "exec", namespace] if namespace else []
        with far:
            self.process = subprocess.Popen([*prefix, *command], pass_fds=[far.fileno()], stdin=subprocess.DEVNULL)
        self._link.send(json.dumps({"secret": self.secret.reveal.hex()}).encode())

    def ask(self, message: dict[str, Any], fds: tuple[int, ...] = ()) -> dict[str, Any]:
        self._link.settimeout(60)
        socket.send_fds(self._link, [json.dumps(message).encode()], list(fds))
        answer = self._link.recv(1 << 16)
        assert answer, "the far end has ended"
        result: dict[str, Any] = json.loads(answer)
        return result

    def serve(self, kind: str, region: Region, start: int = 0, stop: int | None = None, lease_s: float = 0) -> "Served":
        stop = len(region) if stop is None else stop
        asked = {"kind": kind, "start": start, "stop": stop, "lease_s": lease_s}
        return Served(self, self.ask({"serve": asked}, (region.fd,)))

    def counts(self) -> list[int]:
        """Connections at the far end: accepted, refused, ended."""
        counts: list[int] = self.ask({})["counts"]
        return counts

    def stop(self) -> None:
        """SIGSTOP; returns when none of its threads runs."""
        os.kill(self.process.pid, signal.SIGSTOP)
        os.waitpid(self.process.pid, os.WUNTRACED)

    def go_on(self) -> None:
        os.kill(self.process.pid, signal.SIGCONT)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self._link.close()


@dataclass(frozen=True)
class Served:
    far_end: FarEnd
    told: dict[str, Any]

    def connect(self, timeout_s: float = TIMEOUT_S) -> Endpoint:
        if "descriptor" in self.told:
            descriptor = bytes.fromhex(self.told["descriptor"])
            return ucx.connect(descriptor, timeout_s, transports=self.far_end.transports)
        end = self.far_end
        return tcp.connect(end.address, self.told["port"], self.told["region_id"], end.secret, timeout_s, TIMEOUT_S)


@cache
def shared_far_end(transports: str = TCP_ONLY) -> FarEnd:
    """One for all tests of this process that do it no harm."""
    far_end = FarEnd(transports)
    atexit.register(far_end.close)
    return far_end


class RemoteWay:
    """An inbox whose producers come over a fabric, served by the far end; its consumer maps it here.

    is_composite    producers ask the target to append; else they use the raw verbs
    timeout_s       of each verb
    """

    def __init__(self, shape: Shape, kind: str, transports: str, is_composite: bool, timeout_s: float = TIMEOUT_S):
        self.inbox = Inbox.create(shape)
        self._is_composite = is_composite
        self._timeout_s = timeout_s
        self._served = shared_far_end(transports).serve(kind, self.inbox.region, lease_s=30.0 if is_composite else 0)

    def join(self, timeout_s: float = 5.0) -> InboxProducer:
        endpoint = self.connect()
        if self._is_composite:
            return join_remote(endpoint, timeout_s)
        hold = self.inbox._lane(timeout_s)
        return InboxProducer(Producer.local(endpoint, hold.lane, hold.life), hold)

    def connect(self) -> Endpoint:
        return self._served.connect(self._timeout_s)

    def consume(self) -> Any:
        return self.inbox.consume()

    def close(self) -> None:
        if "region_id" in self._served.told:
            self._served.far_end.ask({"remove": self._served.told["region_id"]})


def need_ucx() -> None:
    try:
        ucx.load()
    except ucx.UcxUnavailable as error:
        pytest.skip(str(error))


@contextmanager
def _open(shape: Shape, kind: str, transports: str, is_composite: bool) -> Iterator[RemoteWay]:
    way = RemoteWay(shape, kind, transports, is_composite)
    try:
        yield way
    finally:
        way.close()


@contextmanager
def open_tcp(shape: Shape) -> Iterator[RemoteWay]:
    with _open(shape, "tcp", TCP_ONLY, True) as way:
        yield way


@contextmanager
def open_tcp_verbs(shape: Shape) -> Iterator[RemoteWay]:
    with _open(shape, "tcp", TCP_ONLY, False) as way:
        yield way


@contextmanager
def open_ucx_tcp(shape: Shape) -> Iterator[RemoteWay]:
    need_ucx()
    with _open(shape, "ucx", TCP_ONLY, False) as way:
        yield way
