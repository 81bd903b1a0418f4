"""Where results lie: files named by the digest of their content, never changed once they are visible.

    artifacts/tmp/...                   being written
    artifacts/9f/sha256-9f86d0...png    complete

A file is written under tmp/ and renamed to its name, so whoever is told a key finds all of the bytes, whatever process
dies, and what a death leaves in tmp/ is never seen and goes at a `sweep`. Executors do that, without the job store:
this file needs nothing else of the room. Against a loss of power file and directory are flushed too, by whoever
promises the artifact to others (`ArtifactDirectory.flush`), and before: an executor's device never waits for a disk.
What such a loss leaves half written under its name was promised to nobody, and is written anew when it is put again.

Writers hold a shared lock on the directory of their file, a sweep an exclusive one for the moment that it looks at a
file and removes it. So content that is put again is either found and made young, or written anew.
"""

import errno
import fcntl
import hashlib
import os
import re
import tempfile
from collections.abc import Container, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from brickwork.store.errors import DamagedArtifact, StoreError, UnknownArtifact, of_os

MEDIA_TYPES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "webp": "image/webp",
    "gif": "image/gif",
    "mp4": "video/mp4",
    "bin": "application/octet-stream",
}
"""By suffix, every kind of artifact."""

UNWRITTEN = bytes(28)
"""What stands for the first bytes of a digest when the artifact could not be written; the errno is in the other four.
So a writer in another process can say what went wrong where it was to say what it wrote."""

ROOM_BYTES = 4 << 20
"""What a probe asks the file system for: a picture of 1024 x 1024 pixels has 3 MiB before it is compressed."""

_SUFFIXES = {media_type: suffix for suffix, media_type in MEDIA_TYPES.items()}
_KEY = re.compile(rf"sha256-([0-9a-f]{{64}})\.({'|'.join(MEDIA_TYPES)})")


@dataclass(frozen=True, slots=True)
class ArtifactKey:
    """Name of an artifact: `sha256-<64 hex digits>.png`. One that exists is well-formed, so it is safe in a path.

    raises    ValueError for any other text
    """

    text: str

    def __post_init__(self) -> None:
        if not _KEY.fullmatch(self.text):
            raise ValueError(f"{self.text[:80]!r} is no artifact key; one looks like sha256-<64 hex digits>.png.")

    @property
    def media_type(self) -> str:
        return MEDIA_TYPES[self.text.rpartition(".")[2]]

    @property
    def digest(self) -> bytes:
        """The 32 bytes of the sha256."""
        return bytes.fromhex(self.text.removeprefix("sha256-").partition(".")[0])

    def __str__(self) -> str:
        return self.text


