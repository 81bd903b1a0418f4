"""Control: one object that turns events into actions, the same in production and in the simulator.

`handle` lets due times pass, gives the event to the one function that knows it, and then lets idle executors take
what is ready. It reads no clock, draws no random number and does no I/O; equal events at equal times give equal
actions.
"""

from collections.abc import Mapping

from brickwork.compiler.plan import Plan
from brickwork.control import reports, requests, rosters
from brickwork.control.actions import Action
from brickwork.control.dispatch import dispatch_ready
from brickwork.control.estimate import LOAD_KEY, Estimate
from brickwork.control.events import (
    BatchReported,
    CancelRequested,
    Event,
    ExecutorJoined,
    ExecutorLost,
    ExecutorWaiting,
    LeaveRequested,
    LoadFailed,
    ModelLoaded,
    ModelUnloaded,
    RequestArrived,
    StartOffered,
    Woke,
)
from brickwork.control.expiry import look_again
from brickwork.control.fairness import Tenant
from brickwork.control.leaving import ask_to_leave, forget_idle
from brickwork.control.policies import Policies
from brickwork.control.records import ExecutorRecord
from brickwork.control.scaling import scale
from brickwork.control.state import MAX_PLANS, State
from brickwork.control.summary import Summary, summary_of
from brickwork.control.turn import Turn
from brickwork.core.ids import PlanId, RequestId
from brickwork.profile.table import Profile


class Control:
    """Decides what runs where and when.

    profile     what is known of speed and memory before anything ran
    policies    the replaceable decisions
    tenants     terms of those that have other than the defaults, by name
    """

    def __init__(self, profile: Profile, policies: Policies | None = None, tenants: Mapping[str, Tenant] | None = None):
        self.state = State(tenants)
        self._policies = policies or Policies()
        self._estimate = Estimate(profile, self.state.correction)
        self._first_device = next(iter(profile.devices))  # for estimates while no executor is there
        self._plans: dict[tuple[PlanId, str], Plan] = {}  # as shared, by the id and name they came with

    def handle(self, event: Event, now_s: float) -> list[Action]:
        """Take in one event; returns the orders that follow, to be carried out in this order.

        now_s     driver's clock, seconds; never less than in an earlier call
        """
        device = self.state.common_device or self._first_device
        turn = Turn(self.state, self._estimate, self._policies, now_s, device, _words(event))
        self.state.ready.unpark_due(now_s)
        match event:
            case BatchReported():
                reports.report(turn, event)
            case RequestArrived():
                shared = self._shared(event.plan)
                requests.arrive(turn, RequestArrived(event.request, shared, event.tensors, event.arrived_s))
            case CancelRequested():
                requests.cancel(turn, event)
            case ExecutorWaiting():
                reports.wait(turn, event)
            case ExecutorJoined():
                _join(turn, event)
            case ExecutorLost():
                reports.lose(turn, event)
            case LeaveRequested():
                ask_to_leave(turn, event)
            case StartOffered():
                self.state.offer = event
            case ModelLoaded():
                _loaded(turn, event)
            case LoadFailed():
                _load_failed(turn, event)
            case ModelUnloaded() | Woke():
                pass  # an unload counts from its order on; a wake only lets due times pass
        forget_idle(turn)
        look_again(turn)
        dispatch_ready(turn)
        scale(turn)
        return turn.actions

    def next_wake_s(self) -> float | None:
        """When control wants a Woke if nothing else happens before; None: never."""
        recheck_s, look_s = self.state.ready.recheck_s(), self.state.latest.next_s()
        if recheck_s is None or look_s is None:
            return look_s if recheck_s is None else recheck_s
        return min(recheck_s, look_s)

    def story(self, request_id: RequestId) -> list[str]:
        """What happened to a request and why, oldest first; old requests fall out of a bounded ring."""
        return self.state.story.of(request_id)

    def summary(self, now_s: float) -> Summary:
        """What routers and the Node Manager are told of this set."""
        return summary_of(self.state, self.state.common_device or self._first_device, now_s)

    def _shared(self, plan: Plan) -> Plan:
        """The plan with the model and program ids that the sharing policy gives it."""
        known = self._plans.get((plan.id, plan.workflow))
        if known is None:
            if len(self._plans) >= MAX_PLANS:
                del self._plans[next(iter(self._plans))]
            known = self._plans[plan.id, plan.workflow] = self._policies.share(plan)
        return known


def _join(turn: Turn, event: ExecutorJoined) -> None:
    """Use a new executor. One that is known, or was lost, does not join again: each life has its own id."""
    if event.executor in turn.state.executors or event.executor in turn.state.gone:
        return
    executor = ExecutorRecord(
        event.executor,
        event.device,
        event.memory_bytes,
        event.host,
        can_step=event.can_step,
        max_degree=event.max_degree,
    )
    turn.state.add_executor(executor)
    turn.state.ready.unpark_all()


def _loaded(turn: Turn, event: ModelLoaded) -> None:
    """A replica is usable: learn from its time, and predict the batch behind it anew after the last load."""
    executor = turn.state.executors.get(event.executor)
    replica = executor.replicas.get(event.model) if executor else None
    if executor is None or replica is None or replica.is_loaded:
        return
    replica.is_loaded = True
    raw_s = turn.estimate.raw_load_s(executor.device, replica.model)
    turn.state.correction.learn(executor.device, {LOAD_KEY + replica.model.profile: raw_s}, event.load_s)
    if all(other.is_loaded for other in executor.replicas.values()):
        executor.loading_until_s = 0.0
    turn.looks_ahead = True
    if executor.batch is None:
        turn.state.ready.unpark_for(executor.id, (event.model,))
    elif event.model in (batch := turn.state.batches[executor.batch]).group_models:
        rosters.expect_start(turn, batch)


def _load_failed(turn: Turn, event: LoadFailed) -> None:
    """The model is not there after all. A batch that needs it reports its own failure."""
    executor = turn.state.executors.get(event.executor)
    replica = executor.replicas.get(event.model) if executor else None
    if executor is None or replica is None or replica.is_loaded:
        return
    batch = turn.state.batches[executor.batch] if executor.batch is not None else None
    if batch is not None and event.model in batch.group_models:
        batch.lacks.add(event.model)
        turn.state.close_roster(batch)
    turn.state.remove_replica(executor, event.model)


def _words(event: Event) -> str:
    """The event in a few words, for causes."""
    name = type(event).__name__
    match event:
        case BatchReported() | ExecutorWaiting():
            return f"{name} {event.batch} by {event.executor}"
        case RequestArrived():
            return f"{name} {event.request.id}"
        case CancelRequested():
            return f"{name} {event.request_id}"
        case ExecutorJoined() | ExecutorLost():
            return f"{name} {event.executor}"
        case ModelLoaded() | ModelUnloaded() | LoadFailed():
            return f"{name} {event.model} on {event.executor}"
        case LeaveRequested():
            return f"{name} {event.count} {event.device}"
        case StartOffered():
            return f"{name} {event.count} in {event.start_s} s"
        case Woke():
            return name
