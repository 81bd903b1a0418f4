"""Does the memory budget hold, and how many loads does eviction cost?

    python benchmarks/system/residency.py             # 1,000 requests, some minutes; 2.5 GB of temporary files

Five workflows, each with a text encoder of its own: random weights of 330 to 600 MB, nearly all of them a table of
words, which is memory without much work. The other parts are the starter's, so the workflows share them. One executor
with a budget that holds two of the encoders and never three. Requests are drawn by Zipf popularity in bursts; IN_FLIGHT
are always in the system. While they run, what the executor holds above its imports is read from the kernel (private and
shared memory, and resident pages of mapped weight files).

Printed: the largest reading against the budget, and loads of those encoders per request:

    ours           what control ordered
    LRU            the same batches in the same order, least recently used evicted
    clairvoyant    the same batches in the same order with the fewest loads possible, by dynamic programming
    in order       LRU and clairvoyant when requests were served one after the other as they came, without batches
"""

import argparse
import random
import shutil
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import torch
from transformers import T5Config, T5EncoderModel

import brickwork as bw
from brickwork.control.actions import Action, Dispatch, Load
from brickwork.control.events import Event
from brickwork.control.machine import Control
from brickwork.control.policies import by_name
from brickwork.core.ids import ModelId
from brickwork.executor.config import ADAPTER_SHARE, OWN_BYTES
from brickwork.executor.memory import Held, held
from brickwork.profile.files import starter_profile
from brickwork.starter.workflows import STARTER, text_to_image
from report import emit

MB = 10**6
HEAVY = "text_encoder_3"
SIZES_MB = (330, 390, 460, 530, 600)
IN_FLIGHT = 8
BURST = 0.5
"""Probability that a request is for the same workflow as the one before."""

STEPS = 2
SEEDS = 2
"""Of each workflow's requests, in turn: equal ones must give equal pictures."""

MAX_DIFFERENCE = 2
"""Between two pictures of equal requests in different batches, of 255."""

ACTIVATION_BYTES = 8 * MB
"""What the profile says of the largest batch, and some more."""

READ_EVERY_S = 0.1


def build(directory: Path, size_mb: int, seed: int) -> Path:
    """The starter's directory with a T5 of random weights and about `size_mb`."""
    shutil.copytree(STARTER, directory)
    config = T5Config.from_pretrained(STARTER / HEAVY)
    config.vocab_size = size_mb * MB // (4 * config.d_model)
    torch.manual_seed(seed)
    shutil.rmtree(directory / HEAVY)
    T5EncoderModel(config).save_pretrained(directory / HEAVY)
    return directory


@dataclass
class Recorder(Control):
    """Control that remembers what it ordered."""

    policies: dict[str, str] = field(default_factory=dict)
    loads: list[ModelId] = field(default_factory=list)
    batches: list[tuple[ModelId, ...]] = field(default_factory=list)  # what each needs

    def __post_init__(self) -> None:
        Control.__init__(self, starter_profile(), by_name(**self.policies))

    def handle(self, event: Event, now_s: float) -> list[Action]:
        actions = Control.handle(self, event, now_s)
        self.loads += [action.model.id for action in actions if isinstance(action, Load)]
        self.batches += [action.program.models for action in actions if isinstance(action, Dispatch)]
        return actions


class Reader:
    """Reads what the executor of a cluster holds, again and again; also one that takes the place of a lost one."""

    def __init__(self, cluster: bw.Cluster):
        self._cluster = cluster
        [pid] = cluster.pids().values()
        self._imported = held(pid)  # and so do those that come later: all are forked from one process
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.readings = 0
        self.largest = self._imported

    def __enter__(self) -> "Reader":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    @property
    def peak_bytes(self) -> int:
        """Of all readings, above what the imports held."""
        return self.largest.total_bytes - self._imported.total_bytes

    @property
    def parts(self) -> Held:
        """Of the largest reading, above what the imports held."""
        now, then = self.largest, self._imported
        return Held(
            now.anonymous_bytes - then.anonymous_bytes,
            now.shared_bytes - then.shared_bytes,
            now.mapped_bytes - then.mapped_bytes,
        )

    def _run(self) -> None:
        while not self._stopped.wait(READ_EVERY_S):
            for pid in self._cluster.pids().values():
                with suppress(OSError):  # it has just ended
                    self.largest = max(self.largest, held(pid), key=lambda each: each.total_bytes)
                    self.readings += 1


def requests_of(workflows: int, count: int, seed: int) -> list[int]:
    """Which workflow each request is for: Zipf's popularity, in bursts; which one is popular is drawn too."""
    rng = random.Random(seed)
    ranked = rng.sample(range(workflows), workflows)
    weights = [1 / (rank + 1) for rank in range(workflows)]
    drawn: list[int] = []
    for _ in range(count):
        stays = drawn and rng.random() < BURST
        drawn.append(drawn[-1] if stays else rng.choices(ranked, weights)[0])
    return drawn


def serve(cluster: bw.Cluster, workflows: Sequence[bw.Workflow], drawn: Sequence[int]) -> None:
    """Run all requests, IN_FLIGHT at a time, and compare the pictures of equal ones.

    raises    AssertionError when two differ
    """
    pictures: dict[tuple[int, int], np.ndarray] = {}
    running: deque[tuple[tuple[int, int], bw.Handle]] = deque()

    def settle() -> None:
        key, handle = running.popleft()
        picture = np.asarray(handle.result().image).astype(int)
        first = pictures.setdefault(key, picture)
        assert picture.std() > 0 and np.abs(picture - first).max() <= MAX_DIFFERENCE, f"{key}: another picture"

    for number, which in enumerate(drawn):
        if len(running) == IN_FLIGHT:
            settle()
        seed = number % SEEDS
        handle = cluster.submit(workflows[which], prompt="a red circle", seed=seed, steps=STEPS)
        running.append(((which, seed), handle))
    while running:
        settle()


