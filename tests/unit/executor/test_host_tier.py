"""Goal: the tier below a GPU never holds more than its budget, gives back what it was given, bit for bit, and forgets
what is worth least first.

Method: models of drawn sizes and costs in any order, against a list of what was kept last; the copies to and from a
device need a GPU, and are skipped without one.
"""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from brickwork.core.ids import ModelId
from brickwork.executor.host_tier import HostTier

CPU = torch.device("cpu")
KB = 1024


def _model(kilobytes: int) -> torch.nn.Module:
    return torch.nn.Linear(kilobytes * KB // 8, 2, bias=False)


def _name(k: int) -> ModelId:
    return ModelId(f"model-{k}")


@given(
    sizes=st.lists(st.integers(1, 6), min_size=1, max_size=6),
    moves=st.lists(st.tuples(st.integers(0, 5), st.floats(0, 10)), max_size=40),
)
def test_the_budget_holds_and_what_comes_back_is_what_was_kept(
    sizes: list[int], moves: list[tuple[int, float]]
) -> None:
    tier, models = HostTier(10 * KB, CPU), [_model(size) for size in sizes]
    weights = [model.weight.detach().clone() for model in models]
    on_device = set(range(len(models)))
    for drawn, load_s in moves:
        k = drawn % len(models)
        if k in on_device:
            tier.keep(_name(k), models[k], load_s)
            on_device.discard(k)
        else:
            found = tier.take(_name(k))
            assert found is None or (found is models[k] and torch.equal(found.weight, weights[k]))
            on_device.add(k)
        assert tier.used_bytes <= 10 * KB
        away = [k for k in range(len(models)) if k not in on_device]
        assert tier.used_bytes <= sum(sizes[k] for k in away) * KB, "what is on the device is not here"


def _after(*kept: tuple[int, float]) -> list[int]:
    """Which of some models, kept one after the other with their loads' seconds, are still here; three have room."""
    tier = HostTier(3 * KB, CPU)
    for k, load_s in kept:
        tier.keep(_name(k), _model(1), load_s)
    return sorted({k for k, _ in kept if tier.take(_name(k)) is not None})


def test_of_models_that_load_alike_the_one_that_left_first_is_forgotten() -> None:
    assert _after((0, 1.0), (1, 1.0), (2, 1.0), (3, 1.0)) == [1, 2, 3]


def test_a_model_that_loads_slowly_stays_longer_but_not_for_ever() -> None:
    assert _after((0, 2.5), *((k, 1.0) for k in range(1, 5))) == [0, 3, 4]
    assert _after((0, 2.5), *((k, 1.0) for k in range(1, 20))) == [17, 18, 19]


def test_a_model_larger_than_the_budget_drives_nobody_out() -> None:
    tier = HostTier(3 * KB, CPU)
    tier.keep(_name(0), _model(1), 1.0)
    tier.keep(_name(1), _model(4), 1.0)
    assert tier.take(_name(1)) is None and tier.take(_name(0)) is not None


class _Encoder:
    def __init__(self, model: torch.nn.Module):
        self.model = model


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU: torch finds no CUDA device")
@pytest.mark.parametrize("wrap", [lambda model: model, _Encoder], ids=["module", "encoder"])
def test_weights_leave_the_gpu_pinned_and_come_back(wrap: Any) -> None:
    device, inner = torch.device("cuda", 0), _model(1024).to("cuda")
    expected = inner.weight.detach().cpu()
    tier, model = HostTier(2048 * KB, device), wrap(inner)
    tier.keep(_name(0), model, 1.0)
    assert inner.weight.device == CPU and inner.weight.is_pinned()
    assert tier.take(_name(0)) is model
    assert inner.weight.is_cuda and torch.equal(inner.weight.cpu(), expected)
