"""Pinned staging: the GPU writes results straight into the arena, without a copy through the driver's own buffer.

The arena's mapping is registered with CUDA once a process, when the first result comes from a GPU. This makes all its
pages exist and stay in memory, so an arena of a host with GPUs costs its whole size. Where CUDA refuses, copies go on
unpinned. The driver's call is used and not the runtime's: an error of the runtime would be raised by torch's next
kernel. The spill file is not registered: its pages belong to the disk.

Not run where this was written, for want of a GPU.
"""

import ctypes
import logging
from weakref import WeakKeyDictionary

import torch

from brickwork.data.arena import Arena

log = logging.getLogger(__name__)

CUDA_SUCCESS = 0
PORTABLE = 1  # CU_MEMHOSTREGISTER_PORTABLE: pinned for every CUDA context of this process

_tried: WeakKeyDictionary[Arena, bool] = WeakKeyDictionary()


def pin(arena: Arena) -> bool:
    """Register the arena's writable mapping for the life of the process. Whether it is; tried once an arena.

    Call it with the context of a GPU current. Takes as long as the kernel needs for the arena's pages.
    """
    if arena not in _tried:
        _tried[arena] = _register(arena)
    return _tried[arena]


def _register(arena: Arena) -> bool:
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError as error:
        log.warning("results are copied unpinned: %s", error)
        return False
    address = torch.frombuffer(arena.writable, dtype=torch.uint8).data_ptr()
    code = cuda.cuMemHostRegister_v2(ctypes.c_void_p(address), ctypes.c_size_t(arena.layout.file_bytes), PORTABLE)
    if code != CUDA_SUCCESS:
        log.warning("results are copied unpinned: CUDA does not register the arena (error %d)", code)
    return bool(code == CUDA_SUCCESS)
