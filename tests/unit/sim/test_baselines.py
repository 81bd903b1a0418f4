"""Goal: every baseline does what its definition says, checked against a case computed by hand.

Method: a few jobs on costs of round numbers; the schedule is worked out in the comments. The published times that all
of them stand on are checked against the additive figures of the sources.
"""

from dataclasses import dataclass

import pytest
from hypothesis import given as drawn_from
from hypothesis import settings
from hypothesis import strategies as st

from brickwork.profile.files import shipped_profile
from brickwork.sim.baselines import static
from brickwork.sim.baselines.bounds import fluid, ideal, ideal2
from brickwork.sim.baselines.clusters import all_sizes, groupings, sub_clusters
from brickwork.sim.baselines.costs import Cost, Job, Load, cost
from brickwork.sim.baselines.diflow import CONTROL_S, DiFlow
from brickwork.sim.baselines.gangs import gang_pool
from brickwork.sim.baselines.pools import edf_pool, resident_pool, swapping_pool
from brickwork.sim.baselines.preemptive import Work, preemptive_pool
from brickwork.sim.baselines.stages import stage_pools
from brickwork.sim.baselines.verdict import Slack, verdict
from brickwork.sim.points import evaluate, streams_of
from brickwork.sim.published import RECIPES
from brickwork.sim.run import OURS
from brickwork.sim.scenario import Part, Scenario, convert

H800 = shipped_profile("h800")


def published(name: str, slo_scale: float = 2.0) -> Cost:
    return cost(Part(workflow=name), name, H800, "h800", slo_scale)


SOLO_S = {
    "sdxl_t2i": 2.88, "sd3_t2i": 2.12, "flux_schnell_t2i": 2.02, "flux_dev_t2i": 23.6, "sd15_t2i": 0.897,
    "sd35_large_t2i": 6.63, "sd35_large_controlnet_canny": 12.88, "sdxl_two_controlnets": 5.52,
}  # fmt: skip
"""Latency alone in plain Diffusers, as the sources add up or measure it."""


@pytest.mark.parametrize("name", SOLO_S)
def test_additive_times_are_those_of_the_sources(name: str) -> None:
    assert published(name).solo_s == pytest.approx(SOLO_S[name], rel=0.005)


def test_guidance_on_two_devices_takes_schnell_from_two_seconds_to_one_point_two() -> None:
    assert published("flux_schnell_t2i").at_degree_s(2) == pytest.approx(1.195, abs=0.002)


def test_flux_dev_without_guidance_is_right_to_a_few_percent() -> None:
    part = Part(workflow="flux_dev_t2i", steps=28, guidance=False)
    assert cost(part, "flux_dev_t2i", H800, "h800", 2.0).solo_s == pytest.approx(7.1, rel=0.01)


def test_every_published_workflow_has_figures_for_all_that_it_does() -> None:
    for name in RECIPES:
        profile, device = (shipped_profile("h100"), "h100") if name.startswith("wan") else (H800, "h800")
        for works in cost(Part(workflow=name), name, profile, device, 2.0).works:
            assert all(work.key in profile.devices[device].calls for work in works), name


@dataclass(frozen=True)
class Round(Cost):
    """A cost of round numbers: encode 0.2 s, `steps` steps of a second, decode 0.3 s; a load takes 4 s."""

    def stage_s(self, stage: int, degree: int = 1) -> float:
        return (0.2, self.steps * self.step_s(degree), 0.3)[stage]

    def step_s(self, degree: int = 1) -> float:
        return {1: 1.0, 2: 0.6}.get(degree, float("inf"))


def costs(*steps: int, gib: int = 50) -> tuple[Round, ...]:
    made = []
    for kind, count in enumerate(steps):
        one = Round(
            f"w{kind}", ((), (), ()), ((f"m{kind}", gib << 30, 4.0),), ((), (f"m{kind}",), ()), H800, "h800", 9.0
        )
        one.__dict__.update(steps=count, solo_s=0.5 + count, activation_bytes=0, least_work_s=0.5 + count)
        made.append(one)
    return tuple(made)


