"""One server per state directory: a lock that its holder's death releases, whatever the death.

`flock` belongs to the open file, so the kernel lets go of it with the process; nothing is ever left to clean up. The
file also tells the holder's pid, for the message that the second server prints.
"""

import fcntl
import os
from pathlib import Path

from brickwork.store.errors import StateDirectoryInUse, of_os


class DirectoryLock:
    """Holds a state directory, which is made if need be, until `release` or death.

    raises    StateDirectoryInUse naming the holder's pid; StoreError for a directory that cannot be written
    """

    def __init__(self, directory: Path):
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._fd = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise of_os(directory, error) from error
        try:
            self._take(directory)
        except BaseException:
            os.close(self._fd)
            raise

    def _take(self, directory: Path) -> None:
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, str(os.getpid()).encode(), 0)
        except BlockingIOError:
            pid = os.pread(self._fd, 20, 0).decode(errors="replace")
            raise StateDirectoryInUse(
                directory,
                f"it is in use by the server with process id {pid or 'unknown'}",
                "Stop that server first, or give this one a state directory of its own.",
            ) from None
        except OSError as error:
            raise of_os(directory / "lock", error) from error

    def release(self) -> None:
        """Let go; call once."""
        os.close(self._fd)
