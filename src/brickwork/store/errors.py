"""What can go wrong in a store, in two kinds: the storage fails (StoreError), or the caller asks for what cannot be.

A StoreError names the file, the cause and the remedy. A write that failed with one is not acknowledged; later writes
are tried afresh, so none of these needs a restart once its cause is gone.
"""

import errno
from pathlib import Path
from typing import TYPE_CHECKING

from brickwork.core.errors import BrickworkError

if TYPE_CHECKING:
    import sqlite3  # executors report errors of artifacts without loading it


class StoreError(BrickworkError):
    """The storage cannot be read or written.

    path      the file or directory in question
    cause     what is wrong with it
    remedy    what to do about it
    """

    def __init__(self, path: Path, cause: str, remedy: str):
        super().__init__(f"{path}: {cause}. {remedy}")
        self.path = path
        self.cause = cause
        self.remedy = remedy


class StateDirectoryInUse(StoreError):
    """Another server works on this state directory."""


class DamagedArtifact(StoreError):
    """An artifact's bytes are not those that its name promises."""


class UnknownJob(BrickworkError):
    """There is no job of this id; it may have been forgotten after its retention time."""


class JobExists(BrickworkError):
    """A job of this id was created before."""


class IdempotencyKeyReused(BrickworkError):
    """An idempotency key came again with another request."""


class IllegalMove(BrickworkError):
    """The job's state cannot change in this way (`states.MOVES`)."""


class StaleEpoch(BrickworkError):
    """The caller's epoch is not the current one: a newer server has taken over."""


class UnknownArtifact(BrickworkError):
    """No artifact of this key is here."""


_FULL = ("the file system is full", "Free some space there; a running server goes on by itself.")
_READ_ONLY = ("it cannot be written", "Make it writable for this user; a running server goes on by itself.")
_DAMAGED = (
    "it is damaged, or is no job store",
    "Restore it from a backup, or move it away to begin with an empty one.",
)
_BROKEN = ("reading or writing it failed", "Look for a file size limit, a quota or a failing disk in the system's log.")

_BY_SQLITE_NAME = {
    "SQLITE_FULL": _FULL,
    "SQLITE_READONLY": _READ_ONLY,
    "SQLITE_CANTOPEN": ("it cannot be opened", "Check that its directory exists and is writable for this user."),
    "SQLITE_BUSY": ("another program holds it locked", "Close that program; a running server goes on by itself."),
    "SQLITE_CORRUPT": _DAMAGED,
    "SQLITE_NOTADB": _DAMAGED,
}

_BY_ERRNO = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EROFS: _READ_ONLY,
    errno.EACCES: _READ_ONLY,
    errno.EPERM: _READ_ONLY,
}


def of_sqlite(path: Path, error: "sqlite3.Error") -> StoreError:
    """The StoreError that tells what SQLite's error means."""
    name = getattr(error, "sqlite_errorname", "")
    for prefix, (cause, remedy) in _BY_SQLITE_NAME.items():
        if name.startswith(prefix):
            return StoreError(path, f"{cause} ({error})", remedy)
    return StoreError(path, f"{_BROKEN[0]} ({error})", _BROKEN[1])


def of_os(path: Path, error: OSError) -> StoreError:
    """The StoreError that tells what the operating system's error means, which is its cause."""
    cause, remedy = _BY_ERRNO.get(error.errno or 0, _BROKEN)
    told = StoreError(path, f"{cause} ({error.strerror})", remedy)
    told.__cause__ = error
    return told
