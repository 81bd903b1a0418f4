"""Goal: a measured profile says how long calls take, whatever a workflow begins with, and what memory they need.

Method: the starter, measured in this process for one and four requests; its decoder's maps have known sizes.
"""

from brickwork.executor.measure import measure
from brickwork.starter.workflows import image_to_image, text_to_image
from brickwork.workflow.inputs import validate


def test_what_calls_need_beside_the_weights_is_measured() -> None:
    plan = text_to_image().plan
    values = validate(plan.inputs, {"prompt": "a red circle", "steps": 1})
    profile = measure([(plan, values)], "cpu-1", repeats=1, largest=4)
    [decode] = [key for key in profile.devices["cpu-1"].calls if key.endswith("/vae.decode")]
    [call] = profile.devices["cpu-1"].calls[decode].values()
    assert call.activation_bytes is not None
    one, four = call.activation_bytes.at(1), call.activation_bytes.at(4)
    picture = 64 * 64 * 3 * 4  # bytes of one with three channels
    assert one >= 4 * picture, "maps of twelve channels at full size, at least"
    assert four >= one
    assert four <= 64 * 2**20, "nothing else is counted: neither weights nor what the process holds anyway"


def test_workflows_that_begin_with_a_picture_are_measured_together_with_others() -> None:
    kinds = []
    for workflow, given in ((text_to_image(), {}), (image_to_image(), {"image": "any"})):
        kinds.append((workflow.plan, validate(workflow.plan.inputs, {"prompt": "a red circle", "steps": 2, **given})))
    calls = measure(kinds, "cpu-1", repeats=1, largest=1).devices["cpu-1"].calls
    operations = sorted(key.partition("/")[2] for key in calls)
    assert operations == ["sd3.predict", "text.clip", "text.t5", "vae.decode", "vae.encode"]
    assert all(value > 0.0 for shapes in calls.values() for call in shapes.values() for _, value in call.seconds.points)
