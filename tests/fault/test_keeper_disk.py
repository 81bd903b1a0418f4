"""Goal: a disk without room is an error that says so, and no process dies of it; the file leaves nothing behind.

Method: a file system of 256 KiB that is really full; where it cannot be mounted (no root), that one test is skipped.
"""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from brickwork.core.errors import OutOfSpace
from brickwork.core.tensor import TensorSpec
from brickwork.data.keeper import Keeper

KIB = 1 << 10
SPEC = TensorSpec((16 * KIB,), "uint8")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(tmp_path)], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"cannot mount a small file system: {mounted.stderr.strip()}")
    yield tmp_path
    subprocess.run(["umount", "-l", str(tmp_path)], check=True)


def test_a_full_disk_is_out_of_space(small_disk: Path) -> None:
    """1. Memory fills, then the disk, long before the spill file's bound. 2. The error comes from this process, which
    lives. 3. What was put is whole. 4. Smaller tensors use the rest, also blocks for which the disk had no room before:
    no write into one may end the process. 5. A released block of the file is used again, though the disk is full."""
    keeper = Keeper(64 * KIB, spill_bytes=1 << 20, spill_dir=small_disk)
    handles = []
    with pytest.raises(OutOfSpace, match="finds no room"):
        while True:
            handles.append(keeper.store.put(bytes([len(handles)]) * 16 * KIB, SPEC))
    assert 4 < len(handles) < 4 + 16
    for number, handle in enumerate(handles):
        with keeper.store.get(handle) as lease:
            assert lease.buffer == bytes([number]) * 16 * KIB
    with pytest.raises(OutOfSpace):
        while True:
            handles.append(keeper.store.put(bytes(4 * KIB), TensorSpec((4 * KIB,), "uint8")))
    keeper.store.release(handles.pop())
    keeper.store.release(handles.pop(8))
    handles.append(keeper.store.put(bytes(16 * KIB), SPEC))
    for handle in handles:
        keeper.store.release(handle)
    assert keeper.leaked() == []
    keeper.close()


def test_the_file_has_no_name_and_its_bytes_go_with_it(tmp_path: Path) -> None:
    keeper = Keeper(64 * KIB, spill_bytes=1 << 20, spill_dir=tmp_path)
    assert os.listdir(tmp_path) == []
    handles = [keeper.store.put(bytes(16 * KIB), SPEC) for _ in range(8)]
    assert os.listdir(tmp_path) == []
    assert os.fstat(keeper.segments.fds()[1]).st_nlink == 0
    for handle in handles:
        keeper.store.release(handle)
    keeper.close()


def test_a_directory_that_is_missing_is_named(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(OutOfSpace, match=f"No spill file can be made in {tmp_path}/none"):
        Keeper(64 * KIB, spill_bytes=1 << 20, spill_dir=tmp_path / "none")
    assert len(os.listdir("/proc/self/fd")) == before
