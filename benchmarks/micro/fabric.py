"""The verbs, from Python, between two processes: put and get of 256 B to 16 MB over each fabric, beside pyzmq over tcp
and a raw socket.

    python benchmarks/micro/fabric.py                 # 5 rounds, about a minute
    python benchmarks/micro/fabric.py --rounds 9

Contenders take turns within each round, so that whatever else the machine does meets all of them; the median of the
rounds counts. A *put* is the payload in the other process's memory and an answer that says so; a *get* asks and has
it. For pyzmq and the socket a put is a message and a one-byte reply, a get a one-byte message and the reply. CPU is the
time that both processes spent, all threads, for a GB of puts, at the initiator and at the target.

Printed as JSON: microseconds, GB/s, and the time as a multiple of pyzmq's. Over ucx-posix the memory is UCX's own.
"""

import argparse
import contextlib
import json
import os
import resource
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from brickwork._native import Endpoint
from brickwork.data.fabric import shm, tcp, ucx
from brickwork.data.fabric.secret import Secret, new_secret
from report import emit, median

SIZES = (256, 64 << 10, 1 << 20, 16 << 20)
CONTENDERS = ("shm", "tcp", "ucx-tcp", "ucx-posix", "pyzmq-tcp", "socket")
TRANSPORTS = {"ucx-tcp": "tcp,self", "ucx-posix": "posix,self"}
BYTES_A_ROUND = 64 << 20
MAX_CALLS = 1000
REGION_BYTES = 32 << 20

Verb = Callable[[], None]


def cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


# --- the target: a process for each contender ---


def serve(contender: str, fd: int) -> None:
    """Until standard input ends; each line there is answered with the CPU seconds spent so far."""
    secret = Secret(bytes.fromhex(sys.stdin.readline()))
    told: dict[str, Any] = {}
    if contender == "tcp":
        target = tcp.TcpTarget(secret)
        told = {"port": target.port, "region_id": target.serve(shm.Region(fd))}
    elif contender in TRANSPORTS:
        ucx_target = ucx.UcxTarget(TRANSPORTS[contender])
        descriptor, _ = ucx_target.allocate(REGION_BYTES)
        told = {"descriptor": descriptor.hex()}
    elif contender in ("socket", "pyzmq-tcp"):
        told = {"port": serve_messages(contender)}
    print(json.dumps(told), flush=True)
    for _ in sys.stdin:
        print(cpu_s(), flush=True)


def serve_messages(contender: str) -> int:
    """A thread that stores what comes and answers one byte, or answers with as many bytes as asked for."""
    import threading

    store = bytearray(REGION_BYTES)
    if contender == "socket":
        listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=serve_socket, args=(listener, store), daemon=True).start()
        return int(listener.getsockname()[1])
    import zmq

    peer = zmq.Context().socket(zmq.PAIR)
    port = peer.bind_to_random_port("tcp://127.0.0.1")

    def run() -> None:
        while True:
            message = peer.recv(copy=False)
            if len(message) > 8:
                store[: len(message)] = message.buffer
                peer.send(b"1")
            else:
                peer.send(memoryview(store)[: int.from_bytes(message.bytes, "little")], copy=False)

    threading.Thread(target=run, daemon=True).start()
    return int(port)


def serve_socket(listener: socket.socket, store: bytearray) -> None:
    peer, _ = listener.accept()
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    view, head = memoryview(store), bytearray(9)
    with contextlib.suppress(ConnectionError):
        while receive_into(peer, memoryview(head)):
            size = int.from_bytes(head[1:], "little")
            if head[0]:
                receive_into(peer, view[:size])
                peer.sendall(b"1")
            else:
                peer.sendall(view[:size])


def receive_into(peer: socket.socket, view: memoryview) -> bool:
    done = 0
    while done < len(view):
        got = peer.recv_into(view[done:])
        if not got:
            return False
        done += got
    return True


# --- the initiator ---


class Contender:
    def __init__(self, name: str):
        self.name = name
        secret, region = new_secret(), shm.create_region(REGION_BYTES)
        command = [sys.executable, __file__, "--serve", name, "--fd", str(region.fd)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=[region.fd], text=True
        )
        self.told = json.loads(self._ask(secret.reveal.hex()))
        self.verbs = self._verbs(secret, region)

    def _ask(self, line: str) -> str:
        assert self.process.stdin and self.process.stdout
        print(line, file=self.process.stdin, flush=True)
        return self.process.stdout.readline()

    def target_cpu_s(self) -> float:
        return float(self._ask("cpu"))

    def _verbs(self, secret: Secret, region: shm.Region) -> Callable[[int], tuple[Verb, Verb]]:
        if self.name == "socket":
            return socket_verbs(self.told["port"])
        if self.name == "pyzmq-tcp":
            return pyzmq_verbs(self.told["port"])
        if self.name == "shm":
            return endpoint_verbs(shm.connect(region))
        if self.name == "tcp":
            return endpoint_verbs(tcp.connect("127.0.0.1", self.told["port"], self.told["region_id"], secret, 60))
        descriptor = bytes.fromhex(self.told["descriptor"])
        return endpoint_verbs(ucx.connect(descriptor, 60, transports=TRANSPORTS[self.name]))

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


