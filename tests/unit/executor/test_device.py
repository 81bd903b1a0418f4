"""Goal: a tensor on a GPU is read by another process in place, and freed when nobody holds its handle. Method: a real
second process; needs a GPU, so most of it is skipped without one. What can be said without is said by hand."""

import subprocess
import sys

import msgspec
import pytest
import torch

from brickwork.core.errors import BrickworkError
from brickwork.core.tensor import TensorHandle, TensorSpec
from brickwork.data.keeper import Keeper
from brickwork.executor.device import DeviceTensors

gpu = pytest.mark.gpu
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU: torch finds no CUDA device")

READER = """
import sys, msgspec
from brickwork.core.tensor import TensorHandle
from brickwork.data.segments import Segments, open_store
from brickwork.executor.device import DeviceTensors
store = open_store(Segments(int(sys.argv[1])), int(sys.argv[2]))
handle = msgspec.json.decode(sys.argv[3], type=TensorHandle)
with store.get(handle) as lease:
    tensor = DeviceTensors(store).get(lease)
    print(tensor.dtype, list(tensor.shape), tensor.float().sum().item())
"""


@gpu
@needs_gpu
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_another_process_reads_in_place(dtype: torch.dtype) -> None:
    keeper = Keeper()
    devices = DeviceTensors(keeper.store)
    whole = torch.arange(24, dtype=dtype, device="cuda").reshape(4, 6)
    handle = devices.put(whole[1:3])
    with keeper.store.get(handle) as lease:
        assert torch.equal(devices.get(lease), whole[1:3])  # by who put it, too
    command = [sys.executable, "-c", READER, str(keeper.fd), str(keeper.next_holder())]
    read = subprocess.run(
        [*command, msgspec.json.encode(handle).decode()],
        pass_fds=[keeper.fd],
        capture_output=True,
        text=True,
        check=True,
    )
    assert read.stdout.split("\n")[0] == f"{dtype} [2, 6] {whole[1:3].float().sum().item()}"
    keeper.store.release(handle)
    keeper.free_holder(1)
    assert keeper.leaked() == []
    keeper.close()


@gpu
@needs_gpu
def test_device_memory_goes_with_the_last_holder() -> None:
    keeper = Keeper()
    devices = DeviceTensors(keeper.store)
    before = torch.cuda.memory_allocated()
    handle = devices.put(torch.zeros(1 << 20, device="cuda"))
    assert torch.cuda.memory_allocated() > before
    keeper.store.release(handle)
    keeper.store.release(devices.put(torch.zeros(1, device="cuda")))
    assert torch.cuda.memory_allocated() < before + (1 << 20)
    keeper.close()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA driver")
def test_without_a_driver_it_says_so() -> None:
    keeper = Keeper()
    with pytest.raises(BrickworkError, match="need the CUDA driver"):
        DeviceTensors(keeper.store)
    keeper.close()


def test_an_exported_tensor_is_known_to_be_over_when_its_last_holder_is_gone() -> None:
    """What decides that device memory may go, without a device: the life of the ticket."""
    keeper = Keeper()
    handle: TensorHandle = keeper.store.put(b"ticket", TensorSpec((6,), "uint8"))
    lease = keeper.store.get(handle)
    keeper.store.release(handle)
    assert keeper.store.is_live(handle)
    lease.release()
    assert not keeper.store.is_live(handle)
    keeper.close()
