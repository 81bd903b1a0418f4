"""Lowers inputs of a request that would be refused, as far as it allows and the policy (`degradation.py`) says.

All inputs that may be lowered go down together: notch 0 is what was asked for, the last notch the least values.
"""

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

    notch = turn.policies.degrade(most, admits)
    return tried[max(tried) if notch is None else notch]


def lowered_inputs(event: RequestArrived, request: RequestRecord) -> Lowered:
    """What `request` has instead of what was asked for."""
    asked = dict(event.request.values)
    return tuple((name, value) for name, value in request.request.values if asked[name] != value)
