"""Goal: training can be killed and continued, and a tiny budget still yields a whole model.

Method: the stage loop on a toy network, bit by bit; then the real command as a process, interrupted once.
No quality and no speed is asserted.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from brickwork.starter import checkpoint, stage  # noqa: E402


def toy(seed: int = 0) -> stage.Stage:
    torch.manual_seed(seed)
    network = torch.nn.Linear(3, 2)
    average = {name: value.clone() for name, value in network.state_dict().items()}
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.1)

    def step(index: int, share: float) -> dict[str, float]:
        loss = (network(torch.full((1, 3), float(index))) - 1).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        average["bias"].lerp_(network.bias.detach(), 0.5)
        return {"loss": loss.item()}

    return stage.Stage("toy", network, optimizer, step, dict, average=average)


def test_a_stage_continues_where_it_stopped(tmp_path: Path) -> None:
    """Six steps in one go equal three, a checkpoint, and three in a fresh stage: weights, moments and average."""
    whole = toy()
    for index in range(6):
        whole.step(index, 0.0)
    first = toy()
    first.steps = [first.step(index, 0.0) for index in range(3)] and 3
    stage._save(first, tmp_path / "toy.safetensors")
    second = toy(seed=1)
    stage._restore(second, tmp_path / "toy.safetensors")
    for index in range(second.steps, 6):
        second.step(index, 0.0)
    assert torch.equal(whole.network.weight, second.network.weight)
    assert torch.equal(whole.average["bias"], second.average["bias"])


def test_a_raised_flag_saves_and_stops(tmp_path: Path) -> None:
    flag = stage.StopFlag()
    flag.raised = True
    with pytest.raises(stage.Stopped, match="step 1"):
        stage.run(toy(), 100.0, tmp_path, flag, resume=False)
    assert (tmp_path / "toy.safetensors").exists()


def test_a_failed_write_leaves_the_old_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "state.safetensors"
    checkpoint.save(path, {"a": torch.ones(2)}, {"step": 1})
    monkeypatch.setattr(os, "replace", lambda *names: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        checkpoint.save(path, {"a": torch.zeros(2)}, {"step": 2})
    loaded = checkpoint.load(path)
    assert loaded is not None
    assert loaded[1] == {"step": 1}


def command(out: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "brickwork.starter.train", "--out", str(out), "--threads", "1", *more]


def test_interrupted_then_resumed_to_a_whole_model(tmp_path: Path) -> None:
    """1. A long training starts.  2. Ctrl-C after its first line.  3. A small budget, resumed, writes the model."""
    out = tmp_path / "run"
    first = subprocess.Popen(
        command(out, "--seconds", "5000"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert first.stdout is not None
    assert first.stdout.readline().startswith("vae  step")
    first.send_signal(signal.SIGINT)
    _, errors = first.communicate(timeout=60)
    assert first.returncode == 130
    assert "Traceback" not in errors
    refused = subprocess.run(command(out, "--seconds", "2"), capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "--resume" in refused.stderr
    again = subprocess.run(command(out, "--seconds", "4", "--resume"), capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert "resumed at step" in again.stdout
    report = json.loads((out / "report.json").read_text())
    assert report["vae"]["steps"] > 0
    assert report["dit"]["steps"] > 0
    assert (out / "text-to-image" / "model_index.json").exists()
