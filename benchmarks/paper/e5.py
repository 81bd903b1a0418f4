"""E5: video. Reserved device-seconds per clip, and a calculator that shows where each factor comes from.

    python benchmarks/paper/e5.py
    python benchmarks/paper/e5.py --calculator

(a) the monolith holds 8 devices an instance, always; (b) the same scaled to zero between clips; (c) stages apart: only
the denoiser holds 8 devices, encoder and decoder one. Reserved device-seconds follow from service times alone; what
queueing adds is in the simulated points.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from lines import Lines

from brickwork.profile.files import shipped_profile
from brickwork.sim.baselines.costs import Cost, cost
from brickwork.sim.scenario import Part

LOADS = (0.05, 0.07, 0.1, 0.2, 0.4, 0.6, 0.8)
GANG = 8
FLEET = 16
WORKFLOWS = {
    "video-480p": "wan21_i2v_480p", "video-480p-4step": "wan21_i2v_480p_4step", "video-720p": "wan21_i2v_720p",
}  # fmt: skip


def clip(name: str) -> Cost:
    return cost(Part(workflow=name), name, shipped_profile("h100"), "h100", 2.0)


def calculator(name: str) -> list[dict[str, object]]:
    """One line a load: reserved device-seconds of a clip under (a), (b) and (c)."""
    what = clip(name)
    ends_s, loop_s = what.stage_s(0) + what.stage_s(2), what.stage_s(1, GANG)
    whole_s = ends_s + loop_s
    scaled, split = GANG * whole_s, GANG * loop_s + ends_s
    return [
        {
            "workflow": name,
            "load": load,
            "always_on": round(GANG * whole_s / load, 1),
            "scaled_to_zero": round(scaled, 1),
            "stages_apart": round(split, 1),
            "against_always_on": round(GANG * whole_s / load / split, 2),
            "against_scaled": round(scaled / split, 2),
            "derived": "720p" in name,
        }
        for load in LOADS
    ]


@dataclass(frozen=True)
class Measured:
    """One simulated point. Device-seconds of a clip."""

    scenario: str
    rate: float  # clips per second
    load: float  # share of the fleet that monoliths need, alone
    attainment: float
    busy_s: float  # in batches, helping included
    always_on_s: float
    scaled_s: float
    managed_attainment: float | None  # the same with the Node Manager; None: no line
    managed_s: float | None  # held from the order to start a device until it has left


def measured(lines: Lines) -> Iterator[Measured]:
    """The simulated points beside what monoliths of 8 devices reserve for the same clips."""
    managed = {}
    for (file, row, _), points in lines.rows.items():
        if "node_manager" in row and (line := points.get(("brickwork", "common"))):
            clips = len(line["seeds"]) * line["requests"]
            held_s = 3600 * line["detail"]["device_hours"] / clips
            managed[file, json.loads(row)["requests per second"]] = (line["attainment"], held_s)
    for (file, row, _), points in lines.rows.items():
        line, rate = points.get(("brickwork", "common")), json.loads(row).get("requests per second")
        if line is None or rate is None or "node_manager" in row:
            continue
        scenario = file.removesuffix(".yaml")
        scaled_s = GANG * clip(WORKFLOWS[scenario]).at_degree_s(GANG)
        busy_s = line["detail"]["busy_s_per_request"]
        yield Measured(
            scenario, rate, rate * scaled_s / FLEET, line["attainment"], busy_s, FLEET / rate, scaled_s,
            *managed.get((file, rate), (None, None)),
        )  # fmt: skip


if __name__ == "__main__":
    if "--calculator" in sys.argv:
        for workflow in ("wan21_i2v_480p", "wan21_i2v_480p_4step", "wan21_i2v_720p"):
            for line in calculator(workflow):
                print(json.dumps(line))
    else:
        from harness import main

        main("e5")
