"""Scenarios: what is simulated, as a YAML file. Strict: an unknown field or a wrong value names itself and the remedy.

A scenario says which workflows arrive how, on which devices, under which policy. It says nothing about how long things
take (that is the profile) and nothing about how they are decided (that is control). `docs/guides/simulation.md` shows
every field.
"""

from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec
import yaml

from brickwork.core.errors import FileError

FORMAT = "brickwork-scenario/1"

MAX_FILE_BYTES = 1 << 20
"""A scenario is written by people; more is a mistake, and would only take long to be refused."""

Positive = Annotated[float, msgspec.Meta(gt=0, le=1e9)]
Count = Annotated[int, msgspec.Meta(ge=1, le=10_000_000)]
Index = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
NotNegative = Annotated[float, msgspec.Meta(ge=0, le=1e9)]
WithinDay = Annotated[float, msgspec.Meta(ge=0, le=86_400)]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class ScenarioError(FileError):
    """A scenario file is not what the format asks for. The text names the file, the field and what is expected."""


class Devices(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Equal devices."""

    device: Text  # as the profile calls it
    count: Annotated[int, msgspec.Meta(ge=1, le=100_000)]
    memory_gib: Positive = (
        60.6  # weights and activations: of 80 GB, 58 GiB of weights and the largest decode beside them
    )
    price_per_hour: NotNegative = 0.0
    start_s: NotNegative = 30.0  # cold start, from the Node Manager's order until its executor joins


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A workflow in the mix."""

    workflow: Text  # a published one; `name@weights` is the same with base weights of its own
    share: NotNegative | None = None  # of the requests, relative to the others; None: by `zipf`
    steps: Annotated[int, msgspec.Meta(ge=1, le=1000)] | None = None  # None: as published
    guidance: bool | None = None  # classifier-free guidance: two rows a step; None: as published
    size_px: tuple[Count, Count] | None = None  # height, width; None: as published
    deadline_s: Positive | None = None  # None: slo_scale x latency alone
    day_shift: Share = 0.0  # of a day, by which its day is later than that of the others; for diurnal arrivals
    lora: Share = 0.0  # chance that a request brings an adapter that has to be loaded and merged first


class Gamma(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="process", tag="gamma"):
    """Independent gaps; cv 1 is Poisson, more is bursty."""

    rate_per_s: Positive
    cv: Annotated[float, msgspec.Meta(ge=0.05, le=100)] = 1.0  # deviation / mean of the gaps
    streams: Literal["merged", "per-workflow"] = "merged"  # one renewal process, or one for each workflow


class Spikes(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="process", tag="spikes"):
    """Poisson arrivals; in square windows the rate of one workflow, or of all, is `height` times its own."""

    rate_per_s: Positive  # outside the windows
    height: Annotated[float, msgspec.Meta(ge=1, le=10_000)]
    every_s: Positive = 300.0
    length_s: Positive = 10.0
    of: Literal["one", "all"] = "one"  # "one": another workflow in each window, in an order drawn from the seed


class Diurnal(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="process", tag="diurnal"):
    """Poisson arrivals whose rate follows a day."""

    rate_per_s: Positive  # mean over the day
    day_s: Positive = 86_400.0
    by_hour: Annotated[tuple[NotNegative, ...], msgspec.Meta(min_length=1, max_length=1000)] = (
        0.0, 0.0, 0.0, 0.0, 0.0, 0.1, 0.4, 0.9, 1.5, 2.0, 2.4, 2.2,
        1.9, 2.1, 2.4, 2.3, 2.0, 1.5, 1.0, 0.6, 0.4, 0.2, 0.1, 0.0,
    )  # fmt: skip
    # factors by part of the day, any number of parts; the default is a working day of some twelve hours


class Trace(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="process", tag="trace"):
    """Recorded arrival times."""

    file: Text  # CSV (or .gz) with a column t_s; relative to the scenario's folder or to --traces
    rate_per_s: Positive | None = None  # time is stretched to this mean rate; None: as recorded
    where: dict[str, str] = {}  # rows whose column has this text
    workflow_column: Text | None = None  # which workflow each row asks for; None: drawn from the mix
    workflows: dict[str, str] = {}  # text in that column -> workflow
    weights_column: Text | None = None  # each text in it is a set of base weights of its own: `workflow@text`
    resample: bool = False  # blocks of gaps drawn again and jittered: another seed, another history of the same kind


Arrivals = Gamma | Spikes | Diurnal | Trace


class Crash(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="crash"):
    """The process on a device dies; a new one joins later."""

    at_s: NotNegative
    device: Index  # number of the device in the fleet, from 0
    back_after_s: Positive | None = None  # None: never


class Slow(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="slow"):
    """A device computes `factor` times slower for a while."""

    at_s: NotNegative
    device: Index
    factor: Annotated[float, msgspec.Meta(ge=1, le=1000)]
    for_s: Positive


class Messages(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="messages"):
    """Messages between coordinator and executors are lost, late or sent twice, each with its own chance."""

    lost: Share = 0.0  # sent again after `resend_s`, as links do that acknowledge
    late: Share = 0.0  # by `late_s`; order on a link is kept
    repeated: Share = 0.0
    resend_s: Positive = 1.0
    late_s: Positive = 0.5


class CoordinatorLoss(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="coordinator"):
    """The coordinator dies and another takes over: accepted requests start again from the job store."""

    at_s: NotNegative
    back_after_s: Positive
    set: Index = 0  # whose coordinator, by number


class Partition(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="partition"):
    """No message passes between the coordinator and some devices for a while; then all that was sent arrives."""

    at_s: NotNegative
    devices: tuple[Index, ...]
    for_s: Positive


Fault = Crash | Slow | Messages | CoordinatorLoss | Partition


class WorkflowSet(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A coordinator with executors of its own."""

    name: Text
    workflows: tuple[Text, ...] = ()  # that it serves, as the mix names them; (): all
    devices: tuple[Annotated[int, msgspec.Meta(ge=0, le=100_000)], ...] = ()  # at the start, of each entry of the fleet


class NodeManagement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A Node Manager moves, starts and stops the executors of the sets."""

    every_s: Annotated[float, msgspec.Meta(ge=1, le=3600)] = 5.0
    cool_down_s: WithinDay = 60.0  # a set gives away what it could do without for so long
    idle_s: WithinDay = 600.0  # a set without work for so long keeps nothing


class Scenario(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One simulated history, up to its seed."""

    format: Literal["brickwork-scenario/1"]
    name: Text
    about: str = ""
    profile: Text = "h800"  # name of a shipped profile, or a file
    fleet: Annotated[tuple[Devices, ...], msgspec.Meta(min_length=1, max_length=100)]
    workflows: Annotated[tuple[Part, ...], msgspec.Meta(min_length=1, max_length=1000)]
    first: Count | None = None  # only the first so many of the list
    zipf: Annotated[float, msgspec.Meta(ge=0, le=10)] | None = None  # share of the k-th workflow: 1 / k ** zipf
    order: Index = 0  # 0: ranks as listed; n: the n-th fixed shuffle of the list
    arrivals: Arrivals
    requests: Count | None = None  # the first so many arrivals; None: 3000, or all within `seconds` where that is given
    seconds: Positive | None = None  # arrivals up to this time
    slo_scale: Positive = 2.0
    least_steps: Annotated[float, msgspec.Meta(gt=0, le=1)] = 1.0  # share of its steps that a request may be lowered to
    policy: Text = "brickwork"
    seeds: Annotated[tuple[int, ...], msgspec.Meta(min_length=1, max_length=1000)] = (1,)
    load_scale: Positive = 1.0  # loads of models take so many times what the profile says
    noise: Share = 0.0  # relative deviation of batch and load times
    link_s: Share = 0.0002  # one way between coordinator and executor
    faults: tuple[Fault, ...] = ()
    sets: Annotated[tuple[WorkflowSet, ...], msgspec.Meta(max_length=100)] = ()  # (): one that has all and serves all
    node_manager: NodeManagement | None = None  # None: every set keeps what it has


class Sweep(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One scenario of an experiment, and what is varied in it."""

    scenario: Text  # file, beside the experiment's
    find: (
        Text  # "rate", "height", "cv", "devices": the extreme value at which the load still holds; "points": no search
    )
    over: dict[str, tuple[Any, ...]] = {}  # field ("arrivals.cv") -> values; every combination is a row
    values: tuple[Positive, ...] = ()  # grid of what is searched, or the points; (): a grid of ratio `resolution`
    resolution: Annotated[float, msgspec.Meta(gt=1, le=10)] = 1.03
    judge: Literal["all", "spikes"] = "all"  # which requests count
    policies: tuple[Text, ...] = ()  # instead of the experiment's
    admission: tuple[Literal["own", "common"], ...] = ()  # instead of the experiment's
    seeds: Count | None = None  # the first so many of the experiment's
    requests: Count | None = None  # of a seed, instead of the scenario's


class Experiment(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A claim, the scenarios that test it and the policies that are compared."""

    format: Literal["brickwork-experiment/1"]
    name: Text
    claim: str
    goals: tuple[str, ...]
    policies: tuple[Text, ...]
    admission: tuple[Literal["own", "common"], ...] = ("own", "common")
    seeds: tuple[int, ...] = (1, 2, 3, 4, 5)
    sweeps: tuple[Sweep, ...]


T = TypeVar("T")


def read_scenario(path: Path) -> Scenario:
    """Read a scenario file. raises ScenarioError naming file, field and what was expected."""
    return parse(_text(path), Scenario, str(path))


def read_experiment(path: Path) -> Experiment:
    """Read an experiment file. raises ScenarioError naming file, field and what was expected."""
    return parse(_text(path), Experiment, str(path))


def parse(text: str, kind: type[T], name: str = "scenario") -> T:
    """A scenario or experiment from YAML text; `name` stands for the file in errors."""
    try:
        document = yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}: " if mark else ""
        raise ScenarioError(f"{name}: {line}{getattr(error, 'problem', None) or error}.") from None
    except (RecursionError, ValueError, OverflowError) as error:  # nested without end; a date or number without sense
        raise ScenarioError(f"{name}: cannot be read as YAML ({type(error).__name__}).") from None
    return convert(document, kind, name)


def convert(document: Any, kind: type[T], name: str = "scenario") -> T:
    """As `parse`, from plain data."""
    try:
        return msgspec.convert(document, kind)
    except msgspec.ValidationError as error:
        text, _, where = str(error).partition(" - at `")
        field = where.rstrip("`").removeprefix("$").lstrip(".")
        raise ScenarioError(f"{name}: {field + ': ' if field else ''}{text[:1].lower()}{text[1:]}.") from None


def varied(scenario: Scenario, changes: dict[str, Any]) -> Scenario:
    """The scenario with some fields changed: {"arrivals.cv": 3, "fleet.0.count": 8}.

    raises    ScenarioError when there is no such field, or the value is not valid for it
    """
    document = msgspec.json.decode(msgspec.json.encode(scenario))
    for path, value in changes.items():
        *parents, last = path.split(".")
        at = document
        for key in parents:
            at = _inside(at, key, path)
        _inside(at, last, path)
        at[int(last) if isinstance(at, list) else last] = value
    return convert(document, Scenario, scenario.name)


def _inside(at: Any, key: str, path: str) -> Any:
    if isinstance(at, list) and key.isdigit() and int(key) < len(at):
        return at[int(key)]
    if isinstance(at, dict) and key in at:
        return at[key]
    raise ScenarioError(f"{path}: there is no field {key!r} to change.")


class _Loader(yaml.SafeLoader):
    """Without aliases: a few lines of them unfold to gigabytes, and a scenario needs none."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.composer.ComposerError(None, None, "aliases are not allowed", self.peek_event().start_mark)  # type: ignore[no-untyped-call]
        return super().compose_node(parent, index)


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ScenarioError(f"{path}: larger than {MAX_FILE_BYTES:,} bytes; is it a scenario?")
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ScenarioError(f"{path}: cannot be read ({error.strerror}); give the path of a scenario file.") from None
    except UnicodeDecodeError:
        raise ScenarioError(f"{path}: is not UTF-8 text; give the path of a scenario file.") from None
