"""Goal: the table of moves says what it should: ends are final, every job can end, the docs show the same table.
Method: properties of the table."""

from itertools import product
from pathlib import Path

import pytest

from brickwork.store.errors import IllegalMove
from brickwork.store.states import CANCELS, MOVES, TERMINAL, JobState, check_move, diagram

DOCS = Path(__file__).resolve().parents[3] / "docs" / "concepts" / "durability.md"


def test_terminal_states_are_the_five_ends() -> None:
    ends = {JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELED, JobState.REJECTED, JobState.EXPIRED}
    assert ends == TERMINAL


def test_every_state_is_reached_from_queued_and_reaches_an_end() -> None:
    reached, unseen = {JobState.QUEUED}, [JobState.QUEUED]
    while unseen:
        source = unseen.pop()
        new = {target for before, target in MOVES if before is source} - reached
        reached |= new
        unseen += new
    assert reached == set(JobState)
    assert all(any(before is state for before, _ in MOVES) for state in set(JobState) - TERMINAL)


def test_exactly_the_moves_of_the_table_are_allowed() -> None:
    for source, target in product(JobState, JobState):
        if (source, target) in MOVES:
            check_move("job_1", source, target)
        else:
            with pytest.raises(IllegalMove, match=f"job_1: a job that is {source} cannot become {target}; allowed is"):
                check_move("job_1", source, target)


def test_cancel_requests_are_moves_and_success_needs_an_attempt() -> None:
    assert set(CANCELS.items()) <= set(MOVES)
    assert (JobState.QUEUED, JobState.SUCCEEDED) not in MOVES


def test_the_docs_show_this_table() -> None:
    assert f"```mermaid\n{diagram()}\n```" in DOCS.read_text("utf-8")
