"""How long tasks and batches will take: the profile's figures times the correction learned so far.

A batch of tasks with equal shapes runs each piece of work in trips (denoise steps); a task with fewer trips leaves
early, so later trips have fewer rows and are shorter:

    rows   4 4 4 4 2 2          two tasks of 4 trips and two rows each would end together;
           a a a a              here b has 6 trips, a has 4: a ends after 4 calls of 4 rows,
           b b b b b b          b after two more calls of 2 rows
"""

from collections.abc import Callable, Sequence
from functools import partial

from brickwork.compiler.instance import ConcreteWork
from brickwork.compiler.plan import ProgramId
from brickwork.control.batching import batch_limit
from brickwork.core.batch import WHOLE, Layout
from brickwork.core.ids import ModelId
from brickwork.core.model import ModelSpec
from brickwork.profile.correction import Correction, Factor
from brickwork.profile.pace import step_s
from brickwork.profile.table import Profile

Works = tuple[ConcreteWork, ...]
"""The profiled work of one task, in the order in which it runs."""

CallSeconds = Callable[[str, str, int], float]
"""Seconds of one call by (key, shape, rows)."""

LOAD_KEY = "load/"
"""Prefix of the correction keys of loads: f"{LOAD_KEY}{ModelSpec.profile}"."""


