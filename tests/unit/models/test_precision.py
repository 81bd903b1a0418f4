"""Goal: a variant is what it says: its bytes in memory are those that are declared, its pictures are near the
reference's, conversion needs no wide copy of the model, adapters and text encoders of other variants fit, and a model
that can't be compiled runs as it is.

Method: tiny directories of every family, in this process; bytes are counted over what was loaded. Conversion is watched
in a process of its own, on a model that is large enough to stand out.
"""

import itertools
import logging
import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import T5Config, T5EncoderModel

import brickwork as bw
from brickwork.core.errors import ModelError
from brickwork.models import loaders
from brickwork.workflow.variants import described
from parity import video_table, workflows
from parity.table import ASK, FLUX, NETS15, NETS35, NETSF, QWEN, SD3, SD15, SD35, SDXL, Models
from support import inprocess

ROWS = (SD15, SDXL, SD3, FLUX, QWEN)
NARROW = ("bf16", "fp16", "int8")
LEAST_DB = 35.0
"""Of a picture's distance to the reference's: the notes' tolerance for bf16."""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    return Models(tmp_path_factory.mktemp("precision"))


def _numbers(model: Any) -> Iterator[torch.Tensor]:
    """What a loaded model keeps of its file: 8-bit weights in their parts, tied weights once."""
    seen = set()
    for tensor in getattr(model, "model", model).state_dict().values():
        parts = [tensor.qdata, tensor.scale, tensor.zero_point] if hasattr(tensor, "qdata") else [tensor]
        for part in parts:
            if part.data_ptr() not in seen:
                seen.add(part.data_ptr())
                yield part


def _check_bytes(specs: Any) -> None:
    for spec in specs:
        assert sum(part.nbytes for part in _numbers(loaders.load(spec))) == spec.weight_bytes, spec


@pytest.mark.parametrize("precision", ("fp32", *NARROW))
@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_pictures_are_near_and_bytes_are_those_declared(row: Any, precision: str, models: Models) -> None:
    reference = inprocess.run(workflows.text_to_image(row.directory(models)), **ASK)["image"]
    workflow = workflows.text_to_image(row.directory(models), precision=precision)
    asked = [spec for spec in workflow.graph.models if (precision, spec.kind) != ("fp16", "vae")]
    assert {described(spec) for spec in asked} == {precision}
    picture = inprocess.run(workflow, **ASK)["image"]
    assert _distance_db(picture, reference) >= LEAST_DB
    _check_bytes(workflow.graph.models)


def _distance_db(picture: torch.Tensor, reference: torch.Tensor) -> float:
    error = float(((picture.double() - reference.double()) ** 2).mean())
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)


@pytest.mark.parametrize("name", ["Wan 2.1", "Wan 2.2, two transformers", "LTX-Video"])
def test_video_models_have_the_bytes_that_are_declared(name: str, tmp_path: Path) -> None:
    directory = video_table.directory_of(name, "image to video", tmp_path)
    for precision in NARROW:
        workflow = video_table.FEATURES["image to video"](directory, precision=precision)
        frame = torch.from_numpy(np.random.default_rng(0).integers(0, 255, (1, 32, 64, 3), dtype=np.uint8))
        ask = {"prompt": "a red circle", "frames": 5, "steps": 2, "seed": 3, "size": (32, 64), "image": frame}
        (clip,) = inprocess.run(workflow, **ask).values()
        assert clip.float().std() > 1.0
        _check_bytes(workflow.graph.models)


def test_a_controlnet_on_borrowed_positions_has_the_bytes_that_are_declared(models: Models) -> None:
    """SD3.5 large: its patches and positions are the transformer's, so another transformer makes it another model."""
    path = NETS35[0](models)
    for precision in ("fp32", *NARROW):
        _check_bytes([bw.family(SD35.directory(models), precision=precision).read_controlnet(path).spec])
    ids = {bw.family(row.directory(models)).read_controlnet(path).spec.id for row in (SD3, SD35)}
    assert len(ids) == 2


@pytest.mark.parametrize(("row", "nets"), [(SD15, NETS15), (FLUX, NETSF)], ids=["SD 1.5", "Flux"])
def test_components_of_different_variants_work_together(row: Any, nets: Any, models: Models) -> None:
    """A ControlNet, a text encoder and a denoiser that give each other tensors of other dtypes; with an adapter."""
    denoiser = "unet" if row is SD15 else "transformer"
    precision = {"text_encoder": "bf16", "controlnet": "fp16", denoiser: "int8"}
    directory = row.directory(models)
    file = models.adapters(f"lora-{row.name}", directory, denoiser)
    pictures = [
        inprocess.run(_controlled(bw.family(directory, **given), nets[0](models), file), edges=models.picture, **ASK)
        for given in ({}, {"precision": precision})
    ]
    assert LEAST_DB <= _distance_db(*(results["image"] for results in pictures)) < math.inf


