"""What an operation is to an executor: a function over the calls of a batch.

An operation receives its model (None for arithmetic) and one `Call` per request of the batch; it returns one tuple of
tensors per call, in port order. It may run the calls as one model invocation (shapes are equal, control saw to that)
or one by one. With a single call it must compute exactly what the reference pipeline computes: bit-equality
of unbatched runs rests on it (design 12.6). Tensors are contiguous when they arrive and are made so before they leave
(memory layout is part of the value, notes on channels-last); inputs are read-only.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch


@dataclass(slots=True)
class Call:
    """One request's arguments of one operation."""

    args: dict[str, Any]  # port -> tensor, or scalar
    attrs: dict[str, Any]  # constants, typed as the family declared them


Outputs = tuple[torch.Tensor, ...]
Op = Callable[[Any, list[Call]], list[Outputs]]


def each(function: Callable[..., torch.Tensor], calls: list[Call]) -> list[Outputs]:
    """Apply a function of one call's arguments and attributes to every call."""
    return [(function(**call.args, **call.attrs),) for call in calls]