class Estimate:
    """Predictions for one profile and one correction."""

    def __init__(self, profile: Profile, correction: Correction):
        self._profile = profile
        self._correction = correction
        self._calls: dict[
            tuple[str, str, str, int, int], tuple[float, Factor]
        ] = {}  # uncorrected, and what corrects it
        self._loads: dict[tuple[str, ModelId], tuple[float, Factor]] = {}
        self._bytes: dict[tuple[str, str, str, int], int] = {}
        self._layouts: dict[tuple[str, ProgramId, str], list[Layout]] = {}
        self._limits: dict[tuple[str, ProgramId, str], int] = {}

    def call_s(self, device: str, key: str, shape: str, rows: int, degree: int = 1) -> float:
        """Seconds of one call that `degree` devices share."""
        call = (device, key, shape, rows, degree)
        raw_s, factor = self._calls.get(call) or self._call(*call)
        return raw_s * factor.value

    def raw_call_s(self, device: str, key: str, shape: str, rows: int) -> float:
        """Uncorrected seconds of one call."""
        return self._call(device, key, shape, rows, 1)[0]

    def _call(self, device: str, key: str, shape: str, rows: int, degree: int) -> tuple[float, Factor]:
        call = (device, key, shape, rows, degree)
        found = self._calls.get(call)
        if found is None:
            found = self._calls[call] = (self._profile.call_s(*call), self._correction.factor(device, key))
        return found

    def equal_batch_s(self, device: str, works: Works, size: int) -> float:
        """Seconds of a batch of `size` tasks that all have these works."""
        seconds = 0.0
        for key, shape, rows, trips, _ in works:
            call = (device, key, shape, rows * size, 1)
            raw_s, factor = self._calls.get(call) or self._call(*call)
            seconds += trips * (raw_s * factor.value)
        return seconds

    def step_s(self, device: str, works: Works, count: int, layout: Layout) -> float:
        """Seconds of one step of a loop for `count` tasks with these works."""
        return step_s(works, count, layout, partial(self.call_s, device))

    def layout_s(self, device: str, works: Works, layout: Layout) -> float:
        """Seconds of one task whose loop runs under a layout."""
        steps, rest_s = 0, 0.0
        for work in works:
            if work.is_step:
                steps = max(steps, work.trips)
            else:
                rest_s += self.call_s(device, work.key, work.shape, work.rows)
        return rest_s + steps * self.step_s(device, works, 1, layout)

    def layouts(
        self, device: str, program: ProgramId, shape: str, works: Works, apart: tuple[str, ...]
    ) -> list[Layout]:
        """Layouts on several devices that are faster than every one on fewer; by devices, rising.

        apart     keys of the works that may run beside the base
        """
        known = (device, program, shape)
        found = self._layouts.get(known)
        if found is None:
            found = self._layouts[known] = self._worthwhile(device, works, apart)
        return found

    def _worthwhile(self, device: str, works: Works, apart: tuple[str, ...]) -> list[Layout]:
        shared = [work for work in works if work.is_step and work.key not in apart]
        degrees = [set(self._profile.degrees(device, work.key, work.shape, work.rows)) for work in shared]
        common = sorted(set.intersection(*degrees)) if degrees else []
        possible = [Layout(degree) for degree in common]
        possible += [Layout(degree, apart) for degree in [1, *common] if apart]
        fastest_s, found = self.step_s(device, works, 1, WHOLE), []
        for layout in sorted(possible, key=lambda each: (each.devices, self.step_s(device, works, 1, each))):
            if (one_s := self.step_s(device, works, 1, layout)) < fastest_s:
                fastest_s = one_s
                found.append(layout)
        return found

    def limit(self, device: str, program: ProgramId, shape: str, works: Works) -> int:
        """Tasks of this program and shape that are worth running together; worked out once, with the first trips."""
        known = (device, program, shape)
        limit = self._limits.get(known)
        if limit is None:
            limit = self._limits[known] = batch_limit(lambda size: self.equal_batch_s(device, works, size))
        return limit

    def batch_s(self, device: str, batch: Sequence[Works]) -> float:
        """Seconds until the last task of the batch is done."""
        if _are_equal(batch):
            return self.equal_batch_s(device, batch[0], len(batch))
        return max(ends_s(batch, partial(self.call_s, device)))

    def raw_shares_s(self, device: str, batch: Sequence[Works]) -> dict[str, float]:
        """Uncorrected seconds of the whole batch by work key."""
        shares: dict[str, float] = {}
        if len(batch) == 1:
            for key, shape, rows, trips, _ in batch[0]:
                shares[key] = shares.get(key, 0.0) + trips * self.raw_call_s(device, key, shape, rows)
            return shares
        for column in zip(*batch, strict=True):
            work = column[0]
            if _are_equal(column):
                seconds = work.trips * self.raw_call_s(device, work.key, work.shape, work.rows * len(column))
            else:
                seconds = max(ends_s([(each,) for each in column], partial(self.raw_call_s, device)))
            shares[work.key] = shares.get(work.key, 0.0) + seconds
        return shares

    def load_s(self, device: str, model: ModelSpec) -> float:
        raw_s, factor = self._load(device, model)
        return raw_s * factor.value

    def raw_load_s(self, device: str, model: ModelSpec) -> float:
        return self._load(device, model)[0]

    def _load(self, device: str, model: ModelSpec) -> tuple[float, Factor]:
        load = (device, model.id)
        found = self._loads.get(load)
        if found is None:
            factor = self._correction.factor(device, LOAD_KEY + model.profile)
            found = self._loads[load] = (self._profile.load_s(device, model), factor)
        return found

    def transfer_s(self, nbytes: int, same_host: bool) -> float:
        return self._profile.transfer_s(nbytes, same_host)

    def activation_bytes(self, device: str, works: Works, size: int) -> int:
        """Memory beside the weights for `size` such tasks at once: the largest of its calls."""
        largest = 0
        for key, shape, rows, _, _ in works:
            call = (device, key, shape, rows * size)
            nbytes = self._bytes.get(call)
            if nbytes is None:
                nbytes = self._bytes[call] = self._profile.activation_bytes(*call)
            if nbytes > largest:
                largest = nbytes
        return largest


def _are_equal(batch: Sequence[object]) -> bool:
    return len(batch) == 1 or all(each == batch[0] for each in batch)


def ends_s(batch: Sequence[Works], call_s: CallSeconds) -> list[float]:
    """When each task of a batch is done, in seconds from its start.

    batch     per task its works; all have the same keys, shapes and rows, trips may differ
    """
    ends = [0.0] * len(batch)
    for column in zip(*batch, strict=True):
        work, left = column[0], len(column)
        at_s, trips = 0.0, 0
        for k in sorted(range(len(column)), key=lambda k: column[k].trips):
            if column[k].trips > trips:
                at_s += (column[k].trips - trips) * call_s(work.key, work.shape, work.rows * left)
                trips = column[k].trips
            ends[k] += at_s
            left -= 1
    return ends
