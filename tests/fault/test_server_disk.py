"""Goal: a disk that fails costs time, never an acknowledged job; everybody is told what is wrong, and nobody has to
start the server again.

Method: a real server on a file system of its own, which is filled to the last byte, or whose artifacts become
read-only, while jobs run; then it is repaired. Where mounts are not possible a limit on file sizes stands in for the
full disk, and the test says so.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from support.disk import LimitedDisk, MountedDisk, can_mount
from support.server import ServerProcess

REQUESTS = [{"seed": seed, "steps": 150} for seed in range(4)]
JOB = {"workflow": "text-to-image", "inputs": {"prompt": "a red circle"}}


def until(is_so: Callable[[], bool], what: str) -> None:
    """Ask again and again, as an operator would, for two minutes."""
    end_s = monotonic() + 120
    while not is_so():
        assert monotonic() < end_s, f"not within two minutes: {what}"


def check_outage(server: ServerProcess, cause: str, spoil: Callable[[], None], repair: Callable[[], None]) -> None:
    """1. Jobs run, the disk fails. 2. /readyz, a new job's answer, a running job and the log say why. 3. It is
    repaired: every acknowledged job succeeds, at its first attempt, with the right picture."""
    jobs = [server.job(deterministic=True, **request) for request in REQUESTS]
    spoil()
    until(lambda: server.get("/readyz").status_code == 503, "the server notices")
    for answer in (server.get("/readyz"), server.post("/v1/jobs", JOB)):
        error = answer.json()["error"]
        assert answer.status_code == 503 and error["code"] == "storage" and int(answer.headers["retry-after"]) > 0
        assert cause in error["message"] and str(server.state_dir) in error["message"], error
    until(lambda: any(cause in (held or "") for held in seen(server, jobs, "held_up")), "a job says what it waits for")
    assert set(seen(server, jobs, "status")) <= {"queued", "running"}, "nothing is lost, and no end is told"
    assert server.get("/healthz").status_code == 200 and server.get("/").status_code == 200
    repair()
    ended = [server.ended(job_id) for job_id in jobs]
    assert [(job["status"], job["attempt"], job["held_up"]) for job in ended] == [("succeeded", 1, None)] * len(jobs)
    again = [server.ended(server.job(deterministic=True, **request)) for request in REQUESTS]
    assert [job["outputs"] for job in ended] == [job["outputs"] for job in again], "bit-equal: keys are digests"
    assert all(server.get(job["outputs"][0]["url"]).status_code == 200 for job in ended)  # type: ignore[index]
    assert server.get("/readyz").status_code == 200


def seen(server: ServerProcess, jobs: list[str], field: str) -> list[Any]:
    return [server.get(f"/v1/jobs/{job_id}").json()[field] for job_id in jobs]


def check_log(server: ServerProcess, outages: int) -> None:
    """One line for each beginning and end of an outage, however many waited."""
    log = server.log.read_text()
    assert log.count("can be written; what waited for it goes on") >= outages and "Traceback" not in log
    assert outages <= log.count(" ERROR ") <= 8 * outages


def test_a_full_disk_and_read_only_artifacts(
    tiny_sd3: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One server outlives both. A job canceled while its picture cannot be written ends as canceled."""
    disk = MountedDisk(tmp_path) if can_mount() else LimitedDisk()
    with capsys.disabled():
        print(f"\nthe disk is full by: {type(disk).__name__}")
    with ServerProcess(tiny_sd3, tmp_path, prefix=disk.prefix) as server:
        check_outage(server, disk.full, lambda: disk.fill(server), lambda: disk.free(server))
        check_log(server, 1)
        if isinstance(disk, LimitedDisk):
            pytest.skip("no mount namespaces here, so artifacts were not made read-only; a full disk was outlived")
        forbid, allow = (partial(disk.remount_artifacts, server, mode) for mode in ("ro", "rw"))
        check_outage(server, MountedDisk.read_only, forbid, allow)
        job_id = server.job(steps=150)
        forbid()
        until(lambda: "Read-only" in str(seen(server, [job_id], "held_up")), "the job waits")
        assert server.post(f"/v1/jobs/{job_id}/cancel", {}).json()["status"] == "canceling"
        allow()
        assert server.ended(job_id)["status"] == "canceled"
    check_log(server, 3)


def test_a_state_directory_that_a_plain_user_may_not_write(tiny_sd3: Path) -> None:
    """`brickwork serve` says so at its start, names the directory and the remedy."""
    as_user = []
    if os.geteuid() == 0:
        as_user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        probe = [*as_user, sys.executable, "-c", "import brickwork.cli"]
        if shutil.which("setpriv") is None or subprocess.run(probe, capture_output=True).returncode:
            pytest.skip("root may write everywhere, and a plain user cannot run this checkout")
    directory = tempfile.mkdtemp(dir="/tmp")  # pytest's own is closed to others
    try:
        os.chmod(directory, 0o555)
        command = [*as_user, sys.executable, "-m", "brickwork.cli", "serve", "--port", "0", "--state-dir", directory]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd="/")
    finally:
        os.rmdir(directory)
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
    assert directory in done.stderr and "it cannot be written" in done.stderr and "Make it writable" in done.stderr
