"""From the flags of `brickwork bench` to what is measured: what is asked for, and when."""

import json
import math
from pathlib import Path
from typing import Any

import click

from brickwork.client.protocol import sendable
from brickwork.load.arrivals import gamma_times_s, trace_times_s
from brickwork.load.bench import Order

MAX_REQUESTS = 1_000_000
"""Of one run; they are drawn before it begins."""

PROMPTS = ("a red circle", "a blue square", "a red circle above a blue square", "a green square below a blue circle")
"""What the starter model knows."""


def order_of(
    urls: tuple[str, ...],
    workflows: tuple[str, ...],
    inputs: tuple[str, ...],
    prompts: Path | None,
    warm_up: float,
    slo_scale: float | None,
    deadline: float | None,
    **rest: Any,
) -> Order:
    """What to measure.

    raises    click.UsageError and InputError that name the flag
    """
    if slo_scale is not None and deadline is not None:
        raise click.UsageError("--slo-scale and --deadline exclude each other: both set the deadline")
    times_s, end_s = _times(warm_up, rest["seed"], **{name: rest.pop(name) for name in _ARRIVAL_FLAGS})
    return Order(
        urls=urls,
        weights=dict(_share(text) for text in workflows),
        inputs=dict(_input(text) for text in inputs),
        prompts=PROMPTS if prompts is None else _lines(prompts),
        times_s=times_s,
        warm_up_s=warm_up,
        end_s=end_s,
        slo_scale=(slo_scale or 2.0) if deadline is None else None,
        deadline_s=deadline,
        **rest,
    )


_ARRIVAL_FLAGS = ("rate", "seconds", "arrivals", "cv", "trace", "trace_scale")


def _times(
    warm_up_s: float,
    seed: int,
    rate: float | None,
    seconds: float | None,
    arrivals: str | None,
    cv: float | None,
    trace: Path | None,
    trace_scale: float | None,
) -> tuple[list[float], float]:
    """Arrival times, and when they end; both with the warm-up."""
    if trace is not None:
        for flag, value in (("--rate", rate), ("--arrivals", arrivals), ("--cv", cv)):
            if value is not None:
                raise click.UsageError(f"{flag} and --trace exclude each other: the trace has the arrivals")
        end_s = None if seconds is None else warm_up_s + seconds
        times_s = trace_times_s(trace, trace_scale or 1.0, end_s)
        return times_s, times_s[-1] if end_s is None else end_s
    if trace_scale is not None:
        raise click.UsageError("--trace-scale needs a --trace")
    if cv is not None and arrivals != "gamma":
        raise click.UsageError("--cv needs --arrivals gamma: Poisson arrivals have a CV of 1")
    end_s = warm_up_s + (seconds or 60.0)
    if (rate or 1.0) * end_s > MAX_REQUESTS:
        raise click.UsageError(f"--rate times --seconds is more than {MAX_REQUESTS:,} requests, the most of one run")
    variation = (cv or 3.0) if arrivals == "gamma" else 1.0
    return gamma_times_s(rate or 1.0, variation, end_s, seed), end_s


def _share(text: str) -> tuple[str, float]:
    name, _, share = text.partition("=")
    try:
        weight = float(share or 1.0)
    except ValueError:
        weight = math.nan
    if not name or not (math.isfinite(weight) and weight > 0):
        raise click.BadParameter(f"expected a name, or name=share with a share above 0, got {text[:80]!r}",
                                 param_hint="--workflow")  # fmt: skip
    return name, weight


def _input(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise click.BadParameter(f"expected name=value, got {text[:80]!r}", param_hint="--input")
    if value.startswith("@"):
        return name, sendable(name, Path(value[1:]))
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _lines(path: Path) -> list[str]:
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        cause = getattr(error, "strerror", None) or "it is not UTF-8"
        raise click.BadParameter(f"{path} cannot be read: {cause}", param_hint="--prompts") from None
    prompts = [line for line in lines if line]
    if not prompts:
        raise click.BadParameter(f"{path} has no prompt", param_hint="--prompts")
    return prompts
