"""Clusters to simulate: the toy plans on a few slots, with one line per test."""

from collections.abc import Sequence

from brickwork.compiler.plan import Plan
from brickwork.control.machine import Control
from brickwork.core.request import SLO, Scalar
from brickwork.profile.table import Profile
from brickwork.sim.cluster import Cluster, Slot
from brickwork.sim.faults import Crash
from brickwork.sim.report import Report
from brickwork.sim.workload import Arrival, Kind
from support.plans import MIB, profile


def kind(
    plan: Plan, steps: int = 4, weight: float = 1.0, deadline_s: float | None = None, deterministic: bool = False
) -> Kind:
    values: tuple[tuple[str, Scalar], ...] = (("prompt", "a red circle"), ("start", 0), ("steps", steps))
    return Kind(plan, values, weight, SLO(deadline_s, deterministic))


def simulate(
    arrivals: Sequence[Arrival],
    executors: int = 2,
    mib: float = 8,
    crashes: Sequence[Crash] = (),
    seed: int = 0,
    noise: float = 0.02,
    truth: Profile | None = None,
) -> tuple[Report, Cluster]:
    """Run to the end with State.check() after every event.

    truth     how fast things really are; by default as control believes
    """
    cluster = Cluster(Control(profile()), truth or profile(), seed=seed, noise=noise, checks=True)
    for number in range(1, executors + 1):
        cluster.add(Slot(f"e{number}", int(mib * MIB)))
    for arrival in arrivals:
        cluster.submit(arrival)
    for crash in crashes:
        cluster.schedule(crash)
    return cluster.run(), cluster
