"""Goal: models are found by path, by a name that was given to them, or by hub id; all that is wrong with one is told.

Method: copies of a tiny SD3 directory; a hub cache laid out by hand and read by a process that is told to stay offline.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from safetensors.torch import load_file, save_file

import brickwork as bw
from brickwork.cli.app import app
from brickwork.core.errors import ModelError
from brickwork.importers import names

WEIGHTS = "diffusion_pytorch_model.safetensors"


@pytest.fixture
def data_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "data"


def test_all_that_is_wrong_is_told(tiny_sd3: Path, tmp_path: Path) -> None:
    directory = shutil.copytree(tiny_sd3, tmp_path / "broken")
    (directory / "vae" / WEIGHTS).rename(directory / "vae/diffusion_pytorch_model.bin")
    shutil.rmtree(directory / "text_encoder_2")
    path = directory / "transformer" / WEIGHTS
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(ModelError) as caught:
        bw.family(directory)
    text = str(caught.value)
    assert "pickled weights only" in text and "safe_serialization=True" in text
    assert "text_encoder_2 is missing" in text
    assert f"transformer/{WEIGHTS}" in text


def test_quantised_weights_are_refused(tiny_sd3: Path, tmp_path: Path) -> None:
    directory = shutil.copytree(tiny_sd3, tmp_path / "int8")
    file = directory / "transformer" / WEIGHTS
    tensors = load_file(file)
    name = next(name for name in sorted(tensors) if name.endswith(".weight"))
    tensors[name] = tensors[name].mul(100).to(dtype=__import__("torch").int8)
    save_file(tensors, file)
    with pytest.raises(ModelError, match=f"{name} is I8; supported weights: F64, F32, F16, BF16"):
        bw.family(directory)


def test_a_name_stands_for_its_directory(tiny_sd3: Path, data_home: Path) -> None:
    names.add("tiny", tiny_sd3)
    assert bw.family("tiny").root == tiny_sd3
    names.add("tiny", tiny_sd3)  # once more is fine
    with pytest.raises(ModelError, match="remove it first"):
        names.add("tiny", tiny_sd3.parent)
    with pytest.raises(ModelError, match="is no name"):
        names.add("../etc", tiny_sd3)
    assert names.remove("tiny") == tiny_sd3 and tiny_sd3.is_dir()
    with pytest.raises(ModelError, match="there is no model 'tiny'; known: none"):
        names.remove("tiny")


def test_the_commands_say_what_they_did(tiny_sd3: Path, data_home: Path) -> None:
    runner = CliRunner()

    def run(*words: str) -> str:
        result = runner.invoke(app, ["models", *words], catch_exceptions=False)
        assert result.exit_code == 0
        return result.output

    assert f"sd3: StableDiffusion3Pipeline in {tiny_sd3}" in run("add", str(tiny_sd3), "--name", "sd3")
    assert "sd3" in run("list") and "StableDiffusion3Pipeline" in run("list")
    shown = run("show", "sd3")
    assert "transformer" in shown and "sd3_transformer-" in shown and "text_encoder_3" in shown
    assert "sd3 is forgotten" in run("remove", "sd3")


def test_a_hub_id_is_read_from_the_local_cache(tiny_sd3: Path, tmp_path: Path) -> None:
    """The hub's own loading code, offline, on a cache that looks as it leaves one."""
    cache = tmp_path / "hub" / "models--tiny--sd3"
    commit = "0123456789abcdef0123456789abcdef01234567"
    shutil.copytree(tiny_sd3, cache / "snapshots" / commit)
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text(commit)
    environment = os.environ | {"HF_HUB_CACHE": str(tmp_path / "hub"), "HF_HUB_OFFLINE": "1"}
    script = "import brickwork as bw, sys; print(bw.family(sys.argv[1]).root)"

    def family(name: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", script, name]
        return subprocess.run(command, env=environment, capture_output=True, text=True, cwd=tmp_path)

    assert family("tiny/sd3").stdout.strip() == str(cache / "snapshots" / commit)
    assert "the model hub can't be reached" in family("tiny/other").stderr


def test_equal_text_encoders_of_two_directories_are_one_model(tiny_sd3: Path, tmp_path: Path) -> None:
    other = shutil.copytree(tiny_sd3, tmp_path / "other")
    config = other / "transformer/config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"sample_size": 16}))
    first, second = bw.family(tiny_sd3), bw.family(other)
    assert first.clip_1.spec.id == second.clip_1.spec.id
    assert first.denoiser.id != second.denoiser.id


def test_another_variant_is_another_model(tiny_sd3: Path) -> None:
    asked = [{}, *({"precision": word} for word in ("bf16", "fp16", "int8", {"text_encoder": "bf16"}))]
    asked += [given | {"compile": True} for given in asked[:2]]
    assert len({bw.family(tiny_sd3, **given).clip_1.spec.id for given in asked}) == 6, "bf16 was asked for twice"
    assert bw.family(tiny_sd3, precision={"text_encoder": "bf16"}).denoiser.id == bw.family(tiny_sd3).denoiser.id
