"""What a workflow costs: the figures of its plan and a profile that policies outside control decide by."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import inf

from brickwork.compiler.instance import ConcreteWork, resolve, task_work
from brickwork.profile.table import Profile
from brickwork.sim.published import plan, values
from brickwork.sim.recipes import recipe_of
from brickwork.sim.scenario import Part, Scenario
from brickwork.sim.streams import Draw

GIB = 1 << 30

MONOLITH_GIB = 72.0
"""Of an 80 GB device that runs whole pipelines: weights and activations (experiments' convention)."""

WEIGHTS_GIB = 58.0
"""Of an 80 GB device that places single models: weights (the rest: activations and the tensor arena)."""


@dataclass(frozen=True)
class Cost:
    """One workflow on one type of device. Seconds and bytes of a single request."""

    name: str
    works: tuple[tuple[ConcreteWork, ...], ...]  # by task: encode, denoise, decode
    models: tuple[tuple[str, int, float], ...]  # (id, bytes, seconds to load)
    stage_models: tuple[tuple[str, ...], ...]  # ids by task
    profile: Profile
    device: str
    slo_s: float  # deadline after arrival

    def stage_s(self, stage: int, degree: int = 1) -> float:
        """Seconds of encode (0), denoise (1) or decode (2); only the loop is shared by several devices."""
        return sum(
            work.trips
            * self.profile.call_s(self.device, work.key, work.shape, work.rows, degree if work.is_step else 1)
            for work in self.works[stage]
        )

    @cached_property
    def solo_s(self) -> float:
        return sum(self.stage_s(stage) for stage in range(len(self.works)))

    @cached_property
    def steps(self) -> int:
        return max((work.trips for work in self.works[1] if work.is_step), default=0)

    def step_s(self, degree: int = 1) -> float:
        return sum(
            self.profile.call_s(self.device, work.key, work.shape, work.rows, degree)
            for work in self.works[1]
            if work.is_step
        )

    def at_degree_s(self, degree: int) -> float:
        """Seconds of the whole request when `degree` devices share its loop; inf where there is no figure."""
        return self.stage_s(0) + self.stage_s(1, degree) + self.stage_s(2)

    @cached_property
    def best_degree(self) -> int:
        """The degree of least latency."""
        return min((1, 2, 4, 8), key=lambda degree: (self.at_degree_s(degree), degree))

    @cached_property
    def least_work_s(self) -> float:
        """Device seconds of one request in batches of 8, the least that the table has."""
        return sum(
            work.trips * self.profile.call_s(self.device, work.key, work.shape, work.rows * size, 1) / size
            for works in self.works
            for work in works
            for size in [min((1, 2, 4), key=lambda n: self._per_row_s(work, n))]
        )

    def _per_row_s(self, work: ConcreteWork, size: int) -> float:
        return self.profile.call_s(self.device, work.key, work.shape, work.rows * size, 1) / size

    @cached_property
    def weight_bytes(self) -> int:
        return sum(nbytes for _, nbytes, _ in self.models)

    @cached_property
    def activation_bytes(self) -> int:
        return max(
            self.profile.activation_bytes(self.device, work.key, work.shape, work.rows)
            for works in self.works
            for work in works
        )

    @cached_property
    def load_s(self) -> float:
        """Loading the whole pipeline from the host's memory."""
        return sum(load_s for _, _, load_s in self.models)


def cost(part: Part, workflow: str, profile: Profile, device: str, slo_scale: float) -> Cost:
    """The costs of one workflow of a scenario."""
    what = recipe_of(part, workflow)
    made = plan(what)
    scalars = resolve(made, dict(values(what)))
    programs = {program.id: program for program in made.programs}
    cost = Cost(
        name=what.name,
        works=tuple(task_work(made, task, scalars) for task in made.tasks),
        models=tuple((str(m.id), m.weight_bytes, profile.load_s(device, m)) for m in made.models),
        stage_models=tuple(tuple(map(str, programs[task.program].models)) for task in made.tasks),
        profile=profile,
        device=device,
        slo_s=inf,
    )
    slo_s = slo_scale * (part.deadline_s or cost.solo_s)
    return Cost(what.name, cost.works, cost.models, cost.stage_models, profile, device, slo_s)


@dataclass(frozen=True, slots=True)
class Job:
    """One request for a policy outside control."""

    at_s: float
    kind: int  # index into the costs
    due_s: float


@dataclass(frozen=True)
class Load:
    """The streams of all seeds of a scenario, and the costs that they refer to."""

    costs: tuple[Cost, ...]
    seeds: tuple[tuple[Job, ...], ...]
    judged: tuple[tuple[bool, ...], ...]  # which jobs count


def load_of(scenario: Scenario, profile: Profile, streams: Sequence[Sequence[Draw]], spikes_only: bool = False) -> Load:
    """Draws as jobs. Workflows get their costs on the first device type of the fleet."""
    device = scenario.fleet[0].device
    kinds: dict[tuple[int, str], int] = {}
    costs: list[Cost] = []
    seeds = []
    for stream in streams:
        jobs = []
        for draw in stream:
            key = (id(draw.part), draw.workflow)
            if key not in kinds:
                kinds[key] = len(costs)
                costs.append(cost(draw.part, draw.workflow, profile, device, scenario.slo_scale))
            kind = kinds[key]
            jobs.append(Job(draw.time_s, kind, draw.time_s + costs[kind].slo_s))
        seeds.append(tuple(jobs))
    judged = tuple(tuple(draw.is_in_spike or not spikes_only for draw in stream) for stream in streams)
    return Load(tuple(costs), tuple(seeds), judged)
