"""One request's place in a running batch: the values of its program so far, and the leases that keep inputs alive."""

from dataclasses import dataclass, field
from typing import Any

from brickwork.compiler.plan import Program
from brickwork.core.batch import TaskRun
from brickwork.core.tensor import TensorHandle
from brickwork.data.tensors import TensorStore
from brickwork.data.views import Lease
from brickwork.executor.tensors import view


@dataclass(slots=True)
class Row:
    """A task being run. `step` and `stop` belong to `core.step.step_batch` while the row is in a loop."""

    run: TaskRun
    values: dict[str, Any]  # local value name -> tensor or scalar
    leases: list[Lease] = field(default_factory=list)
    step: int = 0
    stop: int = 0
    start: int = 0  # the loop's first step
    first: int = 0  # the step at which this run took the loop up: `start`, or where its checkpoint was made
    is_stopped: bool = False

    def release(self) -> None:
        """Forget every value, then give the inputs back; safe to call twice."""
        self.values.clear()
        for lease in self.leases:
            lease.release()
        self.leases.clear()

    def checkpoint(self, store: TensorStore) -> tuple[Any, ...] | None:
        """The carries of the run's checkpoint, mapped in place; None when it starts from the beginning.

        raises    StaleHandle when a tensor's bytes are gone
        """
        if self.run.checkpoint is None:
            return None
        leases = [store.get(handle) for handle in self.run.checkpoint.carries]
        self.leases += leases
        return tuple(map(view, leases))


def open_row(store: TensorStore, program: Program, run: TaskRun) -> Row:
    """Map the inputs of `run` in place.

    raises    StaleHandle when an input's bytes are gone
    """
    row = Row(run, {})
    for (name, _), arg in zip(program.params, run.args, strict=True):
        if isinstance(arg, TensorHandle):
            lease = store.get(arg)
            row.leases.append(lease)
            row.values[name] = view(lease)
        else:
            row.values[name] = arg
    return row
