"""Goal: a tensor's bytes never change under a lease, nothing leaks, and a stale handle is known as stale,
whatever holders do and whoever is killed or stopped. Every kind of arena has to pass this suite.

Method: a rule-based machine of several holders next to a model of who holds what, in one process and a small
arena, so that blocks are reused all the time; then real processes that are killed, stopped, or race.
"""

import hashlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from brickwork.core.errors import OutOfSpace, StaleHandle
from brickwork.core.tensor import TensorHandle, TensorSpec
from brickwork.data.arena import Arena
from brickwork.data.keeper import Keeper
from brickwork.data.tensors import Lease, TensorStore
from support.holder import Holder

ARENA_BYTES = 256 << 10  # 32 blocks of 4 KiB and 2 of 64 KiB
KIB = 1 << 10


def spec_of(nbytes: int) -> TensorSpec:
    return TensorSpec((nbytes,), "uint8")


@pytest.fixture(params=[Keeper], ids=["memfd"])
def keeper(request: pytest.FixtureRequest) -> Iterator[Keeper]:
    keeper = request.param(ARENA_BYTES)
    yield keeper
    keeper.close()


def store_of(keeper: Keeper) -> TensorStore:
    return TensorStore(Arena(keeper.fd), keeper.next_holder())


@dataclass
class Tensor:
    """The model of one tensor: who may read it, and what they must find."""

    handle: TensorHandle
    content: bytes
    own: dict[int, int] = field(default_factory=dict)  # holder -> leases of put, allocate, adopt
    leases: dict[int, list[Lease]] = field(default_factory=dict)
    handed_over_by: int | None = None

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
        nbytes=st.sampled_from([0, 100, 4 * KIB, 4 * KIB + 1, 64 * KIB]),
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
            large = [tensor for tensor in live if tensor.handle.block >= 32]
            assert len(large) == 2 and (nbytes > 4 * KIB or len(live) == 34)
            return
        assert all(tensor.handle.block != handle.block for tensor in live)
        self.tensors.append(Tensor(handle, content, own={holder: 1}))

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
        self.stores[holder] = TensorStore(Arena(self.keeper.fd), holder)
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
        use = self.keeper.store.statistics()
        assert sum(size.blocks_in_use for size in use.classes) == len(held)
        assert all(size.blocks_in_use <= size.peak_blocks <= size.blocks for size in use.classes)


TestHolders = Holders.TestCase
TestHolders.settings = settings(max_examples=40, stateful_step_count=60)


def test_a_reader_sees_the_bytes_in_place(keeper: Keeper) -> None:
    array = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    handle = keeper.store.put(array, TensorSpec((2, 3, 4), "float32"))
    with store_of(keeper).get(handle) as lease:
        assert np.array_equal(lease.numpy(), array)
        assert lease.buffer.readonly
        with pytest.raises(ValueError, match="read-only"):
            lease.numpy()[0] = 1
    keeper.store.release(handle)


def test_refusals_name_what_is_wrong(keeper: Keeper) -> None:
    store = keeper.store
    with pytest.raises(ValueError, match="buffer: 3 bytes given"):
        store.put(b"abc", spec_of(4))
    with pytest.raises(OutOfSpace, match=r"65537 bytes is larger than the largest block \(65536 bytes\)"):
        store.allocate(spec_of(64 * KIB + 1))
    with pytest.raises(ValueError, match=r"holder: 40"):
        TensorStore(Arena(keeper.fd), 40)
    with pytest.raises(ValueError, match="holder: 0"):
        keeper.reclaim(0)


def test_a_full_arena_recovers_with_the_first_release(keeper: Keeper) -> None:
    handles = [keeper.store.put(bytes(64 * KIB), spec_of(64 * KIB)) for _ in range(2)]
    with pytest.raises(OutOfSpace, match=f"arena_bytes, now {ARENA_BYTES}"):
        keeper.store.allocate(spec_of(64 * KIB))
    keeper.store.release(handles[0])
    again = keeper.store.put(bytes(64 * KIB), spec_of(64 * KIB))
    assert (again.block, again.generation) == (handles[0].block, handles[0].generation + 1)
    with pytest.raises(StaleHandle):
        keeper.store.get(handles[0])


def test_a_forged_handle_is_refused(keeper: Keeper) -> None:
    handle = keeper.store.put(b"1234", spec_of(4))
    fields = (handle.host, handle.segment, handle.block, handle.offset, handle.spec, handle.generation)
    forged = ["elsewhere", handle.segment + 1, 34, handle.offset + 8, spec_of(4097), handle.generation + 1]
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


def test_an_arena_serves_39_lives(keeper: Keeper) -> None:
    assert [keeper.next_holder() for _ in range(39)] == list(range(1, 40))
    with pytest.raises(OutOfSpace, match="39 executors"):
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
        assert len(others) == 33  # all 34 blocks but one
        for other in others:
            keeper.store.release(other)
    os.kill(reader.process.pid, signal.SIGCONT)
    assert reader.ask(do="digest") == [hashlib.sha256(content).hexdigest()]
    reader.kill()
    assert keeper.free_holder(reader.number) == 1
    assert keeper.leaked() == []
