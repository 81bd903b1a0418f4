"""Goal: the simulator's parts keep time, order, books and chance.

Method: each part alone, with small numbers.
"""

from itertools import pairwise
from statistics import mean, pstdev

import pytest

from brickwork.core.tensor import TensorSpec
from brickwork.sim.faults import crash_storm
from brickwork.sim.ledger import Ledger
from brickwork.sim.loop import Loop
from brickwork.sim.workload import gamma, poisson
from support.plans import chain, redraw
from support.scenes import kind


class TestLoop:
    def test_simultaneous_calls_keep_their_order(self) -> None:
        loop, seen = Loop(), []
        for name in "cab":
            loop.after(1.0, lambda name=name: seen.append((loop.now_s, name)))  # type: ignore[misc]
        loop.after(0.5, lambda: loop.after(0.5, lambda: seen.append((loop.now_s, "last"))))
        loop.run(max_calls=10)
        assert seen == [(1.0, "c"), (1.0, "a"), (1.0, "b"), (1.0, "last")]

    def test_what_never_ends_is_an_error(self) -> None:
        loop = Loop()

        def again() -> None:
            loop.after(1.0, again)

        again()
        with pytest.raises(RuntimeError, match="100 calls"):
            loop.run(max_calls=100)


class TestLedger:
    def test_a_tensor_is_given_back_once(self) -> None:
        ledger = Ledger()
        handle = ledger.put(TensorSpec((4,), "float32"))
        ledger.take_back(handle)
        assert not ledger.live and ledger.live_bytes == 0 and ledger.peak_bytes == 16
        with pytest.raises(KeyError):
            ledger.take_back(handle)


class TestWorkload:
    MIX = (kind(chain(), weight=3.0), kind(redraw()))

    def test_rate_and_variation_are_as_asked(self) -> None:
        for variation in (0.5, 1.0, 3.0):
            times_s = [0.0] + [each.time_s for each in gamma(self.MIX, 4.0, 20_000, seed=1, variation=variation)]
            gaps_s = [after - before for before, after in pairwise(times_s)]
            assert mean(gaps_s) == pytest.approx(0.25, rel=0.1)
            assert pstdev(gaps_s) / mean(gaps_s) == pytest.approx(variation, rel=0.1)

    def test_the_mix_follows_the_weights(self) -> None:
        arrivals = poisson(self.MIX, 4.0, 4_000, seed=1)
        assert sum(each.plan.workflow == "chain" for each in arrivals) == pytest.approx(3_000, rel=0.05)

    def test_seeds_repeat(self) -> None:
        assert poisson(self.MIX, 4.0, 50, seed=1) == poisson(self.MIX, 4.0, 50, seed=1)
        assert poisson(self.MIX, 4.0, 50, seed=1) != poisson(self.MIX, 4.0, 50, seed=2)


def test_a_storm_is_plain_data_in_order() -> None:
    storm = crash_storm(["a", "b"], 20, 5.0, 0.1, seed=3)
    assert len(storm) == 20 and {crash.slot for crash in storm} == {"a", "b"}
    assert all(before.time_s <= after.time_s for before, after in pairwise(storm))
    assert storm == crash_storm(["a", "b"], 20, 5.0, 0.1, seed=3)
