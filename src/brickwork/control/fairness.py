"""Policy: how far does a tenant's use move its requests back?

Every tenant has a *clock* that advances with the device seconds its requests ask for, divided by its weight. The
slowest clock among tenants with requests in the system is where everyone could be; a tenant whose clock is ahead of it
has had more than its share, and its requests rank as if they were due later by its *lead*. The lead is bounded, so no
tenant starves another, and nobody is punished for having used idle devices: a clock that fell behind while its owner
was away is set forward to the slowest when it returns (start-time fair queueing).

    weights 1 and 3, both ask for 12 device seconds: clocks at 12 and 4; on two devices the first ranks 4 s later
"""

from dataclasses import dataclass

from brickwork.core.record import record

MAX_LEAD_S = 20.0
"""Furthest that fairness moves a request back; less than the 30 s that best-effort requests wait at most."""

PRIORITY_S = 60.0
"""One level of priority counts as so many seconds of laxity: more than fairness and best effort move anything."""


@dataclass(frozen=True, slots=True)
class Tenant:
    """What an operator grants. Tenants that are not listed get the defaults."""

    weight: float = 1.0  # share of the devices while others want them too, > 0
    priority: int = 0  # higher goes first
    max_requests: int | None = None  # accepted and not finished, at most; None: no limit of its own


@record(frozen=True, slots=True)
class TenantView:
    tenant: Tenant
    clock_s: float  # weighted device seconds that the tenant has asked for
    slowest_s: float  # least clock of the tenants that have requests in the system, this one included
    executors: int


def lead_by_weight(view: TenantView) -> float:
    """Seconds by which the tenant's next request ranks later than its deadline says; negative with priority."""
    lead_s = (view.clock_s - view.slowest_s) / max(1, view.executors)
    return min(lead_s, MAX_LEAD_S) - PRIORITY_S * view.tenant.priority


def lead_none(view: TenantView) -> float:
    """Tenants do not count."""
    return 0.0
