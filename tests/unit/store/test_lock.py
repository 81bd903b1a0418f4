"""Goal: one server per state directory; any death of the holder frees it. Method: two locks; a killed process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from brickwork.store.errors import StateDirectoryInUse, StoreError
from brickwork.store.lock import DirectoryLock

HOLD = "import sys; from pathlib import Path; from brickwork.store.lock import DirectoryLock\n\
lock = DirectoryLock(Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"


def test_the_second_is_refused_and_told_the_pid(tmp_path: Path) -> None:
    lock = DirectoryLock(tmp_path / "state")
    with pytest.raises(
        StateDirectoryInUse, match=rf"state: it is in use by the server with process id {os.getpid()}\."
    ):
        DirectoryLock(tmp_path / "state")
    lock.release()
    DirectoryLock(tmp_path / "state").release()
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700


def test_sigkill_of_the_holder_frees_the_directory(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, tmp_path], stdin=-1, stdout=-1) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
        with pytest.raises(StateDirectoryInUse, match=f"process id {holder.pid}"):
            DirectoryLock(tmp_path)
        holder.kill()
    DirectoryLock(tmp_path).release()


def test_a_directory_that_cannot_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"file/state: reading or writing it failed \(Not a directory\)"):
        DirectoryLock(tmp_path / "file" / "state")
