"""Part of data.py: the verbs, from Python, between two processes over each fabric, beside what else moves bytes there.

A *put* is the payload in the other process's memory and an answer that says so; a *get* asks and has it in memory of
its own. For gRPC, pyzmq and the socket a put is a message that the target copies into its memory and a short reply, a
get a short message and the reply. Over ucx-posix the memory is UCX's own. What shm, ucx-posix and NIXL by itself do
needs one host; the others would do the same between two.

The target of each contender is a process of its own: `python fabric.py --serve NAME --fd REGION`.
"""

import argparse
import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from rows import MIB, Part, Row, Turn, not_installed, time_rounds

from brickwork._native import Endpoint
from brickwork.data.fabric import shm, tcp, ucx
from brickwork.data.fabric.secret import Secret, new_secret

SIZES = (256, MIB, 16 * MIB)
OURS = "tcp"
UCX = {"ucx-tcp": "tcp,self", "ucx-posix": "posix,self"}
NIXL = {"NIXL": "", "NIXL-tcp": "tcp,self"}
"""UCX's transports; "": what it finds best."""

BYTES_A_ROUND = 64 * MIB
MAX_CALLS = 500
REGION_BYTES = 32 * MIB
TIMEOUT_S = 60.0
GRPC_OPTIONS = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]

Verb = Callable[[], object]
Verbs = Callable[[int], tuple[Verb, Verb]]
"""Put and get of so many bytes."""


def measure(rounds: int) -> Part:
    names = {"memcpy": "", "shm": "", OURS: "", "socket": "", "pyzmq tcp": "pyzmq", "gRPC": "gRPC"}
    missing = not_installed("pyzmq", "gRPC")
    try:
        ucx.load()
        names |= dict.fromkeys(UCX, "")
    except ucx.UcxUnavailable as error:
        missing["UCX"] = str(error)
    return Part(compare([name for name, needed in names.items() if needed not in missing], rounds), missing)


def measure_nixl(rounds: int) -> Part:
    """Apart from the others: the thread of a waiting agent takes the processor from whoever has his turn."""
    missing = not_installed("NIXL")
    return Part([] if missing else compare(["memcpy", "shm", *NIXL], rounds), missing)


