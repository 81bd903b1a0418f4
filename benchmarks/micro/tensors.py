"""Part of data.py: how long a tensor takes from one process to another on this host, next to a memcpy of its bytes.

    view        handle -> usable read-only array, bytes untouched
    hand over   filled by the sender from a buffer of its own, readable in place at the receiver, who answers with what
                it finds at both ends
    and read    the same, and the receiver touches every cache line before it answers; for memcpy: the reader of the
                copy is the same thread, and nobody is told
    pull        from another host's keeper through loopback TCP into the receiver's memory

One child holds the other end of everything; it is forked before anything here has a thread.
"""

import multiprocessing
import multiprocessing.resource_tracker
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.shared_memory import SharedMemory

import msgspec
import numpy as np
from rows import MIB, Part, Row, Turn, not_installed, time_rounds

from brickwork.core.tensor import TensorHandle, TensorSpec
from brickwork.data.fabric.secret import new_secret
from brickwork.data.keeper import Keeper
from brickwork.data.remote import TensorPeer, TensorSource
from brickwork.data.segments import Segments, open_store

ARENA_BYTES = 512 * MIB
VIEW_SIZES = (64 << 10, MIB, 64 * MIB)
MOVE_SIZES = (MIB, 16 * MIB)
"""Bytes of the tensors."""

HAND_OVER, AND_READ = JOBS = "hand over", "and read"
OURS, MEMCPY = "brickwork", "memcpy"
Move = Callable[[np.ndarray, bool], None]
"""Brings `source` to the receiver once, who reads all of it if told so."""


def measure(rounds: int) -> Part:
    keeper = Keeper(ARENA_BYTES)
    multiprocessing.resource_tracker.ensure_running()  # before the fork: two trackers would fight over one name
    missing = not_installed("pyzmq", "Ray")
    segment = SharedMemory(create=True, size=max(MOVE_SIZES))
    with tempfile.TemporaryDirectory() as directory, other_process(keeper, f"ipc://{directory}/zmq") as (link, pid):
        contenders = {
            OURS: handed_over(keeper, link),
            "shared_memory": shared_memory(segment, link),
            "multiprocessing.Pipe": piped(link),
        }
        if "pyzmq" not in missing:
            contenders["pyzmq ipc"] = zeromq(link, f"ipc://{directory}/zmq")
        if "Ray" not in missing:
            contenders["Ray"] = ray_store()
        rows = _views(keeper, rounds) + _moves(contenders, pid, rounds) + _pulls(keeper, rounds)
    segment.unlink()
    keeper.close()
    return Part(rows, missing)


