"""Goal: the live coordinator's timers are right: silence, deadlines, lost executors and restarts.

Method: the coordinator, its slots and its links as they are, on an event loop in virtual time, with virtual executors
that speak the wire's frames (support/virtual_set.py). Times are exact, so they are asserted.
"""

import asyncio

import pytest

from brickwork.coordinator.coordinator import MAX_SILENCE_S
from brickwork.core.errors import Cancelled, Expired, RequestFailed
from brickwork.core.ids import ExecutorId
from brickwork.core.request import SLO
from support.plans import chain, fork
from support.virtual_set import START_S, VirtualSet, run

BEAT_S = 0.25
E1 = ExecutorId("e1.1")


def now_s() -> float:
    return asyncio.get_running_loop().time()


async def started(executors: int = 2) -> VirtualSet:
    made = VirtualSet(executors)
    await made.coordinator.start()
    return made


async def closed(given: VirtualSet) -> None:
    """Everything is given back, and nothing of the set is left."""
    assert given.coordinator.leaked_blocks() == 0
    await given.coordinator.close()
    assert not given.fleet.processes


def test_requests_run_and_leave_nothing_behind() -> None:
    async def main() -> None:
        served = await started()
        assert now_s() == pytest.approx(START_S, abs=0.01)
        runs = [served.submit(f"r-{k}", plan) for k, plan in enumerate([chain(), fork(), chain()])]
        results = [await each.finished for each in runs]
        assert [set(result.outputs) for result in results] == [{"image"}, {"image", "embedding"}, {"image"}]
        assert now_s() < START_S + 2.0
        served.control.state.check()
        await closed(served)

    run(main())


def test_ten_idle_minutes_of_heartbeats_kill_nobody() -> None:
    async def main() -> None:
        served = await started()
        await asyncio.sleep(600.0)
        assert served.fleet.launched == [E1, ExecutorId("e2.1")]
        await served.submit("r-0", chain()).finished
        await closed(served)

    run(main())


def test_an_executor_that_falls_silent_is_replaced_and_its_work_done_elsewhere() -> None:
    """1. The request's loop runs on an executor. 2. That stops, its connection stays. 3. Nothing is heard of it for
    MAX_SILENCE_S, it is killed. 4. Another one takes the request up, and its slot is filled again."""

    async def main() -> None:
        served = await started()
        running = served.submit("r-0", chain(), steps=1000)
        await asyncio.sleep(1.0)
        (batch,) = served.control.state.batches.values()
        silent_s = now_s()
        served.fleet.processes[batch.executor].freeze()
        while batch.executor in served.fleet.processes:
            await asyncio.sleep(BEAT_S)
        assert MAX_SILENCE_S - BEAT_S <= now_s() - silent_s <= 1.25 * MAX_SILENCE_S + 2 * BEAT_S
        result = await running.finished
        assert set(result.outputs) == {"image"}
        await asyncio.sleep(START_S + 1.0)
        assert len(served.fleet.launched) == len(served.fleet.processes) + 1 == 3
        await closed(served)

    run(main())


def test_a_killed_executor_is_noticed_at_once() -> None:
    async def main() -> None:
        served = await started(1)
        running = served.submit("r-0", chain(), steps=100)
        await asyncio.sleep(0.5)
        served.fleet.kill(E1)
        lost_s = now_s()
        await running.finished
        assert served.fleet.launched == [E1, ExecutorId("e1.2")]
        assert START_S < now_s() - lost_s < START_S + 3.0, "the next life, and the request again"
        await closed(served)

    run(main())


def test_a_deadline_that_cannot_be_met_any_more_ends_the_request_by_a_timer() -> None:
    """The executor becomes a thousand times slower: nothing more is heard of the batch before the deadline."""

    async def main() -> None:
        served = await started(1)
        await served.submit("warm", chain()).finished
        submitted_s = now_s()
        running = served.submit("r-0", chain(), steps=50, slo=SLO(deadline_s=2.0))
        await asyncio.sleep(0.2)
        served.fleet.processes[E1].executor.set_slowness(1000.0)
        with pytest.raises(Expired):
            await running.finished
        assert 1.5 < now_s() - submitted_s < 30.0
        await closed(served)

    run(main())


def test_a_coordinator_that_comes_back_runs_what_was_accepted() -> None:
    """Its executors end with their connections; whoever keeps the requests hands them to the next one."""

    async def main() -> None:
        first = await started()
        for k in range(4):
            first.submit(f"r-{k}", chain(), steps=200)
        await asyncio.sleep(1.0)
        await first.crash()
        await asyncio.sleep(1.0)
        assert not first.fleet.processes
        second = await started()
        runs = [second.submit(f"r-{k}", chain(), steps=200) for k in range(4)]
        assert all([set((await each.finished).outputs) == {"image"} for each in runs])
        await closed(second)

    run(main())


def test_closing_ends_what_runs() -> None:
    async def main() -> None:
        served = await started(1)
        running = served.submit("r-0", chain(), steps=1000)
        await asyncio.sleep(1.0)
        await served.coordinator.close()
        assert not served.fleet.processes
        with pytest.raises(Cancelled):
            await running.finished

    run(main())


def test_executors_that_never_start_are_given_up() -> None:
    async def main() -> None:
        served = VirtualSet(1)
        starting = asyncio.ensure_future(served.coordinator.start())
        while not starting.done():
            await asyncio.sleep(0.1)
            for executor in list(served.fleet.processes) if hasattr(served, "fleet") else []:
                served.fleet.kill(executor)
        with pytest.raises(RequestFailed, match="5 in a row"):
            await starting
        await served.coordinator.close()

    run(main())


def test_equal_histories_are_equal_to_the_last_decision() -> None:
    async def main() -> list[str]:
        served = await started()
        runs = [served.submit(f"r-{k}", chain(), steps=20 + k) for k in range(6)]
        await asyncio.sleep(0.3)
        served.fleet.kill(E1)
        for each in runs:
            await each.finished
        stories = [line for k in range(6) for line in served.coordinator.story(runs[k].request_id)]
        await closed(served)
        return stories

    assert run(main()) == run(main())
