"""Goal: the compiled package decides what the interpreted one decides, and understands its messages.

Method: the same scenarios with every kind of event in both; the digests of all actions with their times and causes are
equal. The suite of the wire, in the compiled one. Runs where a build is at hand: `scripts/compiled true` makes one in
two minutes.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from brickwork.sim.run import Watch, profile_of, simulate
from brickwork.sim.scenario import read_scenario, varied
from brickwork.sim.streams import draws

ROOT = Path(__file__).parents[2]

FAULTS = [
    {"kind": "crash", "at_s": 60.0, "device": 1, "back_after_s": 20.0},
    {"kind": "slow", "at_s": 90.0, "device": 2, "factor": 3.0, "for_s": 30.0},
    {"kind": "messages", "lost": 0.02, "late": 0.02, "repeated": 0.05},
    {"kind": "coordinator", "at_s": 150.0, "back_after_s": 5.0},
    {"kind": "partition", "at_s": 200.0, "devices": [3], "for_s": 5.0},
]
SCENARIOS = [
    ("benchmarks/paper/scenarios/faults.yaml", {"requests": 300, "arrivals.rate_per_s": 1.2, "faults": FAULTS}),
    ("benchmarks/paper/scenarios/s-d.yaml", {"requests": 600}),
    ("examples/two-sets.yaml", {"seconds": 3600.0}),
]


def histories() -> list[str]:
    """Digest of the decisions of each scenario."""
    digests = []
    for path, changes in SCENARIOS:
        given = varied(read_scenario(ROOT / path), changes)
        report = simulate(given, profile_of(given), draws(given, seed=1), 1, Watch(logs=True))
        digests.append(report.log_digest)
    return digests


def histories_by(python: str) -> list[str]:
    """The same, by another interpreter, after the file of its `Control`."""
    program = (
        "import json; from brickwork.control import machine; from simulation import test_compiled as test;"
        "print(json.dumps([machine.__file__, *test.histories()]))"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT / "tests")}
    done = subprocess.run([python, "-c", program], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def compiled() -> str:
    """The interpreter of the compiled environment."""
    command = [sys.executable, ROOT / "scripts/compile_package.py", "--built"]
    found = subprocess.run(command, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    if not (environment := found.stdout.strip()):
        pytest.skip("the package is not compiled; `scripts/compiled true` does that, in two minutes")
    return f"{environment}/bin/python"


def test_it_decides_like_the_interpreted_one(compiled: str) -> None:
    file, *digests = histories_by(compiled)
    assert file.endswith(".so"), "the environment is there, and interprets"
    assert digests == histories()


def test_messages_cross_the_wire(compiled: str) -> None:
    """A compiled class does not tell msgspec the types of its fields."""
    suite = [compiled, "-m", "pytest", "-q", "-p", "no:cacheprovider", ROOT / "tests/unit/wire"]
    done = subprocess.run(suite, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
