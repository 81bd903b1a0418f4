"""What every benchmark prints: one JSON line with the figures and all that is needed to repeat them."""

import json
import platform
import random
import statistics
import subprocess
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


def quantile(values: Sequence[float], q: float) -> float:
    """The q-quantile by linear interpolation."""
    ordered = sorted(values)
    at = q * (len(ordered) - 1)
    low = int(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (at - low)


def bootstrap(values: Sequence[float], statistic: Callable[[Sequence[float]], float], seed: int) -> tuple[float, float]:
    """95 % interval of `statistic` by 2,000 resamples."""
    rng = random.Random(seed)
    draws = [statistic(rng.choices(values, k=len(values))) for _ in range(2000)]
    return quantile(draws, 0.025), quantile(draws, 0.975)


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def emit(name: str, seed: int, figures: dict[str, Any]) -> None:
    """Print the figures with commit, device and versions, as one JSON line."""
    line = {"benchmark": name, "seed": seed, **figures, **_circumstances()}
    print(json.dumps(line), flush=True)


def _circumstances() -> dict[str, Any]:
    packages = {name: version(name) for name in ("torch", "diffusers", "transformers")}
    return {"commit": _commit(), "device": _processor(), "python": platform.python_version(), **packages}


def _commit() -> str:
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stdout.strip() or "unknown"


def _processor() -> str:
    import os

    names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    name = names[0].partition(":")[2].strip() if names else platform.machine()
    return f"{name}, {len(os.sched_getaffinity(0))} cores"