def lru(needs: Sequence[ModelId], sizes: dict[ModelId, int], room: int) -> int:
    """Loads when the least recently used goes first."""
    resident: dict[ModelId, None] = {}  # the least recently used first
    loads = 0
    for model in needs:
        loads += model not in resident
        resident.pop(model, None)
        while sum(sizes[each] for each in resident) + sizes[model] > room:
            del resident[next(iter(resident))]
        resident[model] = None
    return loads


def clairvoyant(needs: Sequence[ModelId], sizes: dict[ModelId, int], room: int) -> int:
    """The fewest loads with which all can be served, knowing all: over every set of models that could be resident."""
    fewest: dict[frozenset[ModelId], int] = {frozenset(): 0}
    for model in needs:
        after: dict[frozenset[ModelId], int] = {}
        for resident, loads in fewest.items():
            if model in resident:
                after[resident] = min(loads, after.get(resident, loads))
                continue
            for kept in _subsets(resident):
                if sum(sizes[each] for each in kept) + sizes[model] <= room:
                    now = kept | {model}
                    after[now] = min(loads + 1, after.get(now, loads + 1))
        fewest = after
    return min(fewest.values())


def _subsets(models: frozenset[ModelId]) -> list[frozenset[ModelId]]:
    found = [frozenset[ModelId]()]
    for model in sorted(models):
        found += [each | {model} for each in found]
    return found


@dataclass(frozen=True)
class Measured:
    """One run. Loads and batches are those of the large encoders."""

    requests: int
    budget_bytes: int
    peak_bytes: int
    parts: Held
    readings: int
    seconds: float
    batches: int
    loads: int
    loads_lru: int
    loads_clairvoyant: int
    loads_lru_in_order: int
    loads_clairvoyant_in_order: int

    def figures(self) -> dict[str, Any]:
        shares = {
            name.removeprefix("loads_"): round(value / self.requests, 4)
            for name, value in vars(self).items()
            if name.startswith("loads")
        }
        parts = {name.replace("bytes", "mb"): round(getattr(self.parts, name) / MB, 1) for name in Held.__slots__}
        return {
            "requests": self.requests, "batches": self.batches, "seconds": round(self.seconds, 1),
            "budget_mb": round(self.budget_bytes / MB, 1), "peak_mb": round(self.peak_bytes / MB, 1), "peak": parts,
            "readings": self.readings, "loads_per_request": {"ours": shares.pop("loads"), **shares},
        }  # fmt: skip


def measure(directory: Path, sizes_mb: Sequence[int], requests: int, seed: int, policies: dict[str, str]) -> Measured:
    """Build the models, serve the requests under a budget for two of them, and count."""
    paths = [build(directory / f"w{k}", size, seed + k) for k, size in enumerate(sizes_mb)]
    workflows = [text_to_image(path) for path in paths]
    sizes = {model.id: model.weight_bytes for workflow in workflows for model in workflow.plan.models}
    heavy = {model: size for model, size in sizes.items() if size > min(sizes_mb) * MB // 2}
    ascending = sorted(heavy.values())
    two, three = sum(ascending[-2:]), sum(ascending[:3])
    room = two + (three - two) // 4  # for them: any two fit, no three do
    assert two < room < three
    others = sum(sizes.values()) - sum(heavy.values())
    budget = (room + others + ACTIVATION_BYTES + OWN_BYTES) * ADAPTER_SHARE // (ADAPTER_SHARE - 1)
    drawn = requests_of(len(workflows), requests, seed)
    recorder = Recorder(policies)
    with bw.Cluster(executors=1, memory_bytes=budget, control=recorder) as cluster:
        start_s = time.monotonic()
        with Reader(cluster) as reader:
            serve(cluster, workflows, drawn)
        seconds = time.monotonic() - start_s
    served = [model for batch in recorder.batches for model in batch if model in heavy]
    own = [next(model.id for model in workflow.plan.models if model.id in heavy) for workflow in workflows]
    came = [own[which] for which in drawn]
    return Measured(
        requests, budget, reader.peak_bytes, reader.parts, reader.readings, seconds, len(served),
        sum(model in heavy for model in recorder.loads),
        lru(served, heavy, room), clairvoyant(served, heavy, room),
        lru(came, heavy, room), clairvoyant(came, heavy, room),
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--residency", default="", help="name of another eviction policy, as in control/policies.py")
    parser.add_argument("--directory", type=Path, help="where the models are built; default: a temporary one")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    policies = {"residency": options.residency} if options.residency else {}
    with tempfile.TemporaryDirectory(dir=options.directory) as directory:
        measured = measure(Path(directory), SIZES_MB, options.requests, options.seed, policies)
    emit("residency", options.seed, {"sizes_mb": SIZES_MB, "policies": policies, **measured.figures()})
    if measured.peak_bytes > measured.budget_bytes:
        sys.exit(f"the budget was exceeded: {measured.peak_bytes:,} of {measured.budget_bytes:,} bytes")


if __name__ == "__main__":
    main()
