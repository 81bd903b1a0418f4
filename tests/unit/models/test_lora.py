"""Goal: adapters act on the rows that asked for them, leave no trace, and files that can't be used are refused.

Method: a tiny SD1.5 through its nodes in this process; the same requests alone and together, the base before and after
a thousand uses of an adapter, stock Diffusers for the file formats, and files damaged in one way each.
"""

import gc
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import load_file, save_file

import brickwork as bw
from brickwork.core.errors import ModelError
from brickwork.models import lora
from brickwork.models.image.adapters import HEADER
from brickwork.models.lora_cache import AdapterCache
from brickwork.workflow.identity import file_digest
from parity import reference, workflows
from parity.table import ASK, SD15, Models
from support import inprocess
from support.tiny import adapters

RTOL, ATOL = 1e-4, 5e-5


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    return Models(tmp_path_factory.mktemp("lora"))


@pytest.fixture(scope="module")
def files(models: Models) -> tuple[Path, Path]:
    directory = SD15.directory(models)
    first = models.adapters("first", directory, "unet", "text_encoder")
    return first, models.adapters("second", directory, "unet", seed=9)


def _mixed(models: Models, files: tuple[Path, Path]) -> bw.Workflow:
    """Two adapters whose scales are inputs: 0 and 0 is the base."""
    sd = bw.family(SD15.directory(models))

    @bw.workflow
    def mixed(prompt: str, seed: int, first: float, second: float, steps: int = 3):
        loras = list(zip(files, (first, second), strict=True))
        latents = sd.denoise(sd.noise(seed, "64x64"), sd.encode(prompt), steps=steps, guidance=3.0, loras=loras)
        return {"latents": latents}

    return mixed


def test_requests_with_other_adapters_in_one_batch_match_their_solo_results(
    models: Models, files: tuple[Path, Path]
) -> None:
    workflow = _mixed(models, files)
    scales = [(0.8, 0.0), (0.0, 1.5), (0.0, 0.0), (0.5, -0.7)]
    asks = [
        {"prompt": "a red circle", "seed": k, "first": first, "second": second}
        for k, (first, second) in enumerate(scales)
    ]
    together = inprocess.run_together(workflow, asks)
    alone = [inprocess.run(workflow, **ask)["latents"] for ask in asks]
    base = inprocess.run(workflow, **asks[0] | {"first": 0.0})["latents"]
    assert not torch.allclose(alone[0], base, rtol=RTOL, atol=0.1), "the adapter does nothing, so this proves nothing"
    for ours, solo in zip(together, alone, strict=True):
        assert torch.allclose(ours["latents"], solo, rtol=RTOL, atol=ATOL * 100)


def test_workflows_with_other_adapters_have_one_program(models: Models, files: tuple[Path, Path]) -> None:
    """Equal programs may share a batch: the adapters are arguments."""
    directory = SD15.directory(models)
    plans = [workflows.text_to_image(directory, loras).plan for loras in ((), [(files[0], 0.5)], [(files[1], 1.0)])]
    programs = [{task.name: task.program for task in plan.tasks} for plan in plans]
    assert programs[0] == programs[1] == programs[2]


def test_after_a_thousand_uses_the_base_has_the_same_bits(models: Models, files: tuple[Path, Path]) -> None:
    unet = inprocess.model(_mixed(models, files).graph, bw.family(SD15.directory(models)).denoiser.id)
    text = "".join([HEADER, *_lines(files, (0.8, -0.3))])
    inputs = (torch.randn(1, 4, 8, 8), torch.tensor([7]), torch.randn(1, 12, 32))
    with torch.inference_mode():
        before = unet(*inputs).sample
        state = {name: tensor.clone() for name, tensor in unet.state_dict().items()}
        for cycle in range(1000):
            with lora.applied(unet, "sd15:unet", [(text, 1)]):
                changed = unet(*inputs).sample if cycle % 250 == 0 else None
            assert changed is None or not torch.equal(changed, before)
        assert torch.equal(unet(*inputs).sample, before)
    assert all(torch.equal(tensor, state[name]) for name, tensor in unet.state_dict().items())
    assert not any(module._forward_hooks for module in unet.modules())


def _lines(files: tuple[Path, ...], scales: tuple[float, ...]) -> list[str]:
    from brickwork.workflow.identity import ID_DIGITS, file_digest

    return [f"{scale!r} {file_digest(file)[:ID_DIGITS]} {file}\n" for file, scale in zip(files, scales, strict=True)]