class ArtifactDirectory:
    """Artifacts below `root`. Any number of processes may use one directory at the same time."""

    def __init__(self, root: Path):
        self._root = root
        self._flushed: set[Path] = set()  # directories whose own names are on disk

    def put(self, data: bytes, media_type: str) -> ArtifactKey:
        """Keep `data` for good; see `write_artifact`. Blocks until it is on disk."""
        if media_type not in _SUFFIXES:
            raise ValueError(f"{media_type!r}: no such media type here; expected one of {', '.join(_SUFFIXES)}.")
        return self.flush(write_artifact(self._root, data, _SUFFIXES[media_type]))

    def written(self, key: ArtifactKey) -> ArtifactKey:
        """The key of a writer in another process, unless it says that the writer failed (`unwritten`). Blocks until
        the artifact is on disk.

        raises    StoreError that tells why it could not be written, or is not there
        """
        if not key.digest.startswith(UNWRITTEN):
            return self.flush(key)
        number = int.from_bytes(key.digest[len(UNWRITTEN) :], "big")
        raise of_os(self._root, OSError(number, os.strerror(number)))

    def flush(self, key: ArtifactKey) -> ArtifactKey:
        """Have an artifact survive a loss of power. Blocks until its bytes and its name are on disk; returns its key.

        raises    StoreError naming file, cause and remedy
        """
        path = self.path(key)
        try:
            _flush(path)
            _flush(path.parent)
            if path.parent not in self._flushed:
                _flush(self._root)
                _flush(self._root.parent)
                self._flushed.add(path.parent)
        except OSError as error:
            raise of_os(path, error) from error
        return key

    def probe(self) -> None:
        """Find out whether a picture could be written now. Blocks; leaves nothing behind.

        raises    StoreError telling why not
        """
        try:
            with tempfile.TemporaryFile(dir=_made(self._root / "tmp")) as file:
                os.posix_fallocate(file.fileno(), 0, ROOM_BYTES)
        except OSError as error:
            raise of_os(self._root, error) from error

    def path(self, key: ArtifactKey) -> Path:
        """Where `key` is or would be; the file never changes, but a sweep may remove it."""
        return _place(self._root, key)

    def exists(self, key: ArtifactKey) -> bool:
        return self.path(key).is_file()

    def open(self, key: ArtifactKey) -> BinaryIO:
        """Open for reading; an open artifact stays readable when it is swept.

        raises    UnknownArtifact
        """
        try:
            return self.path(key).open("rb")
        except FileNotFoundError:
            raise UnknownArtifact(f"{key}: there is no such artifact.") from None

    def read(self, key: ArtifactKey) -> bytes:
        """All of the bytes, checked against the key.

        raises    UnknownArtifact; DamagedArtifact for a file that somebody or something has changed
        """
        with self.open(key) as file:
            data = file.read()
        if _key_of(data, key.text.rpartition(".")[2]) != key:
            cause = "its content does not match its name"
            raise DamagedArtifact(self.path(key), cause, "Check the disk; make it again.")
        return data

    def sweep(self, keep: Container[ArtifactKey], older_than_s: float, now_s: float) -> int:
        """Remove artifacts not in `keep`, and leftovers of writers that died, if older than `older_than_s`.

        The age must exceed the time from a write to the commit of its key, which `keep` cannot know yet. Directories
        that are being written to are left for the next time.

        returns   the number of files removed
        """
        before_s = now_s - older_than_s
        try:
            leftovers = [path for path in _files(self._root / "tmp") if _remove(path, before_s)]
            removed = [path for path in self._unkept(keep) if _remove(path, before_s)]
        except OSError as error:
            raise of_os(self._root, error) from error
        return len(leftovers) + len(removed)

    def _unkept(self, keep: Container[ArtifactKey]) -> Iterator[Path]:
        for path in self._root.glob("??/*"):
            if _KEY.fullmatch(path.name) and ArtifactKey(path.name) not in keep:
                yield path


def write_artifact(directory: Path, data: bytes, suffix: str) -> ArtifactKey:
    """Make `data` an artifact below `directory` and return its key; content that is there already is not written again.

    It outlives every process, but is not flushed to disk. May be repeated, by several processes too.

    suffix    a key of MEDIA_TYPES
    raises    StoreError naming file, cause and remedy; nothing is left behind
    """
    key = _key_of(data, suffix)
    target = _place(directory, key)
    try:
        with _locked(_made(target.parent), fcntl.LOCK_SH):
            if target.is_file() and target.read_bytes() == data:
                os.utime(target)
            else:
                _write(_made(directory / "tmp"), data, target)
    except OSError as error:
        raise of_os(target, error) from error
    return key


def unwritten(error: StoreError) -> bytes:
    """What a writer gives in place of a digest when `write_artifact` raised `error`."""
    cause = error.__cause__
    number = (cause.errno if isinstance(cause, OSError) else None) or errno.EIO
    return UNWRITTEN + number.to_bytes(32 - len(UNWRITTEN), "big")


def _key_of(data: bytes, suffix: str) -> ArtifactKey:
    return ArtifactKey(f"sha256-{hashlib.sha256(data).hexdigest()}.{suffix}")


def _place(root: Path, key: ArtifactKey) -> Path:
    return root / key.text.removeprefix("sha256-")[:2] / key.text


def _made(directory: Path) -> Path:
    """`directory`, made with its parents."""
    if not directory.is_dir():
        _made(directory.parent)
        directory.mkdir(mode=0o700, exist_ok=True)
    return directory


def _flush(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _write(scratch: Path, data: bytes, target: Path) -> None:
    fd, name = tempfile.mkstemp(dir=scratch)
    try:
        with open(fd, "wb", buffering=0) as file:
            view = memoryview(data)
            while view:
                view = view[file.write(view) :]
        os.rename(name, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise


@contextmanager
def _locked(directory: Path, operation: int) -> Iterator[None]:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, operation)  # closing the descriptor releases it; a writer waits for one unlink at most
        yield
    finally:
        os.close(fd)


def _files(directory: Path) -> list[Path]:
    return list(directory.iterdir()) if directory.is_dir() else []


def _remove(path: Path, before_s: float) -> bool:
    """Remove a file last put before `before_s`; False when it is younger, gone, or its directory is written to."""
    with suppress(FileNotFoundError, BlockingIOError), _locked(path.parent, fcntl.LOCK_EX | fcntl.LOCK_NB):
        if path.stat().st_mtime < before_s:
            path.unlink()
            return True
    return False
