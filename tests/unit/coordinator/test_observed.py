"""Goal: what is taken from serving is what serving took, to the microsecond, and nothing of it is lost.

Method: reports written by hand, of batches whose calls take known times, with known time between them.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from brickwork.control.actions import Dispatch
from brickwork.control.events import RequestArrived
from brickwork.coordinator.observed import Notes, serving
from brickwork.core.batch import TaskRun
from brickwork.core.ids import BatchId, ExecutorId, TaskId
from brickwork.observe.spans import Span, charged_s
from brickwork.profile.table import DeviceProfile
from brickwork.wire.messages import Report
from support.plans import chain, request

EXECUTOR = ExecutorId("e1.1")
LOADS = DeviceProfile({}, 0.5, 1e9)
OPEN_S, CALL_S, BETWEEN_S, CLOSE_S, HOP_S = 0.001, 0.010, 0.002, 0.004, 0.0005


def notes_of(*names: str, steps: int = 3) -> Notes:
    """One batch: the loops of some requests, taken `steps` times by all together."""
    notes = Notes()
    plan = chain()
    for name in names:
        notes.told(RequestArrived(request(name, steps), plan), (), 0.0)
    runs = tuple(TaskRun(TaskId(f"{name}/denoise"), 1, ()) for name in names)
    order = Dispatch(EXECUTOR, BatchId(7), plan.programs[1], runs, "test")
    notes.told(RequestArrived(request("last"), plan), (order,), 10.0)
    start_s = 10.0 + HOP_S + OPEN_S
    spans = tuple(span(start_s + k * (CALL_S + BETWEEN_S), names, k) for k in range(steps))
    compute_s = OPEN_S + steps * CALL_S + (steps - 1) * BETWEEN_S + CLOSE_S
    notes.reported(Report(BatchId(7), (), True, compute_s, spans), 10.0 + compute_s + 2 * HOP_S)
    return notes


def span(start_s: float, names: tuple[str, ...], step: int) -> Span:
    tasks = tuple(f"{name}/denoise" for name in names)
    return Span(EXECUTOR, 1, "toy.predict", "dit", tasks, step, start_s, start_s + CALL_S)


def test_every_second_of_a_batch_is_charged_to_a_call() -> None:
    seen = serving(notes_of("r-1", "r-2"), "cpu-1", LOADS)
    [(key, shapes)] = seen.profile.devices["cpu-1"].calls.items()
    [(shape, call)] = shapes.items()
    assert (key, shape) == ("toy.dit/toy.predict", "16x8x8")
    whole_s = OPEN_S + 3 * CALL_S + 2 * BETWEEN_S + CLOSE_S
    [(rows, each_s)] = call.seconds.points
    assert rows == 4, "two requests of two rows"
    assert 3 * each_s == pytest.approx(whole_s)


def test_what_remains_of_the_time_are_two_hops() -> None:
    assert serving(notes_of("r-1"), "cpu-1", LOADS).hop_s == pytest.approx(HOP_S)


def test_loads_are_as_they_were_known() -> None:
    device = serving(notes_of("r-1"), "cpu-1", LOADS).profile.devices["cpu-1"]
    assert (device.load_base_s, device.load_bytes_per_s) == (0.5, 1e9)


def test_rows_that_were_seen_once_are_no_point_beside_those_that_were_seen_often() -> None:
    often, once = notes_of("r-1", "r-2", steps=4), notes_of("r-3", steps=1)
    assert points(often) == [4]
    assert points(once) == [2], "it is all there is"
    [(now_s, report)] = once.reports
    often.requests |= once.requests
    often.ordered_s[BatchId(8)] = 10.0
    often.reports.append((now_s, structs.replace(report, batch=BatchId(8))))
    assert points(often) == [4]


def points(notes: Notes) -> list[int]:
    """Rows of which the profile has figures."""
    [shapes] = serving(notes, "cpu-1", LOADS).profile.devices["cpu-1"].calls.values()
    [call] = shapes.values()
    return [rows for rows, _ in call.seconds.points]


def test_a_batch_that_takes_what_others_took_does_not_scatter() -> None:
    assert serving(notes_of("r-1"), "cpu-1", LOADS).noise == pytest.approx(0.0)


def test_a_batch_that_began_before_is_left_out() -> None:
    notes = Notes()
    notes.reported(Report(BatchId(1), (), True, 1.0, (span(0.0, ("r-0",), 0),)), 2.0)
    with pytest.raises(ValueError, match="no batch has ended"):
        serving(notes, "cpu-1", LOADS)


@given(st.lists(st.floats(0.001, 1.0), min_size=1, max_size=20), st.floats(0.0, 1.0))
def test_charges_add_up(gaps_s: list[float], around_s: float) -> None:
    ends_s = [sum(gaps_s[: k + 1]) for k in range(len(gaps_s))]
    spans = [Span(EXECUTOR, 1, "op", "m", ("r/t",), k, end_s - 0.001, end_s) for k, end_s in enumerate(ends_s)]
    spent_s = ends_s[-1] + around_s
    charged = charged_s(spans, spent_s)
    assert sum(charged) == pytest.approx(spent_s)
    assert len(charged) == len(spans)
    assert min(charged) >= 0.0
