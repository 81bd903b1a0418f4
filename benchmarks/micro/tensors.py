"""How long a tensor takes from one process to another on this host, next to a memcpy of its bytes.

    python benchmarks/micro/tensors.py [--rounds N]

One child holds the other end of everything; each contender gets a turn in every round, so that load on the machine hits
all alike. A row is the median over the rounds, with the lowest and the highest beside it. Ratios of one run are the
result; absolute times are only a guide on a shared machine.

    view        handle -> usable read-only array, bytes untouched (goal: 64 MB / 64 KB at most 1.2)
    hand over   filled by the sender from a buffer of its own, readable in place at the receiver, who answers with what
                it finds at both ends (goal: 16 MB at most 1.3 x)
    and read    the same, and the receiver touches every cache line before it answers
    pull        from another host's keeper through loopback TCP into the receiver's memory
"""

import argparse
import json
import multiprocessing
import multiprocessing.resource_tracker
import multiprocessing.shared_memory
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

import msgspec
import numpy as np

from brickwork.core.tensor import TensorHandle, TensorSpec
from brickwork.data.fabric.secret import new_secret
from brickwork.data.keeper import Keeper
from brickwork.data.remote import TensorPeer, TensorSource
from brickwork.data.segments import Segments, open_store

KIB, MIB = 1 << 10, 1 << 20
ARENA_BYTES = 512 * MIB
VIEW_SIZES = (64 * KIB, MIB, 64 * MIB)
MOVE_SIZES = (MIB, 16 * MIB)
"""Bytes of the tensors."""

GOALS = (("view, 64 MiB / 64 KiB", 1.2), ("hand over 16 MiB / memcpy", 1.3))


@dataclass
class Row:
    """One contender at one size."""

    name: str
    nbytes: int
    seconds: list[float] = field(default_factory=list)

    def as_dict(self, memcpy_s: float | None) -> dict[str, Any]:
        middle = statistics.median(self.seconds)
        return {
            "name": self.name,
            "bytes": self.nbytes,
            "us": round(middle * 1e6, 1),
            "us_min": round(min(self.seconds) * 1e6, 1),
            "us_max": round(max(self.seconds) * 1e6, 1),
            "x_memcpy": round(middle / memcpy_s, 2) if memcpy_s else None,
        }


