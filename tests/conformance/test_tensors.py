"""Goal: a tensor's bytes never change under a lease, nothing leaks, and a stale handle is known as stale,
whatever holders do and whoever is killed or stopped. Every kind of arena has to pass this suite.

Method: a rule-based machine of several holders next to a model of who holds what, in one process and a small
arena, so that blocks are reused all the time; then real processes that are killed, stopped, or race.
"""

import gc
import hashlib
import os
import signal
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from brickwork.core.errors import OutOfSpace, StaleHandle
from brickwork.core.tensor import ITEM_BYTES, TensorHandle, TensorSpec
from brickwork.data.keeper import Keeper
from brickwork.data.segments import Segments, open_store
from brickwork.data.spill import create_spill
from brickwork.data.tensors import TensorStore
from brickwork.data.views import Lease
from support.holder import Holder

BLOCKS, KIB = 64, 1 << 10
ARENA_BYTES = BLOCKS * 4 * KIB


def spec_of(nbytes: int) -> TensorSpec:
    return TensorSpec((nbytes,), "uint8")


def on_disk(arena_bytes: int) -> Keeper:
    """A keeper whose arena is a file: what holds for memory holds for the spill file."""
    return Keeper(segments=Segments(create_spill(Path(tempfile.gettempdir()), arena_bytes)))


@pytest.fixture(params=[Keeper, on_disk], ids=["memory", "disk"])
def keeper(request: pytest.FixtureRequest) -> Iterator[Keeper]:
    keeper = request.param(ARENA_BYTES)
    yield keeper
    keeper.close()


def store_of(keeper: Keeper) -> TensorStore:
    return open_store(keeper.segments, keeper.next_holder())


