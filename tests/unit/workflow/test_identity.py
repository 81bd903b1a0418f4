"""Goal: equal ids mean equal weights, configuration, tokenizer and dtype, and nothing else; the cache never lies.

Method: copies and changed copies of a tiny SD3 directory; the cache is watched, corrupted, and made unwritable.
"""

import json
import os
import shutil
from pathlib import Path

import pytest

from brickwork.core.model import ModelSpec
from brickwork.starter.workflows import text_to_image
from brickwork.workflow import identity
from brickwork.workflow.identity import file_digest


@pytest.fixture
def copy(tiny_sd3: Path, tmp_path: Path) -> Path:
    return shutil.copytree(tiny_sd3, tmp_path / "copy")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "brickwork" / "digests.json"


def specs(directory: Path) -> dict[str, ModelSpec]:
    """ModelSpecs of a directory by the name of the component."""
    return {Path(spec.path).name: spec for spec in text_to_image(directory).graph.models}


def changed(before: dict[str, ModelSpec], after: dict[str, ModelSpec]) -> set[str]:
    return {name for name in before if before[name].id != after[name].id}


def test_a_copy_has_the_same_identity(tiny_sd3: Path, copy: Path) -> None:
    assert changed(specs(tiny_sd3), specs(copy)) == set()


def test_versions_and_paths_in_a_config_do_not_matter(tiny_sd3: Path, copy: Path) -> None:
    path = copy / "vae/config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"_diffusers_version": "9.9", "_name_or_path": "x"}))
    assert changed(specs(tiny_sd3), specs(copy)) == set()
    assert specs(tiny_sd3)["vae"].profile == specs(copy)["vae"].profile


def test_one_changed_weight_changes_one_identity(tiny_sd3: Path, copy: Path) -> None:
    path = copy / "vae/diffusion_pytorch_model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert changed(specs(tiny_sd3), specs(copy)) == {"vae"}
    assert specs(tiny_sd3)["vae"].profile == specs(copy)["vae"].profile, "its speed is the same"


def test_config_and_tokenizer_are_part_of_the_identity(tiny_sd3: Path, copy: Path) -> None:
    path = copy / "text_encoder/config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"hidden_act": "gelu"}))
    (copy / "tokenizer_3/tokenizer.json").write_text((copy / "tokenizer_3/tokenizer.json").read_text() + " ")
    assert changed(specs(tiny_sd3), specs(copy)) == {"text_encoder", "text_encoder_3"}


def test_what_a_spec_says(tiny_sd3: Path) -> None:
    spec = specs(tiny_sd3)["text_encoder"]
    assert spec.kind == "clip_text" and spec.dtype == "float32"
    assert spec.extras == (("tokenizer", str(tiny_sd3 / "tokenizer")),)
    assert spec.id.startswith("clip_text-") and spec.profile.startswith("CLIPTextModelWithProjection-")
    stored = (tiny_sd3 / "text_encoder/model.safetensors").stat().st_size
    assert stored - 8192 < spec.weight_bytes < stored, "the file is its tensors and a header"


def test_a_digest_is_remembered_until_the_file_changes(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "weights"
    path.write_bytes(b"one")
    os.utime(path, (1, 1))  # long ago: settled
    first = file_digest(path)
    assert json.loads(cache.read_text())[str(path)][2] == first
    with monkeypatch.context() as patch:
        patch.setattr(identity.hashlib, "file_digest", None)  # reading again would raise
        assert file_digest(path) == first
    path.write_bytes(b"two")
    assert file_digest(path) != first


def test_a_file_that_was_just_written_is_not_remembered(cache: Path, tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes(b"fresh")
    file_digest(tmp_path / "weights")
    assert not cache.exists(), "it could change again within the same tick of its time stamp"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"%s": 7}', '{"%s": [1, 2, 3]}'])
def test_a_corrupt_cache_costs_only_time(cache: Path, tmp_path: Path, content: str) -> None:
    path = tmp_path / "weights"
    path.write_bytes(b"one")
    os.utime(path, (1, 1))
    cache.parent.mkdir(parents=True)
    cache.write_text(content.replace("%s", str(path)))
    digest = file_digest(path)
    cache.unlink()
    assert file_digest(path) == digest


def test_an_unwritable_cache_costs_only_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("a file where the directory should be")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    (tmp_path / "weights").write_bytes(b"one")
    os.utime(tmp_path / "weights", (1, 1))
    assert len(file_digest(tmp_path / "weights")) == 64