def spec_of(nbytes: int) -> TensorSpec:
    return TensorSpec((nbytes // 4,), "float32")


def read(array: np.ndarray, is_whole: bool) -> bytes:
    """What a receiver answers: the bytes at both ends, after touching every cache line if `is_whole`."""
    flat = array.view(np.uint8)
    if is_whole:
        flat[::64].max()
    return bytes([flat[0], flat[-1]])


# The other process ------------------------------------------------------------------------------------------------


def echo(link: Connection, segments: Segments, holder: int) -> None:
    """Read what is handed over, in place. An order is a kind, whether to read it all, and what the kind needs."""
    store = open_store(segments, holder)
    shared: dict[str, multiprocessing.shared_memory.SharedMemory] = {}
    with suppress(EOFError):
        while True:
            order = link.recv_bytes()
            is_whole, rest = order[1:2] == b"1", order[2:]
            if order[:1] == b"h":
                with store.get(msgspec.msgpack.decode(rest, type=TensorHandle)) as lease:
                    answer = read(lease.numpy(), is_whole)
            elif order[:1] == b"s":
                name = rest.decode()
                if name not in shared:
                    shared[name] = multiprocessing.shared_memory.SharedMemory(name)
                answer = read(np.frombuffer(shared[name].buf, np.uint8), is_whole)
            else:
                answer = read(np.frombuffer(link.recv_bytes(), np.uint8), is_whole)
            link.send_bytes(answer)


@contextmanager
def other_process(keeper: Keeper) -> Iterator[Connection]:
    ours, theirs = multiprocessing.get_context("fork").Pipe()
    child = multiprocessing.get_context("fork").Process(
        target=echo, args=(theirs, keeper.segments, keeper.next_holder()), daemon=True
    )
    child.start()
    theirs.close()
    try:
        yield ours
    finally:
        ours.close()
        child.join(5)


# Contenders: each makes a function that moves `source` once ---------------------------------------------------------

Move = Callable[[np.ndarray, bool], None]


def handed_over(keeper: Keeper, link: Connection) -> Move:
    def move(source: np.ndarray, is_whole: bool) -> None:
        allocation = keeper.store.allocate(spec_of(source.nbytes))
        np.frombuffer(allocation.buffer, np.float32)[:] = source
        link.send_bytes(b"h%d" % is_whole + msgspec.msgpack.encode(allocation.handle))
        link.recv_bytes()
        keeper.store.release(allocation.handle)

    return move


def shared_memory(segment: multiprocessing.shared_memory.SharedMemory, link: Connection) -> Move:
    def move(source: np.ndarray, is_whole: bool) -> None:
        np.frombuffer(segment.buf, np.float32, count=source.size)[:] = source
        link.send_bytes(b"s%d" % is_whole + segment.name.encode())
        link.recv_bytes()

    return move


def piped(link: Connection) -> Move:
    def move(source: np.ndarray, is_whole: bool) -> None:
        link.send_bytes(b"p%d" % is_whole)
        link.send_bytes(source.data.cast("B"))
        link.recv_bytes()

    return move


def ray_put() -> Move | None:
    """Ray's object store: put here, read by an actor. None when Ray is not installed."""
    try:
        import ray
    except ImportError:
        return None
    ray.init(num_cpus=2, include_dashboard=False, logging_level="error")

    @ray.remote
    class Reader:
        def read(self, array: np.ndarray, is_whole: bool) -> bytes:
            return read(array.view(np.uint8), is_whole)

    reader = Reader.remote()

    def move(source: np.ndarray, is_whole: bool) -> None:
        ray.get(reader.read.remote(ray.put(source), is_whole))

    return move


def timed(act: Callable[[], object]) -> float:
    start_s = time.perf_counter()
    act()
    return time.perf_counter() - start_s


def measure(rounds: int) -> list[dict[str, Any]]:
    """Rows {"name", "bytes", "us", "us_min", "us_max", "x_memcpy"}; the ratio is to a memcpy of the same size."""
    keeper = Keeper(ARENA_BYTES)
    multiprocessing.resource_tracker.ensure_running()  # before the fork: two trackers would fight over one name
    with other_process(keeper) as link:
        rows = _views(keeper, rounds) + _moves(keeper, link, rounds)
    memcpy_s = {row.nbytes: statistics.median(row.seconds) for row in rows if row.name == "memcpy"}
    keeper.close()
    return [row.as_dict(memcpy_s.get(row.nbytes)) for row in rows]


def _views(keeper: Keeper, rounds: int) -> list[Row]:
    handles = [keeper.store.allocate(spec_of(nbytes)).handle for nbytes in VIEW_SIZES]
    rows = [Row("view", nbytes) for nbytes in VIEW_SIZES]

    def look(handle: TensorHandle) -> None:
        for _ in range(100):
            with keeper.store.get(handle) as lease:
                lease.numpy()

    for _ in range(rounds):
        for handle, row in zip(handles, rows, strict=True):
            row.seconds.append(timed(lambda handle=handle: look(handle)) / 100)
    for handle in handles:
        keeper.store.release(handle)
    return rows


def _moves(keeper: Keeper, link: Connection, rounds: int) -> list[Row]:
    rows: list[Row] = []
    secret, far = new_secret(), Keeper(ARENA_BYTES, host="another host")
    served = TensorSource(far.store, secret)
    peer = TensorPeer("127.0.0.1", served.port, secret)
    ray = ray_put()
    for nbytes in MOVE_SIZES:
        source, target = np.random.default_rng(0).random(nbytes // 4, np.float32), np.empty(nbytes // 4, np.float32)
        segment = multiprocessing.shared_memory.SharedMemory(create=True, size=nbytes)
        handle = far.store.put(source, spec_of(nbytes))
        moves = {
            "brickwork": handed_over(keeper, link), "shared_memory": shared_memory(segment, link), "Pipe": piped(link),
        } | ({"Ray put": ray} if ray else {})  # fmt: skip
        acts: dict[str, Callable[[], object]] = {"memcpy": lambda s=source, t=target: np.copyto(t, s)}
        for name, move in moves.items():
            acts[f"{name}, hand over"] = lambda move=move, s=source: move(s, False)
            acts[f"{name}, and read"] = lambda move=move, s=source: move(s, True)
        acts["brickwork, pull"] = lambda h=handle: keeper.store.release(peer.pull(h, keeper.store))
        mine = {name: Row(name, nbytes) for name in acts}
        for turn in range(rounds + 1):
            for name, act in acts.items():
                taken_s = timed(act)
                if turn:  # the first warms up: pages, connections
                    mine[name].seconds.append(taken_s)
        rows += mine.values()
        far.store.release(handle)
        segment.unlink()
    peer.close()
    served.close()
    far.close()
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    options = parser.parse_args()
    rows = measure(options.rounds)
    for row in rows:
        print(json.dumps(row) if options.json else _line(row))
    us = {(row["name"], row["bytes"]): row["us"] for row in rows}
    ratios = (
        us["view", 64 * MIB] / us["view", 64 * KIB],
        us["brickwork, hand over", 16 * MIB] / us["memcpy", 16 * MIB],
    )
    for (name, goal), ratio in zip(GOALS, ratios, strict=True):
        print(f"{name}: {ratio:.2f} (goal: at most {goal})", file=sys.stderr)
    if not any(row["name"].startswith("Ray") for row in rows):
        print("Ray: skipped, it is not installed (pip install ray)", file=sys.stderr)


def _line(row: dict[str, Any]) -> str:
    ratio = "" if row["x_memcpy"] is None else f"{row['x_memcpy']:8.2f} x memcpy"
    span = f"[{row['us_min']} .. {row['us_max']}]"
    return f"{row['name']:24} {row['bytes'] / KIB:8.0f} KiB {row['us']:10.1f} us {span:22}{ratio}"


if __name__ == "__main__":
    main()
