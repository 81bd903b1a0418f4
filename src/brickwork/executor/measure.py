"""Measure a profile: run a workflow's programs on this machine's executor code, batch by batch, and time every call.

Everything but the sockets is what an executor runs: the same runner, arena and models. Figures are medians over
some runs after one warm-up, by rows of a model call; all that a batch takes is charged to its calls. Loading is timed
from a warm page cache. What a call needs beside the weights is how much more is resident at once during it than when
its task began, so the task's values count too. Pictures that a workflow wants are black.
"""

import gc
import os
import platform
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from importlib.metadata import version
from itertools import accumulate
from pathlib import Path
from statistics import fmean, median
from typing import Any

import torch

from brickwork.compiler.instance import concrete, resolve, task_work
from brickwork.compiler.plan import Plan, PlanTask
from brickwork.core.batch import TaskRun
from brickwork.core.ids import BatchId, ExecutorId, ModelId, TaskId
from brickwork.core.model import ModelSpec
from brickwork.core.request import Scalar
from brickwork.core.tensor import TensorHandle
from brickwork.data.keeper import Keeper
from brickwork.data.segments import open_store
from brickwork.executor.config import shares
from brickwork.executor.mailbox import Mailbox
from brickwork.executor.memory import give_back, peak_bytes, resident_bytes
from brickwork.executor.residency import Residency
from brickwork.executor.runner import Runner
from brickwork.models.ops import Call as OpCall
from brickwork.models.ops import Op, Outputs
from brickwork.models.registry import operations
from brickwork.observe.spans import Span, charged_s
from brickwork.profile.table import CallProfile, Curve, DeviceProfile, Profile
from brickwork.wire.messages import Notice, Report, Run

SIZES = (1, 2, 4, 8, 16)
"""Batch sizes, in requests."""

Call = tuple[str, str, int]
"""(work key, shape, rows)"""


class Bench:
    """An executor's inner parts in this process, without control: tasks are run in plan order."""

    def __init__(self, plan: Plan, values: Mapping[str, Scalar]):
        self._plan = plan
        self._scalars = resolve(plan, values)
        self._pictures = {each.name: concrete(each.type, self._scalars) for each in plan.inputs if each.type.is_tensor}
        self._programs = {program.id: program for program in plan.programs}
        self._keeper = Keeper()
        self._residency = Residency(shares(1 << 40))
        self._notices: list[Notice] = []
        store = open_store(self._keeper.segments, self._keeper.next_holder())
        self._peaks: list[int] | None = None  # of each model call so far, above the task's start; None: not wanted
        self._start_bytes = 0
        watched = {name: self._watched(op) for name, op in operations().items()}
        self._runner = Runner(
            ExecutorId("measure"), os.getpid(), store, self._residency, self._notices.append, Mailbox(), watched
        )
        gc.freeze()  # as an executor does
        self.load_s = {model.id: self._residency.load(model) for model in plan.models}

    def seconds(self, size: int) -> Iterator[tuple[Call, float]]:
        """Run `size` equal requests together once; yield the seconds of each kind of model call, on average."""
        seconds: dict[Call, list[float]] = defaultdict(list)
        for call, taken_s in self._calls(size):
            seconds[call].append(taken_s)
        for call, taken in seconds.items():
            yield call, fmean(taken)

    def peaks(self, size: int) -> Iterator[tuple[Call, int]]:
        """Likewise the bytes that every model call needs beside the weights."""
        self._peaks = []
        calls = [call for call, _ in self._calls(size)]
        peaks, self._peaks = self._peaks, None
        return zip(calls, peaks, strict=True)

    def _watched(self, op: Op) -> Op:
        """The operation, noting the peak of each call that has a model."""

        def run(model: Any, calls: list[OpCall]) -> list[Outputs]:
            if model is None or self._peaks is None:
                return op(model, calls)
            give_back()
            resident_bytes()
            outputs = op(model, calls)
            self._peaks.append(max(0, peak_bytes() - self._start_bytes))
            return outputs

        return run

    def _calls(self, size: int) -> Iterator[tuple[Call, float]]:
        profiles = {model.id: model.profile for model in self._plan.models}
        store = self._keeper.store
        blank = {name: (memoryview(bytes(spec.nbytes)), spec) for name, spec in self._pictures.items()}
        values = [{name: store.put(*picture) for name, picture in blank.items()} for _ in range(size)]
        for task in self._plan.tasks:
            works = {work.key: work for work in task_work(self._plan, task, self._scalars)}
            for span, taken_s in self._run(task, values):
                work = works[f"{profiles[ModelId(span.model)]}/{span.op}"]
                yield (work.key, work.shape, work.rows * size), taken_s
        for held in values:
            for handle in held.values():
                store.release(handle)

    def _run(self, task: PlanTask, values: list[dict[str, TensorHandle]]) -> list[tuple[Span, float]]:
        """The task's model calls, and what each is charged with."""
        runs = tuple(
            TaskRun(TaskId(f"{k}/{task.name}"), 1, tuple(held[a] if a in held else self._scalars[a] for a in task.args))
            for k, held in enumerate(values)
        )
        self._notices.clear()
        if self._peaks is not None:
            give_back()
            self._start_bytes = resident_bytes()
        self._runner.run(Run(BatchId(1), task.program, runs), self._programs[task.program])
        reports = [notice for notice in self._notices if isinstance(notice, Report)]
        for end in (end for report in reports for end in report.ends):
            if end.status != "done":
                raise RuntimeError(end.error)
            held = values[int(end.task_id.partition("/")[0])]
            for name, handle in zip(task.results, end.outputs, strict=True):
                self._keeper.adopt(handle, 1)
                held[name] = handle
        calls = [span for report in reports for span in report.spans if span.model]
        return list(zip(calls, charged_s(calls, reports[-1].compute_s), strict=True))


