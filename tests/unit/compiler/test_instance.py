"""Goal: control and simulator learn from a plan exactly what a request will do, and programs are shared where work is.

Method: the shipped workflows on a tiny SD3 directory, resolved for requests of which every number is known by hand.
"""

from pathlib import Path

import pytest

from brickwork.compiler.compile import compile_graph
from brickwork.compiler.instance import (
    ConcreteWork,
    concrete,
    program_of,
    resolve,
    result_specs,
    shape_key,
    sizing,
    task_work,
)
from brickwork.compiler.pipeline import NAMES
from brickwork.compiler.plan import Plan, PlanTask
from brickwork.core.errors import InputError
from brickwork.core.request import Scalar
from brickwork.core.tensor import TensorSpec
from brickwork.graph.parse import parse
from brickwork.starter.workflows import image_to_image, text_to_image, text_to_image_quick
from brickwork.workflow.inputs import validate


@pytest.fixture(scope="module")
def plans(tiny_sd3: Path) -> dict[str, Plan]:
    return {make.__name__: make(tiny_sd3).plan for make in (text_to_image, text_to_image_quick, image_to_image)}


def task(plan: Plan, name: str) -> PlanTask:
    return next(task for task in plan.tasks if task.name == name)


def scalars(plan: Plan, **values: object) -> dict[str, Scalar]:
    image = {"image": "cat.png"} if any(input_.type.is_tensor for input_ in plan.inputs) else {}
    return resolve(plan, validate(plan.inputs, {"prompt": "a red circle"} | image | values))


def sized(plan: Plan, values: dict[str, Scalar]) -> list[tuple[object, str]]:
    return [(task_work(plan, task, values), shape_key(plan, task, values)) for task in plan.tasks]


def test_tasks_of_text_to_image(plans: dict[str, Plan]) -> None:
    plan = plans["text_to_image"]
    encoders = ("clip", "clip_2", "t5", "clip_3", "clip_4", "t5_2")
    assert [task.name for task in plan.tasks] == [*encoders, "denoise", "decode"]
    assert task(plan, "denoise").after == encoders
    assert task(plan, "decode").after == ("denoise",)
    assert task(plan, "decode").last_uses == ("denoise.latents",)
    assert [(role.kind, len(role.nodes)) for role in program_of(plan, task(plan, "denoise")).roles] == [
        ("base", 1), ("local", 2),
    ]  # fmt: skip


def test_equal_work_of_two_workflows_is_one_program(plans: dict[str, Plan]) -> None:
    full, quick, from_image = plans.values()
    for name in ("clip", "clip_2", "t5", "decode"):
        assert task(full, name).program == task(quick, name).program == task(from_image, name).program
    assert task(full, "clip").program == task(full, "clip_3").program, "prompt and negative prompt share a batch"
    assert task(full, "clip").program != task(full, "clip_2").program, "they are different models"
    assert {spec.id for spec in quick.models} == {spec.id for spec in full.models}
    assert len({full.id, quick.id, from_image.id}) == 3


def test_a_plan_does_not_depend_on_where_it_was_written(tiny_sd3: Path, plans: dict[str, Plan]) -> None:
    assert text_to_image(tiny_sd3).plan == plans["text_to_image"]


def test_work_of_a_request(plans: dict[str, Plan]) -> None:
    plan = plans["text_to_image"]
    values = scalars(plan, steps=7)
    (work,) = task_work(plan, task(plan, "denoise"), values)
    profile = next(spec.profile for spec in plan.models if spec.kind == "sd3_transformer")
    assert work == ConcreteWork(f"{profile}/sd3.predict", "1x4x8x8", rows=2, trips=7, is_step=True)
    (alone,) = task_work(plan, task(plan, "denoise"), scalars(plan, guidance=1.0))
    assert alone.rows == 1, "without guidance there is one row"
    assert task_work(plan, task(plan, "clip"), values)[0].shape == "1x12x32"


@pytest.mark.parametrize(("steps", "strength", "trips"), [(10, 1.0, 10), (10, 0.3, 3), (10, 0.35, 4), (4, 0.01, 1)])
def test_strength_decides_the_trips(plans: dict[str, Plan], steps: int, strength: float, trips: int) -> None:
    plan = plans["image_to_image"]
    values = scalars(plan, steps=steps, strength=strength)
    assert task_work(plan, task(plan, "denoise"), values)[0].trips == trips


def test_shapes_of_a_request(plans: dict[str, Plan]) -> None:
    plan = plans["image_to_image"]
    values = scalars(plan)
    assert result_specs(plan, task(plan, "decode"), values) == (TensorSpec((1, 64, 64, 3), "uint8"),)
    assert result_specs(plan, task(plan, "clip"), values) == (
        TensorSpec((1, 12, 32), "float32"), TensorSpec((1, 24), "float32"),
    )  # fmt: skip
    assert concrete(plan.inputs[0].type, values) == TensorSpec((1, 64, 64, 3), "uint8"), "what the border resizes to"


def test_a_shape_key_tells_what_may_not_share_a_batch(plans: dict[str, Plan]) -> None:
    plan = plans["text_to_image"]
    denoise = task(plan, "denoise")
    key = shape_key(plan, denoise, scalars(plan))
    assert key == shape_key(plan, denoise, scalars(plan, steps=9, seed=5, guidance=3.5, prompt="a blue square"))
    assert key != shape_key(plan, denoise, scalars(plan, guidance=0.0)), "one row and two rows do not mix"
    assert key != shape_key(plan, denoise, scalars(plan) | {"height.value": 128})
    assert shape_key(plan, task(plan, "clip"), scalars(plan)) == "", "a text encoder's shapes are fixed"


def test_what_sizes_a_request_is_known_beforehand(plans: dict[str, Plan]) -> None:
    plan = plans["text_to_image"]
    names = sizing(plan)
    like = scalars(plan)
    for other in (scalars(plan, prompt="a blue square", seed=7), scalars(plan, steps=9), scalars(plan, guidance=0.0)):
        equal = [like[name] for name in names] == [other[name] for name in names]
        assert equal == (sized(plan, like) == sized(plan, other))


def test_without_passes_every_node_is_a_task(tiny_sd3: Path) -> None:
    graph = text_to_image(tiny_sd3).graph
    bare = compile_graph(graph, passes=[])
    assert len(bare.tasks) == 12
    assert all(not task.last_uses for task in bare.tasks)
    fused = compile_graph(graph, passes=[name for name in NAMES if name != "lifetimes"])
    assert len(fused.tasks) == 8
    assert all(not task.last_uses for task in fused.tasks)


def test_arithmetic_without_a_result_names_the_input() -> None:
    plan = compile_graph(parse(
        "workflow demo\ninput %seed : int\ninput %steps : int\n%b = scalar.floordiv(a=%seed, b=%steps) : value int\n"
        "%noise = noise(seed=%b.value) : x latent[4] float32\nreturn x=%noise.x\n"
    ))  # fmt: skip
    assert resolve(plan, {"seed": 7, "steps": 2})["b.value"] == 3
    with pytest.raises(InputError, match=r"seed: b \(scalar.floordiv of 7, 0\)"):
        resolve(plan, {"seed": 7, "steps": 0})
