"""Goal: a full arena holds a result back for a bounded time, not for ever, and says so once. Method: a small arena,
real waits of some milliseconds."""

import threading

import pytest
import torch

from brickwork.core.errors import OutOfSpace
from brickwork.core.tensor import TensorSpec
from brickwork.data.keeper import Keeper
from brickwork.executor.tensors import put, view

KIB = 1 << 10


@pytest.fixture
def keeper() -> Keeper:
    return Keeper(64 * KIB)


def test_any_layout_arrives_as_its_values(keeper: Keeper) -> None:
    for tensor in (
        torch.arange(24.0).reshape(4, 6).T[1:],
        torch.tensor(3, dtype=torch.int64),
        torch.zeros(2, 3).bfloat16(),
    ):
        handle = put(keeper.store, tensor)
        with keeper.store.get(handle) as lease:
            assert view(lease).dtype == tensor.dtype and torch.equal(view(lease), tensor)
        keeper.store.release(handle)
    assert keeper.leaked() == []


def test_a_result_waits_until_somebody_releases(keeper: Keeper) -> None:
    whole = keeper.store.put(bytes(64 * KIB), TensorSpec((64 * KIB,), "uint8"))
    waits: list[int] = []

    def on_wait(nbytes: int) -> None:
        waits.append(nbytes)
        threading.Timer(0.05, keeper.store.release, (whole,)).start()

    handle = put(keeper.store, torch.ones(100), on_wait)
    assert waits == [400]
    keeper.store.release(handle)


def test_a_result_does_not_wait_for_ever(keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("brickwork.executor.tensors.RESULT_WAIT_S", 0.05)
    keeper.store.put(bytes(64 * KIB), TensorSpec((64 * KIB,), "uint8"))
    waits: list[int] = []
    with pytest.raises(OutOfSpace, match=r"A tensor \[100\] float32 of 400 bytes finds no room"):
        put(keeper.store, torch.ones(100), waits.append)
    assert waits == [400]
