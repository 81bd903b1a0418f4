"""Which requests arrive when: seeded arrival processes over a mix of workflows."""

from collections.abc import Iterator, Sequence
from dataclasses import field
from itertools import accumulate, islice
from random import Random

from brickwork.compiler.plan import Plan
from brickwork.core.ids import RequestId
from brickwork.core.record import record
from brickwork.core.request import SLO, Request, Scalar
from brickwork.load.arrivals import gamma_gaps_s


@record(frozen=True, slots=True)
class Kind:
    """A kind of request, with its share in the mix."""

    plan: Plan
    values: tuple[tuple[str, Scalar], ...]  # as in Request.values
    weight: float = 1.0
    slo: SLO = field(default_factory=SLO)


@record(frozen=True, slots=True)
class Arrival:
    time_s: float
    request: Request
    plan: Plan
    is_judged: bool = True  # has a place in the report
    part: str = ""  # its workflow as the mix names it, by which a router knows the sets that serve it


def poisson(mix: Sequence[Kind], rate_per_s: float, count: int, seed: int) -> list[Arrival]:
    """`count` arrivals with independent gaps, `rate_per_s` on average."""
    return gamma(mix, rate_per_s, count, seed, variation=1.0)


def gamma(mix: Sequence[Kind], rate_per_s: float, count: int, seed: int, variation: float) -> list[Arrival]:
    """`count` arrivals whose gaps have the coefficient of variation `variation` > 0: 1 is Poisson, more is bursty."""
    random = Random(f"arrivals {seed}")
    return _arrivals(mix, count, random, gamma_gaps_s(rate_per_s, variation, random))


def _arrivals(mix: Sequence[Kind], count: int, random: Random, gaps_s: Iterator[float]) -> list[Arrival]:
    arrivals = []
    for number, time_s in enumerate(islice(accumulate(gaps_s), count), start=1):
        kind = random.choices(mix, [each.weight for each in mix])[0]
        request = Request(RequestId(f"r-{number}"), kind.plan.workflow, kind.values, kind.slo)
        arrivals.append(Arrival(time_s, request, kind.plan))
    return arrivals
