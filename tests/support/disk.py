"""State directories whose disk fails when a test wants it.

`MountedDisk` is a small file system of the server's own, in a mount namespace that vanishes with it: it really becomes
full, and its artifacts really read-only. `LimitedDisk` is for machines without namespaces: no file may grow any more.
"""

import resource
import shutil
import subprocess
from pathlib import Path

from support.processes import children_of
from support.server import ServerProcess

NAMESPACE = ["unshare", "--map-root-user", "--mount"]
SIZE_MB = 16


def can_mount() -> bool:
    return (
        shutil.which("unshare") is not None and not subprocess.run([*NAMESPACE, "true"], capture_output=True).returncode
    )


class MountedDisk:
    """A tmpfs over the state directory, and its artifacts as a mount of their own."""

    full = "the file system is full (No space left on device)"
    read_only = "it cannot be written (Read-only file system)"

    def __init__(self, directory: Path):
        self._directory = directory
        artifacts = directory / "artifacts"
        mount = f"mount -t tmpfs -o size={SIZE_MB}m none '{directory}' && mkdir '{artifacts}'"
        self.prefix = [
            *NAMESPACE,
            "sh",
            "-c",
            f"{mount} && mount --bind '{artifacts}' '{artifacts}' && exec \"$@\"",
            "sh",
        ]

    def fill(self, server: ServerProcess) -> None:
        """To the last byte."""
        with self._ballast(server).open("wb", buffering=0) as file:
            for size in (1 << 16, 1):
                try:
                    while True:
                        file.write(bytes(size))
                except OSError:
                    continue

    def free(self, server: ServerProcess) -> None:
        self._ballast(server).unlink()

    def remount_artifacts(self, server: ServerProcess, mode: str) -> None:
        """ "ro" or "rw". The database is open for writing, so nothing but force could make its mount read-only; a file
        of the artifacts that is being written is waited for."""
        enter = ["nsenter", f"--target={server.process.pid}", "--user", "--mount", "--preserve-credentials"]
        command = [*enter, "mount", "-o", f"remount,bind,{mode}", str(self._directory / "artifacts")]
        while b"busy" in (done := subprocess.run(command, capture_output=True)).stderr:
            pass
        assert done.returncode == 0, done.stderr

    def _ballast(self, server: ServerProcess) -> Path:
        return Path(f"/proc/{server.process.pid}/root{self._directory}/ballast")


class LimitedDisk:
    """A limit on the size of every file that the server and its executors write: above the test's log of them, below
    pictures and database."""

    full = "reading or writing it failed"

    def __init__(self) -> None:
        self.prefix: list[str] = []

    def fill(self, server: ServerProcess) -> None:
        self._limit(server, 4096)

    def free(self, server: ServerProcess) -> None:
        self._limit(server, None)

    def _limit(self, server: ServerProcess, size: int | None) -> None:
        for pid in (server.process.pid, *children_of(server.process.pid)):
            hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)[1]
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard if size is None else size, hard))