def spec_of(nbytes: int) -> TensorSpec:
    return TensorSpec((nbytes // 4,), "float32")


def read(array: np.ndarray, is_whole: bool) -> bytes:
    """What a receiver answers: the bytes at both ends, after touching every cache line if `is_whole`."""
    flat = array.view(np.uint8)
    if is_whole:
        flat[::64].max()
    return bytes([flat[0], flat[-1]])


# The other process ------------------------------------------------------------------------------------------------


def echo(link: Connection, segments: Segments, holder: int, address: str) -> None:
    """Read what is handed over, in place. An order is a kind, whether to read it all, and what the kind needs."""
    store = open_store(segments, holder)
    shared: dict[str, SharedMemory] = {}
    receive = receiver(address) if not not_installed("pyzmq") else link.recv_bytes
    with suppress(EOFError):
        while True:
            order = link.recv_bytes()
            is_whole, rest = order[1:2] == b"1", order[2:]
            if order[:1] == b"h":
                with store.get(msgspec.msgpack.decode(rest, type=TensorHandle)) as lease:
                    answer = read(lease.numpy(), is_whole)
            elif order[:1] == b"s":
                nbytes, name = rest.decode().split()
                if name not in shared:
                    shared[name] = SharedMemory(name)
                answer = read(np.frombuffer(shared[name].buf, np.uint8, int(nbytes)), is_whole)
            else:
                content = receive() if order[:1] == b"z" else link.recv_bytes()
                answer = read(np.frombuffer(content, np.uint8), is_whole)
            link.send_bytes(answer)


def receiver(address: str) -> Callable[[], object]:
    import zmq

    socket = zmq.Context().socket(zmq.PAIR)
    socket.bind(address)
    return lambda: socket.recv(copy=False).buffer


@contextmanager
def other_process(keeper: Keeper, address: str) -> Iterator[tuple[Connection, int]]:
    ours, theirs = multiprocessing.get_context("fork").Pipe()
    arguments = (theirs, keeper.segments, keeper.next_holder(), address)
    child = multiprocessing.get_context("fork").Process(target=echo, args=arguments, daemon=True)
    child.start()
    theirs.close()
    try:
        yield ours, child.pid or 0
    finally:
        ours.close()
        child.join(5)


# Contenders -------------------------------------------------------------------------------------------------------


def handed_over(keeper: Keeper, link: Connection) -> Move:
    def move(source: np.ndarray, is_whole: bool) -> None:
        allocation = keeper.store.allocate(spec_of(source.nbytes))
        np.frombuffer(allocation.buffer, np.float32)[:] = source
        link.send_bytes(b"h%d" % is_whole + msgspec.msgpack.encode(allocation.handle))
        link.recv_bytes()
        keeper.store.release(allocation.handle)

    return move


def shared_memory(segment: SharedMemory, link: Connection) -> Move:
    def move(source: np.ndarray, is_whole: bool) -> None:
        np.frombuffer(segment.buf, np.float32, count=source.size)[:] = source
        link.send_bytes(b"s%d%d %s" % (is_whole, source.nbytes, segment.name.encode()))
        link.recv_bytes()

    return move


def piped(link: Connection) -> Move:
    def move(source: np.ndarray, is_whole: bool) -> None:
        link.send_bytes(b"p%d" % is_whole)
        link.send_bytes(source.data.cast("B"))
        link.recv_bytes()

    return move


def zeromq(link: Connection, address: str) -> Move:
    import zmq

    socket = zmq.Context().socket(zmq.PAIR)
    socket.connect(address)

    def move(source: np.ndarray, is_whole: bool) -> None:
        link.send_bytes(b"z%d" % is_whole)
        socket.send(source, copy=False)
        link.recv_bytes()

    return move


def ray_store() -> Move:
    """Ray's object store: put here, read by an actor."""
    import ray

    ray.init(num_cpus=2, include_dashboard=False, logging_level="error")

    @ray.remote
    class Reader:
        def read(self, array: np.ndarray, is_whole: bool) -> bytes:
            flat = array.view(np.uint8)
            if is_whole:
                flat[::64].max()
            return bytes([flat[0], flat[-1]])

    reader = Reader.remote()
    return lambda source, is_whole: ray.get(reader.read.remote(ray.put(source), is_whole))


# What is timed ----------------------------------------------------------------------------------------------------


def _views(keeper: Keeper, rounds: int) -> list[Row]:
    handles = [keeper.store.allocate(spec_of(nbytes)).handle for nbytes in VIEW_SIZES]

    def look(handle: TensorHandle) -> None:
        with keeper.store.get(handle) as lease:
            lease.numpy()

    turns: list[Turn] = [(Row("view", OURS, handle.spec.nbytes), partial(look, handle), 0) for handle in handles]
    rows = time_rounds(turns, calls=100, rounds=rounds)
    for handle in handles:
        keeper.store.release(handle)
    return rows


def _moves(contenders: dict[str, Move], pid: int, rounds: int) -> list[Row]:
    rows: list[Row] = []
    for nbytes in MOVE_SIZES:
        source, target = np.random.default_rng(0).random(nbytes // 4, np.float32), np.empty(nbytes // 4, np.float32)

        def copy(is_whole: bool, source: np.ndarray = source, target: np.ndarray = target) -> None:
            np.copyto(target, source)
            read(target, is_whole)

        turns: list[Turn] = [(Row(job, MEMCPY, nbytes), partial(copy, job == AND_READ), 0) for job in JOBS]
        for name, move in contenders.items():
            there = 0 if name == "Ray" else pid
            turns += [(Row(job, name, nbytes), partial(move, source, job == AND_READ), there) for job in JOBS]
        rows += time_rounds(turns, calls=1, rounds=rounds)
    return rows


def _pulls(keeper: Keeper, rounds: int) -> list[Row]:
    secret, far = new_secret(), Keeper(ARENA_BYTES, host="another host")
    served = TensorSource(far.store, secret)
    peer = TensorPeer("127.0.0.1", served.port, secret)
    rows: list[Row] = []
    for nbytes in MOVE_SIZES:
        handle = far.store.put(bytes(nbytes), spec_of(nbytes))

        def pull(handle: TensorHandle = handle) -> None:
            keeper.store.release(peer.pull(handle, keeper.store))

        rows += time_rounds([(Row("pull", OURS, nbytes), pull, 0)], calls=1, rounds=rounds)
        far.store.release(handle)
    peer.close()
    served.close()
    far.close()
    return rows