def _controlled(family: Any, net: Path, file: Path) -> bw.Workflow:
    @bw.workflow
    def controlled(edges: bw.Image, prompt: str, seed: int, steps: int, guidance: float):
        control, text = family.controlnet(net)(edges, workflows.SIZE), family.encode(prompt)
        noise = family.noise(seed, workflows.SIZE)
        latents = family.denoise(noise, text, steps=steps, guidance=guidance, controls=control, loras=[file])
        return {"image": family.decode(latents)}

    return controlled


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"precision": "fp8"}, "precision: expected fp32, bf16, fp16, int8, found 'fp8'"),
        ({"precision": {"transformer": "bf16"}}, "precision: there is no transformer; expected one of .*unet"),
        ({"precision": {"unet": 8}}, "precision of unet: expected fp32"),
        ({"compile": "yes"}, "compile: expected True or False, found 'yes'"),
    ],
)
def test_words_that_mean_nothing_are_refused(given: dict[str, Any], expected: str, models: Models) -> None:
    with pytest.raises(ModelError, match=expected):
        bw.family(SD15.directory(models), **given)


def test_an_autoencoder_that_overflows_stays_wide_under_fp16(models: Models) -> None:
    """Its configuration says so: force_upcast."""
    family = bw.family(SDXL.directory(models), precision="fp16")
    assert (described(family.space.vae), described(family.denoiser)) == ("fp32", "fp16")


@pytest.mark.parametrize("precision", ["bf16", "int8"])
def test_conversion_makes_no_wide_copy(precision: str, tmp_path: Path) -> None:
    """200 MB stored in fp32, 4 MB a tensor at most: memory grows by what is kept, and some tensors on their way."""
    sizes = {"d_model": 512, "d_ff": 2048, "d_kv": 64, "num_heads": 8, "vocab_size": 8, "num_layers": 16}
    T5EncoderModel(T5Config(**sizes)).save_pretrained(tmp_path)
    stored = (tmp_path / "model.safetensors").stat().st_size
    command = [sys.executable, "-m", "support.peak", "t5_text", str(tmp_path), "bfloat16", precision]
    answer = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True)
    kept, peak = map(int, answer.stdout.split())
    assert kept < stored / 1.9
    assert peak < kept + stored / 4


def test_a_compiled_text_encoder_gives_what_it_gives_uncompiled(models: Models) -> None:
    """The smallest model, since compiling takes its time; with an adapter the compiled code is left aside."""
    directory = SD15.directory(models)
    file = models.adapters("lora-compiled", directory, "text_encoder")
    families = bw.family(directory), bw.family(directory, compile={"text_encoder": True})
    asked = [_encoded(family, loras) for family, loras in itertools.product(families, ([], [file]))]
    texts = [inprocess.run(workflow, prompt="a red circle")["embeds"] for workflow in asked]
    plain, adapted, compiled, both = texts
    assert torch.allclose(compiled, plain, rtol=1e-4, atol=5e-5)
    assert torch.equal(both, adapted) and not torch.allclose(adapted, plain, atol=1e-3)


def _encoded(family: Any, loras: list[Path]) -> bw.Workflow:
    @bw.workflow
    def encoded(prompt: str):
        return {"embeds": family.encode(prompt, loras=loras).embeds}

    return encoded


def test_without_a_compiler_a_model_runs_as_it_is(
    models: Models, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from torch._inductor import config
    from torch._inductor.cpp_builder import get_cpp_compiler

    get_cpp_compiler.cache_clear() if hasattr(get_cpp_compiler, "cache_clear") else None
    monkeypatch.setattr(config.cpp, "cxx", ("/nowhere/g++",))
    monkeypatch.setenv("CXX", "/nowhere/g++")
    family = bw.family(SD15.directory(models), compile=True)
    with caplog.at_level(logging.ERROR):
        model = loaders.load(family.clip.spec).model
    assert model._compiled_call_impl is None
    assert f"{family.clip.spec.id} runs uncompiled: torch.compile needs a C++ compiler" in caplog.text
