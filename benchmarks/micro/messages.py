"""Part of data.py: 256 bytes there and back between two processes, by our inbox and by what else Python offers.

Each contender serves echoes in a process of its own and connects from this one. The processes are forked before
anything here has a thread; what a library needs is imported on its own side of the fork.
"""

import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from time import CLOCK_REALTIME, clock_gettime, sleep

from rows import Part, Row, cpu_clock_s, not_installed, time_rounds

from brickwork.data.inbox import Inbox, Shape

Echo = Callable[[bytes], bytes]
PATIENCE_S = 30.0
JOB, OURS = "there and back", "inbox (shm)"
PAYLOAD = bytes(range(256))
IDLE_S = 1.0


@dataclass
class Contender:
    """name     in the report
    serve    runs in the child, for ever
    connect  gives this process its end"""

    name: str
    serve: Callable[[], None]
    connect: Callable[[], Echo]


@dataclass
class Running:
    name: str
    pid: int
    echo: Echo


def measure(rounds: int, trips: int, spin_s: float) -> Part:
    """Round trips, ours first.

    trips     of each contender in a round
    spin_s    how long our consumer looks before it sleeps
    """
    with running(spin_s) as contenders:
        assert all(one.echo(PAYLOAD) == PAYLOAD for one in contenders)
        turns = [(Row(JOB, one.name, len(PAYLOAD)), partial(one.echo, PAYLOAD), one.pid) for one in contenders]
        rows = time_rounds(turns, trips, rounds)
        before_s = cpu_clock_s(contenders[0].pid)
        sleep(IDLE_S)
        idle = (cpu_clock_s(contenders[0].pid) - before_s) / IDLE_S
    return Part(rows, not_installed("pyzmq", "gRPC"), idle)


def inbox(spin_s: float) -> Contender:
    """Two inboxes, one for each direction."""
    there, back = Inbox.create(Shape(slots=64, lanes=1)), Inbox.create(Shape(slots=64, lanes=1))

    def serve() -> None:
        consumer, producer = there.consume(spin_s), back.join()
        while True:
            for message in consumer.receive(16, timeout_s=PATIENCE_S):
                producer.append(message.payload)
                consumer.acknowledge(message)

    def connect() -> Echo:
        consumer, producer = back.consume(spin_s), there.join()

        def echo(payload: bytes) -> bytes:
            producer.append(payload)
            (message,) = consumer.receive(1, timeout_s=PATIENCE_S)
            consumer.acknowledge(message)
            return message.payload

        return echo

    return Contender(OURS, serve, connect)


def pipe() -> Contender:
    ours, theirs = Pipe()

    def serve() -> None:
        while True:
            theirs.send_bytes(theirs.recv_bytes())

    def connect() -> Echo:
        return lambda payload: _exchange(ours, payload)

    return Contender("multiprocessing.Pipe", serve, connect)


def _exchange(connection: Connection, payload: bytes) -> bytes:
    connection.send_bytes(payload)
    return connection.recv_bytes()


def zeromq(address: str, name: str) -> Contender:
    def serve() -> None:
        import zmq

        socket = zmq.Context().socket(zmq.PAIR)
        socket.bind(address)
        while True:
            socket.send(socket.recv())

    def connect() -> Echo:
        import zmq

        socket = zmq.Context().socket(zmq.PAIR)
        socket.connect(address)

        def echo(payload: bytes) -> bytes:
            socket.send(payload)
            answer: bytes = socket.recv()
            return answer

        return echo

    return Contender(name, serve, connect)


def grpc(address: str) -> Contender:
    """A unary call of bytes."""

    def serve() -> None:
        from concurrent.futures import ThreadPoolExecutor

        import grpc

        handler = grpc.unary_unary_rpc_method_handler(lambda request, _: request)
        server = grpc.server(ThreadPoolExecutor(1))
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("bench", {"echo": handler}),))
        server.add_insecure_port(address)
        server.start()
        server.wait_for_termination()

    def connect() -> Echo:
        import grpc

        call = grpc.insecure_channel(address).unary_unary("/bench/echo")
        return lambda payload: call(payload, wait_for_ready=True, timeout=PATIENCE_S)

    return Contender("gRPC", serve, connect)


def contenders(directory: Path, port: int, spin_s: float) -> list[Contender]:
    """Those that can run here, ours first."""
    missing = not_installed("pyzmq", "gRPC")
    found = [inbox(spin_s), pipe()]
    if "pyzmq" not in missing:
        found += [zeromq(f"ipc://{directory}/zmq", "pyzmq ipc"), zeromq(f"tcp://127.0.0.1:{port}", "pyzmq tcp")]
    return found if "gRPC" in missing else [*found, grpc(f"127.0.0.1:{port + 1}")]


@contextmanager
def running(spin_s: float) -> Iterator[list[Running]]:
    """All contenders' children, until the end of the block."""
    with tempfile.TemporaryDirectory() as directory:
        port = 20000 + int(clock_gettime(CLOCK_REALTIME)) % 20000
        found = contenders(Path(directory), port, spin_s)
        pids = [_fork(contender) for contender in found]
        try:
            sleep(0.5)  # the servers' sockets
            yield [Running(it.name, pid, it.connect()) for it, pid in zip(found, pids, strict=True)]
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)


def _fork(contender: Contender) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            contender.serve()
        finally:
            os._exit(1)
    return pid
