"""From a part of a scenario to the workflow that it means."""

from dataclasses import replace

from brickwork.core.errors import BrickworkError
from brickwork.sim.published import Recipe, recipe
from brickwork.sim.scenario import Part, ScenarioError

MAX_SIDE_PX = 8192


def recipe_of(part: Part, workflow: str) -> Recipe:
    """The published workflow named `workflow` with what `part` changes in it. raises ScenarioError

    Where the part gives a size, the name says so: figures are kept apart by workflow and size.
    """
    try:
        what = recipe(workflow)
    except BrickworkError as error:
        raise ScenarioError(f"workflows: {error}") from None
    name, size_px = workflow, what.size_px
    if part.size_px is not None:
        size_px = part.size_px
        name = f"{workflow} {size_px[0]}x{size_px[1]}"
        if any(side % 16 or side > MAX_SIDE_PX for side in size_px):
            raise ScenarioError(
                f"workflows: size_px: expected multiples of 16 up to {MAX_SIDE_PX}, found {list(size_px)}."
            )
    guidance = what.guidance if part.guidance is None else part.guidance
    return replace(what, name=name, steps=part.steps or what.steps, guidance=guidance, size_px=size_px)