def endpoint_verbs(endpoint: Endpoint) -> Callable[[int], tuple[Verb, Verb]]:
    def verbs(size: int) -> tuple[Verb, Verb]:
        source, target = bytearray(os.urandom(size)), bytearray(size)

        def put() -> None:
            endpoint.put(0, source)
            endpoint.flush()

        return put, lambda: endpoint.get(0, target)

    return verbs


def pyzmq_verbs(port: int) -> Callable[[int], tuple[Verb, Verb]]:
    import zmq

    peer = zmq.Context().socket(zmq.PAIR)
    peer.connect(f"tcp://127.0.0.1:{port}")

    def verbs(size: int) -> tuple[Verb, Verb]:
        source, target = bytearray(os.urandom(size)), bytearray(size)

        def put() -> None:
            peer.send(source, copy=False)
            peer.recv()

        def get() -> None:
            peer.send(size.to_bytes(8, "little"))
            target[:] = peer.recv(copy=False).buffer

        return put, get

    return verbs


def socket_verbs(port: int) -> Callable[[int], tuple[Verb, Verb]]:
    peer = socket.create_connection(("127.0.0.1", port))
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def verbs(size: int) -> tuple[Verb, Verb]:
        source, target = bytearray(os.urandom(size)), bytearray(size)

        def put() -> None:
            peer.sendall(b"\1" + size.to_bytes(8, "little"))
            peer.sendall(source)
            peer.recv(1)

        def get() -> None:
            peer.sendall(b"\0" + size.to_bytes(8, "little"))
            receive_into(peer, memoryview(target))

        return put, get

    return verbs


def measure(contender: Contender, size: int) -> dict[str, float]:
    """One round: seconds of a put and of a get, CPU seconds of a put's byte at both ends."""
    put, get = contender.verbs(size)
    calls = max(2, min(MAX_CALLS, BYTES_A_ROUND // size))
    put(), get()
    cpu = cpu_s(), contender.target_cpu_s()
    start_s = perf_counter()
    for _ in range(calls):
        put()
    put_s = (perf_counter() - start_s) / calls
    spent = cpu_s() - cpu[0], contender.target_cpu_s() - cpu[1]
    start_s = perf_counter()
    for _ in range(calls):
        get()
    get_s = (perf_counter() - start_s) / calls
    byte_count = calls * size
    return {"put_s": put_s, "get_s": get_s, "cpu": spent[0] / byte_count, "target_cpu": spent[1] / byte_count}


def available() -> list[str]:
    names = list(CONTENDERS)
    try:
        import zmq  # noqa: F401
    except ImportError:
        names.remove("pyzmq-tcp")
        print("pyzmq is not installed; left out (pip install pyzmq)", file=sys.stderr)
    try:
        ucx.load()
    except ucx.UcxUnavailable as error:
        names = [name for name in names if name not in TRANSPORTS]
        print(f"{error} Left out.", file=sys.stderr)
    return names


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--fd", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve, options.fd)
        return
    contenders = [Contender(name) for name in available()]
    rounds = [
        {(one.name, size): measure(one, size) for size in SIZES for one in contenders}
        for _ in range(options.rounds + 1)
    ][1:]  # the first warms up
    names = [one.name for one in contenders]
    for one in contenders:
        one.close()
    for size in SIZES:
        emit("fabric", 0, {"bytes": size, "rounds": options.rounds, "fabrics": summary(rounds, names, size)})


def summary(rounds: list[dict[tuple[str, int], dict[str, float]]], names: list[str], size: int) -> dict[str, Any]:
    def middle(name: str, key: str) -> float:
        return median([one[name, size][key] for one in rounds])

    figures: dict[str, Any] = {}
    for name in names:
        put_s, get_s = middle(name, "put_s"), middle(name, "get_s")
        figures[name] = {
            "put_us": round(put_s * 1e6, 1),
            "get_us": round(get_s * 1e6, 1),
            "put_gb_s": round(size / put_s / 1e9, 3),
            "get_gb_s": round(size / get_s / 1e9, 3),
            "cpu_us_per_gb": round(middle(name, "cpu") * 1e15),
            "target_cpu_us_per_gb": round(middle(name, "target_cpu") * 1e15),
        }
        if "pyzmq-tcp" in names:
            ratios = [(one[name, size], one["pyzmq-tcp", size]) for one in rounds]
            figures[name]["put_vs_pyzmq"] = round(median([own["put_s"] / zmq["put_s"] for own, zmq in ratios]), 2)
            figures[name]["get_vs_pyzmq"] = round(median([own["get_s"] / zmq["get_s"] for own, zmq in ratios]), 2)
    return figures


if __name__ == "__main__":
    main()