def jobs(*rows: tuple[float, int, float]) -> list[Job]:
    return [Job(at_s, kind, due_s) for at_s, kind, due_s in rows]


def test_a_fifo_pool_refuses_only_what_would_be_late() -> None:
    """One server, 1.5 s each: 0 to 1.5; the second would end at 3.0 and is due at 2.9; the third ends at 3.1."""
    stream = jobs((0, 0, 2), (0.1, 0, 2.9), (1.6, 0, 4))
    assert resident_pool(stream, costs(1), 1, admits=True) == [1.5, None, pytest.approx(3.1)]


def test_without_admission_what_is_late_is_dropped_only_once_its_deadline_has_passed() -> None:
    """The second starts at 1.5, before its deadline at 2.9, and ends at 3.0; the third's deadline is over by then."""
    stream = jobs((0, 0, 2), (0.1, 0, 2.9), (0.2, 0, 2.5))
    assert resident_pool(stream, costs(1), 1, admits=False) == [1.5, 3.0, None]


def test_swapping_loads_a_pipeline_whole_and_pushes_out_the_one_used_longest_ago() -> None:
    """50 GiB each in 72: one fits. The server begins with w0; w1 costs 4 s of load, and w0 again as much."""
    stream = jobs((0, 0, 99), (2, 1, 99), (10, 0, 99))
    assert swapping_pool(stream, costs(1, 1), 1, admits=True) == [1.5, pytest.approx(7.5), pytest.approx(15.5)]


def test_pipelines_that_fit_together_are_not_swapped() -> None:
    """30 GiB each: both are there from the start."""
    stream = jobs((0, 0, 99), (2, 1, 99), (10, 0, 99))
    assert swapping_pool(stream, costs(1, 1, gib=30), 1, admits=True) == [1.5, pytest.approx(3.5), pytest.approx(11.5)]


def test_edf_takes_the_earliest_deadline_and_drops_what_cannot_be_met() -> None:
    """At 1.5 the one due at 3.1 goes first, to 3.0; the one due at 4 cannot be met from there; the last one can."""
    stream = jobs((0, 0, 9), (0.1, 0, 4), (0.2, 0, 3.1), (0.3, 0, 9))
    assert edf_pool(stream, costs(1), 1) == [1.5, None, 3.0, 4.5]


def test_stages_overlap() -> None:
    """Encoders, denoisers, decoders of one device each, steps of 1 s: the second waits for the denoiser only."""
    stream = jobs((0, 0, 99), (0, 0, 99))
    assert stage_pools(stream, costs(1), (1, 1, 1), admits=True) == [pytest.approx(1.5), pytest.approx(2.5)]


def test_a_gang_waits_for_all_its_devices() -> None:
    """Three devices, degree 2: 0.5 + 0.6 s. The second gang waits for the first; degree 1 would have had a device."""
    stream = jobs((0, 0, 99), (0, 0, 99))
    assert gang_pool(stream, costs(1), 3, (2,), admits=True) == [pytest.approx(1.1), pytest.approx(2.2)]


def load(stream: list[Job], kinds: tuple[Cost, ...]) -> Load:
    return Load(kinds, (tuple(stream),), (tuple(True for _ in stream),))


def test_the_searched_split_is_the_best_of_all_splits() -> None:
    """Three devices, w0 twice as frequent: two devices for it, one for w1, and everything is met."""
    stream = jobs(*[(k * 0.9, 0, k * 0.9 + 2) for k in range(20)], *[(k * 1.8, 1, k * 1.8 + 2) for k in range(10)])
    stream.sort(key=lambda job: job.at_s)
    found = static.split_b0(load(stream, costs(1, 1)), 3, admits=True)
    assert found.groups == ((("w0",), 2), (("w1",), 1)) and found.verdict.attainment == 1.0


