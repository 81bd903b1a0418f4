"""Goal: a request that is in time only on several devices at once is accepted when they will be there, and refused, not
tried, when they will not.

Method: FLUX.1-dev at 2048 px takes 18 s on one device and 2.8 s on eight; it is due in 5 s. Eight virtual H100.
"""

from dataclasses import replace

from brickwork.control.machine import Control
from brickwork.core.ids import RequestId
from brickwork.core.request import SLO, Outcome, Request
from brickwork.profile.files import shipped_profile
from brickwork.sim.cluster import Cluster, Slot
from brickwork.sim.published import GIB, Recipe, plan, recipe, values
from brickwork.sim.report import Report
from brickwork.sim.workload import Arrival

FLUX = replace(recipe("flux_dev_t2i"), steps=28, guidance=False)
LARGE = replace(FLUX, name="large", size_px=(2048, 2048))
SMALL = replace(FLUX, name="small", size_px=(1024, 1024))


def run(*offers: tuple[float, Recipe, float]) -> Report:
    """Offers are (time, recipe, deadline), after a warm-up that loads the models everywhere."""
    profile = shipped_profile("h100")
    cluster = Cluster(Control(profile), profile, checks=True)
    for k in range(8):
        cluster.add(Slot(f"d{k}", 72 * GIB, "h100"))
    warm = [(0.0, SMALL, 600.0)] * 16
    for number, (time_s, what, deadline_s) in enumerate([*warm, *offers]):
        request = Request(RequestId(f"r-{number}"), what.name, values(what), SLO(deadline_s))
        cluster.submit(Arrival(time_s, request, plan(what)))
    return cluster.run()


def outcomes(report: Report, name: str) -> list[Outcome | None]:
    return [each.outcome for each in report.runs if each.workflow == name]


def test_alone_it_gets_all_devices() -> None:
    report = run((100.0, LARGE, 5.0))
    assert outcomes(report, "large") == [Outcome.SUCCEEDED] and report.degrees[8] == 1


def test_it_is_refused_while_devices_are_taken_for_longer_than_it_can_wait() -> None:
    """Eight requests of 3.7 s have no time to lose; the large one could wait for 2.2 s."""
    report = run(*[(100.0, SMALL, 3.9)] * 8, (100.1, LARGE, 5.0))
    assert outcomes(report, "large") == [Outcome.REJECTED]
    assert outcomes(report, "small")[-8:] == [Outcome.SUCCEEDED] * 8
