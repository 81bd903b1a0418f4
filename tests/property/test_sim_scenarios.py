"""Goal: a scenario file, whatever stands in it, is run or refused in a sentence; it never ends in a traceback.

Method: Hypothesis draws documents in three ways: any text, any plain data, and valid scenarios with any field replaced
by anything. Valid small ones are run to the end with State.check() after every event.
"""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from brickwork.core.errors import BrickworkError
from brickwork.sim.points import evaluate, streams_of
from brickwork.sim.run import Watch, profile_of
from brickwork.sim.scenario import Experiment, Scenario, ScenarioError, convert, parse, read_experiment, read_scenario

ROOT = Path(__file__).parents[2]

SMALL: dict[str, Any] = {
    "format": "brickwork-scenario/1",
    "name": "small",
    "fleet": [{"device": "h800", "count": 2, "price_per_hour": 1.0}],
    "workflows": [{"workflow": "sd3_t2i", "share": 2}, {"workflow": "sdxl_t2i", "share": 1, "steps": 4}],
    "arrivals": {"process": "gamma", "rate_per_s": 1.0, "cv": 2},
    "requests": 6,
    "seeds": [1],
    "faults": [{"kind": "crash", "at_s": 2, "device": 0, "back_after_s": 1}],
}

SETS: dict[str, Any] = SMALL | {
    "fleet": [{"device": "h800", "count": 3, "start_s": 1.0}],
    "sets": [{"name": "a", "workflows": ["sd3_t2i"], "devices": [1]}, {"name": "b", "devices": [1]}],
    "node_manager": {"every_s": 2.0, "cool_down_s": 4.0, "idle_s": 10.0},
    "faults": [*SMALL["faults"], {"kind": "coordinator", "at_s": 3, "back_after_s": 2, "set": 1}],
}

known = st.sampled_from(
    ["gamma", "spikes", "diurnal", "trace", "brickwork", "B0", "B3", "B5", "ideal", "sd3_t2i@x+lora", "h800", "h100"]
)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | known
data = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
)


def paths(value: Any, before: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a document."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [before] * bool(before) + [path for key, each in items for path in paths(each, (*before, key))]


def run(document: Any) -> None:
    """As the command does, or BrickworkError. Scenarios that ask for much work are not run."""
    scenario = convert(document, Scenario)
    devices = sum(each.count for each in scenario.fleet)
    if (scenario.requests or 10**6) > 50 or devices > 20 or len(scenario.seeds) > 3 or scenario.seconds is not None:
        return
    if any((part.steps or 0) > 200 for part in scenario.workflows):
        return
    profile = profile_of(scenario)
    evaluate(scenario, profile, streams_of(scenario), watch=Watch(checks=True))


@given(st.text(max_size=200))
@settings(max_examples=150, deadline=None)
def test_any_text_is_refused_in_words(text: str) -> None:
    with pytest.raises(ScenarioError):
        parse(text, Scenario)


@given(data)
@settings(max_examples=100, deadline=None)
def test_any_data_is_refused_in_words(document: Any) -> None:
    with pytest.raises(ScenarioError):
        convert(document, Scenario)


@given(st.data())
@settings(max_examples=160, deadline=None)
def test_any_change_of_a_valid_scenario_is_run_or_refused_in_words(draw: st.DataObject) -> None:
    document = copy.deepcopy(draw.draw(st.sampled_from([SMALL, SETS])))
    for path in draw.draw(st.lists(st.sampled_from(paths(document)), min_size=1, max_size=2)):
        at = document
        try:
            for key in path[:-1]:
                at = at[key]
            at[path[-1]] = draw.draw(data)
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change has taken this place away
    try:
        run(document)
    except BrickworkError as error:
        assert str(error).strip()


@pytest.mark.parametrize("document", [SMALL, SETS], ids=["one set", "two sets"])
def test_the_small_scenarios_run(document: dict[str, Any]) -> None:
    run(document)


@pytest.mark.parametrize(
    "path", sorted((ROOT / "benchmarks/paper/scenarios").glob("*.yaml")), ids=lambda path: path.stem
)
def test_committed_files_are_valid(path: Path) -> None:
    is_experiment = path.read_text(encoding="utf-8").startswith("format: brickwork-experiment")
    found = read_experiment(path) if is_experiment else read_scenario(path)
    assert isinstance(found, Experiment if is_experiment else Scenario)


def test_errors_name_field_and_remedy() -> None:
    bad = copy.deepcopy(SMALL) | {"fleet": [{"device": "h800", "count": 0}]}
    with pytest.raises(ScenarioError, match=r"fleet\[0\].count: expected `int` >= 1"):
        convert(bad, Scenario)
    with pytest.raises(ScenarioError, match="aliases are not allowed"):
        parse("a: &a [1]\nb: *a", Scenario)
    with pytest.raises(ScenarioError, match="knows no device 'tpu', but: h800"):
        run(copy.deepcopy(SMALL) | {"fleet": [{"device": "tpu", "count": 1}]})
    assert yaml.safe_dump(SMALL)