def test_a_kohya_file_is_read_as_diffusers_reads_it(models: Models, tmp_path: Path) -> None:
    directory = SD15.directory(models)
    from diffusers import StableDiffusionPipeline

    pipe = StableDiffusionPipeline.from_pretrained(directory, local_files_only=True)
    parts = {"unet": pipe.unet, "text_encoder": pipe.text_encoder}
    file = adapters.build_kohya(tmp_path / "kohya.safetensors", parts)
    expected = SD15.expected(models, loras=[(file, 0.8)], **SD15.size)
    ours = inprocess.run(workflows.text_to_image(directory, [(file, 0.8)]), **ASK)
    assert torch.equal(ours["latents"], expected.latents)
    base = reference.run("StableDiffusionPipeline", directory, 3, prompt="a red circle", num_inference_steps=4,
                         guidance_scale=3.0, **SD15.size)  # fmt: skip
    assert not torch.allclose(base.latents, expected.latents, atol=0.1)


def _damaged(file: Path, into: Path, change: Any) -> Path:
    tensors = load_file(file)
    change(tensors, sorted(tensors))
    save_file(tensors, into)
    return into


DAMAGES: dict[str, tuple[Any, str]] = {
    "NaN": (lambda t, k: t[k[0]].fill_(float("nan")), "holds NaN or infinity"),
    "wrong shape": (lambda t, k: t.update({k[0]: torch.randn(3, 5)}), "but the layer is"),
    "half a pair": (lambda t, k: t.pop(k[-1]), "only one of its two tensors"),
    "another model's layer": (
        lambda t, k: t.update({"unet.middle.to_q.lora_A.weight": torch.randn(3, 5)}), "has not; is it for this model?"
    ),
    "whole numbers": (lambda t, k: t.update({k[0]: torch.ones(3, 4, dtype=torch.int8)}), "is I8; supported weights"),
    "DoRA": (lambda t, k: t.update({"unet.x.lora_magnitude_vector": torch.ones(3)}), "is no plain LoRA"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "expected"), DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_file_is_refused(
    change: Any, expected: str, models: Models, files: tuple[Path, Path], tmp_path: Path
) -> None:
    file = _damaged(files[1], tmp_path / "damaged.safetensors", change)
    with pytest.raises(ModelError) as caught:
        inprocess.run(workflows.text_to_image(SD15.directory(models), [(file, 1.0)]), **ASK)
    assert expected in str(caught.value) and "damaged.safetensors" in str(caught.value)


def test_a_file_that_changed_since_is_refused(models: Models, files: tuple[Path, Path], tmp_path: Path) -> None:
    file = _damaged(files[1], tmp_path / "moving.safetensors", lambda tensors, names: None)
    workflow = workflows.text_to_image(SD15.directory(models), [(file, 1.0)])
    _damaged(files[1], file, lambda tensors, names: tensors[names[0]].mul_(2))
    with pytest.raises(ModelError, match="was changed after the workflow"):
        inprocess.run(workflow, **ASK)


@pytest.mark.parametrize(
    ("given", "expected"),
    [("nowhere.safetensors", "is no file"), ("pickled.bin", "would run code"), (7, "expected the path")],
)
def test_what_is_no_adapter_is_refused_when_declared(
    given: Any, expected: str, models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pickled.bin").write_bytes(b"\x80\x04")
    with pytest.raises(bw.BrickworkError, match=expected):
        workflows.text_to_image(SD15.directory(models), [given])


def test_adapters_in_memory_stay_within_their_share(models: Models, files: tuple[Path, Path]) -> None:
    """Room for one: another one takes its place, two of one batch are refused, and none outlives its model."""
    unet = UNet2DConditionModel.from_pretrained(SD15.directory(models) / "unet")
    first, second = ({file_digest(file): file} for file in files)
    cache = AdapterCache(10**9)
    cache.take(first, "sd15:unet", unet)
    one = cache.held_bytes
    cache.limit(2 * one - 1)
    kept = cache.take(first, "sd15:unet", unet)
    assert cache.take(first, "sd15:unet", unet)[next(iter(first))] is kept[next(iter(first))]
    cache.take(second, "sd15:unet", unet)
    assert cache.held_bytes <= 2 * one - 1
    with pytest.raises(ModelError, match=r"2 adapters of one batch .* bytes .*memory budget") as caught:
        cache.take(first | second, "sd15:unet", unet)
    assert all(str(file) in str(caught.value) for file in files)
    assert cache.held_bytes <= 2 * one - 1
    del unet, kept, caught  # whose traceback holds the model
    gc.collect()
    assert cache.held_bytes == 0
