"""Goal: what only shows when weights are read, or is asked absurdly, gets an error that names file or field; the
executors live on and serve the next request. Equal files of two directories are one replica.

Method: one executor; a good request before and after each bad one, by the same process.
"""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import brickwork as bw
from parity import workflows
from parity.table import ASK, Models
from support.tiny import sd15

WEIGHTS = "diffusion_pytorch_model.safetensors"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    return Models(tmp_path_factory.mktemp("bad"))


@pytest.fixture(scope="module")
def cluster() -> Iterator[bw.Cluster]:
    with bw.Cluster(executors=1) as cluster:
        yield cluster
        assert cluster.leaked_blocks() == 0


def _change(file: Path, change: Callable[[dict[str, torch.Tensor]], Any]) -> None:
    tensors = load_file(file)
    change(tensors)
    save_file(tensors, file)


DAMAGES: dict[str, tuple[str, Callable[[dict[str, torch.Tensor]], Any], str]] = {
    "NaN": ("unet", lambda t: t["conv_in.weight"].fill_(float("nan")), "conv_in.weight holds NaN or infinity"),
    "a missing tensor": ("unet", lambda t: t.pop("conv_in.weight"), "conv_in.weight"),
    "another shape": ("vae", lambda t: t.update({"quant_conv.weight": torch.ones(3, 3, 1, 1)}), "quant_conv.weight"),
}


@pytest.mark.parametrize(("component", "change", "expected"), DAMAGES.values(), ids=DAMAGES)
def test_broken_weights_fail_the_request_and_nothing_else(
    component: str, change: Any, expected: str, models: Models, cluster: bw.Cluster, tmp_path: Path
) -> None:
    good = models.get("sd15", sd15.build)
    bad = shutil.copytree(good, tmp_path / "bad")
    _change(bad / component / WEIGHTS, change)
    ask = ASK | {"steps": 1}
    cluster.run(workflows.text_to_image(good), **ask)
    before = cluster.pids()
    with pytest.raises(bw.RequestFailed) as caught:
        cluster.run(workflows.text_to_image(bad), **ask)
    assert expected in str(caught.value) and f"bad/{component}" in str(caught.value)
    cluster.run(workflows.text_to_image(good), **ask)
    assert cluster.pids() == before


@pytest.mark.parametrize(
    ("field", "value"), [("steps", 10**9), ("steps", 0), ("guidance", float("nan")), ("seed", -1), ("seed", 2**60)]
)
def test_absurd_numbers_are_refused_by_name(field: str, value: Any, models: Models, cluster: bw.Cluster) -> None:
    with pytest.raises(bw.InputError) as caught:
        cluster.submit(workflows.text_to_image(models.get("sd15", sd15.build)), **ASK | {field: value})
    assert caught.value.field == field


@pytest.mark.parametrize("size", ["100000x100000", "65x64", "0x64"])
def test_absurd_sizes_are_refused_by_name(size: str, models: Models, cluster: bw.Cluster) -> None:
    sd = bw.family(models.get("sd15", sd15.build))

    @bw.workflow
    def sized(size: bw.Size) -> bw.Image:
        return sd.decode(sd.denoise(sd.noise(0, size), sd.encode("a"), steps=1, guidance=1.0))

    with pytest.raises(bw.InputError) as caught:
        cluster.submit(sized, size=size)
    assert caught.value.field == "size"


def test_an_edge_map_of_another_size_is_refused_where_it_is_used(models: Models) -> None:
    sd = bw.family(models.get("sd15", sd15.build))
    net = sd.controlnet(models.get("net", sd15.build_controlnet))
    with pytest.raises(bw.WorkflowError, match=r"a control picture of .* px for latents of .* px"):

        @bw.workflow
        def wrong(prompt: str) -> bw.Image:
            other = sd.decode(sd.denoise(sd.noise(0, "128x128"), sd.encode(prompt), steps=1, guidance=1.0))
            noise = sd.noise(0, "64x64")
            return sd.decode(sd.denoise(noise, sd.encode(prompt), steps=1, guidance=1.0, controls=net(other)))


def test_two_directories_with_the_same_text_encoder_share_a_replica(
    models: Models, cluster: bw.Cluster, tmp_path: Path
) -> None:
    good = models.get("sd15", sd15.build)
    other = shutil.copytree(good, tmp_path / "other")
    _change(other / "unet" / WEIGHTS, lambda tensors: tensors["conv_in.weight"].mul_(2))
    for directory in (good, other):
        cluster.run(workflows.text_to_image(directory), **ASK | {"steps": 1})
    resident = [model for loaded in cluster.residency().values() for model in loaded]
    clip = bw.family(good).clip.spec.id
    assert clip == bw.family(other).clip.spec.id and resident.count(clip) == 1
    assert {bw.family(good).denoiser.id, bw.family(other).denoiser.id} <= set(resident)
