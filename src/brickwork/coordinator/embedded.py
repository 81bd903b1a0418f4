"""A coordinator whose executors are processes of this host: the default, without any service beside it."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from brickwork.compiler.instance import resolve
from brickwork.control.machine import Control
from brickwork.coordinator.coordinator import Coordinator, Submission
from brickwork.coordinator.links import Listener
from brickwork.coordinator.slots import ExecutorShape, Slots
from brickwork.core.clock import SystemClock
from brickwork.core.request import SLO
from brickwork.data.keeper import Keeper
from brickwork.data.spill import DEFAULT_SPILL_BYTES
from brickwork.executor.config import shares
from brickwork.fleet.local import LocalFleet
from brickwork.profile.files import starter_profile
from brickwork.workflow.api import Workflow
from brickwork.workflow.inputs import validate

PRELOAD = ("brickwork.models.preload",)
"""What the forkserver imports, once for all executors."""


def embedded(
    executors: int, threads: int, memory_bytes: int, start_method: str = "forkserver", control: Control | None = None
) -> Coordinator:
    """A coordinator that is not started yet, with `executors` equal slots. See `Cluster` for the arguments.

    raises    BrickworkError when the memory budget leaves nothing for models
    """
    shares(memory_bytes)
    shape = ExecutorShape(f"cpu-{threads}", threads, memory_bytes)
    keeper, listener = Keeper(spill_bytes=DEFAULT_SPILL_BYTES), Listener()
    slots = Slots(keeper, listener.address, [shape] * executors, partial(LocalFleet, start_method, PRELOAD))
    return Coordinator(control or Control(starter_profile()), keeper, slots, listener, SystemClock())


def submission_of(workflow: Workflow, inputs: Mapping[str, Any], slo: SLO) -> Submission:
    """Validate the inputs of a request and resolve what follows from them.

    raises    InputError that names the input
    """
    plan = workflow.plan
    values = validate(plan.inputs, inputs)
    names = {item.name for item in plan.inputs if item.type.is_tensor}
    scalars = {name: value for name, value in values.items() if name not in names}
    pictures = {name: value for name, value in values.items() if name in names}
    return Submission(plan, scalars, pictures, resolve(plan, scalars), slo)
