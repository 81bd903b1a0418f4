"""Goal: what accepted requests will need is loaded on idle devices before it is their turn, where that is sooner than
to wait, and nowhere else; and a short task passes through the device that holds its models rather than load them again.

Method: two simulated H800 that hold nothing. The first request loads everything on one of them and denoises there from
second 4 to second 11; then another one comes. What was loaded, and why, is read from control's state and stories.
"""

import pytest

from brickwork.control.machine import Control
from brickwork.control.policies import by_name
from brickwork.core.ids import ModelId, RequestId
from brickwork.core.request import SLO, Request
from brickwork.profile.files import shipped_profile
from brickwork.sim.cluster import Cluster, Slot
from brickwork.sim.published import GIB, plan, recipe, values
from brickwork.sim.workload import Arrival


class Pair:
    """Two devices; a request comes at 0, another one later. Neither is spread over both."""

    def __init__(self, second_s: float):
        profile, what = shipped_profile("h800"), recipe("sd35_large_t2i")
        control = Control(profile, by_name(autoscaling="none", parallelism="none"))
        self.cluster = Cluster(control, profile, checks=True)
        for k in range(2):
            self.cluster.add(Slot(f"d{k}", 60 * GIB, "h800"))
        for number, time_s in ((1, 0.0), (2, second_s)):
            request = Request(RequestId(f"r-{number}"), what.name, values(what), SLO(40.0))
            self.cluster.submit(Arrival(time_s, request, plan(what)))
        self.report = self.cluster.run()

    def story(self, number: int) -> str:
        return "\n".join(self.cluster.control.story(RequestId(f"r-{number}")))

    def holders(self, model: str) -> int:
        return self.cluster.control.state.replicas(ModelId(model))


def test_a_model_is_fetched_to_an_idle_device_while_the_prompt_is_encoded() -> None:
    pair = Pair(6.0)  # the first would be done in 4.6 s, a load takes 1.9 s
    assert "r-2/denoise will need it" in pair.story(2)
    assert pair.holders("StableDiffusion35Large") == 2
    assert pair.report.attainment == 1.0


@pytest.mark.parametrize("second_s", [9.5, 60.0])  # the device is nearly done; it is idle
def test_nothing_is_fetched_that_will_be_free_sooner(second_s: float) -> None:
    pair = Pair(second_s)
    assert "will need it" not in pair.story(2)
    assert pair.holders("StableDiffusion35Large") == 1


def test_a_short_task_passes_where_its_models_are_though_another_device_is_idle() -> None:
    """Encoders load in 2 s; the step of the batch that is before them takes 0.23 s."""
    pair = Pair(6.0)
    assert "r-2/encode cannot wait" in pair.story(1)
    assert pair.holders("T5") == 1
