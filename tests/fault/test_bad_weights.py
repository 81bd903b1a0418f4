"""Goal: files that lie get an error that names them, run no code, and leave the executor as it was.

Method: one cell a damage, each on a copy of a tiny directory. What a header shows is refused where the workflow is
declared. What only shows at a load, since the file was changed after that or its numbers are broken, fails the request
that asked, in every precision, and the same process serves the next one. Pickles are real: unpickling leaves a mark.
"""

import json
import os
import pickle
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import brickwork as bw
from brickwork.core.errors import ModelError
from parity import workflows
from parity.table import ASK, SD15, Models
from support.tiny import flux

WEIGHTS = "diffusion_pytorch_model.safetensors"
UNET = f"unet/{WEIGHTS}"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    return Models(tmp_path_factory.mktemp("weights"))


@pytest.fixture
def copy(models: Models, tmp_path: Path) -> Path:
    return shutil.copytree(SD15.directory(models), tmp_path / "bad")


class _Mark:
    """Unpickling it makes a directory."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (str(self._path),)


def _pickled(file: Path) -> Path:
    mark = file.with_suffix(".ran")
    file.write_bytes(pickle.dumps(_Mark(mark)))
    return mark


def _only_pickles(directory: Path) -> None:
    (directory / UNET).unlink()
    _pickled(directory / "unet/diffusion_pytorch_model.bin")


def _pickle_under_another_name(directory: Path) -> None:
    _pickled(directory / UNET)


def _index_of(shard: str) -> Callable[[Path], None]:
    def change(directory: Path) -> None:
        (directory / UNET).unlink()
        _pickled(directory / "unet/pytorch_model.bin")
        (directory / f"{UNET}.index.json").write_text(json.dumps({"weight_map": {"conv_in.weight": shard}}))

    return change


def _header(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    def rewrite(directory: Path) -> None:
        content = (directory / UNET).read_bytes()
        length = int.from_bytes(content[:8], "little")
        header = json.loads(content[8 : 8 + length])
        change(header["conv_in.weight"])
        text = json.dumps(header).encode()
        (directory / UNET).write_bytes(len(text).to_bytes(8, "little") + text + content[8 + length :])

    return rewrite


def _truncate(directory: Path) -> None:
    os.truncate(directory / UNET, (directory / UNET).stat().st_size - 100)


def _of_another_family(directory: Path) -> None:
    index = json.loads((directory / "model_index.json").read_text())
    index["unet"] = ["diffusers", "FluxTransformer2DModel"]
    (directory / "model_index.json").write_text(json.dumps(index))


REFUSED: dict[str, tuple[Callable[[Path], Any], str]] = {
    "truncated": (_truncate, rf"{UNET} has .* bytes, but its header promises"),
    "pickles only": (_only_pickles, "unet has pickled weights only"),
    "a pickle in disguise": (_pickle_under_another_name, f"{UNET} is no safetensors file"),
    "an index that names a pickle": (_index_of("pytorch_model.bin"), "pytorch_model.bin is no safetensors file"),
    "an index that leaves the directory": (_index_of(f"../vae/{WEIGHTS}"), "lists shards that are not beside it"),
    "an absurd shape": (_header(lambda t: t.update(shape=["x", 2**80])), f"{UNET} is no safetensors file"),
    "weights of a foreign dtype": (_header(lambda t: t.update(dtype="F8_E4M3")), "conv_in.weight is F8_E4M3"),
    "another family's model": (_of_another_family, "unet is a FluxTransformer2DModel; supported: UNet2DCondition"),
}


@pytest.mark.parametrize(("damage", "expected"), REFUSED.values(), ids=REFUSED)
def test_what_a_header_shows_is_refused_where_it_is_declared(damage: Any, expected: str, copy: Path) -> None:
    damage(copy)
    with pytest.raises(ModelError, match=expected):
        bw.family(copy)
    assert not list(copy.rglob("*.ran")), "a pickle was loaded"


def test_a_pickle_beside_the_weights_is_never_looked_at(copy: Path) -> None:
    mark = _pickled(copy / "unet/diffusion_pytorch_model.bin")
    assert bw.family(copy).denoiser
    assert not mark.exists()


def test_a_controlnet_of_another_family_is_refused(models: Models) -> None:
    net = models.get("flux-net", flux.build_controlnet)
    with pytest.raises((bw.WorkflowError, ModelError), match="is a FluxControlNetModel; supported: ControlNetModel"):
        bw.family(SD15.directory(models)).controlnet(net)


def _not_a_number(directory: Path) -> None:
    tensors = load_file(directory / UNET)
    tensors["mid_block.attentions.0.proj_in.weight"].flatten()[3] = float("nan")
    save_file(tensors, directory / UNET)


AT_LOAD: dict[str, tuple[Callable[[Path], Any], str, str]] = {
    "NaN": (_not_a_number, "fp32", "proj_in.weight holds NaN or infinity"),
    "NaN, 16 bits": (_not_a_number, "bf16", "proj_in.weight holds NaN or infinity"),
    "NaN, 8 bits": (_not_a_number, "int8", "proj_in.weight holds NaN or infinity"),
    "truncated after it was declared": (_truncate, "fp32", "bad/unet"),
    "gone after it was declared": (lambda directory: (directory / UNET).unlink(), "fp32", "bad/unet"),
    "a pickle after it was declared": (_only_pickles, "int8", "bad/unet"),
}


@pytest.fixture(scope="module")
def cluster() -> Iterator[bw.Cluster]:
    with bw.Cluster(executors=1) as cluster:
        yield cluster
        assert cluster.leaked_blocks() == 0


@pytest.mark.parametrize(("damage", "precision", "expected"), AT_LOAD.values(), ids=AT_LOAD)
def test_what_shows_at_a_load_fails_that_request(
    damage: Any, precision: str, expected: str, copy: Path, models: Models, cluster: bw.Cluster
) -> None:
    """1. A good request. 2. A directory is declared, damaged, asked for. 3. The process that met it serves on."""
    good, ask = workflows.text_to_image(SD15.directory(models)), ASK | {"steps": 1}
    cluster.run(good, **ask)
    before = cluster.pids()
    tensors = load_file(copy / UNET)
    tensors["conv_in.weight"] += torch.rand(1)  # its own identity: nothing of it is resident
    save_file(tensors, copy / UNET)
    if expected.startswith("proj_in"):
        damage(copy)
    workflow = workflows.text_to_image(copy, precision=precision)
    if not expected.startswith("proj_in"):
        damage(copy)
    with pytest.raises(bw.RequestFailed, match=expected):
        cluster.run(workflow, **ask)
    assert not list(copy.rglob("*.ran"))
    cluster.run(good, **ask)
    assert cluster.pids() == before
