"""Whether a task fits an executor, and what would have to leave. Sizes only; which models leave is the policy's."""

from collections.abc import Container

from brickwork.control.records import ExecutorRecord, TaskRecord
from brickwork.control.residency import Resident
from brickwork.control.turn import Turn
from brickwork.control.worth import worth_on
from brickwork.core.ids import ModelId


def need_bytes(turn: Turn, task: TaskRecord, device: str, size: int = 1) -> int:
    """Weights and activations of a batch of `size` such tasks."""
    return task.needs.weight_bytes + turn.estimate.activation_bytes(device, task.works, size)


def too_large(turn: Turn, task: TaskRecord, need: int) -> str:
    """A sentence when no executor seen so far could ever hold the task, which needs so many bytes, else ""."""
    largest = turn.state.largest_seen_bytes
    if not largest or need <= largest:
        return ""
    models = ", ".join(f"{model.id} ({model.weight_bytes:,} bytes)" for model in task.needs.models)
    return (
        f"Task {task.plan.name} of request {task.request.id} needs {need:,} bytes for {models or 'its tensors'} and "
        f"activations, but the largest executor has a budget of {largest:,} bytes. Raise the memory budget of an "
        "executor, or use a smaller model."
    )


def unloads(turn: Turn, task: TaskRecord, executor: ExecutorRecord, need_bytes: int) -> tuple[ModelId, ...] | None:
    """What has to leave an idle executor for a batch that needs `need_bytes` in all; None when it cannot fit."""
    needed, missing_bytes = task.program.models, need_bytes - executor.free_bytes
    for model in needed:
        if (replica := executor.replicas.get(model)) is not None:
            missing_bytes -= replica.model.weight_bytes
    if missing_bytes <= 0:
        return ()
    return turn.policies.unload(residents(turn, executor, needed), missing_bytes)


def residents(turn: Turn, executor: ExecutorRecord, needed: Container[ModelId]) -> list[Resident]:
    """The models of an executor, without those that are needed there."""
    found = []
    for model, replica in executor.replicas.items():
        if model not in needed:
            record = turn.state.models[model]
            needed_s = record.queued.first(1)[0][0] if record.replicas == 1 and len(record.queued) else None
            size, used_s = replica.model.weight_bytes, replica.used_s
            found.append(Resident(model, size, used_s, worth_on(turn, executor, model), needed_s))
    return found
