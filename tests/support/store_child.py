"""What runs in a process that is killed, or whose disk is full: `python store_child.py <scene> <directory> ...`.

A line on stdout is an acknowledgement: the id of a job or the key of an artifact, printed after the answer came.
"""

import os
import random
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import sleep

from brickwork.store.artifacts import ArtifactDirectory
from brickwork.store.errors import StoreError
from brickwork.store.jobs import Job, JobId
from brickwork.store.sqlite import SqliteJobStore
from brickwork.store.states import JobState

WINDOW = 32  # changes in flight


def job(name: str, epoch: int, chars: int = 20) -> Job:
    return Job(JobId(name), "text-to-image", (("prompt", "x" * chars),), 0.0, epoch)


def say(*words: object) -> None:
    print(*words, flush=True)


def create_for_ever(directory: Path) -> None:
    """Jobs are created, started and half of them ended, many at a time; each answer is said at once."""
    store = SqliteJobStore(directory)
    epoch = store.new_epoch(0.0).result()
    number = 0
    while True:
        names = [JobId(f"job_{epoch}_{number + n}") for n in range(WINDOW)]
        number += WINDOW
        orders = [(name, store.create(job(name, epoch))) for name in names]
        starts = [store.start(name, 1, epoch, 1.0) for name in names]
        ends = [store.finish(name, 1, epoch, JobState.SUCCEEDED, 2.0, (("score", epoch),)) for name in names[::2]]
        for name, order in orders:
            order.result()
            say("created", name)
        assert all(start.result() for start in starts)
        for name, end in zip(names[::2], ends, strict=True):
            assert end.result()
            say("ended", name)


def write_for_ever(directory: Path) -> None:
    """Artifacts of some 1 MB, each key said once it is there."""
    artifacts = ArtifactDirectory(directory)
    rng = random.Random(os.getpid())
    say("ready")
    while True:
        say(artifacts.put(rng.randbytes(1 << 20), "image/png"))


def acknowledged_until_refused(store: SqliteJobStore, epoch: int, prefix: str, chars: int) -> StoreError:
    for n in range(100_000):
        try:
            store.create(job(f"{prefix}_{n}", epoch, chars)).result()
        except StoreError as error:
            return error
        say("created", f"{prefix}_{n}")
    raise AssertionError("nothing was refused")


def refused_then_repaired(directory: Path, spoil: Callable[[], None], repair: Callable[[], None]) -> None:
    """Jobs are accepted, then refused while the storage is spoilt, then accepted again by the same store."""
    store = SqliteJobStore(directory)
    epoch = store.new_epoch(0.0).result()
    store.create(job("before", epoch)).result()
    say("created before")
    spoil()
    for life in range(2):
        error = acknowledged_until_refused(store, epoch, f"job_{life}", 5000)
        say("refused", error)
    assert store.get(JobId("before")).result().id == "before"  # reading goes on
    repair()
    store.create(job("after", epoch)).result()
    say("created after")
    assert store.start(JobId("before"), 1, epoch, 1.0).result()
    assert store.finish(JobId("before"), 1, epoch, JobState.SUCCEEDED, 2.0).result()
    say("ended before")
    os.kill(os.getpid(), 9)  # no orderly end: what was said has to be there all the same


def full_disk(directory: Path) -> None:
    """On a file system of 4 MiB, most of it taken by a file of somebody else."""
    ballast = directory / "ballast"

    def fill() -> None:
        ballast.write_bytes(bytes(3 << 20))

    refused_then_repaired(directory, fill, ballast.unlink)


def size_limit(directory: Path) -> None:
    """No file of this process may grow beyond 1 MiB: writes fail as on a failing disk."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(size: int) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))

    refused_then_repaired(directory, lambda: limit(1 << 20), lambda: limit(hard))


def made_immutable(directory: Path) -> None:
    """The files cannot be written any more, though they are open."""

    def change(flag: str) -> None:
        subprocess.run(["chattr", flag, *map(str, directory.glob("jobs.sqlite*"))], check=True)

    refused_then_repaired(directory, lambda: change("+i"), lambda: change("-i"))


def read_only(directory: Path) -> None:
    """The file system is read-only when the server starts, and an artifact's directory while it runs."""
    for attempt in (lambda: SqliteJobStore(directory), lambda: ArtifactDirectory(directory).put(b"abc", "image/png")):
        try:
            attempt()
        except StoreError as error:
            say("refused", error)


def full_artifacts(directory: Path) -> None:
    """Artifacts until 4 MiB are full; then somebody frees some."""
    artifacts = ArtifactDirectory(directory)
    ballast = directory / "ballast"
    ballast.write_bytes(bytes(2 << 20))
    rng = random.Random(0)
    try:
        while True:
            say(artifacts.put(rng.randbytes(300_000), "image/png"))
    except StoreError as error:
        say("refused", error)
    assert not list((directory / "tmp").iterdir())
    ballast.unlink()
    say(artifacts.put(rng.randbytes(300_000), "image/png"))
    for path in directory.rglob("sha256-*"):
        say("found", path.name)


def hold(directory: Path) -> None:
    with SqliteJobStore(directory):
        say("held")
        sleep(60)


if __name__ == "__main__":
    globals()[sys.argv[1]](Path(sys.argv[2]))
