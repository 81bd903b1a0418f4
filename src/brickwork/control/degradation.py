"""Policy: what is lowered rather than refuse a request? As little as admits it.

A request names int inputs that may be lowered (`steps`), and how far. All of them go down together, in proportion, and
no further than needed: the smallest lowering with which admission accepts is found by halving, since less work is
never harder to admit.

    steps 28, at least 8: 28 refused, 8 admitted, 18 admitted, 23 refused, 20 admitted, 21 refused -> 20
"""

from collections.abc import Callable
from dataclasses import replace

from brickwork.control.admission import Admitted, Refused
from brickwork.control.events import RequestArrived
from brickwork.control.forecast import judge
from brickwork.control.instances import instantiate
from brickwork.control.promises import Promise
from brickwork.control.records import RequestRecord
from brickwork.control.turn import Turn
from brickwork.core.request import Scalar

Lowered = tuple[tuple[str, Scalar], ...]
"""Inputs by name, with the value that they have instead of the one that was asked for."""


def least_notch(most: int, admits: Callable[[int], bool]) -> int | None:
    """The smallest of 1..most that `admits`, which then admits all larger ones; None when not even `most` does."""
    if most < 1 or not admits(most):
        return None
    low, high = 0, most  # `low` is refused, `high` admitted
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if admits(middle) else (middle, high)
    return high


def lower(
    turn: Turn, event: RequestArrived, request: RequestRecord, promise: Promise | None, refusal: Refused
) -> tuple[RequestRecord, Admitted | Refused]:
    """The request with as little lowered as admits it, and the verdict; the least one and its refusal if nothing does.

    request    as it was asked for, which was refused with `refusal`
    """
    given = dict(event.request.values)
    spans = {name: max(0, int(given[name]) - least) for name, least in event.request.slo.degrade}  # type: ignore[arg-type]
    most = max(spans.values(), default=0)
    tried: dict[int, tuple[RequestRecord, Admitted | Refused]] = {0: (request, refusal)}

    def admits(notch: int) -> bool:
        values = given | {name: int(given[name]) - span * notch // most for name, span in spans.items()}  # type: ignore[arg-type]
        lesser = instantiate(turn, replace(event, request=replace(event.request, values=tuple(values.items()))))
        tried[notch] = (lesser, judge(turn, lesser, promise))
        return isinstance(tried[notch][1], Admitted)

    notch = least_notch(most, admits)
    return tried[max(0, most) if notch is None else notch]


def lowered_inputs(event: RequestArrived, request: RequestRecord) -> Lowered:
    """What `request` has instead of what was asked for."""
    asked = dict(event.request.values)
    return tuple((name, value) for name, value in request.request.values if asked[name] != value)
