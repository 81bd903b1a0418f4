"""Policy: is a request accepted?

With a deadline it is accepted when its predicted finish meets it. The prediction: executors get free one after the
other (those that are idle, or would yield to it, at once), and share what ranks before the request until they come to
it; then loads of models that are nowhere, then its own critical path. Waits are taken longer by an allowance that is
learned, so that nearly all who are accepted are in time. Without a deadline a request is accepted while there is room.

A refused request is told when to come back, and the time holds: it is when what ranks before it, *with what other
refused requests were promised before*, leaves its deadline enough (`promises.py`). Who comes at that time is measured
against accepted work only. All others must be able to wait a margin longer than predicted (MARGIN, and PROMISED while
promises are held) and must not make what was promised late, so that those who were promised find room.

Where not all can be served, the time of one dear request serves many cheap ones. So who asks for more device time than
most must be able to wait longer than predicted, the more the dearer, and cheap ones find room in a burst. All the same
every workflow keeps its share: the margin shrinks as its requests are refused or late, and is gone at FLOOR.

Where only one workflow asks there is nobody to leave room for, and who waits will not be overtaken. Then its queue need
not be done for a request to begin, but begun: half a task less on every other executor.

    2 executors, free in 0.2 and 0.4 s; 0.6 s of accepted work and 2.0 s promised rank before a request that takes
    0.5 s and is wanted within 1.0 s, all in device seconds:
    new         0.2 s alone, then both until 2.6 s are done: begins after 0.4 + (2.6 - 0.2) / 2 = 1.6 s, times 1.2 is
                more than the 0.5 s of slack: refused, come back in 1.6 - 0.5 / 1.2 = 1.183 s
    promised    0.4 + (0.6 - 0.2) / 2 = 0.6 s > 0.5 s: things went slower than predicted; come back in 0.1 s
"""

from collections.abc import Sequence
from math import inf

from brickwork.core.record import record

MAX_QUEUED_REQUESTS = 10_000
"""Requests accepted and not finished, at most. A request costs control some 5 kB and an executor at least a
millisecond, so a longer queue would only hide that the fleet is too small."""

NO_EXECUTOR_RETRY_S = 5.0
"""What a refused request is told while no executor is there: about the time one takes to start."""

MARGIN = 0.1
"""Share of the predicted wait that a request is refused for beside it, unless it was told to come: for what the
prediction does not see."""

PROMISED = 0.1
"""As much again while promises are held, so that they can be kept. Where nobody comes back it would leave devices
idle."""

DEAR = 0.3
"""The same for a request that asks for twice the mean device seconds, while all requests of its workflow are served;
for one of three times the mean twice that."""

FLOOR = 0.85
"""Of a workflow of which no more are served, a request is refused only if it would be late, however dear it is."""

BEGUN = 0.5
"""Of a task, on average, has been done on another executor when one comes to a request of the same workflow. Where
several workflows ask this would be too much: some come later and go first, and models have to be changed."""

IDLE = 4.0
"""A request whose wait may be so many times longer is accepted whatever was promised to others: devices would soon have
nothing to do, and those who were told to come may not."""


STALE_S = 10.0
"""After so long without work, what was measured before is no reason any more to refuse what the profile has in time:
while all are refused nothing runs, and it would never be known that devices are fast again."""


@record(frozen=True, slots=True)
class Company:
    """What becomes of a request when it and those before it run in batches of one size."""

    path_s: float  # its critical path then
    pace: float  # device seconds of the queue then, over those in the batches that cost least


@record(frozen=True, slots=True)
class Later:
    """Promised work that ranks after a request."""

    start_s: float  # when it has to start
    ahead_s: float  # device seconds of accepted and promised work before it


@record(frozen=True, slots=True)
class Arrival:
    """What admission sees of a request and the system."""

    now_s: float
    arrived_s: float  # when it reached the server
    deadline_s: float | None  # on control's clock
    fastest_s: float  # its critical path, every task on as many devices as help
    profiled_s: float  # its critical path by the profile alone, where `fastest_s` is more than it is given
    quiet_s: float  # since times were last measured
    companies: Sequence[Company]  # by size of batches; the first is of one
    load_s: float  # loading of its models that no executor holds
    start_s: float  # when it has to start
    own_s: float  # its device seconds; here and below, in batches that cost least
    queued_s: float  # device seconds of accepted work that waits and ranks before it
    frees: Sequence[tuple[float, int, float]]  # (seconds until they are there for it, executors on which it could
    # begin, device seconds that they and others do in a second), in order
    promised_s: float  # device seconds held for others that were refused, and will rank before it
    promised_requests: float  # refused, and expected to come back
    later: Sequence[Later]  # promised, and ranks after it; in order
    total_s: float  # device seconds of all accepted work that waits, and of all that is promised
    is_promised: bool  # it was refused before and told to come now
    allowance: float  # by which predicted waits have to be taken longer to hold nearly always
    requests: int  # accepted and not finished
    dearness: float = 1.0  # its device seconds over the mean of what was asked for of late
    served: float = 1.0  # share of its workflow's requests that were accepted and in time of late
    alone: float = 0.0  # how far nobody but its workflow asks for anything: 1 if so, 0 if others ask for enough
    typical_s: float = 0.0  # of accepted work that waits: device seconds of a task, long ones counting more
    devices: int = 1  # that it needs at once to be in time


@record(frozen=True, slots=True)
class Admitted:
    predicted_finish_s: float  # inf while there is no executor
    wait_s: float  # of it, before its first task begins


@record(frozen=True, slots=True)
class Refused:
    error: str
    retry_after_s: float | None  # after which the same request will be accepted; None: never, as it stands


