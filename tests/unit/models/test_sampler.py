"""Goal: every sampler steps with the library's bits, from any step, and a request may move between steps.

Method: the library's object runs a whole schedule as pipelines run it; ours is given nothing but latents, the index
and the history tensor before every step, and other requests are stepped in between. Drawn: step counts, where the
schedule begins, options.
"""

import json
from typing import Any

import diffusers
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from brickwork.models.image.sampling import KINDS
from brickwork.models.sampler import begin, noised, schedule_of, step

BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
SAMPLERS: dict[str, tuple[str, dict[str, Any]]] = {
    "PNDM": ("PNDMScheduler", BETAS | {"skip_prk_steps": True, "steps_offset": 1, "set_alpha_to_one": False}),
    "DDIM": ("DDIMScheduler", BETAS | {"steps_offset": 1, "set_alpha_to_one": False, "clip_sample": False}),
    "Euler": ("EulerDiscreteScheduler", BETAS | {"timestep_spacing": "leading", "steps_offset": 1}),
    "Euler, Karras": ("EulerDiscreteScheduler", BETAS | {"use_karras_sigmas": True}),
    "Euler, v": ("EulerDiscreteScheduler", BETAS | {"prediction_type": "v_prediction", "timestep_spacing": "trailing"}),
    "DPM++ 2": ("DPMSolverMultistepScheduler", BETAS),
    "DPM++ 2, Karras": ("DPMSolverMultistepScheduler", BETAS | {"use_karras_sigmas": True, "euler_at_final": True}),
    "DPM++ 3": ("DPMSolverMultistepScheduler", BETAS | {"solver_order": 3}),
    "UniPC": ("UniPCMultistepScheduler", BETAS),
    "UniPC 3": ("UniPCMultistepScheduler", BETAS | {"solver_order": 3}),
    "UniPC, flow": ("UniPCMultistepScheduler", {"prediction_type": "flow_prediction", "use_flow_sigmas": True}),
    "flow Euler": ("FlowMatchEulerDiscreteScheduler", {"shift": 3.0}),
}
SHAPE = (1, 4, 6, 6)


def _randn(seed: int) -> torch.Tensor:
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(seed))


def _text(name: str) -> str:
    class_name, options = SAMPLERS[name]
    return json.dumps({"class": class_name, "options": options})


def _library(name: str, steps: int) -> Any:
    class_name, options = SAMPLERS[name]
    scheduler = getattr(diffusers, class_name)(**options)
    scheduler.set_timesteps(steps)
    return scheduler


def _tensors(name: str) -> int:
    class_name, options = SAMPLERS[name]
    return KINDS[class_name].history(options)


@pytest.mark.parametrize("name", SAMPLERS)
@given(steps=st.integers(1, 20), skipped=st.integers(0, 19), seed=st.integers(0, 100))
@settings(max_examples=12)
def test_a_whole_schedule_has_the_librarys_bits(name: str, steps: int, skipped: int, seed: int) -> None:
    reference, text, start = _library(name, steps), _text(name), min(skipped, steps - 1)
    if hasattr(reference, "set_begin_index"):
        reference.set_begin_index(start)
    ours = theirs = _randn(seed)
    count = _tensors(name)
    history = torch.zeros(count, *SHAPE[1:]) if count else None
    for i, when in list(enumerate(reference.timesteps))[start:]:
        velocity = _randn(seed + 7 * i + 1)
        if hasattr(reference, "scale_model_input"):
            reference.scale_model_input(theirs, when)
        theirs = reference.step(velocity, when, theirs, return_dict=False)[0]
        ours, *rest = step(ours, velocity, i, steps, text, start, history)
        history = rest[0] if rest else None
        step(_randn(3), _randn(4), 0, steps, text, 0, None if history is None else torch.zeros_like(history))
        assert torch.equal(ours, theirs), (i, steps)


@pytest.mark.parametrize("name", SAMPLERS)
def test_noise_is_added_and_scaled_as_the_library_does(name: str) -> None:
    reference, text = _library(name, 7), _text(name)
    sample, noise, when = _randn(1), _randn(2), reference.timesteps[3:4]
    add = getattr(reference, "scale_noise", None)
    theirs = add(sample, when, noise) if add else reference.add_noise(sample, noise, when)
    assert torch.equal(noised(text, 7, sample, noise, 3), theirs)
    if hasattr(reference, "init_noise_sigma"):
        assert torch.equal(begin(noise, 7, text), noise * reference.init_noise_sigma)


def test_resolution_decides_the_shift_of_a_dynamic_schedule() -> None:
    declared = {"class": "FlowMatchEulerDiscreteScheduler", "options": {"use_dynamic_shifting": True}, "shift_patch": 2}
    small, large = (schedule_of(json.dumps(declared), 4, torch.zeros(1, 4, side, side)) for side in (16, 64))
    assert (large.sigmas[1:-1] > small.sigmas[1:-1]).all()
