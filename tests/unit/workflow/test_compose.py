"""Goal: workflows are parts of other workflows: best-of-n, a second pass over the first one's picture.

Method: such workflows are declared on a tiny SD3 directory and compiled; work that they share must be done once.
"""

from pathlib import Path

import pytest

import brickwork as bw
from brickwork.core.errors import WorkflowError
from brickwork.starter.workflows import image_to_image, text_to_image


def test_best_of_n_encodes_its_text_once(tiny_sd3: Path) -> None:
    base = text_to_image(tiny_sd3)

    @bw.workflow
    def best_of_3(prompt: str, seed: int = 0) -> dict[str, bw.Image]:
        """Three pictures of one prompt."""
        return {f"image_{k}": base(prompt, seed=seed + k) for k in range(3)}

    ops = [program.body[-1].op for task in best_of_3.plan.tasks for program in best_of_3.plan.programs
           if program.id == task.program and hasattr(program.body[-1], "op")]  # fmt: skip
    assert ops.count("text.clip") == 4, "two encoders, for the prompt and for the empty negative prompt"
    assert ops.count("image.to_uint8") == 3
    assert [name for name, _ in best_of_3.graph.outputs] == ["image_0", "image_1", "image_2"]
    denoise = [task.program for task in best_of_3.plan.tasks if task.name.startswith("denoise")]
    assert len(denoise) == 3 and len(set(denoise)) == 1, "three tasks of one program: they may share a batch"


def test_limits_pass_on_to_the_caller(tiny_sd3: Path) -> None:
    base = text_to_image(tiny_sd3)

    @bw.workflow
    def again(what: str, picture_size: bw.Size = "auto") -> bw.Image:
        return base(prompt=what, size=picture_size)

    what, size = again.inputs
    assert what.words == base.inputs[0].words
    assert size.choices == ((64, 64),)


def test_a_picture_of_the_workflow_goes_into_another(tiny_sd3: Path) -> None:
    first, second = text_to_image(tiny_sd3), image_to_image(tiny_sd3)

    @bw.workflow
    def twice(prompt: str, size: bw.Size = "auto") -> bw.Image:
        return second(image=first(prompt, size=size), prompt=prompt, size=size, strength=0.5)

    assert [task.name for task in twice.plan.tasks if task.name.startswith(("encode", "denoise", "decode"))] == [
        "denoise", "decode", "encode", "denoise_2", "decode_2",
    ]  # fmt: skip


def test_an_image_input_passes_through(tiny_sd3: Path) -> None:
    inner = image_to_image(tiny_sd3)

    @bw.workflow
    def outer(photo: bw.Image, prompt: str) -> bw.Image:
        return inner(photo, prompt)

    assert outer.inputs[0].type.dtype == "uint8"
    assert len(outer.inputs[0].type.shape) == 4


def test_a_constant_that_the_inner_workflow_refuses(tiny_sd3: Path) -> None:
    base = text_to_image(tiny_sd3)
    with pytest.raises(WorkflowError, match=r"test_compose.py:\d+: text-to-image: steps: 0 is out of range"):

        @bw.workflow
        def wrong(prompt: str) -> bw.Image:
            return base(prompt, steps=0)
