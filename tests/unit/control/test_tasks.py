"""Goal: the life cycle of a task is what its table says, and the documentation shows that table.

Method: read the table as a graph; compare the page with the generator's output.
"""

from pathlib import Path

import pytest

from brickwork.control.events import ExecutorJoined, RequestArrived
from brickwork.control.lifecycle import move
from brickwork.control.machine import Control
from brickwork.control.policies import Policies
from brickwork.control.tasks import TABLE, TERMINAL, InvalidTransition, TaskState, Trigger, diagram
from brickwork.control.turn import Turn
from brickwork.core.ids import ExecutorId
from support.plans import MIB, chain, profile, request

PAGE = Path(__file__).parents[3] / "docs" / "concepts" / "control.md"


def test_terminal_states_have_no_way_out_and_all_others_reach_one() -> None:
    ends = {state: {after for (before, _), after in TABLE.items() if before is state} for state in TaskState}
    assert all(not ends[state] for state in TERMINAL)
    for state in set(TaskState) - set(TERMINAL):
        reached, open_ = {state}, [state]
        while open_:
            new = ends[open_.pop()] - reached
            reached |= new
            open_ += new
        assert reached & set(TERMINAL)


def test_every_state_is_reachable() -> None:
    assert {TaskState.WAITING} | set(TABLE.values()) == set(TaskState)


def test_the_page_shows_the_table() -> None:
    assert f"```mermaid\n{diagram()}\n```" in PAGE.read_text(encoding="utf-8")


def test_an_illegal_transition_tells_the_story() -> None:
    control = Control(profile())
    control.handle(ExecutorJoined(ExecutorId("e1"), "cpu-1", 8 * MIB), 0.0)
    control.handle(RequestArrived(request("r-1"), chain()), 1.0)
    turn = Turn(control.state, control._estimate, Policies(), 2.0, "cpu-1", "Woke")
    with pytest.raises(InvalidTransition) as raised:
        move(turn, control.state.requests[request("r-1").id].tasks["denoise"], Trigger.DISPATCH)
    assert "r-1/denoise is waiting" in str(raised.value)
    assert "1.000000 Dispatch batch 1 to e1: r-1/encode#1 <- RequestArrived r-1" in str(raised.value)
