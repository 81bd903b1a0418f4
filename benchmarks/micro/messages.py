"""Contenders for a round trip of a small message between two processes: ours and what else Python offers.

Each serves echoes in a process of its own and connects from this one. The processes are forked before anything here has
a thread; what a library needs is imported on its own side of the fork.
"""

import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from time import CLOCK_REALTIME, clock_gettime, sleep

from brickwork.data.inbox import Inbox, Shape

Echo = Callable[[bytes], bytes]
PATIENCE_S = 30.0


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

    def cpu_s(self) -> float:
        """What the child has used so far, by its CPU clock."""
        return clock_gettime(~self.pid << 3 | 2)


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

    return Contender("inbox (shm)", serve, connect)


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
    """raises    ImportError"""
    import zmq

    def serve() -> None:
        socket = zmq.Context().socket(zmq.PAIR)
        socket.bind(address)
        while True:
            socket.send(socket.recv())

    def connect() -> Echo:
        socket = zmq.Context().socket(zmq.PAIR)
        socket.connect(address)

        def echo(payload: bytes) -> bytes:
            socket.send(payload)
            answer: bytes = socket.recv()
            return answer

        return echo

    return Contender(name, serve, connect)


def grpc(address: str) -> Contender:
    """A unary call of bytes; the interpreter has to have grpcio.

    raises    ImportError
    """
    from importlib.util import find_spec

    if not find_spec("grpc"):
        raise ImportError("No module named 'grpc'")

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


def contenders(directory: Path, port: int, spin_s: float) -> tuple[list[Contender], dict[str, str]]:
    """Those that can run here, ours first, and why the others can't."""
    makers: dict[str, Callable[[], Contender]] = {
        "inbox": lambda: inbox(spin_s),
        "pipe": pipe,
        "pyzmq ipc": lambda: zeromq(f"ipc://{directory}/zmq", "pyzmq ipc"),
        "pyzmq tcp": lambda: zeromq(f"tcp://127.0.0.1:{port}", "pyzmq tcp"),
        "gRPC": lambda: grpc(f"127.0.0.1:{port + 1}"),
    }
    found: list[Contender] = []
    missing: dict[str, str] = {}
    for name, make in makers.items():
        try:
            found.append(make())
        except ImportError as error:
            missing[name] = str(error)
    return found, missing


@contextmanager
def running(spin_s: float) -> Iterator[tuple[list[Running], dict[str, str]]]:
    """All contenders' children, until the end of the block."""
    with tempfile.TemporaryDirectory() as directory:
        port = 20000 + int(clock_gettime(CLOCK_REALTIME)) % 20000
        found, missing = contenders(Path(directory), port, spin_s)
        pids = [_fork(contender) for contender in found]
        try:
            sleep(0.5)  # the servers' sockets
            yield [Running(it.name, pid, it.connect()) for it, pid in zip(found, pids, strict=True)], missing
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
