"""Goal: the budget of an executor holds by the kernel's count, weights are never copied, and a load that fails leaves
nothing behind.

Method: a text encoder of 64 MB, nearly all of it one embedding, is loaded and unloaded in this process; the kernel
counts (peak of resident memory, private and mapped pages). Its files are damaged in one way each.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import T5Config, T5EncoderModel

from brickwork.core.errors import BrickworkError, ModelError
from brickwork.core.ids import ModelId
from brickwork.core.model import ModelSpec
from brickwork.executor.config import OWN_BYTES, Shares, shares
from brickwork.executor.memory import give_back, held
from brickwork.executor.residency import Residency
from support.tiny.parts import t5_tokenizer

MB = 2**20
SLACK_BYTES = 16 * MB
"""For what else a load may leave or take: imports, the allocator. A copy of the weights would be 64 MB."""


def _spec(directory: Path, dtype: str = "float32") -> ModelSpec:
    weight_bytes = (directory / "model.safetensors").stat().st_size // MB * MB
    extras = (("tokenizer", str(directory)),)
    return ModelSpec(ModelId(f"t5-{directory.name}"), "t5_text", str(directory), dtype, weight_bytes, "t5", extras)


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> ModelSpec:
    torch.manual_seed(0)
    directory = tmp_path_factory.mktemp("wide")
    config = T5Config(vocab_size=64 * 1024, d_model=256, d_ff=64, d_kv=16, num_layers=1, num_heads=2)
    T5EncoderModel(config).save_pretrained(directory)
    t5_tokenizer().save_pretrained(directory)
    spec = _spec(directory)
    Residency(shares(4096 * MB)).load(spec)  # imports what it needs
    return spec


@pytest.fixture()
def residency() -> Iterator[Residency]:
    give_back()
    yield Residency(Shares(OWN_BYTES, 0, 96 * MB))  # room for one


def _peak_bytes(action: Callable[[], object]) -> int:
    """How much more memory than before was resident at once meanwhile, by the kernel's high-water mark."""
    Path("/proc/self/clear_refs").write_text("5")
    before = _status("VmRSS")
    action()
    return _status("VmHWM") - before


def _status(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:"))


def test_a_load_holds_the_weights_once_and_in_the_mapped_file(spec: ModelSpec, residency: Residency) -> None:
    before = held()
    peak_bytes = _peak_bytes(lambda: residency.load(spec))
    after = held()
    assert peak_bytes <= spec.weight_bytes + SLACK_BYTES
    assert after.anonymous_bytes - before.anonymous_bytes <= SLACK_BYTES
    assert spec.weight_bytes <= after.mapped_bytes - before.mapped_bytes <= spec.weight_bytes + SLACK_BYTES


def test_an_unload_gives_everything_back_however_often(spec: ModelSpec, residency: Residency) -> None:
    before = held().total_bytes
    for _ in range(5):
        residency.load(spec)
        residency.unload(spec.id)
    assert held().total_bytes - before <= SLACK_BYTES
    with pytest.raises(ModelError, match="not resident"):
        residency.model(spec.id)


def test_weights_that_are_converted_are_private_memory_and_counted(spec: ModelSpec, residency: Residency) -> None:
    before = held()
    half = replace(spec, dtype="bfloat16", weight_bytes=spec.weight_bytes // 2)
    residency.load(half)
    after = held()
    assert after.mapped_bytes == before.mapped_bytes
    grown = after.anonymous_bytes - before.anonymous_bytes
    assert half.weight_bytes - SLACK_BYTES <= grown <= half.weight_bytes + SLACK_BYTES


def test_what_does_not_fit_is_refused_with_its_size_and_the_budget(spec: ModelSpec, residency: Residency) -> None:
    residency.load(spec)
    other = replace(spec, id=ModelId("another"))
    with pytest.raises(ModelError, match=rf"another needs {spec.weight_bytes:,} bytes.*of {96 * MB:,} are in use"):
        residency.load(other)
    residency.unload(spec.id)
    residency.load(other)


def test_what_the_process_truly_holds_counts(spec: ModelSpec, residency: Residency) -> None:
    """Memory that nobody declared: the weights would fit by their size, and are refused all the same."""
    ballast = torch.ones(140 * MB // 4)
    with pytest.raises(ModelError, match=r"memory budget.* are left"):
        residency.load(spec)
    del ballast
    residency.load(spec)


def _truncate(directory: Path) -> None:
    with (directory / "model.safetensors").open("r+b") as file:
        file.truncate(file.seek(0, 2) // 2)


def _change(change: Callable[[dict[str, torch.Tensor]], Any]) -> Callable[[Path], None]:
    def damage(directory: Path) -> None:
        tensors = load_file(directory / "model.safetensors")
        change(tensors)
        save_file(tensors, directory / "model.safetensors", {"format": "pt"})

    return damage


DAMAGES: dict[str, Callable[[Path], None]] = {
    "truncated": _truncate,
    "NaN in the last number": _change(lambda t: t["shared.weight"][-1, -1:].fill_(float("nan"))),
    "a missing tensor": _change(lambda t: t.pop("encoder.final_layer_norm.weight")),
    "another shape": _change(lambda t: t.update({"encoder.final_layer_norm.weight": torch.ones(3)})),
    "no weights": lambda directory: (directory / "model.safetensors").unlink(),
    "no tokenizer": lambda directory: (directory / "tokenizer.json").unlink(),
    "a broken preview": lambda directory: (directory / "preview.safetensors").write_bytes(b"no"),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_broken_model_leaves_nothing_behind(
    damage: Callable[[Path], None], spec: ModelSpec, residency: Residency, tmp_path: Path
) -> None:
    for file in Path(spec.path).iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    damage(tmp_path)
    extras: tuple[tuple[str, str], ...] = (("tokenizer", str(tmp_path)),)
    if (preview := tmp_path / "preview.safetensors").exists():
        extras += (("preview", str(preview)),)
    broken = replace(spec, id=ModelId("broken"), path=str(tmp_path), extras=extras)
    before = held().total_bytes
    with pytest.raises(ModelError, match=str(tmp_path)) as caught:
        residency.load(broken)
    with pytest.raises(ModelError) as later:
        residency.model(broken.id)
    assert str(later.value) == str(caught.value), "batches ordered behind the load tell the same"
    give_back()
    assert held().total_bytes - before <= SLACK_BYTES
    residency.load(spec)  # there is room for just one: nothing of the broken one is counted


def test_a_budget_that_leaves_nothing_for_models_is_refused() -> None:
    with pytest.raises(BrickworkError, match="leaves nothing for models"):
        shares(OWN_BYTES)
    parts = shares(1000 * MB)
    assert parts.own_bytes + parts.adapter_bytes + parts.model_bytes == 1000 * MB
