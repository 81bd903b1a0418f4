"""What is sent when: a mix of workflows over arrival times, every choice drawn from one seed before the run begins."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of request, with its share in the mix."""

    workflow: str
    weight: float = 1.0
    inputs: Mapping[str, Any] = field(default_factory=dict)  # the same in every request, ready to be sent
    prompts: Sequence[str] = ()  # one is drawn for each request; none: it has no input `prompt`
    has_seed: bool = True  # each request gets a seed of its own, so that none is another one again

    def draw(self, number: int, random: Random) -> dict[str, Any]:
        """The inputs of request `number`."""
        drawn: dict[str, Any] = {"prompt": random.choice(self.prompts)} if self.prompts else {}
        if self.has_seed:
            drawn["seed"] = number
        return {**drawn, **self.inputs}


@dataclass(frozen=True, slots=True)
class Offer:
    """A request that will be sent."""

    number: int
    due_s: float  # after the start of the run
    workflow: str
    inputs: Mapping[str, Any]
    deadline_s: float | None  # after due_s; None: best effort


def offers(kinds: Sequence[Kind], times_s: Sequence[float], deadlines_s: Mapping[str, float], seed: int) -> list[Offer]:
    """One request for each arrival time.

    deadlines_s    by workflow; without one, a workflow's requests are best effort
    """
    random = Random(f"offers {seed}")
    weights = [kind.weight for kind in kinds]
    made = []
    for number, due_s in enumerate(times_s):
        kind = random.choices(kinds, weights)[0]
        inputs = kind.draw(number, random)
        made.append(Offer(number, due_s, kind.workflow, inputs, deadlines_s.get(kind.workflow)))
    return made