def admit_by_predicted_finish(arrival: Arrival) -> Admitted | Refused:
    """Accept or refuse one request.

    source    DiFlow's admission (work in flight over executors, against the slack); differs: loads count, only work
              that ranks before it counts, dear requests leave room for others, and a refusal says when to come back,
              which holds
    """
    promised_s, promised_requests, margin = arrival.promised_s, arrival.promised_requests, _margin(arrival)
    if arrival.is_promised:
        promised_s, promised_requests, margin = 0.0, 0.0, 0.0
    if (surplus := arrival.requests + promised_requests + 1 - MAX_QUEUED_REQUESTS) > 0:
        return Refused(f"The queue is full ({MAX_QUEUED_REQUESTS} requests).", surplus * _one_request_s(arrival))
    if arrival.deadline_s is None:
        return admit_all(arrival)
    if not arrival.frees:
        return Refused("No executor is there to meet the deadline.", NO_EXECUTOR_RETRY_S)
    left_s = arrival.deadline_s - arrival.now_s
    company = _company(arrival, left_s - arrival.load_s)
    slack_s = left_s - arrival.load_s - company.path_s
    longer = arrival.allowance * (1.0 + margin)
    wait_s = longer * _wait_s(arrival, company, promised_s)
    fits = wait_s <= slack_s and all(_bears(arrival, company, longer, later) for later in arrival.later)
    if fits or IDLE * _wait_s(arrival, company, 0.0) <= slack_s:
        return admit_all(arrival)
    if arrival.arrived_s + arrival.fastest_s > arrival.deadline_s:
        return _hopeless(arrival, arrival.deadline_s)
    retry_s = _retry_s(arrival, company, slack_s / longer)
    return Refused(f"The deadline cannot be met by now; come back in {retry_s:.3f} s.", retry_s)


def admit_all(arrival: Arrival) -> Admitted | Refused:
    """Accept every request, however late it will be. For comparison."""
    left_s = inf if arrival.deadline_s is None else arrival.deadline_s - arrival.now_s
    company = _company(arrival, left_s - arrival.load_s)
    wait_s = _wait_s(arrival, company, 0.0)
    return Admitted(arrival.now_s + arrival.load_s + wait_s + company.path_s, wait_s)


def _margin(arrival: Arrival) -> float:
    """Share of the predicted wait that a new request must be able to wait beside it."""
    spare = max(0.0, arrival.served - FLOOR) / (1.0 - FLOOR)  # of its workflow, over what it is left
    dear = DEAR * spare * (1.0 - arrival.alone) * max(0.0, arrival.dearness - 1.0)
    return MARGIN + PROMISED * min(1.0, arrival.promised_requests) + dear


def _hopeless(arrival: Arrival, deadline_s: float) -> Refused:
    """The request alone takes too long, by what was measured; devices may be slow for the time being only."""
    takes = f"the request alone takes {arrival.fastest_s:.3f} s"
    if arrival.arrived_s + arrival.profiled_s > deadline_s:
        return Refused(f"The deadline cannot be met: {takes}; give it more time.", None)
    retry_s = max(_one_request_s(arrival), STALE_S - arrival.quiet_s)
    return Refused(f"The deadline cannot be met while devices are so slow: {takes} now.", retry_s)


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
    others = max(0, sum([count for _, count, _ in arrival.frees]) - 1) if arrival.alone else 0
    begun_s = arrival.alone * BEGUN * min(arrival.queued_s, others * arrival.typical_s)
    return _begin_s(arrival, company.pace * (arrival.queued_s + promised_s - begun_s))


def _begin_s(arrival: Arrival, ahead_s: float) -> float:
    """When executors come to a task behind `ahead_s` device seconds, which they share as they get free, and as many are
    free as it needs."""
    at_s, executors, speed = 0.0, 0, 0.0
    for free_s, count, more in arrival.frees:
        if executors >= arrival.devices and ahead_s <= speed * (free_s - at_s):
            break
        ahead_s = max(0.0, ahead_s - speed * (free_s - at_s))
        at_s, executors, speed = free_s, executors + count, speed + more
    return at_s + ahead_s / speed if executors >= arrival.devices else inf


def _bears(arrival: Arrival, company: Company, longer: float, later: Later) -> bool:
    """Whether what was promised can still begin in time with the request before it."""
    wait_s = _begin_s(arrival, company.pace * (later.ahead_s + arrival.own_s))
    return arrival.is_promised or longer * wait_s <= later.start_s - arrival.now_s


def _retry_s(arrival: Arrival, company: Company, slack_s: float) -> float:
    """Seconds after which the request would be accepted, sent anew.

    At its new time it ranks behind more than now: what was promised and has to start until then is ahead of it. So its
    wait grows along with what it passes, until there is a gap. Waits shorten by a second a second.

    slack_s    how long it may wait
    """
    own_s = company.pace * arrival.own_s / sum([speed for _, _, speed in arrival.frees], 0.0)
    retry_s = max(0.0, _wait_s(arrival, company, arrival.promised_s) - slack_s)
    ends_s = [*[later.ahead_s for later in arrival.later[1:]], arrival.total_s]
    for later, end_s in zip(arrival.later, ends_s, strict=False):
        if later.start_s > arrival.start_s + retry_s + own_s:
            break
        retry_s = max(retry_s, _begin_s(arrival, company.pace * end_s) - slack_s)
    return retry_s


def _one_request_s(arrival: Arrival) -> float:
    """Seconds in which one of the queued requests is done."""
    if not arrival.frees:
        return NO_EXECUTOR_RETRY_S
    return _begin_s(arrival, arrival.queued_s) / max(1, arrival.requests)
