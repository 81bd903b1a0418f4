"""Goal: a run's requests are those of the mix, and the same for the same seed.

Method: shares of a long draw; inputs of single kinds.
"""

from collections import Counter
from random import Random

import pytest

from brickwork.load.offers import Kind, offers

PROMPTS = ("a red circle", "a blue square")


def test_the_mix_follows_the_weights() -> None:
    made = offers([Kind("a", 3.0), Kind("b", 1.0)], [float(k) for k in range(4_000)], {}, seed=1)
    assert Counter(offer.workflow for offer in made)["a"] == pytest.approx(3_000, rel=0.05)


def test_each_request_has_its_time_its_number_and_the_deadline_of_its_workflow() -> None:
    made = offers([Kind("a"), Kind("b")], [0.5, 1.5, 2.5, 3.5], {"a": 2.0}, seed=4)
    assert [(offer.number, offer.due_s) for offer in made] == [(0, 0.5), (1, 1.5), (2, 2.5), (3, 3.5)]
    assert {(offer.workflow, offer.deadline_s) for offer in made} == {("a", 2.0), ("b", None)}


def test_seeds_repeat_and_differ() -> None:
    kinds, times_s = [Kind("a", prompts=PROMPTS), Kind("b")], [float(k) for k in range(50)]
    assert offers(kinds, times_s, {}, seed=1) == offers(kinds, times_s, {}, seed=1)
    assert offers(kinds, times_s, {}, seed=1) != offers(kinds, times_s, {}, seed=2)


def test_no_two_requests_are_the_same() -> None:
    made = offers([Kind("a", prompts=PROMPTS[:1])], [0.0] * 10, {}, seed=1)
    assert len({offer.inputs["seed"] for offer in made}) == 10


def test_given_inputs_win_over_drawn_ones() -> None:
    assert Kind("a", prompts=PROMPTS, inputs={"seed": 7, "steps": 3}).draw(5, Random(0))["seed"] == 7
    assert Kind("a", has_seed=False, inputs={"steps": 3}).draw(5, Random(0)) == {"steps": 3}
