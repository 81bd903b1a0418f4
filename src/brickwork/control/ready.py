"""The ready tasks, in groups that may share a batch, the most urgent group first.

A group for which placement prefers to wait is *parked*: it leaves the order until the executor it waits for (or a
holder of one of its models) is idle, a task joins it, or its recheck time comes. Every park has a recheck time, so no
group waits without a bound. Heaps drop outdated entries when they surface; all operations are O(log n) but for
`unpark_*`, which touch only the groups concerned.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from heapq import heappop, heappush, nsmallest

from brickwork.control.records import GroupKey, Rank, TaskRecord
from brickwork.control.tasks import TaskState
from brickwork.core.ids import ExecutorId, ModelId
from brickwork.core.record import record


@dataclass(slots=True, eq=False)
class Group:
    """Ready tasks with equal program, equal concrete shapes and equal lane."""

    key: GroupKey
    models: tuple[ModelId, ...]
    heap: list[tuple[Rank, int, TaskRecord]] = field(default_factory=list)  # (rank, attempt, task)
    size: int = 0  # READY tasks in it; the heap may hold outdated entries beside them
    parked: "Park | None" = None
    look_again_s: float | None = None  # when to look at it again while it stays in the order
    homeless_s: float | None = None  # since when no executor at hand can hold it


@record(frozen=True, slots=True)
class Park:
    """Why a group is out of the order."""

    executor: ExecutorId | None  # waits for this one to be idle; None: no executor can hold its models
    run_s: float  # device seconds that it will take there
    recheck_s: float


class ReadyQueue:
    def __init__(self) -> None:
        self.groups: dict[GroupKey, Group] = {}  # exactly those with size > 0
        self._order: list[tuple[Rank, GroupKey]] = []  # heap; an entry counts while it is its group's head
        self._rechecks: list[tuple[float, GroupKey]] = []  # heap; an entry counts while its group's park says so
        self._fresh: dict[GroupKey, None] = {}  # groups in the order that changed since `take_fresh`
        self._on_executor: dict[ExecutorId, dict[GroupKey, float]] = {}  # parked groups -> run_s
        self._on_model: dict[ModelId, dict[GroupKey, None]] = {}  # parked groups that need the model

    def push(self, task: TaskRecord) -> None:
        """Add a READY task. Its group is looked at again, as a larger backlog may be worth another replica."""
        key = task.group
        group = self.groups.setdefault(key, Group(key, task.program.models))
        heappush(group.heap, (task.rank, task.attempt, task))
        group.size += 1
        self._activate(group)

    def remove(self, task: TaskRecord) -> None:
        """Forget a task that is READY no more."""
        group = self.groups[task.group]
        group.size -= 1
        if group.size == 0:
            self._unpark(group)
            self._fresh.pop(group.key, None)
            del self.groups[group.key]
        elif group.parked is None:
            self._activate(group)  # its head may be another one now

    def move(self, task: TaskRecord, rank: Rank) -> None:
        """Give a READY task another place in the order."""
        task.rank = rank  # which outdates its entry
        self.remove(task)
        self.push(task)

    def first(self) -> Group | None:
        """The group of the most urgent task that is not parked."""
        while self._order:
            rank, key = self._order[0]
            group = self.groups.get(key)
            if group and group.parked is None and self.head(group).rank == rank:
                return group
            heappop(self._order)
        return None

    def foremost(self, count: int) -> list[Group]:
        """The `count` groups with the most urgent tasks, in order, parked or not."""
        return nsmallest(count, self.groups.values(), key=lambda group: self.head(group).rank)

    def head(self, group: Group) -> TaskRecord:
        while not _is_current(group.heap[0]):
            heappop(group.heap)
        return group.heap[0][2]

    def peek(self, group: Group, count: int) -> list[TaskRecord]:
        """The `count` most urgent tasks of a group (fewer when it has fewer), in order."""
        if count == 1 or group.size == 1:
            return [self.head(group)]
        taken: list[tuple[Rank, int, TaskRecord]] = []
        while group.heap and len(taken) < count:
            entry = heappop(group.heap)
            if _is_current(entry):
                taken.append(entry)
        for entry in taken:
            heappush(group.heap, entry)
        return [entry[2] for entry in taken]

    def take_fresh(self, count: int) -> list[Group]:
        """Up to `count` groups in the order that have changed since they were last taken; the most urgent first."""
        fresh = [group for key in self._fresh if (group := self.groups[key]).parked is None]
        fresh.sort(key=lambda group: self.head(group).rank)
        self._fresh = {group.key: None for group in fresh[count:]}
        return fresh[:count]

    def look_again(self, group: Group, time_s: float) -> None:
        """Take the group for changed when the time has come."""
        group.look_again_s = time_s
        heappush(self._rechecks, (time_s, group.key))

    def park(self, group: Group, park: Park) -> None:
        group.parked = park
        heappush(self._rechecks, (park.recheck_s, group.key))
        if park.executor is not None:
            self._on_executor.setdefault(park.executor, {})[group.key] = park.run_s
        for model in group.models:
            self._on_model.setdefault(model, {})[group.key] = None

    def unpark_for(self, executor: ExecutorId, models: Iterable[ModelId]) -> None:
        """Look again at the groups that wait for this executor, or need a model that it holds."""
        keys = dict.fromkeys(self._on_executor.get(executor, ()))
        for model in models:
            if (groups := self._on_model.get(model)) is not None:
                keys.update(groups)
        for key in keys:
            self._activate(self.groups[key])

    def unpark_all(self) -> None:
        for group in self.groups.values():
            if group.parked:
                self._activate(group)

    def unpark_due(self, now_s: float) -> None:
        while (time_s := self.recheck_s()) is not None and time_s <= now_s:
            _, key = heappop(self._rechecks)
            self._activate(self.groups[key])

    def recheck_s(self) -> float | None:
        """The earliest time at which a parked group is to be looked at again."""
        while self._rechecks:
            time_s, key = self._rechecks[0]
            group = self.groups.get(key)
            if group and (group.look_again_s == time_s or (group.parked and group.parked.recheck_s == time_s)):
                return time_s
            heappop(self._rechecks)
        return None

    def promised_s(self, executor: ExecutorId) -> float:
        """Device seconds of the groups that are parked on an executor."""
        groups = self._on_executor.get(executor)
        return sum(groups.values()) if groups else 0.0

    def _activate(self, group: Group) -> None:
        self._unpark(group)
        group.look_again_s = None
        self._fresh[group.key] = None
        heappush(self._order, (self.head(group).rank, group.key))

    def _unpark(self, group: Group) -> None:
        park, group.parked = group.parked, None
        if park is None:
            return
        if park.executor is not None:
            _discard(self._on_executor, park.executor, group.key)
        for model in group.models:
            _discard(self._on_model, model, group.key)


def _is_current(entry: tuple[Rank, int, TaskRecord]) -> bool:
    rank, attempt, task = entry
    return task.state is TaskState.READY and task.attempt == attempt and task.rank == rank


def _discard(index: dict, key: object, member: GroupKey) -> None:  # type: ignore[type-arg]
    members = index[key]
    members.pop(member, None)
    if not members:
        del index[key]