Kind = tuple[Plan, Mapping[str, Scalar]]
"""A workflow's plan, and values of its inputs that are no tensors."""


def measure(kinds: Sequence[Kind], device: str, repeats: int, threads: int = 1, largest: int = SIZES[-1]) -> Profile:
    """The profile of every model call of the workflows on this machine, under the device name `device`.

    largest    requests in a batch, at most
    """
    torch.set_num_threads(threads)
    seconds: dict[Call, list[float]] = defaultdict(list)
    peaks: dict[Call, int] = defaultdict(int)
    load_s: dict[ModelSpec, float] = {}
    for plan, values in kinds:
        bench = Bench(plan, values)
        for model in plan.models:
            load_s.setdefault(model, bench.load_s[model.id])
        for size in (size for size in SIZES if size <= largest):
            list(bench.seconds(size))  # warms up
            for call, nbytes in bench.peaks(size):
                peaks[call] = max(peaks[call], nbytes)
            for _ in range(repeats):
                for call, taken_s in bench.seconds(size):
                    seconds[call].append(taken_s)
    base_s, bytes_per_s = _load_speed(load_s)
    return Profile({device: DeviceProfile(_table(seconds, peaks), base_s, bytes_per_s)})


def _table(seconds: Mapping[Call, list[float]], peaks: Mapping[Call, int]) -> dict[str, dict[str, CallProfile]]:
    table: dict[str, dict[str, CallProfile]] = defaultdict(dict)
    for key, shape in {(key, shape): None for key, shape, _ in seconds}:
        rows = sorted(rows for other_key, other_shape, rows in seconds if (other_key, other_shape) == (key, shape))
        taken = Curve(tuple((row, round(median(seconds[key, shape, row]), 6)) for row in rows))
        most = accumulate((peaks[key, shape, row] for row in rows), max)  # more rows never need less
        table[key][shape] = CallProfile(taken, Curve(tuple(zip(rows, map(float, most), strict=True))))
    return dict(table)


def _load_speed(load_s: Mapping[ModelSpec, float]) -> tuple[float, float]:
    """A fixed part and a rate: the smallest model's time, and the largest one's bytes over what it takes longer."""
    by_size = sorted(load_s, key=lambda model: model.weight_bytes)
    smallest, largest = by_size[0], by_size[-1]
    extra_s = max(1e-3, load_s[largest] - load_s[smallest])
    return round(load_s[smallest], 4), round((largest.weight_bytes - smallest.weight_bytes) / extra_s)


def fingerprint() -> str:
    """What a measurement is true of: processor, versions, and the code that ran."""
    root = Path(__file__).parents[1]
    digest = sha256()
    for path in sorted([*(root / "executor").rglob("*.py"), *(root / "models").rglob("*.py")]):
        digest.update(path.read_bytes())
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else _processor()
    versions = ", ".join(f"{name} {version(name)}" for name in ("brickwork", "torch", "diffusers", "transformers"))
    return f"{device}; {versions}; code {digest.hexdigest()[:16]}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
