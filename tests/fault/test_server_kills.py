"""Goal: whatever is killed, and however often, a client that was told 201 gets exactly one right picture.

Method: clients submit and follow jobs without a pause, through every death; meanwhile executors are killed 20 times
and the whole server 5 times, by SIGKILL, after drawn numbers of results. In the end the store is read: every job that
was ever committed has succeeded, with one end in its run log, and there are no more of them than were submitted.
Pictures are compared with those of a cluster that nobody disturbed.
"""

import random
import threading
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import brickwork as bw
from brickwork.client import protocol
from brickwork.starter.workflows import WORKFLOWS
from brickwork.store.jobs import JobId, LogKind
from brickwork.store.sqlite import SqliteJobStore
from support.processes import all_gone, kill_one, shared_memory_names
from support.server import ServerProcess, free_port

CLIENTS = 6
SERVER_KILLS, EXECUTOR_KILLS = 5, 20
PROMPTS = ("a red circle", "a blue square above a green circle", "a green square")
KINDS = 12
"""Different requests; clients take them in turns."""


def request(number: int) -> dict[str, object]:
    kind = number % KINDS
    return {"prompt": PROMPTS[kind % len(PROMPTS)], "seed": kind, "steps": 4 + kind}


@pytest.fixture(scope="module")
def references(tiny_sd3: Path) -> list[np.ndarray]:
    """The pictures of an undisturbed cluster, by kind."""
    workflow = WORKFLOWS["text-to-image"](tiny_sd3)
    with bw.Cluster(executors=2) as cluster:
        handles = [cluster.submit(workflow, deterministic=True, **request(kind)) for kind in range(KINDS)]
        return [np.asarray(handle.result().image) for handle in handles]


class Load:
    """Clients that hand in job after job and take each result, until they are told to stop."""

    def __init__(self, url: str, deterministic: bool):
        self._client = bw.Client(url, timeout_s=120, retries=1000)  # a client that does not give up
        self._deterministic = deterministic
        self._lock = threading.Lock()
        self._enough = threading.Event()
        self._threads = [threading.Thread(target=self._work, args=(n,), daemon=True) for n in range(CLIENTS)]
        self.finished = threading.Semaphore(0)  # one for each result
        self.pictures: dict[str, tuple[int, np.ndarray]] = {}  # by job: the number of its request, and its picture
        self.failures: list[BaseException] = []

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def give_up(self) -> None:
        """Close what the clients wait for."""
        self._enough.set()
        self._client.close()

    def stop(self) -> None:
        """Let every client take its last result."""
        self._enough.set()
        for thread in self._threads:
            thread.join(120)
        assert not any(thread.is_alive() for thread in self._threads), "a client waits for ever"

    def _work(self, number: int) -> None:
        try:
            while not self._enough.is_set():
                job = self._client.submit("text-to-image", deterministic=self._deterministic, **request(number))
                picture = np.asarray(job.result().image)
                with self._lock:
                    assert job.id not in self.pictures, "two submissions, one job"
                    self.pictures[job.id] = (number, picture)
                number += CLIENTS + 1
                self.finished.release()
        except BaseException as failure:
            self.failures.append(failure)
            raise


def executor_pids(server: ServerProcess) -> list[int]:
    """Of those that run; one that is about to be started has none yet."""
    listed = server.get("/v1/executors").json()["data"]
    return [executor["pid"] for executor in listed if executor["pid"] is not None]


def kill_an_executor(server: ServerProcess, rng: random.Random) -> None:
    """One that is connected; those that died a moment ago are about to be replaced."""
    while not kill_one(executor_pids(server), rng):
        pass


@pytest.mark.parametrize("deterministic", [True, False], ids=["deterministic", "batched"])
def test_clients_get_their_pictures_through_every_death(
    deterministic: bool,
    references: list[np.ndarray],
    tiny_sd3: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(protocol, "MAX_DELAY_S", 0.5)  # so that clients are there when the server is
    rng = random.Random(11)
    names_before = shared_memory_names()
    port = free_port()
    load = Load(f"http://127.0.0.1:{port}", deterministic)
    server = ServerProcess(tiny_sd3, tmp_path, "--port", str(port)).ready()
    load.start()
    try:
        for _ in range(SERVER_KILLS):
            for _ in range(EXECUTOR_KILLS // SERVER_KILLS):
                for _ in range(rng.randint(1, 4)):
                    assert load.finished.acquire(timeout=120), "the load has stopped"
                kill_an_executor(server, rng)
            server.kill()
            server = ServerProcess(tiny_sd3, tmp_path, "--port", str(port)).ready()
        load.stop()
        assert load.failures == []
        assert "brickwork_jobs_live 0.0\n" in server.get("/metrics").text
    finally:
        load.give_up()
        status, _ = server.stop()
    assert status == 0 and all_gone(server.family, within_s=20) == []
    assert shared_memory_names() <= names_before
    assert "Traceback" not in server.log.read_text()
    check_rows(tmp_path, load)
    for number, picture in load.pictures.values():
        check_picture(picture, references[number % KINDS], deterministic)


def check_rows(state_dir: Path, load: Load) -> None:
    """Every row has one end, and there is a row for each submission and no other."""
    with SqliteJobStore(state_dir) as store:
        jobs = store.list(limit=1000).result()
        assert {job.id for job in jobs} == set(load.pictures)
        assert Counter(job.state for job in jobs) == {"succeeded": len(jobs)}
        for job in jobs:
            ends = [entry for entry in store.log(JobId(job.id)).result() if entry.kind is LogKind.ENDED]
            assert len(ends) == 1 and len(job.results) == 1, job.id
    assert any(job.attempt > 1 for job in jobs), "no server died in the middle of a job"


def check_picture(picture: np.ndarray, reference: np.ndarray, deterministic: bool) -> None:
    if deterministic:
        assert np.array_equal(picture, reference)
    else:
        assert (np.abs(picture.astype(int) - reference.astype(int)) <= 1).mean() >= 0.999
