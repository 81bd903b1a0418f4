"""One figure for each experiment, drawn from its lines."""

import json
from collections.abc import Callable

from e5 import calculator
from lines import OURS, Lines

from brickwork.sim.plots import bars, lines

Drawing = tuple[str, str]
"""What the figure shows, and its SVG."""


def figure_of(name: str, found: Lines) -> Drawing | None:
    return FIGURES[name](found) if name in FIGURES and found.rows else None


def _e1(found: Lines) -> Drawing:
    title = "S-D: requests per second that hold (simulated)"
    groups = {}
    for streams, said in (("merged", "one stream"), ("per-workflow", "a stream each")):
        for cv in (1, 2, 3):
            points = found.at("s-d", arrivals__cv=cv, arrivals__streams=streams)
            groups[f"CV {cv}, {said}"] = _values(
                points.lines, (OURS, "B0", "B1", "B2", "B5r", "edf-pool", "ideal2", "ideal")
            )
    return title, bars(title, "requests per second", groups)


def _e2(found: Lines) -> Drawing:
    title = "Spikes that hold, requests inside them judged (simulated)"
    policies = (OURS, "B0", "B1", "B2", "B5r", "ideal")
    groups = {}
    for scenario, said in (("s-f-one", "one spikes"), ("s-f-all", "all spike")):
        for rate, load in ((0.213, 10), (0.427, 20)):
            points = found.at(scenario, "spikes", arrivals__rate_per_s=rate)
            groups[f"{said}, {load} % load"] = _values(points.lines, policies)
    return title, bars(title, "height, times the own rate", groups)


def _e3(found: Lines) -> Drawing:
    title = "Devices that hold 12 workflows (simulated)"
    series: dict[str, list[tuple[float, float]]] = {}
    for rate in (0.25, 0.5, 1, 2, 4):
        points = found.at("s-g", first=12, arrivals__rate_per_s=rate)
        for policy, value in _values(points.lines, (OURS, "B0", "B1", "B2", "B5", "B5r", "ideal")).items():
            if value:
                series.setdefault(policy, []).append((rate, value))
    return title, lines(title, "requests per second", "devices", series)


def _e4(found: Lines) -> Drawing:
    title = "Devices that hold a production day (simulated)"
    groups = {}
    for resample, said in ((False, "as recorded"), (True, "five histories")):
        for scale in (1, 5):
            points = found.at("day", arrivals__resample=resample, load_scale=scale)
            groups[f"{said}, loads x {scale}"] = _values(points.lines, (OURS, "B0", "B1", "B2", "edf-pool", "ideal"))
    return title, bars(title, "devices", groups)


def _e5(found: Lines) -> Drawing:
    title = "Wan2.1 480p, 4 steps: device-seconds of a clip (calculated)"
    series: dict[str, list[tuple[float, float]]] = {}
    for line in calculator("wan21_i2v_480p_4step"):
        for name in ("always_on", "scaled_to_zero", "stages_apart"):
            series.setdefault(name.replace("_", " "), []).append((float(str(line["load"])), float(str(line[name]))))
    return title, lines(title, "load", "device-seconds", series)


def _e6(found: Lines) -> Drawing:
    title = "Mixed sizes, uniform, SLO scale 1.2: attainment (simulated)"
    series: dict[str, list[tuple[float, float]]] = {}
    for (scenario, text, _), points in found.rows.items():
        row = json.loads(text)
        if scenario == "sizes-uniform.yaml" and row["slo_scale"] == 1.2:
            for (policy, _), line in points.items():
                series.setdefault(policy, []).append((row["requests per second"], line["attainment"]))
    return title, lines(title, "requests per second", "attainment", series)


def _e7(found: Lines) -> Drawing:
    title = "Attainment of requests that arrive after a fault (simulated)"
    series = {}
    for (_, text, _), points in found.rows.items():
        for line in points.values():
            if "after" in line:
                kinds = "+".join(fault["kind"] for fault in json.loads(text)["faults"])
                series[kinds] = [(30.0 * k, share) for k, share in enumerate(line["after"])]
    return title, lines(title, "seconds after the fault", "attainment", series)


def _ablation(found: Lines) -> Drawing:
    title = "S-D at CV 3: requests per second that hold, one feature off (simulated)"
    points = found.at("s-d", arrivals__cv=3)
    values = {policy: value for (policy, _), line in points.lines.items() if (value := line.get("rate"))}
    return title, bars(title, "requests per second", {"S-D, CV 3": values})


def _values(points: dict[tuple[str, str], dict[str, float]], policies: tuple[str, ...]) -> dict[str, float]:
    """What each policy reached under common admission; those without a line are left out."""
    found = {}
    for policy in policies:
        if (policy, "common") in points:
            line = points[policy, "common"]
            found[policy] = next((line[key] or 0.0 for key in ("rate", "height", "cv", "devices") if key in line), 0.0)
    return found


FIGURES: dict[str, Callable[[Lines], Drawing]] = {
    "e1": _e1, "e2": _e2, "e3": _e3, "e4": _e4, "e5": _e5, "e6": _e6, "e7": _e7, "ablation": _ablation,
}  # fmt: skip
