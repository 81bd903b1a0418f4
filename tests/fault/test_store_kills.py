"""Goal: nothing that was acknowledged is lost, nothing torn is seen, and a store whose disk failed goes on when the
disk does, without a restart.

Method: real processes that print each acknowledgement after its answer, killed by SIGKILL at drawn moments; real
causes of failing writes: a full file system, a file size limit, immutable files, a read-only mount. After each, the
parent opens what is left and looks for every line that was printed.
"""

import random
import re
import shutil
import sqlite3
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from time import time

import pytest

from brickwork.store.artifacts import ArtifactDirectory, ArtifactKey
from brickwork.store.errors import StateDirectoryInUse
from brickwork.store.jobs import Job
from brickwork.store.sqlite import SqliteJobStore
from brickwork.store.states import JobState

CHILD = Path(__file__).resolve().parents[1] / "support" / "store_child.py"
NAMESPACE = ["unshare", "--map-root-user", "--mount"]  # mounts that vanish with the process


def command(scene: str, directory: Path) -> list[str]:
    return [sys.executable, str(CHILD), scene, str(directory)]


def killed_after(scene: str, directory: Path, lines: int) -> list[str]:
    """Run the scene, kill it once it has said so many lines, and return all that it said."""
    with subprocess.Popen(command(scene, directory), stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        said = [child.stdout.readline() for _ in range(lines)]
        child.kill()
        said += child.stdout.readlines()
    assert "" not in said, f"the child ended by itself, with status {child.returncode}"
    return [line.rstrip("\n") for line in said if line.endswith("\n")]


def said_by(shell: list[str], expected_status: int) -> dict[str, list[str]]:
    """What a scene said that ends by itself: the rest of its lines, by their first word."""
    done = subprocess.run(shell, capture_output=True, text=True, timeout=120)
    assert done.returncode == expected_status, done.stderr
    said: dict[str, list[str]] = defaultdict(list)
    for line in done.stdout.splitlines():
        word, _, rest = line.partition(" ")
        said[word].append(rest)
    return said


def stored(directory: Path) -> dict[str, Job]:
    """Every job of the database, after SQLite has found no damage."""
    with SqliteJobStore(directory) as store:
        jobs: list[Job] = []
        while page := store.list(after=jobs[-1].id if jobs else None, limit=1000).result():
            jobs += page
    db = sqlite3.connect(directory / "jobs.sqlite")
    assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert db.execute("PRAGMA foreign_key_check").fetchall() == []
    db.close()
    return {job.id: job for job in jobs}


def needs_namespaces() -> None:
    if shutil.which("unshare") is None or subprocess.run([*NAMESPACE, "true"], capture_output=True).returncode:
        pytest.skip("no mount namespaces here: neither root nor unprivileged user namespaces")


def mounted(scene: str, directory: Path, mount: str) -> list[str]:
    """The command of a scene on a mount of its own."""
    return [*NAMESPACE, "sh", "-c", f'{mount} && exec "$@"', "sh", *command(scene, directory)]


# Deaths --------------------------------------------------------------------------------------------------------------


def test_no_acknowledged_job_is_lost_by_sigkill(tmp_path: Path) -> None:
    """Eight lives on one state directory, each killed at a drawn moment among creates, starts and ends."""
    rng = random.Random(3)
    created: set[str] = set()
    ended: set[str] = set()
    for _ in range(8):
        for line in killed_after("create_for_ever", tmp_path, rng.randrange(40, 600)):
            word, name = line.split(" ")
            (created if word == "created" else ended).add(name)
        jobs = stored(tmp_path)
        assert created <= set(jobs)
        assert {jobs[name].state for name in ended} == {JobState.SUCCEEDED}
        for name, job in jobs.items():
            is_ended = job.state is JobState.SUCCEEDED
            assert is_ended == (job.finished_s is not None) == bool(job.results), name
            assert job.results in ((), (("score", int(name.split("_")[1])),))


def test_the_next_life_finds_what_is_unfinished(tmp_path: Path) -> None:
    """1. A server dies with jobs queued, running and ended. 2. The next takes over and runs what had no end."""
    killed_after("create_for_ever", tmp_path, 100)
    with SqliteJobStore(tmp_path) as store:
        epoch = store.new_epoch(9.0).result()
        assert epoch == 2
        left = store.unfinished().result()
        assert {(job.state, job.epoch) for job in left} == {(JobState.QUEUED, epoch)}
        assert {job.attempt for job in left} == {1}
        for job in left:
            assert store.start(job.id, 2, epoch, 10.0).result()
            assert store.finish(job.id, 2, epoch, JobState.SUCCEEDED, 11.0).result()
        assert store.unfinished().result() == ()


def test_sigkill_frees_the_state_directory(tmp_path: Path) -> None:
    with subprocess.Popen(command("hold", tmp_path), stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None and child.stdout.readline() == "held\n"
        with pytest.raises(StateDirectoryInUse, match=f"the server with process id {child.pid}"):
            SqliteJobStore(tmp_path)
        child.kill()
    SqliteJobStore(tmp_path).close()


def test_no_torn_artifact_is_seen_after_sigkill(tmp_path: Path) -> None:
    """Kills fall into writes of 1 MB, at drawn times; what they leave is under tmp/ only, and swept."""
    rng = random.Random(5)
    artifacts = ArtifactDirectory(tmp_path)
    said: set[ArtifactKey] = set()
    leftovers = 0
    for _ in range(12):
        with subprocess.Popen(command("write_for_ever", tmp_path), stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
            try:
                child.wait(rng.uniform(0.0, 0.1))
            except subprocess.TimeoutExpired:
                child.kill()
            said |= {ArtifactKey(line.strip()) for line in child.stdout if line.endswith("\n")}
        leftovers += len(list((tmp_path / "tmp").glob("*")))
        found = {ArtifactKey(path.name) for path in tmp_path.glob("??/*")}
        assert said <= found
        assert all(len(artifacts.read(key)) == 1 << 20 for key in found)
        artifacts.sweep(found, older_than_s=-60, now_s=time())
        assert not list((tmp_path / "tmp").glob("*"))
    assert said and leftovers, f"{len(said)} artifacts, {leftovers} leftovers: the kills tested nothing"


# Disks that fail -----------------------------------------------------------------------------------------------------


def check_refused_and_repaired(said: dict[str, list[str]], directory: Path, cause: str) -> None:
    assert len(said["refused"]) == 2
    for message in said["refused"]:
        assert re.match(rf"{directory}/jobs\.sqlite: {cause} \(.*\)\. [A-Z].*\.$", message), message
    assert said["created"][-1] == "after"
    jobs = stored(directory)
    assert set(said["created"]) <= set(jobs)
    assert jobs["before"].state is JobState.SUCCEEDED


def test_a_full_disk(tmp_path: Path) -> None:
    """The file system vanishes with its namespace, so the child's last act is to copy what is on it."""
    needs_namespaces()
    disk, kept = tmp_path / "disk", tmp_path / "kept"
    disk.mkdir()
    mount = f"mount -t tmpfs -o size=4m none '{disk}'"
    script = f"{mount} && {{ \"$@\"; status=$?; cp -r '{disk}' '{kept}'; exit $status; }}"
    said = said_by([*NAMESPACE, "sh", "-c", script, "sh", *command("full_disk", disk)], 128 + 9)
    assert all("the file system is full" in message and "Free some space" in message for message in said["refused"])
    said["refused"] = [message.replace(str(disk), str(kept)) for message in said["refused"]]
    check_refused_and_repaired(said, kept, "the file system is full")


def test_writes_that_fail(tmp_path: Path) -> None:
    said = said_by(command("size_limit", tmp_path), -9)
    check_refused_and_repaired(said, tmp_path, "reading or writing it failed")


def test_files_that_become_read_only_while_open(tmp_path: Path) -> None:
    probe = tmp_path / "probe"
    probe.touch()
    if shutil.which("chattr") is None or subprocess.run(["chattr", "+i", probe], capture_output=True).returncode:
        pytest.skip("chattr +i is not possible here: it takes root and a file system that knows it")
    subprocess.run(["chattr", "-i", probe], check=True)
    try:
        said = said_by(command("made_immutable", tmp_path), -9)
    finally:
        subprocess.run(["chattr", "-i", *tmp_path.glob("jobs.sqlite*")], check=True)
    check_refused_and_repaired(said, tmp_path, "(it cannot be written|reading or writing it failed)")


def test_a_read_only_state_directory(tmp_path: Path) -> None:
    needs_namespaces()
    mount = f"mount --bind '{tmp_path}' '{tmp_path}' && mount -o remount,ro,bind '{tmp_path}'"
    said = said_by(mounted("read_only", tmp_path, mount), 0)
    jobs, artifact = said["refused"]
    assert jobs.startswith(f"{tmp_path}: it cannot be written (Read-only file system). Make it writable for this user")
    assert artifact.startswith(f"{tmp_path}/ba/sha256-ba78") and "it cannot be written (Read-only" in artifact


def test_artifacts_on_a_full_disk(tmp_path: Path) -> None:
    needs_namespaces()
    said = said_by(mounted("full_artifacts", tmp_path, f"mount -t tmpfs -o size=4m none '{tmp_path}'"), 0)
    (refused,) = said.pop("refused")
    assert re.search(r"/sha256-\w+\.png: the file system is full \(No space left on device\)\. Free some", refused)
    assert set(said.pop("found")) == set(said)
    assert len(said) >= 4
