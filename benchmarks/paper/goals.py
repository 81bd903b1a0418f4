"""The goals of each experiment against its lines: (goal, what was measured, the same for the clairvoyant pool, reached
or not; None: no line yet)."""

from collections.abc import Callable, Iterator
from statistics import mean
from typing import Any

from lines import DIFLOW, MONOLITHS, OURS, Lines, Points

Goal = tuple[str, str, str, bool | None]

ORDERS = (1, 2, 3, 4, 5)
BASELINES = (*MONOLITHS, *DIFLOW)
BOUNDS = ("ideal", "ideal2")
"""The clairvoyant pool that has everything resident; where it was not run, the one on sub-clusters."""


def goals_of(name: str, lines: Lines) -> list[Goal]:
    """The computed goals of experiment `name`; [] where there is only something to report."""
    return list(GOALS[name](lines)) if name in GOALS else []


def _ratio(points: Points, others: tuple[str, ...], ours: str = OURS) -> float | None:
    """Ours by the best of `others`; inf when none of them holds any load that was tried."""
    value, best = points.value(ours), points.best(others)
    if value is None or best is None:
        return None
    return value / best if best else float("inf")


def _bound(points: Points, others: tuple[str, ...]) -> float | None:
    """The same of the clairvoyant pool; None where it is what ours is compared with."""
    return next((r for b in BOUNDS if b not in others and (r := _ratio(points, others, b)) is not None), None)


def _paired(text: str, points: list[Points], others: tuple[str, ...], goal: float) -> Goal:
    """The mean of the ratios of several rows, with their range."""
    ratios = [ratio for each in points if (ratio := _ratio(each, others)) is not None]
    bounds = [bound for each in points if (bound := _bound(each, others)) is not None]
    if not ratios:
        return f"{text}: at least {goal:g}", "", "", None
    shown = _shown(mean(ratios))
    if len(ratios) > 1:
        shown += f" ({_shown(min(ratios))} to {_shown(max(ratios))})"
    return f"{text}: at least {goal:g}", shown, _shown(mean(bounds)) if bounds else "", mean(ratios) >= goal


def _shown(ratio: float | None) -> str:
    return "" if ratio is None else "they hold nothing that was tried" if ratio == float("inf") else f"{ratio:.2f}"


def _e1(lines: Lines) -> Iterator[Goal]:
    for name, at in (("S-D", _s_d(lines)), ("S-C", _s_c(lines))):
        own, merged = at(3, "per-workflow"), at(3, "merged")
        yield _paired(f"{name}, CV 3, a stream for each workflow: times the best of B0 to B2", own, MONOLITHS, 3.0)
        for others, goal in ((("B0",), 3.0), (("B1",), 3.0), (MONOLITHS, 1.6), (DIFLOW, 2.0)):
            yield _paired(f"{name}, CV 3, one stream: times {_named(others)}", merged, others, goal)
        yield _paired(f"{name}, CV 1, one stream: times {_named(DIFLOW)}", at(1, "merged"), DIFLOW, 1.3)
        for cv, streams in ((1, "merged"), (3, "merged"), (3, "per-workflow")):
            where = f"{name}, CV {cv}, {'one stream' if streams == 'merged' else 'a stream for each workflow'}"
            yield _paired(f"{where}: times ideal2", at(cv, streams), ("ideal2",), 0.9)
            yield _paired(f"{where}: times the all-resident EDF pool", at(cv, streams), ("edf-pool",), 1.0)
    yield _paired("S-A, parity: times the best of B0 to B2", [lines.at("s-a")], MONOLITHS, 1.0)


def _named(policies: tuple[str, ...]) -> str:
    names = {MONOLITHS: "the best of B0 to B2", DIFLOW: "the best B5 variant"}
    return names.get(policies, " and ".join(policies))


def _s_d(lines: Lines) -> Callable[[int, str], list[Points]]:
    return lambda cv, streams: [lines.at("s-d", arrivals__cv=cv, arrivals__streams=streams)]


def _s_c(lines: Lines) -> Callable[[int, str], list[Points]]:
    return lambda cv, streams: [
        lines.at("s-c", arrivals__cv=cv, arrivals__streams=streams, order=order) for order in ORDERS
    ]


def _e2(lines: Lines) -> Iterator[Goal]:
    for rate, load in ((0.213, 10), (0.427, 20)):
        one = lines.at("s-f-one", "spikes", arrivals__rate_per_s=rate)
        for others, goal in ((("B0",), 8.0), (MONOLITHS, 3.0), (("ideal",), 0.9), (DIFLOW, 1.0)):
            yield _paired(f"one workflow spikes, {load} % load: times {_named(others)}", [one], others, goal)
    for rate, load in ((0.213, 10), (0.427, 20)):
        spikes = lines.at("s-f-all", "spikes", arrivals__rate_per_s=rate)
        for others, goal in ((("ideal",), 0.85), (DIFLOW, 1.0)):
            yield _paired(f"all spike, {load} % load: times {_named(others)}", [spikes], others, goal)
    burst = lines.at("burst-cv")
    largest, bound = burst.value(OURS), burst.value("ideal")
    shown = ["" if value is None else f"{value:g}" for value in (largest, bound)]
    yield "largest CV that holds at 40 % load: at least 6", *shown, None if largest is None else largest >= 6.0


def _e3(lines: Lines) -> Iterator[Goal]:
    for rate, most in ((0.25, 4), (1, 8)):
        points = lines.at("s-g", first=12, arrivals__rate_per_s=rate)
        ours, b0, bound = (points.value(policy) for policy in (OURS, "B0", "ideal"))
        shown = "" if ours is None else f"{ours:g} (B0 {_devices(b0)})"
        reached = None if ours is None else 0 < ours <= most
        yield f"12 workflows, {rate} requests/s: at most {most} devices", shown, _devices(bound), reached


def _devices(count: float | None) -> str:
    return "not run" if count is None else f"{count:g}" if count else "more than 64"


def _e6(lines: Lines) -> Iterator[Goal]:
    best_of = ("B4-1", "B4-2", "B4-4", "B4-8", "B4")
    pairs = []
    for points in lines.rows.values():
        others = [points[policy, "common"]["attainment"] for policy in best_of if (policy, "common") in points]
        if others and (OURS, "common") in points:
            pairs.append((points[OURS, "common"]["attainment"], max(others)))
    level = [ours >= best for ours, best in pairs]
    inside = [(ours, best) for ours, best in pairs if 0.05 < best < 0.98]
    above = [ours > best for ours, best in inside]
    yield "at least every fixed degree and the best degrees", f"{sum(level)} of {len(level)} points", "", _all(level)
    yield "strictly above where the best is between 5 and 98 %", f"{sum(above)} of {len(above)} points", "", _all(above)
    if gains := [100 * (ours - best) for ours, best in inside]:
        yield (
            "points of attainment above the best there",
            f"{mean(gains):.1f} ({min(gains):.1f} to {max(gains):.1f})",
            "",
            None,
        )


def _all(claims: list[bool]) -> bool | None:
    return all(claims) if claims else None


def _e7(lines: Lines) -> Iterator[Goal]:
    found = [line for points in lines.rows.values() for line in points.values()]
    unfinished: list[Any] = [line["detail"]["unfinished"] for line in found]
    yield "acknowledged requests lost: none", str(sum(unfinished)), "", not sum(unfinished) if found else None


GOALS: dict[str, Callable[[Lines], Iterator[Goal]]] = {"e1": _e1, "e2": _e2, "e3": _e3, "e6": _e6, "e7": _e7}
