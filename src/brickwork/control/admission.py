"""Policy: is a request accepted?

With a deadline it is accepted when its predicted finish meets it: what is ahead of it, spread over the executors (or
the time until one is idle, if that is longer), then loads of models that are nowhere, then its own critical path. The
prediction is a fluid one: it takes executors for interchangeable and the queue for divisible; waits are taken longer
by an allowance that is learned, so that nearly all who are accepted are in time. Without a deadline a request is
accepted while there is room.

A refused request is told when to come back, and the time holds: it is when everything that is ahead, *with what other
refused requests were promised before*, leaves its deadline enough (`promises.py`). Who comes at that time is measured
against accepted work only. All others must be able to wait MARGIN longer than predicted, so that those who were
promised find room whatever the prediction did not see.

    2 executors, 1.2 s of accepted work, 2.0 s promised; the request takes 0.5 s and is wanted within 1.0 s:
    new      waits (1.2 + 2.0) / 2 = 1.6 s, times 1.15 > 0.5: refused, come back in 1.6 - 0.5 / 1.15 = 1.165 s
    promised waits 1.2 / 2 = 0.6 s > 0.5 s: things went slower than predicted; come back in 0.1 s
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

MAX_QUEUED_REQUESTS = 10_000
"""Requests accepted and not finished, at most. A request costs control some 5 kB and an executor at least a
millisecond, so a longer queue would only hide that the fleet is too small."""

NO_EXECUTOR_RETRY_S = 5.0
"""What a refused request is told while no executor is there: about the time one takes to start."""

MARGIN = 0.15
"""Share of the predicted wait that a request is refused for beside it, unless it was told to come."""


IDLE = 4.0
"""A request whose wait may be so many times longer is accepted whatever was promised to others: devices would soon have
nothing to do, and those who were told to come may not."""


@dataclass(frozen=True, slots=True)
class Company:
    """What becomes of a request when it and those before it run in batches of one size."""

    path_s: float  # its critical path then
    pace: float  # device seconds of the queue then, over those in the batches that cost least


@dataclass(frozen=True, slots=True)
class Arrival:
    """What admission sees of a request and the system."""

    now_s: float
    arrived_s: float  # when it reached the server
    deadline_s: float | None  # on control's clock
    fastest_s: float  # its critical path, every task on as many devices as help
    companies: Sequence[Company]  # by size of batches; the first is of one
    load_s: float  # loading of its models that no executor holds
    queued_s: float  # device seconds of accepted work that waits and is not ranked after it, in batches that cost least
    running_s: float  # device seconds that running batches still take
    promised_s: float  # device seconds held for others that were refused, in batches that cost least
    promised_requests: float  # held for them
    is_promised: bool  # it was refused before and told to come now
    allowance: float  # by which predicted waits have to be taken longer to hold nearly always
    first_free_s: float  # until an executor is idle, by prediction
    executors: int
    requests: int  # accepted and not finished


@dataclass(frozen=True, slots=True)
class Admitted:
    predicted_finish_s: float  # inf while there is no executor
    wait_s: float  # of it, before its first task begins


@dataclass(frozen=True, slots=True)
class Refused:
    error: str
    retry_after_s: float | None  # after which the same request will be accepted; None: never, as it stands


def admit_by_predicted_finish(arrival: Arrival) -> Admitted | Refused:
    """Accept or refuse one request.

    source    DiFlow's admission (work in flight over executors, against the slack); differs: loads count, only work
              that ranks before it counts, and a refusal says when to come back, which holds
    """
    promised_s, promised_requests, margin = arrival.promised_s, arrival.promised_requests, MARGIN
    if arrival.is_promised:
        promised_s, promised_requests, margin = 0.0, 0.0, 0.0
    if (surplus := arrival.requests + promised_requests + 1 - MAX_QUEUED_REQUESTS) > 0:
        return Refused(f"The queue is full ({MAX_QUEUED_REQUESTS} requests).", surplus * _one_request_s(arrival))
    if arrival.deadline_s is None:
        return admit_all(arrival)
    if not arrival.executors:
        return Refused("No executor is there to meet the deadline.", NO_EXECUTOR_RETRY_S)
    left_s = arrival.deadline_s - arrival.now_s
    company = _company(arrival, left_s)
    slack_s = left_s - arrival.load_s - company.path_s
    longer = arrival.allowance * (1.0 + margin)
    wait_s = longer * _wait_s(arrival, company, promised_s)
    if wait_s <= slack_s or IDLE * _wait_s(arrival, company, 0.0) <= slack_s:
        return admit_all(arrival)
    if arrival.arrived_s + arrival.fastest_s > arrival.deadline_s:
        takes = f"the request alone takes {arrival.fastest_s:.3f} s"
        return Refused(f"The deadline cannot be met: {takes}; give it more time.", None)
    retry_s = (wait_s - slack_s) / longer  # waits shorten by a second a second
    return Refused(f"The deadline cannot be met by now; come back in {retry_s:.3f} s.", retry_s)


def admit_all(arrival: Arrival) -> Admitted | Refused:
    """Accept every request, however late it will be. For comparison."""
    left_s = inf if arrival.deadline_s is None else arrival.deadline_s - arrival.now_s
    company = _company(arrival, left_s)
    wait_s = _wait_s(arrival, company, 0.0)
    return Admitted(arrival.now_s + arrival.load_s + wait_s + company.path_s, wait_s)


def _company(arrival: Arrival, left_s: float) -> Company:
    """The largest company whose path takes no more than half the time that is left, so that the other half may be
    spent waiting for the batches before; else none, and several devices if it takes that.

    Batches as large as the queue would be cheaper by prediction. But then what waits longer than predicted has to run
    in smaller batches to be in time, which makes everything behind it wait longer still.
    """
    alone = arrival.companies[0]
    fitting = [company for company in arrival.companies if 2.0 * company.path_s <= left_s]
    if fitting:
        return max(fitting, key=lambda company: company.path_s)
    return alone if alone.path_s <= left_s else Company(arrival.fastest_s, alone.pace)


def _wait_s(arrival: Arrival, company: Company, promised_s: float) -> float:
    """Until the request's first task begins."""
    if not arrival.executors:
        return inf
    ahead_s = arrival.running_s + company.pace * (arrival.queued_s + promised_s)
    return max(ahead_s / arrival.executors, arrival.first_free_s)


def _one_request_s(arrival: Arrival) -> float:
    """Seconds in which one of the queued requests is done."""
    if not arrival.executors:
        return NO_EXECUTOR_RETRY_S
    return (arrival.queued_s + arrival.running_s) / arrival.executors / max(1, arrival.requests)