@pytest.mark.parametrize("gap_s", [0.4, 0.5, 0.6, 0.8, 1.0])
def test_where_one_group_or_one_each_holds_the_partition_holds(gap_s: float) -> None:
    stream = [Job(k * gap_s, k % 3 % 2, k * gap_s + 4.5) for k in range(90)]
    offered = load(stream, costs(1, 2, gib=30))
    best = static.split_b2(offered, 4, admits=True).verdict
    for other in (static.split_b0, static.split_b1):
        assert best.holds or not other(offered, 4, admits=True).verdict.holds


def test_groupings_are_all_there() -> None:
    assert [len(list(groupings(list(range(n))))) for n in range(6)] == [1, 1, 2, 5, 15, 52]


def test_diflow_runs_guidance_branches_side_by_side() -> None:
    """SD3 on two workers, everything resident: encoders side by side, 28 steps of one row at 37 ms, decode; each stage
    costs the coordinator 2.5 ms. Encoders of two rows: T5 38.1 ms on one worker, both CLIPs on the other in less."""
    what = published("sd3_t2i")
    ends = DiFlow((what,), 2, None).run([Job(0.0, 0, 99.0)])
    expected = 0.038125 + 28 * 0.037033 + 0.122057 + 30 * CONTROL_S
    assert ends[0] == pytest.approx(expected, rel=0.01)


def test_diflow_accepts_while_workers_are_left_and_then_by_work_in_flight() -> None:
    """One worker, slack 2.1 s (SLO scale 2): the second meets 2.2 s of work in flight and is refused."""
    what = published("sd3_t2i")
    ends = DiFlow((what,), 1, None).run([Job(0.1 * k, 0, 0.1 * k + what.slo_s) for k in range(3)])
    assert ends[0] is not None and ends[1] is None


@pytest.mark.parametrize("gap_s", [0.4, 0.45, 0.5, 0.55, 0.6, 0.7])
def test_what_edf_holds_the_ideal_holds_and_what_the_ideal_holds_the_fluid_bound_holds(gap_s: float) -> None:
    stream = [Job(k * gap_s, k % 2, k * gap_s + 3 + 2 * (k % 2)) for k in range(200)]
    offered = load(stream, costs(1, 2, gib=30))
    edf = verdict(offered, [edf_pool(stream, offered.costs, 4)])
    best, bound = ideal(offered, 4), fluid(offered, 4)
    assert edf.score <= best.score
    assert bound.holds or not best.holds


class TestPreemptivePool:
    """Ends worked out by hand; jobs are (arrival, kind, deadline)."""

    def ends(self, works: list[Work], devices: int, *jobs: tuple[float, int, float]) -> list[float | None]:
        return preemptive_pool([Job(*job) for job in jobs], works, devices)

    def test_a_short_one_passes_a_long_one(self) -> None:
        assert self.ends([Work(24.0), Work(2.0)], 1, (0.0, 0, 48.0), (1.0, 1, 4.0)) == pytest.approx([26.0, 3.0])

    def test_two_devices_for_who_is_alone(self) -> None:
        """10 s of work at 1.6 times the speed: done after 6.25 s, though it is due after 7."""
        assert self.ends([Work(10.0, 1.6)], 2, (0.0, 0, 7.0)) == pytest.approx([6.25])

    def test_a_second_device_goes_to_another_when_there_is_one(self) -> None:
        """The first has both devices for 2 s and 3.2 s of its work is done; then one each: it ends after 6.8 s more."""
        ends = self.ends([Work(10.0, 1.6), Work(9.0, 1.6)], 2, (0.0, 0, 30.0), (2.0, 1, 40.0))
        assert ends == pytest.approx([8.8, 8.8 + (9.0 - 6.8) / 1.6])

    def test_the_dearest_is_shed(self) -> None:
        """One device, 4 s for 2 + 2 + 3 s of work; the first request offered of a kind is below its floor when shed."""
        works = [Work(2.0), Work(3.0)]
        warm = [(10.0 * k, kind, 10.0 * k + 9.0) for k in range(8) for kind in (0, 1)]
        ends = self.ends(works, 1, *warm, (100.0, 1, 104.0), (100.0, 0, 104.0), (100.0, 0, 104.0))
        assert ends[-3:] == [None, pytest.approx(102.0), pytest.approx(104.0)]

    def test_who_could_only_be_late_takes_no_time(self) -> None:
        assert self.ends([Work(5.0), Work(2.0)], 1, (0.0, 0, 4.0), (0.0, 1, 2.0)) == [None, pytest.approx(2.0)]


