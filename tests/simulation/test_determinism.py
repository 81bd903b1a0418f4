"""Goal: same seed, same decisions, in any process.

Method: hash the log of every action with its time and cause, in two interpreters with different hash seeds.
"""

import os
import subprocess
import sys
from pathlib import Path

from brickwork.sim.faults import crash_storm
from brickwork.sim.workload import gamma
from support.plans import chain, fork, redraw
from support.scenes import kind, simulate

TESTS = Path(__file__).parents[1]


def history(seed: int) -> str:
    """Digest of the decisions of a run with every kind of event."""
    mix = [kind(chain(), deadline_s=1.0), kind(fork(), steps=6), kind(redraw(), deterministic=True)]
    storm = crash_storm(["e1", "e2", "e3"], 8, 4.0, rejoin_after_s=0.3, seed=seed)
    report, _ = simulate(gamma(mix, 20.0, 80, seed, variation=2.0), 3, 3, storm, seed, noise=0.1)
    return report.log_digest


def test_same_seed_same_decisions_in_two_processes() -> None:
    program = "from simulation.test_determinism import history; print(history(5))"
    digests = []
    for hash_seed in ("1", "2"):
        path = os.pathsep.join([str(TESTS), str(TESTS.parent / "src")])
        environment = os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": path}
        done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        digests.append(done.stdout.strip())
    assert digests[0] == digests[1] == history(5)


def test_another_seed_is_another_history() -> None:
    assert history(5) != history(6)
