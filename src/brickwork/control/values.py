"""Who still needs a tensor. Control owns every tensor of a request from the event that brought it until Release or
Finish.

A value counts its readers: the tasks that read it and have not ended, and the caller when it is a result. The last
reader to go releases it. Readers that run keep it too, so bytes are never freed under an executor that may be reading
them.
"""

from collections.abc import Iterable

from brickwork.control.records import RequestRecord, TaskRecord, ValueRecord
from brickwork.core.request import Scalar
from brickwork.core.tensor import TensorHandle


def own(request: RequestRecord, named: Iterable[tuple[str, TensorHandle]]) -> list[TensorHandle]:
    """Take tensors over. Returns those that nobody will read, which are to be released at once."""
    unread = []
    for name, handle in named:
        readers = request.facts.readers[name]
        if readers:
            request.values[name] = ValueRecord(handle, readers)
        else:
            unread.append(handle)
    return unread


def let_go(request: RequestRecord, names: Iterable[str]) -> list[TensorHandle]:
    """One reader of each named tensor has ended. Returns what nobody needs any more."""
    freed = []
    for name in dict.fromkeys(names):
        if value := request.values.get(name):
            value.readers -= 1
            if value.readers == 0:
                freed.append(request.values.pop(name).handle)
    return freed


def arguments(task: TaskRecord) -> tuple[Scalar | TensorHandle, ...]:
    """What the task's program is given, in the order of its params."""
    scalars, values = task.request.scalars, task.request.values
    return tuple([scalars[name] if name in scalars else values[name].handle for name in task.plan.args])