@dataclass
class Tensor:
    """The model of one tensor: who may read it, and what they must find."""

    handle: TensorHandle
    content: bytes
    own: dict[int, int] = field(default_factory=dict)  # holder -> leases of put, allocate, adopt
    leases: dict[int, list[Lease]] = field(default_factory=dict)
    handed_over_by: int | None = None

    def blocks(self) -> range:
        return range(self.handle.block, self.handle.block + max(1, -(-len(self.content) // (4 * KIB))))

    def holders(self) -> tuple[int, ...]:
        leased = {holder for holder, leases in self.leases.items() if leases}
        return tuple(sorted(leased | set(self.own) | ({self.handed_over_by} - {None})))  # type: ignore[arg-type]


class Holders(RuleBasedStateMachine):
    """Holder 0 is the keeper's store; 1..3 are others. All share one arena and one model."""

    def __init__(self) -> None:
        super().__init__()
        self.keeper = Keeper(ARENA_BYTES)
        self.stores = [self.keeper.store, *(store_of(self.keeper) for _ in range(3))]
        self.tensors: list[Tensor] = []  # ever made; those without holders are stale

    def teardown(self) -> None:
        for holder in (1, 2, 3):
            self.keeper.reclaim(holder)
        for tensor in self.tensors:
            for _ in range(tensor.own.get(0, 0)):
                self.stores[0].release(tensor.handle)
            for lease in tensor.leases.get(0, []):
                lease.release()
        assert self.keeper.leaked() == []
        self.keeper.close()

    def pick(self, data: st.DataObject) -> Tensor:
        return data.draw(st.sampled_from(self.tensors[-40:]))

    @rule(
        holder=st.integers(0, 3),
        fill=st.binary(min_size=1, max_size=3),
        in_place=st.booleans(),
        nbytes=st.sampled_from([0, 100, 4 * KIB, 4 * KIB + 1, 20 * KIB, 64 * KIB, 150 * KIB]),
    )
    def put(self, holder: int, fill: bytes, in_place: bool, nbytes: int) -> None:
        content = (fill * (nbytes // len(fill) + 1))[:nbytes]
        live = [tensor for tensor in self.tensors if tensor.holders()]
        try:
            if in_place:
                allocation = self.stores[holder].allocate(spec_of(nbytes))
                allocation.buffer[:] = content
                handle = allocation.handle
            else:
                handle = self.stores[holder].put(content, spec_of(nbytes))
        except OutOfSpace:
            used = {block for tensor in live for block in tensor.blocks()}
            rows = "".join("x" if block in used else " " for block in range(BLOCKS)).split("x")
            assert max(map(len, rows)) * 4 * KIB < nbytes or len(used) == BLOCKS
            return
        made = Tensor(handle, content, own={holder: 1})
        assert all(not set(tensor.blocks()) & set(made.blocks()) for tensor in live)
        self.tensors.append(made)

    @precondition(lambda self: self.tensors)
    @rule(holder=st.integers(0, 3), data=st.data())
    def get(self, holder: int, data: st.DataObject) -> None:
        tensor = self.pick(data)
        if not tensor.holders() or (tensor.handed_over_by == holder):
            with pytest.raises(StaleHandle):
                self.stores[holder].get(tensor.handle)
            return
        tensor.leases.setdefault(holder, []).append(self.stores[holder].get(tensor.handle))

    @precondition(lambda self: self.tensors)
    @rule(holder=st.integers(0, 3), data=st.data())
    def release_lease(self, holder: int, data: st.DataObject) -> None:
        leases = self.pick(data).leases.get(holder, [])
        if leases:
            lease = leases.pop()
            lease.release()
            lease.release()  # the second call does nothing

    @precondition(lambda self: self.tensors)
    @rule(holder=st.integers(0, 3), data=st.data())
    def release_own(self, holder: int, data: st.DataObject) -> None:
        tensor = self.pick(data)
        if tensor.own.get(holder):
            self.stores[holder].release(tensor.handle)
            tensor.own[holder] -= 1
            if not tensor.own[holder]:
                del tensor.own[holder]
        elif not tensor.leases.get(holder):
            with pytest.raises(StaleHandle):
                self.stores[holder].release(tensor.handle)

    @precondition(lambda self: self.tensors)
    @rule(holder=st.integers(1, 3), data=st.data())
    def hand_over(self, holder: int, data: st.DataObject) -> None:
        tensor = self.pick(data)
        if not tensor.own.get(holder):
            return
        if tensor.own[holder] > 1 or tensor.leases.get(holder):
            with pytest.raises(ValueError, match="leased besides"):
                self.stores[holder].hand_over(tensor.handle)
            return
        self.stores[holder].hand_over(tensor.handle)
        del tensor.own[holder]
        tensor.handed_over_by = holder

    @precondition(lambda self: self.tensors)
    @rule(data=st.data())
    def adopt(self, data: st.DataObject) -> None:
        tensor = self.pick(data)
        if tensor.handed_over_by is None:
            idle = next(holder for holder in (1, 2, 3, None) if holder not in tensor.holders())
            if idle is not None:
                with pytest.raises(StaleHandle):
                    self.keeper.adopt(tensor.handle, idle)
            return
        self.keeper.adopt(tensor.handle, tensor.handed_over_by)
        tensor.handed_over_by = None
        tensor.own[0] = tensor.own.get(0, 0) + 1

    @rule(holder=st.integers(1, 3))
    def die(self, holder: int) -> None:
        had = sum(holder in tensor.holders() for tensor in self.tensors)
        assert self.keeper.free_holder(holder) == had
        assert self.keeper.next_holder() == holder
        self.stores[holder] = open_store(self.keeper.segments, holder)
        for tensor in self.tensors:
            tensor.own.pop(holder, None)
            tensor.leases.pop(holder, None)
            if tensor.handed_over_by == holder:
                tensor.handed_over_by = None

    @invariant()
    def leased_bytes_are_as_they_were(self) -> None:
        for tensor in self.tensors:
            for leases in tensor.leases.values():
                assert all(lease.buffer == tensor.content for lease in leases)

    @invariant()
    def the_arena_knows_exactly_who_holds_what(self) -> None:
        held = {tensor.handle.block: tensor.holders() for tensor in self.tensors if tensor.holders()}
        assert dict(self.keeper.leaked()) == held
        (use,) = self.keeper.store.statistics()
        blocks = sum(len(tensor.blocks()) for tensor in self.tensors if tensor.holders())
        assert use.bytes_in_use == blocks * 4 * KIB <= use.peak_bytes <= use.bytes_total


TestHolders = Holders.TestCase
TestHolders.settings = settings(max_examples=40, stateful_step_count=60)


def test_a_reader_sees_the_bytes_in_place(keeper: Keeper) -> None:
    array = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    handle = keeper.store.put(array, TensorSpec((2, 3, 4), "float32"))
    with store_of(keeper).get(handle) as lease:
        assert np.array_equal(lease.numpy(), array)
        assert lease.buffer.readonly and lease.numpy().base is not None
        with pytest.raises(ValueError, match="read-only"):
            lease.numpy()[0] = 1
    keeper.store.release(handle)


@pytest.mark.parametrize("dtype", ITEM_BYTES)
@pytest.mark.parametrize("shape", [(), (3,), (2, 0, 5), (2, 3, 4)], ids=str)
def test_every_dtype_reaches_torch_and_numpy_in_place(keeper: Keeper, dtype: str, shape: tuple[int, ...]) -> None:
    """No warning, no copy: what is written through the writable mapping afterwards is seen by the view."""
    spec = TensorSpec(shape, dtype)
    content = np.random.default_rng(0).integers(0, 2, spec.nbytes, dtype=np.uint8).tobytes()
    allocation = keeper.store.allocate(spec)
    allocation.buffer[:] = content
    with warnings.catch_warnings(), keeper.store.get(allocation.handle) as lease:
        warnings.simplefilter("error")
        tensor = torch.from_dlpack(lease.tensor())
        assert tensor.shape == shape and str(tensor.dtype) == f"torch.{dtype}"
        assert bytes(tensor.reshape(-1).view(torch.uint8).numpy()) == content
        if dtype == "bfloat16":
            with pytest.raises(TypeError, match="numpy has no bfloat16"):
                lease.numpy()
        else:
            array = lease.numpy()
            assert array.shape == shape and array.dtype == dtype and array.tobytes() == content
        if spec.nbytes:
            allocation.buffer[:] = bytes(spec.nbytes)
            assert bytes(tensor.reshape(-1).view(torch.uint8).numpy()) == bytes(spec.nbytes)
    keeper.store.release(allocation.handle)


def test_a_forgotten_view_keeps_its_bytes(keeper: Keeper) -> None:
    """The lease is released, the view is not: nothing else may be put there until it is gone."""
    reader = store_of(keeper)
    handle = keeper.store.put(b"1234", spec_of(4))
    lease = reader.get(handle)
    views = [lease.numpy(), torch.from_dlpack(lease.tensor()).numpy(), lease.buffer]
    lease.release()
    keeper.store.release(handle)
    with pytest.raises(ValueError, match="was released"):
        lease.numpy()
    while views:
        assert keeper.leaked() == [(handle.block, (reader.holder,))]
        assert bytes(memoryview(views.pop())) == b"1234"
    assert keeper.leaked() == []


def test_a_view_may_die_anywhere_in_the_store(keeper: Keeper) -> None:
    """Views in cycles die when the garbage collector runs: with it at every allocation, that is also within calls of
    the store, which must neither lock up nor lose count."""
    handle = keeper.store.put(b"1234", spec_of(4))
    before = gc.get_threshold()
    try:
        gc.set_threshold(1)
        for _ in range(300):
            cycle: list[object] = [keeper.store.get(handle).numpy()]
            cycle.append(cycle)
    finally:
        gc.set_threshold(*before)
    del cycle
    gc.collect()
    keeper.store.release(handle)
    assert keeper.leaked() == []


def test_any_tensor_up_to_the_free_row_fits(keeper: Keeper) -> None:
    whole = keeper.store.put(b"x" * ARENA_BYTES, spec_of(ARENA_BYTES))
    with keeper.store.get(whole) as lease:
        assert lease.buffer == b"x" * ARENA_BYTES
    keeper.store.release(whole)
    small = keeper.store.put(b"1", spec_of(1))
    rest = keeper.store.put(b"y" * (ARENA_BYTES - 4 * KIB), spec_of(ARENA_BYTES - 4 * KIB))
    with keeper.store.get(rest) as lease:
        assert lease.buffer == b"y" * (ARENA_BYTES - 4 * KIB)
    for handle in (small, rest):
        keeper.store.release(handle)
    assert keeper.leaked() == []


def test_new_work_leaves_room_for_a_result(keeper: Keeper) -> None:
    credit = keeper.store.result_credit_bytes
    assert credit == ARENA_BYTES // 8
    inputs = []
    with pytest.raises(OutOfSpace, match=f"{credit} are kept for results"):
        while True:
            inputs.append(keeper.store.put(bytes(4 * KIB), spec_of(4 * KIB), spare_bytes=credit))
    result = store_of(keeper).put(bytes(credit), spec_of(credit))
    assert len(inputs) == BLOCKS - BLOCKS // 8 and result.spec.nbytes == credit


def test_the_file_takes_what_memory_cannot() -> None:
    keeper = Keeper(ARENA_BYTES, spill_bytes=2 * ARENA_BYTES)
    reader = store_of(keeper)
    handles = []
    with pytest.raises(OutOfSpace, match=r"0 in a row .* and 0 in a row"):
        while True:
            fill = bytes([len(handles)])
            handles.append(keeper.store.put(fill * 16 * KIB, spec_of(16 * KIB)))
    segments = [handle.segment for handle in handles]
    assert len(handles) == 3 * BLOCKS // 4
    assert len(set(segments)) == 2 and segments == sorted(segments, key=segments.index)
    for number, handle in enumerate(handles):
        with reader.get(handle) as lease:
            assert lease.buffer == bytes([number]) * 16 * KIB
        keeper.store.release(handle)
    assert keeper.leaked() == []
    assert keeper.store.put(b"1", spec_of(1)).segment == segments[0]
    keeper.close()


def test_refusals_name_what_is_wrong(keeper: Keeper) -> None:
    store = keeper.store
    with pytest.raises(ValueError, match="buffer: 3 bytes given"):
        store.put(b"abc", spec_of(4))
    with pytest.raises(OutOfSpace, match=f"{ARENA_BYTES + 1} bytes is larger than tensor memory"):
        store.allocate(spec_of(ARENA_BYTES + 1))
    with pytest.raises(ValueError, match="holder: 40"):
        TensorStore(next(iter(store.arenas.values())), 40)
    with pytest.raises(ValueError, match="holder: 0"):
        keeper.reclaim(0)
    with pytest.raises(StaleHandle, match="number 7 is not claimed"):
        open_store(keeper.segments, 7)


def test_a_full_arena_recovers_with_the_first_release(keeper: Keeper) -> None:
    handles = [keeper.store.put(bytes(64 * KIB), spec_of(64 * KIB)) for _ in range(4)]
    with pytest.raises(OutOfSpace, match=rf"free are 0 in a row \({ARENA_BYTES} of {ARENA_BYTES} in use\) bytes"):
        keeper.store.allocate(spec_of(64 * KIB))
    keeper.store.release(handles[0])
    again = keeper.store.put(bytes(64 * KIB), spec_of(64 * KIB))
    assert (again.block, again.generation) == (handles[0].block, handles[0].generation + 1)
    with pytest.raises(StaleHandle):
        keeper.store.get(handles[0])


def test_a_forged_handle_is_refused(keeper: Keeper) -> None:
    handle = keeper.store.put(b"1234", spec_of(4))
    fields = (handle.host, handle.segment, handle.block, handle.offset, handle.spec, handle.generation)
    forged = ["elsewhere", handle.segment + 1, 64, handle.offset + 8, spec_of(4097), handle.generation + 1]
    for i, value in enumerate(forged):
        with pytest.raises(StaleHandle):
            keeper.store.get(TensorHandle(*fields[:i], value, *fields[i + 1 :]))  # type: ignore[arg-type]
    for block in (-1, 2**70):
        with pytest.raises(StaleHandle):
            keeper.store.get(TensorHandle(*fields[:2], block, *fields[3:]))


def test_an_adopted_result_lapses_in_a_producer_that_did_not_hand_it_over(keeper: Keeper) -> None:
    """The shared bit is the truth: skipping `hand_over` must not free what the producer leases later."""
    producer = store_of(keeper)
    handle = producer.put(b"1234", spec_of(4))
    keeper.adopt(handle, producer.holder)
    lease = producer.get(handle)
    keeper.store.release(handle)
    assert keeper.leaked() == [(handle.block, (producer.holder,))]
    lease.release()
    assert keeper.leaked() == []


def test_an_arena_serves_40_lives(keeper: Keeper) -> None:
    assert [keeper.next_holder() for _ in range(39)] == list(range(1, 40))
    with pytest.raises(OutOfSpace, match="40 processes"):
        keeper.next_holder()
    keeper.free_holder(17)
    assert keeper.next_holder() == 17


def test_threads_share_a_store(keeper: Keeper) -> None:
    """Threads of one process lease and release one tensor: the bit goes with the last of them, not before."""
    producer = store_of(keeper)
    handle = producer.put(b"1234", spec_of(4))
    started = threading.Barrier(4)

    def lease_often() -> None:
        started.wait()
        for _ in range(2000):
            with producer.get(handle) as lease:
                assert lease.buffer == b"1234"

    with ThreadPoolExecutor(4) as pool:
        for future in [pool.submit(lease_often) for _ in range(4)]:
            future.result()
    assert keeper.leaked() == [(handle.block, (producer.holder,))]
    producer.release(handle)
    assert keeper.leaked() == []


def test_a_killed_process_leaks_nothing(keeper: Keeper) -> None:
    """Killed while it holds, has handed over but is not adopted, and has been adopted."""
    holder = Holder(keeper.fd, keeper.next_holder())
    adopted, lost = holder.put(7, 5000), holder.put(8, 100)
    keeper.adopt(adopted, holder.number)
    holder.get(adopted)
    holder.kill()
    assert keeper.free_holder(holder.number) == 2
    assert keeper.leaked() == [(adopted.block, (0,))]
    with keeper.store.get(adopted) as lease:
        assert lease.buffer == bytes([7]) * 5000
    with pytest.raises(StaleHandle):
        keeper.adopt(lost, holder.number)
    keeper.store.release(adopted)
    assert keeper.leaked() == []


@pytest.mark.parametrize("keeper", [Keeper], indirect=True, ids=["memory"])
def test_a_process_killed_at_any_moment_leaks_nothing(keeper: Keeper) -> None:
    """Two producers race for blocks; one of them is killed again and again, somewhere in its work."""
    steady = Holder(keeper.fd, keeper.next_holder())
    steady.send(do="churn")
    for attempt in range(8):
        victim = Holder(keeper.fd, keeper.next_holder())
        victim.put(1, 10)
        victim.send(do="churn")
        time.sleep(0.003 * attempt)  # only varies the moment; no outcome depends on it
        victim.kill()
        assert keeper.free_holder(victim.number) >= 1
        assert all(victim.number not in holders for _, holders in keeper.leaked())
        assert steady.process.poll() is None, "a tensor changed under its holder"
    steady.kill()
    keeper.free_holder(steady.number)
    assert keeper.leaked() == []


def test_a_stopped_reader_finds_its_bytes(keeper: Keeper) -> None:
    """The reader is stopped; everybody else releases, and every free block is written over three times."""
    content = bytes(range(256)) * 16
    handle = keeper.store.put(content, spec_of(len(content)))
    reader = Holder(keeper.fd, keeper.next_holder())
    reader.get(handle)
    os.kill(reader.process.pid, signal.SIGSTOP)
    keeper.store.release(handle)
    for fill in range(3):
        others = []
        with pytest.raises(OutOfSpace):
            while True:
                others.append(keeper.store.put(bytes([fill]) * 4 * KIB, spec_of(4 * KIB)))
        assert len(others) == BLOCKS - 1
        for other in others:
            keeper.store.release(other)
    os.kill(reader.process.pid, signal.SIGCONT)
    assert reader.ask(do="digest") == [hashlib.sha256(content).hexdigest()]
    reader.kill()
    assert keeper.free_holder(reader.number) == 1
    assert keeper.leaked() == []
