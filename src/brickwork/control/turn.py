"""One call of `Control.handle`: what it works with, and the orders it collects."""

from dataclasses import dataclass, field

from brickwork.control.actions import Action, Release
from brickwork.control.estimate import Estimate
from brickwork.control.policies import Policies
from brickwork.control.records import GroupKey
from brickwork.control.state import State
from brickwork.core.ids import ExecutorId, RequestId
from brickwork.core.tensor import TensorHandle


@dataclass(slots=True)
class Turn:
    """Passed down through the room while one event is handled."""

    state: State
    estimate: Estimate
    policies: Policies
    now_s: float
    device: str  # type of most executors: work is counted in its seconds, and predicted before a place is chosen
    event: str  # the event in a few words; every cause begins with it
    actions: list[Action] = field(default_factory=list)
    has_freed: bool = False  # an executor has become idle in this turn
    looks_ahead: bool = False  # a batch has begun in this turn, or a load has ended
    handed: list[tuple[ExecutorId, GroupKey]] = field(default_factory=list)  # devices yielded, and the groups for whom

    def why(self, reason: str) -> str:
        """The cause of an action: the event, and what followed from it."""
        return f"{self.event}: {reason}"

    def order(self, action: Action, *about: RequestId) -> None:
        """Give an order and tell it in the stories of the requests that it is about."""
        self.actions.append(action)
        for request_id in about:
            self.state.story.tell(self.now_s, request_id, action)

    def tell(self, request_id: RequestId, text: str) -> None:
        self.state.story.tell(self.now_s, request_id, f"{text} <- {self.event}")

    def release(self, handles: list[TensorHandle], request_id: RequestId, reason: str) -> None:
        if handles:
            self.order(Release(tuple(handles), self.why(reason)), request_id)
