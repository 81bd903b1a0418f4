"""Goal: a profile answers with what was measured, and guesses the rest as its docstring says.

Method: a table of round numbers; properties over rows; factors with small sums.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brickwork.control.batching import batch_limit
from brickwork.core.ids import ModelId
from brickwork.core.model import ModelSpec
from brickwork.profile.correction import ALPHA, LIMIT, Correction
from brickwork.profile.table import CallProfile, Curve, Defaults, DeviceProfile, LinkProfile, Profile, of_classes

CURVE = Curve(((1, 1.0), (2, 1.5), (4, 3.5)))


def table() -> Profile:
    calls = {
        "Dit-aaaa/predict": {"16x8x8": CallProfile(CURVE), "16x64x64": CallProfile(Curve(((1, 40.0),)))},
        "Vae/decode": {"any": CallProfile(Curve(((1, 8.0),)), Curve(((1, 1e6),)))},
    }
    slow = DeviceProfile({}, load_base_s=9.0, load_bytes_per_s=1.0)
    return Profile(
        {"cpu": DeviceProfile(calls, load_base_s=0.5, load_bytes_per_s=1e6), "slow": slow},
        LinkProfile(0.0, 1e9),
        LinkProfile(0.1, 1e6),
        Defaults(call_s=0.25, activation_bytes_per_element=4.0),
    )


@pytest.mark.parametrize(("rows", "expected"), [(1, 1.0), (2, 1.5), (3, 2.5), (4, 3.5), (6, 5.5)])
def test_rows_lie_on_straight_lines(rows: int, expected: float) -> None:
    assert table().call_s("cpu", "Dit-aaaa/predict", "16x8x8", rows) == pytest.approx(expected)


@given(st.lists(st.floats(0.001, 100.0), min_size=1, max_size=6), st.integers(1, 200))
def test_more_rows_never_take_less_when_the_points_rise(steps: list[float], rows: int) -> None:
    curve = Curve(tuple((2**k, sum(steps[: k + 1])) for k in range(len(steps))))
    assert 0.0 <= curve.at(rows) <= curve.at(rows + 1) + 1e-9


def test_a_row_alone_takes_its_share_at_least_of_what_several_take() -> None:
    assert Curve(((2, 2.0), (4, 10.0))).at(1) == 1.0
    assert Curve(((2, 2.0), (4, 3.0))).at(1) == 1.5


def test_works_named_by_class_are_found_for_any_model_of_it() -> None:
    named = of_classes(table())
    assert named.call_s("cpu", "Dit-bbbb/predict", "16x8x8", 1) == 1.0
    assert named.call_s("cpu", "Vae-cccc/decode", "16x8x8", 1) == 8.0


def test_a_missing_shape_scales_the_nearest() -> None:
    profile = table()
    assert profile.call_s("cpu", "Dit-aaaa/predict", "16x8x16", 1) == pytest.approx(2.0)
    assert profile.call_s("cpu", "Dit-aaaa/predict", "16x32x64", 1) == pytest.approx(20.0)
    assert profile.call_s("cpu", "Vae/decode", "16x32x64", 1) == pytest.approx(8.0)  # "any" needs no scale


def test_another_config_of_a_class_stands_in_and_then_the_default() -> None:
    profile = table()
    assert profile.call_s("cpu", "Vae-bbbb/decode", "1x1", 1) == pytest.approx(8.0)
    assert profile.call_s("cpu", "Vae-bbbb/encode", "1x1", 3) == pytest.approx(0.25 * (1 + 2 * 0.5))


def test_work_that_nobody_measured_may_form_batches() -> None:
    """By the default's shape alone; a linear default would leave every new model alone in its batches for ever."""
    profile = table()
    assert batch_limit(lambda size: profile.call_s("cpu", "New-cccc/predict", "16x8x8", 2 * size)) > 1
    assert batch_limit(lambda size: profile.call_s("cpu", "Vae-aaaa/decode", "16x8x8", size)) == 1, "it is measured"


def test_an_unknown_device_is_taken_for_the_first() -> None:
    assert table().call_s("gpu", "Dit-aaaa/predict", "16x8x8", 1) == pytest.approx(1.0)


def test_loads_transfers_and_activations() -> None:
    profile = table()
    spec = ModelSpec(ModelId("m"), "kind", "path", "float32", 2_000_000, "Vae-bbbb")
    assert profile.load_s("cpu", spec) == pytest.approx(2.5)
    assert profile.transfer_s(10**6, same_host=False) == pytest.approx(1.1)
    assert profile.transfer_s(10**6, same_host=True) == pytest.approx(0.001)
    assert profile.activation_bytes("cpu", "Vae-bbbb/decode", "1x1", 2) == 2_000_000
    assert profile.activation_bytes("cpu", "Dit-aaaa/predict", "16x8x8", 2) == 16 * 8 * 8 * 4 * 2


class TestCorrection:
    def test_the_first_measurement_counts_fully_the_next_partly(self) -> None:
        correction = Correction()
        assert correction.factor("cpu", "a").value == 1.0
        correction.learn("cpu", {"a": 1.0}, 3.0)
        assert correction.factor("cpu", "a").value == pytest.approx(3.0)
        correction.learn("cpu", {"a": 1.0}, 2.0)
        assert correction.factor("cpu", "a").value == pytest.approx(3.0 - ALPHA)
        assert correction.factor("gpu", "a").value == 1.0

    def test_a_part_with_a_small_share_moves_little(self) -> None:
        correction = Correction()
        correction.learn("cpu", {"a": 1.0, "b": 1.0}, 2.0)
        correction.learn("cpu", {"a": 0.9, "b": 0.1}, 2.0)
        assert correction.factor("cpu", "a").value == pytest.approx(1.0 + 0.9 * ALPHA)
        assert correction.factor("cpu", "b").value == pytest.approx(1.0 + 0.1 * ALPHA)

    @given(st.lists(st.floats(1e-9, 1e9), min_size=1, max_size=50))
    def test_no_measurement_makes_a_model_free_or_endless(self, measured_s: list[float]) -> None:
        correction = Correction()
        for seconds in measured_s:
            correction.learn("cpu", {"a": 1.0}, seconds)
        assert 1.0 / LIMIT <= correction.factor("cpu", "a").value <= LIMIT

    @given(st.floats(0.02, 50.0))
    def test_a_steady_error_is_learned(self, ratio: float) -> None:
        correction = Correction()
        for _ in range(60):
            correction.learn("cpu", {"a": 0.7, "b": 0.3}, ratio)
        assert correction.factor("cpu", "a").value == pytest.approx(ratio, rel=1e-3)