class TestStoppingEarly:
    """A search that stops hopeless points finds what it would find without: whether a point holds, and its figures."""

    @settings(max_examples=150, deadline=None)
    @drawn_from(st.lists(st.tuples(st.integers(0, 40), st.booleans(), st.booleans()), max_size=60), st.integers(1, 6))
    def test_slack_is_spent_exactly_when_the_verdict_cannot_hold(
        self, drawn: list[tuple[int, bool, bool]], seeds: int
    ) -> None:
        """Every job is told as it ends; the misses that are left over decide as all of them do."""
        kinds = costs(1, 1)
        rows = [[Job(float(n), n % 7 % 2, n + 2.0) for n in range(len(drawn) + 20)] for _ in range(seeds)]
        judged = tuple(tuple(k >= len(drawn) or drawn[k][1] for k in range(len(row))) for row in rows)
        offered = Load(kinds, tuple(map(tuple, rows)), judged)
        met = [[k >= len(drawn) or drawn[k][0] > 4 or drawn[k][2] for k in range(len(row))] for row in rows]
        slack = Slack(offered)
        finishes = [
            [job.due_s if ok else None for job, ok in zip(row, good, strict=True)]
            for row, good in zip(rows, met, strict=True)
        ]
        for row_finishes in finishes:
            for number, end_s in enumerate(row_finishes):
                if end_s is None:
                    slack.missed(number)
            slack.seed_over(row_finishes)
        assert slack.is_spent is not verdict(offered, finishes).holds

    @pytest.mark.parametrize("policy", ["B0", "B2", "B5", "B5r", "B5p", "ideal", "ideal2", OURS])
    def test_points_that_hold_are_the_same_and_those_that_do_not_do_not(self, policy: str) -> None:
        outcomes = set()
        for rate in (0.1, 2.5) if policy == OURS else (0.1, 0.5, 0.9, 2.5):
            given = small(policy, rate)
            streams = streams_of(given)
            whole, stopped = (evaluate(given, H800, streams, stops=stops).verdict for stops in (False, True))
            assert whole == stopped if whole.holds else not stopped.holds
            assert stopped.attainment <= whole.attainment
            outcomes.add(whole.holds)
        assert outcomes == {True, False}


def small(policy: str, rate: float) -> Scenario:
    names = ("sd3_t2i", "flux_schnell_t2i", "flux_schnell_controlnet_canny")
    return convert(
        {
            "format": "brickwork-scenario/1", "name": "small", "fleet": [{"device": "h800", "count": 3}],
            "workflows": [{"workflow": name} for name in names], "requests": 220, "seeds": [1, 2, 3], "policy": policy,
            "arrivals": {"process": "gamma", "rate_per_s": rate, "cv": 1.5},
        },
        Scenario,
    )  # fmt: skip


def test_three_sub_clusters_where_two_do_not_do() -> None:
    """40 GiB each in 58: one base a part; of six devices each part gets one at least."""
    kinds = costs(1, 1, 1, gib=40)
    (parts,) = sub_clusters(kinds)
    assert sorted(map(sorted, parts)) == [[0], [1], [2]]
    assert len(list(all_sizes(3, 6))) == 10 and all(sum(sizes) == 6 for sizes in all_sizes(3, 6))
    stream = [Job(k * 0.3, k % 3, k * 0.3 + 3) for k in range(60)]
    sizes, found = ideal2(load(stream, kinds), 6)
    assert sizes == (2, 2, 2) and found.holds
