"""Goal: models are where their requests need them before they come, as far as what was seen tells, and what is worth
little makes room for what is worth more.

Method: the policy and the record behind it on small numbers and on drawn histories; then control itself with two
executors that hold one model each, told of arrivals: what it loads ahead, what it leaves alone.
"""

from itertools import pairwise
from math import exp

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brickwork.control.autoscaling import KEEP_S, Need, worth_by_need, worth_nothing
from brickwork.control.machine import Control
from brickwork.control.policies import by_name
from brickwork.control.popularity import MEMORY_S, Popularity
from brickwork.core.ids import ModelId, RequestId
from brickwork.core.model import ModelSpec
from brickwork.core.request import SLO, Request
from brickwork.profile.files import shipped_profile
from brickwork.sim.cluster import Cluster, Slot
from brickwork.sim.published import GIB, plan, recipe, values
from brickwork.sim.workload import Arrival

MODEL = ModelSpec(ModelId("m"), "test", "", "float32", 1000, "m")


def popularity() -> Popularity:
    return Popularity(MODEL, MODEL.id)


class TestWorth:
    def test_the_example_of_the_policy(self) -> None:
        need = Need((0.25, 0.05), 0.25 * 0.4)
        assert [worth_by_need(need, n) for n in (1, 2, 5)] == pytest.approx([0.26, 0.055, 0.002])
        assert worth_nothing(need, 1) == 0.0

    @given(st.lists(st.tuples(st.floats(0.0, 50.0), st.floats(0.01, 60.0), st.floats(0.01, 60.0), st.floats(0.0, 1.0))))
    def test_no_replica_is_worth_more_than_the_one_before(
        self, history: list[tuple[float, float, float, float]]
    ) -> None:
        model, now_s = popularity(), 0.0
        for gap_s, asked_s, window_s, risk in history:
            now_s += gap_s
            model.note(now_s, asked_s, window_s, risk)
        model.look(now_s)
        worths = [worth_by_need(model.need, n) for n in range(1, len(model.need.seen) + 3)]
        assert all(a >= b >= 0.0 for a, b in pairwise(worths))


class TestPopularity:
    def test_requests_that_come_together_need_replicas_together(self) -> None:
        """Five that take 1.6 s each and have 4 s: one replica is enough for the first two, two for the others."""
        model = popularity()
        for _ in range(5):
            model.note(10.0, 1.6, 4.0, 1.0)
        model.look(10.0)
        assert [each * MEMORY_S for each in model.need.seen] == pytest.approx([5.0, 3.0])

    def test_requests_far_apart_need_one(self) -> None:
        model = popularity()
        for k in range(5):
            model.note(100.0 * k, 1.6, 4.0, 1.0)
        model.look(400.0)
        assert len(model.need.seen) == 1

    def test_what_was_seen_fades(self) -> None:
        model = popularity()
        model.note(0.0, 1.6, 4.0, 0.5)
        model.look(MEMORY_S)
        assert model.need.seen[0] == pytest.approx(0.5 * exp(-1.0) / MEMORY_S)
        assert model.need.single == pytest.approx(0.4 * model.need.seen[0])

    def test_it_fades_the_same_after_very_long(self) -> None:
        """The weight of what is added grows by e in MEMORY_S; in a month that would be no number any more."""
        model, now_s = popularity(), 0.0
        while now_s < 30 * 86400.0:
            model.note(now_s, 1.0, 4.0, 1.0)
            now_s += 60.0
        model.look(now_s - 60.0)
        assert model.need.seen[0] == pytest.approx(1.0 / (1.0 - exp(-60.0 / MEMORY_S)) / MEMORY_S, rel=1e-3)

    @pytest.mark.parametrize("silence_s", [86_400.0, 3e6, 1e300])
    def test_a_long_silence_leaves_nothing_and_harms_nothing(self, silence_s: float) -> None:
        model = popularity()
        model.note(0.0, 1.6, 4.0, 1.0)
        model.look(silence_s)
        assert model.need.seen[0] == pytest.approx(0.0, abs=1e-100)
        model.note(silence_s, 1.6, 4.0, 1.0)
        model.look(silence_s)
        assert model.need.seen[0] * MEMORY_S == pytest.approx(1.0)


class World:
    """H800 devices with little memory, told of requests of published workflows."""

    def __init__(self, devices: int, memory_gib: int, **policies: str):
        profile = shipped_profile("h800")
        self.cluster = Cluster(Control(profile, by_name(**policies)), profile, checks=True)
        self.devices = devices
        for k in range(devices):
            self.cluster.add(Slot(f"d{k}", memory_gib * GIB, "h800"))
        self._requests = 0

    def offer(self, time_s: float, name: str, deadline_s: float | None = None) -> None:
        what = recipe(name)
        self._requests += 1
        request = Request(RequestId(f"r-{self._requests}"), name, values(what), SLO(deadline_s))
        self.cluster.submit(Arrival(time_s, request, plan(what)))

    def holders(self, model: str) -> int:
        return self.cluster.control.state.replicas(ModelId(model))


def test_a_model_that_loads_too_slowly_for_its_requests_is_held_more_than_once_before_a_burst() -> None:
    """One request for FLUX-schnell at a time, in 4 s each of which it has to wait 2.7 s for a load it lacks."""
    world = World(3, 60)
    for k in range(20):
        world.offer(20.0 + 10.0 * k, "flux_schnell_t2i", 4.05)
    world.cluster.run()
    assert world.holders("Flux1Schnell") == 3


def test_without_the_policy_it_is_held_where_it_was_needed() -> None:
    world = World(3, 60, autoscaling="none")
    for k in range(20):
        world.offer(20.0 + 10.0 * k, "flux_schnell_t2i", 4.05)
    world.cluster.run()
    assert world.holders("Flux1Schnell") == 1


def test_what_can_wait_for_its_load_makes_room_for_what_cannot() -> None:
    """Room for one base beside the encoders: after some of both, most devices hold the one whose requests have 2 s."""
    world = World(4, 36)
    for k in range(40):
        world.offer(60.0 + 15.0 * k, "flux_schnell_t2i", 4.05)
        if k % 4 == 0:
            world.offer(60.0 + 15.0 * k, "flux_dev_t2i", 47.2)
    world.cluster.run()
    assert world.holders("Flux1Schnell") > world.holders("Flux1Dev") > 0


def test_what_nobody_has_asked_for_in_long_leaves() -> None:
    world = World(2, 60)
    world.offer(0.0, "sdxl_t2i")
    world.offer(2.0 * KEEP_S, "sd15_t2i")
    world.cluster.run()
    assert world.holders("StableDiffusionXL") == 0 and world.holders("StableDiffusion15") > 0
