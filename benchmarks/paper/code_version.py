"""Which code a line of results stands on: a digest of what a policy's figures depend on, and the commit."""

import subprocess
from functools import cache
from hashlib import sha256
from pathlib import Path

from brickwork.sim.run import OURS

ROOT = Path(__file__).parents[2]

STREAMS = (
    "src/brickwork/load/arrivals.py", "src/brickwork/load/report.py",
    "src/brickwork/profile", "src/brickwork/sim/points.py", "src/brickwork/sim/published.py",
    "src/brickwork/sim/recipes.py", "src/brickwork/sim/streams.py", "src/brickwork/sim/baselines",
)  # fmt: skip
"""Beside the scenario's file: arrivals, service times and baselines."""

SYSTEM = (*STREAMS, "src/brickwork/compiler", "src/brickwork/control", "src/brickwork/core", "src/brickwork/sim")
"""The same, and all that the simulated system runs."""


@cache
def commit() -> str:
    return _git("rev-parse", "--short", "HEAD").strip() or "unknown"


def code_of(policy: str, scenario: str) -> str:
    """Digest of the committed files; ends in "+" when the working tree differs from them."""
    return _digest((f"benchmarks/paper/scenarios/{scenario}", *(SYSTEM if policy.startswith(OURS) else STREAMS)))


@cache
def _digest(paths: tuple[str, ...]) -> str:
    changed = "+" if _git("status", "--porcelain", "--", *paths).strip() else ""
    return sha256(_git("ls-tree", "-r", "HEAD", "--", *paths).encode()).hexdigest()[:10] + changed


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], capture_output=True, text=True, cwd=ROOT).stdout
