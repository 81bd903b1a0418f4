"""Over which devices a task is spread: the layouts that are possible now, and the helpers that each would take.

Only a task that runs alone in its batch is spread, since wide layouts are for devices that nobody else wants. Helpers
are idle executors of the leader's device type and host: holders of the models first, then those with room for them.
Which layout is taken is the policy's choice (`parallelism.py`).
"""

from itertools import chain

from brickwork.control.parallelism import Choice, SpreadView
from brickwork.control.records import ExecutorRecord, TaskRecord
from brickwork.control.turn import Turn
from brickwork.core.batch import WHOLE, Layout
from brickwork.core.model import ModelSpec
from brickwork.core.record import record

MAX_LOOKED_AT = 16
"""Idle executors that are looked at for helpers, of each kind."""


@record(frozen=True, slots=True)
class Gang:
    """A layout with the executors that help the leader, in the order of `Dispatch.helpers`."""

    layout: Layout
    helpers: tuple[ExecutorRecord, ...]
    start_s: float  # until all of them hold what they need


def spread(turn: Turn, task: TaskRecord, leader: ExecutorRecord, start_s: float) -> Gang:
    """The layout for a task that is about to start alone on `leader`.

    start_s     until the leader holds the models and inputs
    """
    alone = Gang(WHOLE, (), start_s)
    gangs = [alone, *_gangs(turn, task, leader, start_s)]
    if len(gangs) == 1:
        return alone
    device, estimate = leader.device, turn.estimate
    choices = [Choice(gang.layout, gang.start_s, estimate.layout_s(device, task.works, gang.layout)) for gang in gangs]
    groups = turn.state.ready.groups
    others_wait = len(groups) > 1 or any(group.size > 1 for group in groups.values())
    layout = turn.policies.spread(SpreadView(slack_s(turn, task), others_wait, choices))
    return next(gang for gang in gangs if gang.layout == layout)


def wider(turn: Turn, task: TaskRecord, leader: ExecutorRecord, gang: int, left: float, step_s: float) -> bool:
    """Would a task that runs with `gang` devices be spread over more, now that others are idle?

    left      steps it has left
    step_s    seconds of one as it runs now; one passes before it can change
    """
    device, estimate = leader.device, turn.estimate
    idle = len(turn.state.models[task.needs.heaviest[0]].idle_holders)  # others would have to load it first
    now = Choice(Layout(gang), 0.0, left * step_s)
    choices = [now]
    for wide in layouts(turn, task, device):
        if gang < wide.devices <= min(gang + idle, leader.max_degree):
            choices.append(Choice(wide, step_s, (left - 1.0) * estimate.step_s(device, task.works, 1, wide)))
    if len(choices) == 1:
        return False
    return turn.policies.spread(SpreadView(slack_s(turn, task), False, choices)) != now.layout


def layouts(turn: Turn, task: TaskRecord, device: str) -> list[Layout]:
    """The layouts on several devices that are worth anything for the task."""
    return turn.estimate.layouts(device, task.program.id, task.shape, task.works, task.needs.apart)


def slack_s(turn: Turn, task: TaskRecord) -> float | None:
    """Seconds from now within which a task has to end; None when its request has no deadline."""
    return task.latest_end_s - turn.now_s if task.request.has_deadline else None


def helper_models(task: TaskRecord, layout: Layout, index: int) -> tuple[ModelSpec, ...]:
    """What the helper at `index` of the gang has to hold."""
    if index < layout.degree - 1:
        return task.needs.models
    profiles = {key.rpartition("/")[0] for key in layout.apart}
    return tuple(model for model in task.needs.models if model.profile in profiles)


def _gangs(turn: Turn, task: TaskRecord, leader: ExecutorRecord, start_s: float) -> list[Gang]:
    may = leader.max_degree > 1 and task.steps > 0 and not task.group[2]
    if not may or len(turn.state.idle_by_free) < 2:
        return []
    if not (wides := layouts(turn, task, leader.device)):
        return []
    found = _helpers(turn, task, leader, min(wides[-1].devices, leader.max_degree) - 1)
    loads_s = [_load_s(turn, each, task.needs.models) for each in found]
    gangs = []
    for wide in wides:
        helpers = wide.devices - 1
        if helpers <= len(found) and helpers < leader.max_degree:
            load_s = max([0.0, *loads_s[: wide.degree - 1]])
            if wide.apart:
                load_s = max(load_s, _load_s(turn, found[helpers - 1], helper_models(task, wide, helpers - 1)))
            gangs.append(Gang(wide, tuple(found[:helpers]), max(start_s, load_s)))
    return gangs


def _helpers(turn: Turn, task: TaskRecord, leader: ExecutorRecord, count: int) -> list[ExecutorRecord]:
    """Up to `count` idle executors that could help, holders of the models first."""
    state, needs = turn.state, task.needs
    holders = state.models[needs.heaviest[0]].idle_holders.first(MAX_LOOKED_AT)
    roomy = state.idle_by_free.first(MAX_LOOKED_AT)
    activation_bytes = turn.estimate.activation_bytes(leader.device, task.works, 1)
    found: list[ExecutorRecord] = []
    for executor_id in chain(holders, roomy):
        if len(found) == count:
            break
        executor = state.executors[executor_id]
        if executor is not leader and executor not in found and _fits(task, leader, executor, activation_bytes):
            found.append(executor)
    return found


def _fits(task: TaskRecord, leader: ExecutorRecord, executor: ExecutorRecord, activation_bytes: int) -> bool:
    """Could the executor help the leader without unloading anything?"""
    if executor.device != leader.device or executor.host != leader.host or not executor.can_step:
        return False
    need_bytes = activation_bytes
    for model in task.needs.models:
        if model.id not in executor.replicas:
            need_bytes += model.weight_bytes
    return need_bytes <= executor.free_bytes


def _load_s(turn: Turn, executor: ExecutorRecord, models: tuple[ModelSpec, ...]) -> float:
    return sum([turn.estimate.load_s(executor.device, model) for model in models if model.id not in executor.replicas])
