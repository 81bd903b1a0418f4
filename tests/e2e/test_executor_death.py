"""Goal: executors may die at any time; every request still ends with the right picture and nothing is left behind.

Method: real SIGKILLs, each sent after a drawn number of progress messages since the last one, so that they fall
into running work of every kind; pictures are compared bit for bit with an undisturbed cluster's.
"""

import os
import random
import signal
import threading
from pathlib import Path

import numpy as np
import pytest

import brickwork as bw
from brickwork.starter.workflows import WORKFLOWS
from support.processes import all_gone, children_of, kill_one, shared_memory_names

REQUESTS, KILLS = 50, 20
PROMPTS = ("a red circle", "a blue square above a green circle", "a green square")


def _jobs() -> list[dict[str, object]]:
    return [{"prompt": PROMPTS[k % 3], "seed": k, "steps": 6} for k in range(REQUESTS)]


@pytest.fixture(scope="module")
def references() -> list[np.ndarray]:
    workflow = WORKFLOWS["text-to-image"]()
    with bw.Cluster(executors=2) as cluster:
        handles = [cluster.submit(workflow, deterministic=True, **job) for job in _jobs()]
        return [np.asarray(handle.result().image) for handle in handles]


@pytest.mark.parametrize(
    "deterministic, most_progress",
    [(True, 12), (False, 12), (True, 1)],
    ids=["deterministic", "batched", "at the first sign of work"],
)
def test_twenty_kills_during_fifty_requests(
    deterministic: bool, most_progress: int, references: list[np.ndarray]
) -> None:
    """In the third case nothing ever gets further than its first sign of work until the kills are used up; no task
    may be taken for the cause."""
    workflow = WORKFLOWS["text-to-image"]()
    rng = random.Random(7)
    moved = threading.Semaphore(0)
    names_before, others = shared_memory_names(), set(children_of(os.getpid()))  # other suites' helpers
    with bw.Cluster(executors=2) as cluster:
        handles = [
            cluster.submit(workflow, deterministic=deterministic, on_progress=lambda _: moved.release(), **job)
            for job in _jobs()
        ]
        kills = 0
        while kills < KILLS and not all(handle.is_done() for handle in handles):
            for _ in range(rng.randint(1, most_progress)):
                moved.acquire(timeout=30)
            kills += kill_one(cluster.pids().values(), rng)
        pictures = [np.asarray(handle.result(120).image) for handle in handles]
        assert kills == KILLS
        assert cluster.leaked_blocks() == 0
        family = [pid for pid in children_of(os.getpid()) if pid not in others]
    assert all_gone(family, within_s=5) == []
    assert shared_memory_names() <= names_before
    for picture, reference in zip(pictures, references, strict=True):
        if deterministic:
            assert np.array_equal(picture, reference)
        else:
            assert (np.abs(picture.astype(int) - reference.astype(int)) <= 1).mean() >= 0.999


def test_a_stopped_executor_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """1. an executor is stopped (SIGSTOP) in the middle of a request. 2. It sends no heartbeat. 3. It is killed and
    its work runs again. The bound on silence is shortened so that the test need not wait for the default 20 s."""
    monkeypatch.setattr("brickwork.coordinator.coordinator.MAX_SILENCE_S", 1.0)
    workflow = WORKFLOWS["text-to-image"]()
    begun = threading.Event()
    with bw.Cluster(executors=1) as cluster:
        (pid,) = cluster.pids().values()
        handle = cluster.submit(workflow, prompt="a red circle", steps=200, on_progress=lambda _: begun.set())
        assert begun.wait(60)
        os.kill(pid, signal.SIGSTOP)
        handle.result(120)
        assert pid not in cluster.pids().values()
        assert cluster.leaked_blocks() == 0


def test_death_of_the_whole_program_leaves_nothing(tmp_path: Path) -> None:
    """SIGKILL gives no chance to clean up: the forkserver and the executors end by themselves."""
    import subprocess
    import sys

    script = tmp_path / "script.py"
    script.write_text(
        "import brickwork as bw\n"
        "from brickwork.starter.workflows import WORKFLOWS\n"
        "cluster = bw.Cluster(executors=2)\n"
        "cluster.submit(WORKFLOWS['text-to-image'](), prompt='a red circle', steps=1000,\n"
        "               on_progress=lambda p: print(p.step, flush=True))\n"
        "import threading; threading.Event().wait()\n"
    )
    names_before = shared_memory_names()
    process = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline()
    family = children_of(process.pid)
    assert len(family) >= 3
    process.kill()
    process.wait()
    assert all_gone(family, within_s=5) == []
    assert shared_memory_names() <= names_before
