"""Which request arrives when: the stream of a scenario, drawn from a seed before the run begins.

A rate only scales time, and a spike's height only moves arrivals: all points of one seed share their random numbers.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from heapq import merge
from itertools import accumulate, islice, repeat, takewhile
from pathlib import Path
from random import Random

from brickwork.load.arrivals import gamma_gaps_s, resampled, spikes, trace_rows, varying_times_s, zipf_shares
from brickwork.sim.scenario import Diurnal, Gamma, Part, Scenario, ScenarioError, Spikes, Trace

REQUESTS = 3000
"""Of a run whose scenario says neither how many nor how long."""


@dataclass(frozen=True, slots=True)
class Draw:
    """One arrival."""

    time_s: float
    part: Part
    workflow: str  # of the part, with the weights and the adapter that were drawn
    is_in_spike: bool = False


def shares(scenario: Scenario) -> dict[str, float]:
    """Share of each workflow in the mix, in sum 1, in the order of the list. Equal names add up."""
    found: dict[str, float] = {}
    for part, share in _parts(scenario):
        found[part.workflow] = found.get(part.workflow, 0.0) + share
    return found


def draws(scenario: Scenario, seed: int, folders: tuple[Path, ...] = ()) -> list[Draw]:
    """All arrivals of one seed, in order of time.

    folders    where a trace's file is looked for
    raises     ScenarioError, InputError about `trace`
    """
    arrivals = scenario.arrivals
    random = Random(f"arrivals {seed}")
    if isinstance(arrivals, Trace):
        stream = _trace(scenario, arrivals, random, folders)
    elif isinstance(arrivals, Gamma):
        stream = _gamma(scenario, arrivals, random)
    else:
        stream = _varying(scenario, arrivals, random, seed)
    lora = Random(f"adapters {seed}")
    made: Iterator[Draw] = (_with_lora(draw, lora) for draw in stream)
    if scenario.seconds is not None:
        until_s = scenario.seconds
        made = takewhile(lambda draw: draw.time_s < until_s, made)
    count = scenario.requests or (REQUESTS if scenario.seconds is None else None)
    return list(islice(made, count))


def _parts(scenario: Scenario) -> list[tuple[Part, float]]:
    """The parts of the mix, most popular first where a popularity is given, with their shares."""
    parts = list(scenario.workflows[: scenario.first])
    if scenario.zipf is None:
        weights = [1.0 if part.share is None else part.share for part in parts]
        if sum(weights) <= 0:
            raise ScenarioError(f"{scenario.name}: workflows: every share is 0; give at least one workflow a share.")
        return [(part, weight / sum(weights)) for part, weight in zip(parts, weights, strict=True)]
    if scenario.order:
        Random(f"order {scenario.order}").shuffle(parts)
    return list(zip(parts, zipf_shares(len(parts), scenario.zipf), strict=True))


def _gamma(scenario: Scenario, arrivals: Gamma, random: Random) -> Iterator[Draw]:
    parts = _parts(scenario)
    if arrivals.streams == "merged":
        times_s = accumulate(gamma_gaps_s(arrivals.rate_per_s, arrivals.cv, random))
        return (Draw(time_s, part, part.workflow) for time_s, part in zip(times_s, _mix(parts, random), strict=False))
    own = []
    for k, (part, share) in enumerate(parts):
        if share > 0:
            gaps_s = gamma_gaps_s(arrivals.rate_per_s * share, arrivals.cv, Random(f"{random.random()} {k}"))
            own.append(zip(accumulate(gaps_s), repeat(k), repeat(part)))
    return (Draw(time_s, part, part.workflow) for time_s, _, part in merge(*own))


def _mix(parts: list[tuple[Part, float]], random: Random) -> Iterator[Part]:
    choices = Random(f"mix {random.random()}")
    kinds, weights = [part for part, _ in parts], [share for _, share in parts]
    while True:
        yield from choices.choices(kinds, weights, k=1000)


def _varying(scenario: Scenario, arrivals: Spikes | Diurnal, random: Random, seed: int) -> Iterator[Draw]:
    parts = _parts(scenario)
    windows = _windows(scenario, arrivals)
    spiking = _spiking(len(parts), len(windows), seed) if windows else []
    streams = []
    for k, (part, share) in enumerate(parts):
        if share > 0:
            own = [w for w, who in zip(windows, spiking, strict=True) if who == k or arrivals.of == "all"]  # type: ignore[union-attr]
            breaks_s, rates = _rates(arrivals, share, own, scenario, part.day_shift)
            times_s = varying_times_s(breaks_s, rates, Random(f"{random.random()} {k}"))
            streams.append(zip(times_s, repeat(k), repeat(part)))
    starts = iter([*windows, (float("inf"), float("inf"))])
    window = next(starts)
    for time_s, _, part in merge(*streams):
        while time_s >= window[1]:
            window = next(starts)
        yield Draw(time_s, part, part.workflow, time_s >= window[0])


def _windows(scenario: Scenario, arrivals: Spikes | Diurnal) -> list[tuple[float, float]]:
    if not isinstance(arrivals, Spikes):
        return []
    return spikes(arrivals.every_s, arrivals.length_s, _until_s(scenario, arrivals.rate_per_s))


def _spiking(parts: int, windows: int, seed: int) -> list[int]:
    """Which part spikes in each window: all in turn, in an order drawn anew for every round."""
    random = Random(f"spikes {seed}")
    order: list[int] = []
    while len(order) < windows:
        order += random.sample(range(parts), parts)
    return order[:windows]


def _rates(
    arrivals: Spikes | Diurnal, share: float, windows: list[tuple[float, float]], scenario: Scenario, day_shift: float
) -> tuple[list[float], list[float]]:
    rate = arrivals.rate_per_s * share
    if isinstance(arrivals, Diurnal):
        mean = sum(arrivals.by_hour) / len(arrivals.by_hour)
        if mean <= 0:
            raise ScenarioError(f"{scenario.name}: arrivals.by_hour: every part of the day is 0; give one a factor.")
        part_s = arrivals.day_s / len(arrivals.by_hour)
        later = round(day_shift * len(arrivals.by_hour))
        parts = range(int(_until_s(scenario, arrivals.rate_per_s) / part_s) + 2 * len(arrivals.by_hour))
        factors = [arrivals.by_hour[(k - later) % len(arrivals.by_hour)] / mean for k in parts]
        return [k * part_s for k in parts], [max(1e-12, rate * factor) for factor in factors]
    breaks_s, rates = [0.0], [rate]
    for start_s, end_s in windows:
        breaks_s += [start_s, end_s]
        rates += [rate * arrivals.height, rate]
    return breaks_s, rates


def _until_s(scenario: Scenario, rate_per_s: float) -> float:
    """When the last arrival is expected, for what has to be laid out beforehand."""
    return scenario.seconds or 1.5 * (scenario.requests or REQUESTS) / rate_per_s


def _trace(scenario: Scenario, arrivals: Trace, random: Random, folders: tuple[Path, ...]) -> Iterator[Draw]:
    label = arrivals.workflow_column or arrivals.weights_column
    rows = trace_rows(_found(arrivals.file, folders), label, arrivals.where)
    rate = len(rows) / max(1e-9, rows[-1][0] - rows[0][0])
    stretch = 1.0 if arrivals.rate_per_s is None else rate / arrivals.rate_per_s
    origin_s = rows[0][0]
    stream = resampled(rows, random) if arrivals.resample else iter([(at_s - origin_s, text) for at_s, text in rows])
    parts = {part.workflow: part for part, _ in _parts(scenario)}
    for (time_s, text), drawn in zip(stream, _mix(_parts(scenario), random), strict=False):
        part, workflow = drawn, drawn.workflow
        if arrivals.workflow_column:
            workflow = arrivals.workflows.get(text, text)
            if workflow not in parts:
                raise ScenarioError(
                    f"{scenario.name}: arrivals.workflows: {text!r} of the trace stands for {workflow!r}, which is not "
                    "in the mix; map it to one that is."
                )
            part = parts[workflow]
        elif arrivals.weights_column:
            workflow = f"{workflow}@{text}"
        yield Draw(time_s * stretch, part, workflow)


def _found(file: str, folders: tuple[Path, ...]) -> Path:
    candidates = [folder / file for folder in folders] or [Path(file)]
    for path in candidates:
        if path.is_file():
            return path
    places = ", ".join(str(path.parent) for path in candidates)
    raise ScenarioError(f"arrivals.file: {file} was not found in {places}; name its folder with --traces.")


def _with_lora(draw: Draw, random: Random) -> Draw:
    if draw.part.lora > 0 and random.random() < draw.part.lora:
        return Draw(draw.time_s, draw.part, f"{draw.workflow}+lora", draw.is_in_spike)
    return draw