def compare(names: list[str], rounds: int) -> list[Row]:
    contenders = [Contender(name) for name in names]
    rows: list[Row] = []
    try:
        for size in SIZES:
            turns: list[Turn] = []
            for one in contenders:
                put, get = one.verbs(size)
                turns += [(Row("put", one.name, size), put, one.pid), (Row("get", one.name, size), get, one.pid)]
            rows += time_rounds(turns, calls=max(2, min(MAX_CALLS, BYTES_A_ROUND // size)), rounds=rounds)
    finally:
        for one in contenders:
            one.close()
    return rows


# --- the target: a process for each contender ---


def serve(contender: str, fd: int) -> None:
    """Until standard input ends. Its first line is the secret; the answer tells how to get here."""
    secret = Secret(bytes.fromhex(sys.stdin.readline()))
    keep: list[object] = []  # what serves lives as long as this process
    told: dict[str, Any] = {}
    if contender == "tcp":
        target = tcp.TcpTarget(secret)
        keep.append(target)
        told = {"port": target.port, "region_id": target.serve(shm.Region(fd))}
    elif contender in UCX:
        ucx_target = ucx.UcxTarget(UCX[contender])
        descriptor, _ = ucx_target.allocate(REGION_BYTES)
        keep.append(ucx_target)
        told = {"descriptor": descriptor.hex()}
    elif contender in NIXL:
        memory = np.zeros(REGION_BYTES, np.uint8)
        agent = nixl_agent_of(contender, "target", memory)
        keep += [agent, memory]
        told = {"metadata": agent.get_agent_metadata().hex(), "address": memory.ctypes.data}
    elif contender != "shm":
        serve_messages = {"socket": serve_socket, "pyzmq tcp": serve_zeromq, "gRPC": serve_grpc}[contender]
        told = {"port": serve_messages(bytearray(REGION_BYTES))}
    print(json.dumps(told), flush=True)
    sys.stdin.read()


def serve_socket(store: bytearray) -> int:
    listener = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
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

    threading.Thread(target=run, daemon=True).start()
    return int(listener.getsockname()[1])


def receive_into(peer: socket.socket, view: memoryview) -> bool:
    done = 0
    while done < len(view):
        got = peer.recv_into(view[done:])
        if not got:
            return False
        done += got
    return True


def serve_zeromq(store: bytearray) -> int:
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


def serve_grpc(store: bytearray) -> int:
    from concurrent.futures import ThreadPoolExecutor

    import grpc

    def put(request: bytes, _: object) -> bytes:
        store[: len(request)] = request
        return b"1"

    def get(request: bytes, _: object) -> bytes:
        return bytes(memoryview(store)[: int.from_bytes(request, "little")])

    server = grpc.server(ThreadPoolExecutor(1), options=GRPC_OPTIONS)
    methods = {"put": grpc.unary_unary_rpc_method_handler(put), "get": grpc.unary_unary_rpc_method_handler(get)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("bench", methods),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    threading.Thread(target=server.wait_for_termination, daemon=True).start()
    return int(port)


def nixl_agent_of(contender: str, name: str, memory: np.ndarray) -> Any:
    """An agent with `memory` registered."""
    os.environ.setdefault("NIXL_LOG_LEVEL", "WARN")
    from nixl_cu12 import nixl_agent, nixl_agent_config

    if NIXL[contender]:
        os.environ["UCX_TLS"] = NIXL[contender]
    try:
        agent = nixl_agent(name, nixl_agent_config(backends=["UCX"]))
    finally:
        os.environ.pop("UCX_TLS", None)
    agent.register_memory([(memory.ctypes.data, memory.nbytes, 0, "")], "DRAM")
    return agent


# --- the initiator ---


class Contender:
    def __init__(self, name: str):
        self.process: subprocess.Popen[str] | None = None
        self.pid, self.name = 0, name
        if name == "memcpy":
            self.verbs: Verbs = memcpy_verbs
            return
        secret, region = new_secret(), shm.create_region(REGION_BYTES)
        command = [sys.executable, __file__, "--serve", name, "--fd", str(region.fd)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=[region.fd], text=True
        )
        self.pid = self.process.pid
        assert self.process.stdin and self.process.stdout
        print(secret.reveal.hex(), file=self.process.stdin, flush=True)
        told = json.loads(self.process.stdout.readline())
        self.verbs = connect(name, told, secret, region)

    def close(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()


def connect(name: str, told: dict[str, Any], secret: Secret, region: shm.Region) -> Verbs:
    if name == "shm":
        return endpoint_verbs(shm.connect(region))
    if name == "tcp":
        return endpoint_verbs(tcp.connect("127.0.0.1", told["port"], told["region_id"], secret, TIMEOUT_S))
    if name in UCX:
        return endpoint_verbs(ucx.connect(bytes.fromhex(told["descriptor"]), TIMEOUT_S, transports=UCX[name]))
    if name in NIXL:
        return nixl_verbs(name, bytes.fromhex(told["metadata"]), told["address"])
    return {"socket": socket_verbs, "pyzmq tcp": zeromq_verbs, "gRPC": grpc_verbs}[name](told["port"])


def memcpy_verbs(size: int) -> tuple[Verb, Verb]:
    source, target = np.frombuffer(os.urandom(size), np.uint8), np.empty(size, np.uint8)
    return lambda: np.copyto(target, source), lambda: np.copyto(target, source)


def endpoint_verbs(endpoint: Endpoint) -> Verbs:
    def verbs(size: int) -> tuple[Verb, Verb]:
        source, target = bytearray(os.urandom(size)), bytearray(size)

        def put() -> None:
            endpoint.put(0, source)
            endpoint.flush()

        return put, lambda: endpoint.get(0, target)

    return verbs


def socket_verbs(port: int) -> Verbs:
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


def zeromq_verbs(port: int) -> Verbs:
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


def grpc_verbs(port: int) -> Verbs:
    import grpc

    channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=GRPC_OPTIONS)
    remote_put, remote_get = channel.unary_unary("/bench/put"), channel.unary_unary("/bench/get")

    def verbs(size: int) -> tuple[Verb, Verb]:
        source, target = os.urandom(size), bytearray(size)

        def get() -> None:
            target[:] = remote_get(size.to_bytes(8, "little"), timeout=TIMEOUT_S)

        return lambda: remote_put(source, timeout=TIMEOUT_S), get

    return verbs


def nixl_verbs(name: str, metadata: bytes, address: int) -> Verbs:
    memory = np.ones(REGION_BYTES, np.uint8)
    agent = nixl_agent_of(name, "initiator", memory)
    peer = agent.add_remote_agent(metadata)

    def verbs(size: int) -> tuple[Verb, Verb]:
        here, there = (agent.get_xfer_descs([(at, size, 0)], "DRAM") for at in (memory.ctypes.data, address))

        def move(kind: str) -> None:
            transfer = agent.initialize_xfer(kind, here, there, peer)
            state = agent.transfer(transfer)
            while state != "DONE":
                if state == "ERR":
                    raise OSError(f"{name}: {kind} failed")
                state = agent.check_xfer_state(transfer)
            agent.release_xfer_handle(transfer)

        return lambda: move("WRITE"), lambda: move("READ")

    return verbs


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--serve", required=True)
    parser.add_argument("--fd", type=int, required=True)
    options = parser.parse_args()
    serve(options.serve, options.fd)
