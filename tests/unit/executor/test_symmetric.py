"""Goal: a gang's heap places tensors apart, hands them over whole, and says what is missing. Method: placement by
property; the heap itself needs a GPU and nvshmem4py, and is skipped without them (a gang of one reads itself)."""

from importlib.util import find_spec

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from brickwork.core.errors import BrickworkError
from brickwork.data.keeper import Keeper
from brickwork.executor.pinned import pin
from brickwork.executor.symmetric import ALIGNMENT, SymmetricPool, first_fit, new_gang_id
from brickwork.executor.tensors import put, view

has_gpu = torch.cuda.is_available()
has_nvshmem = find_spec("nvshmem") is not None


@given(st.lists(st.integers(0, 3000), max_size=20), st.data())
def test_tensors_lie_apart_and_a_released_row_is_found_again(sizes: list[int], data: st.DataObject) -> None:
    total, taken = 16 * ALIGNMENT, []
    for nbytes in sizes:
        if taken and data.draw(st.booleans()):
            taken.remove(data.draw(st.sampled_from(taken)))
        offset = first_fit(taken, nbytes, total)
        free = [k for k in range(0, total, ALIGNMENT) if k + nbytes <= total]
        fits = [k for k in free if all(k + nbytes <= a or b <= k for a, b in taken if a < b)]
        if offset is None:
            assert not fits
        else:
            assert offset % ALIGNMENT == 0 and offset in fits
            taken += [(offset, offset + nbytes)] if nbytes else []


@pytest.mark.skipif(has_nvshmem, reason="nvshmem4py is installed")
def test_without_the_library_it_says_what_to_install() -> None:
    with pytest.raises(BrickworkError, match="install nvshmem4py-cu12 or -cu13"):
        new_gang_id()


@pytest.mark.gpu
@pytest.mark.skipif(not (has_gpu and has_nvshmem), reason="needs a GPU and nvshmem4py")
def test_a_gang_of_one_reads_what_it_put() -> None:
    keeper = Keeper()
    pool = SymmetricPool(keeper.store, new_gang_id(), 0, 1, 1 << 20, 0)
    tensor = torch.randn(3, 5, device="cuda").bfloat16()
    handle = pool.put(tensor)
    with keeper.store.get(handle) as lease:
        assert torch.equal(pool.get(lease), tensor)
    keeper.store.release(handle)
    pool.close()
    keeper.close()


@pytest.mark.skipif(has_gpu, reason="there is a CUDA driver")
def test_an_arena_is_not_pinned_without_a_driver(caplog: pytest.LogCaptureFixture) -> None:
    keeper = Keeper(1 << 20)
    (arena, *_) = keeper.store.arenas.values()
    assert not pin(arena) and not pin(arena)
    assert len(caplog.records) == 1 and "unpinned" in caplog.text
    keeper.close()


@pytest.mark.gpu
@pytest.mark.skipif(not has_gpu, reason="needs a GPU: torch finds no CUDA device")
def test_a_result_of_a_gpu_arrives_pinned() -> None:
    keeper = Keeper(1 << 20)
    tensor = torch.randn(100, device="cuda")
    handle = put(keeper.store, tensor)
    with keeper.store.get(handle) as lease:
        assert torch.equal(view(lease), tensor.cpu())
    assert pin(next(iter(keeper.store.arenas.values())))
    keeper.store.release(handle)
    keeper.close()
