"""Goal: a server starts, stops and dies without losing a job or leaving anything behind.

Method: real processes and real signals; state directories outlive the servers.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from support.server import ServerProcess

LONG = 1000


def running(server: ServerProcess, job_id: str) -> None:
    """Return as soon as the job denoises."""
    with httpx.stream("GET", f"{server.url}/v1/jobs/{job_id}/events", timeout=60) as stream:
        for line in stream.iter_lines():
            if line.startswith("data:") and '"denoise"' in line:
                return


def test_sigterm_drains_then_stops(served_model: Path, tmp_path: Path) -> None:
    """1. Two jobs run. 2. SIGTERM. 3. A third is refused as temporary, the two end, the server says so and is gone."""
    with ServerProcess(served_model, tmp_path) as server:
        jobs = [server.job(steps=LONG, seed=seed) for seed in range(2)]
        running(server, jobs[1])
        server.process.send_signal(signal.SIGTERM)
        while server.get("/readyz").status_code == 200:
            pass
        refused = server.post("/v1/jobs", {"workflow": "text-to-image", "inputs": {"prompt": "a red circle"}})
        assert refused.status_code == 503 and int(refused.headers["retry-after"]) > 0
        assert refused.json()["error"]["code"] == "not_ready"
        output, _ = server.process.communicate(timeout=60)
        assert server.process.returncode == 0 and "all jobs have ended" in output
    assert "Traceback" not in server.log.read_text()
    with ServerProcess(served_model, tmp_path) as again:
        for job_id in jobs:
            job = again.get(f"/v1/jobs/{job_id}").json()
            assert job["status"] == "succeeded" and job["attempt"] == 1
            assert again.get(job["outputs"][0]["url"]).status_code == 200


@pytest.mark.parametrize("bound", ["the drain's", "a second signal's"])
def test_what_does_not_end_in_time_runs_again(bound: str, served_model: Path, tmp_path: Path) -> None:
    """A Ctrl-C on a terminal reaches the whole process group, so executors see it too."""
    seconds = "0.2" if bound == "the drain's" else "60"
    with ServerProcess(served_model, tmp_path, "--drain-seconds", seconds) as server:
        jobs = [server.job(steps=LONG // 2, seed=seed) for seed in range(8)]  # they run twice
        running(server, jobs[0])
        os.killpg(server.process.pid, signal.SIGINT)
        assert server.process.stdout is not None and "stopping" in server.process.stdout.readline()
        if seconds == "60":
            os.killpg(server.process.pid, signal.SIGINT)
        rest, _ = server.process.communicate(timeout=15)
        assert "run again at the next start" in rest
        assert server.process.returncode == (130 if seconds == "60" else 0)
    assert "Traceback" not in server.log.read_text()
    with ServerProcess(served_model, tmp_path) as again:
        ended = [again.ended(job_id) for job_id in jobs]
        assert [job["status"] for job in ended] == ["succeeded"] * 8
        assert any(job["attempt"] == 2 for job in ended)


def test_the_next_server_takes_over(served_model: Path, tmp_path: Path) -> None:
    """1. One job has ended, one was canceled, one names a workflow that will be gone, one has a deadline that may have
    passed by then. 2. SIGKILL. 3. The next server says the right thing of each. (Deaths under load are
    `tests/fault/test_server_kills.py`.)"""
    first = ServerProcess(served_model, tmp_path).ready()
    done = first.job(seed=100)
    result = first.ended(done)["outputs"]
    quick = {"workflow": "text-to-image-quick", "inputs": {"prompt": "a red circle", "steps": LONG}}
    gone = first.post("/v1/jobs", quick)
    canceled = first.job(steps=LONG)
    late = first.post("/v1/jobs", {"workflow": "text-to-image", "deadline_s": 8, "inputs": {"prompt": "a blue square"}})
    first.post(f"/v1/jobs/{canceled}/cancel", {})
    first.kill()
    with ServerProcess(served_model, tmp_path, "text-to-image") as last:
        assert last.get(f"/v1/jobs/{done}").json()["outputs"] == result
        assert last.ended(canceled)["status"] == "canceled"
        assert last.ended(late.json()["id"])["status"] in ("expired", "succeeded")
        lost = last.ended(gone.json()["id"])
        assert lost["status"] in ("succeeded", "failed")
        assert lost["status"] == "succeeded" or "text-to-image-quick" in lost["error"]["message"]


def test_a_second_server_on_the_same_state_is_refused(server: ServerProcess, served_model: Path) -> None:
    second = ServerProcess(served_model, server.state_dir)
    output, _ = second.process.communicate(timeout=60)
    assert second.process.returncode == 1 and output == ""
    text = second.log.read_text()
    assert "in use" in text and str(server.process.pid) in text and "Traceback" not in text
    assert server.get("/readyz").status_code == 200


BAD_SETTINGS = [
    (["--executors", "0"], {}, "executors"),
    (["--executors", "many"], {}, "executors"),
    (["--memory-budget", "much"], {}, "memory_budget"),
    (["--port", "99999"], {}, "port"),
    (["--host", "300.1.1.1"], {}, "300.1.1.1"),
    (["--config", "missing.toml"], {}, "missing.toml"),
    ([], {"BRICKWORK_DRAIN_SECONDS": "-1"}, "drain_seconds"),
    (["text-to-imag"], {}, "text-to-image"),
    (["text-to-image", "text-to-image"], {}, "text-to-image"),
]


@pytest.mark.parametrize(("args", "environment", "named"), BAD_SETTINGS, ids=lambda value: str(value)[:40])
def test_bad_settings_are_refused_by_name(
    args: list[str], environment: dict[str, str], named: str, served_model: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "brickwork.cli", "serve", "--model", str(served_model), "--port", "0",
               "--state-dir", str(tmp_path), *args]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=os.environ | environment)
    assert done.returncode == 2, done.stderr
    assert named in done.stderr and "Traceback" not in done.stderr


def test_flags_over_environment_over_file(served_model: Path, tmp_path: Path) -> None:
    config = tmp_path / "brickwork.toml"
    config.write_text('workflows = ["text-to-image-quick"]\nexecutors = 3\nmax_body_bytes = 2000\nhost = "127.0.0.1"\n')
    environment = {"BRICKWORK_EXECUTORS": "2", "BRICKWORK_HOST": "localhost"}
    args = ("--config", str(config), "--executors", "1")
    with ServerProcess(served_model, tmp_path / "state", *args, environment=environment) as server:
        assert len(server.get("/v1/executors").json()["data"]) == 1
        assert [workflow["name"] for workflow in server.get("/v1/workflows").json()["data"]] == ["text-to-image-quick"]
        assert server.post("/v1/jobs", {"workflow": "x" * 3000}).status_code == 413
