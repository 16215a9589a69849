"""Power of independent samples: against statsmodels, and against the test that is planned for."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from themis.pure.errors import StatisticsError
from themis.pure.stats.unpaired_power import two_proportion_cases, two_proportion_power, unpaired_cases, unpaired_power

scipy_stats = pytest.importorskip("scipy.stats", reason="SciPy is the oracle")


@settings(deadline=None)
@given(st.floats(-2.0, 2.0), st.integers(3, 500), st.floats(0.1, 5.0), st.sampled_from([0.01, 0.05, 0.2]))
def test_equal_samples_have_statsmodels_power(effect: float, size: int, spread: float, alpha: float) -> None:
    power = pytest.importorskip("statsmodels.stats.power", reason="statsmodels is the oracle")
    oracle = power.TTestIndPower().power(effect / spread, size, alpha)
    if math.isfinite(oracle):
        assert unpaired_power(effect, size, size, spread_a=spread, alpha=alpha) == pytest.approx(oracle, abs=1e-6)


def test_unequal_spreads_have_welchs_degrees_of_freedom() -> None:
    total = 1 / 20 + 9 / 50
    freedom = total**2 / ((1 / 20) ** 2 / 19 + (9 / 50) ** 2 / 49)
    critical, shift = scipy_stats.t.ppf(0.975, freedom), 1.2 / math.sqrt(total)
    oracle = scipy_stats.nct.sf(critical, freedom, shift) + scipy_stats.nct.cdf(-critical, freedom, shift)
    assert unpaired_power(1.2, 20, 50, spread_a=1.0, spread_b=3.0) == pytest.approx(oracle, abs=1e-9)


@settings(deadline=None)
@given(st.integers(0, 50), st.integers(0, 50), st.integers(2, 12), st.integers(2, 12))
def test_small_samples_have_the_exact_power_of_the_score_test(of_a: int, of_b: int, size_a: int, size_b: int) -> None:
    a, b, power = of_a / 50, of_b / 50, 0.0
    for x, y in itertools.product(range(size_a + 1), range(size_b + 1)):
        pooled = (x + y) / (size_a + size_b)
        spread = pooled * (1 - pooled) * (1 / size_a + 1 / size_b)
        if spread > 0 and (y / size_b - x / size_a) ** 2 / spread >= scipy_stats.chi2.ppf(0.95, 1) * (1 - 1e-11):
            power += scipy_stats.binom.pmf(x, size_a, a) * scipy_stats.binom.pmf(y, size_b, b)
    assert two_proportion_power(a, b, size_a, size_b) == pytest.approx(power, abs=1e-9)


def test_the_normal_power_of_many_is_close_to_the_exact_one() -> None:
    for a, b in ((0.5, 0.63), (0.85, 0.94), (0.2, 0.2)):
        exact, normal = two_proportion_power(a, b, 200, 200), two_proportion_power(a, b, 201, 201)
        assert normal == pytest.approx(exact, abs=0.02)


@settings(max_examples=15, deadline=None)
@given(st.floats(0.0, 1.0), st.floats(0.0, 1.0), st.sampled_from([0.5, 1.0, 2.0]))
def test_cases_of_pass_rates_have_the_power_and_so_have_more(a: float, b: float, ratio: float) -> None:
    if abs(a - b) < 0.15:
        return
    found = two_proportion_cases(a, b, ratio=ratio)
    assert found is not None
    size, other = found
    assert other == max(2, math.ceil(size * ratio))
    for more in range(size, size + 4):
        assert two_proportion_power(a, b, more, max(2, math.ceil(more * ratio))) >= 0.8


def test_where_power_falls_short_again_the_larger_number_counts() -> None:
    # 41 a side have the power, and a few more have a little less.
    assert two_proportion_power(0.35, 0.65, 41, 41) >= 0.8
    assert any(two_proportion_power(0.35, 0.65, size, size) < 0.8 for size in range(42, 46))
    found = two_proportion_cases(0.35, 0.65)
    assert found is not None
    assert all(two_proportion_power(0.35, 0.65, size, size) >= 0.8 for size in range(found[0], found[0] + 5))


@settings(deadline=None)
@given(st.floats(0.05, 3.0), st.sampled_from([0.5, 1.0, 3.0]))
def test_cases_of_means_are_the_fewest(effect: float, ratio: float) -> None:
    found = unpaired_cases(effect, spread_a=1.0, spread_b=2.0, ratio=ratio)
    assert found is not None

    def power(size: int) -> float:
        return unpaired_power(effect, size, max(2, math.ceil(size * ratio)), spread_a=1.0, spread_b=2.0)

    assert power(found[0]) >= 0.8
    assert found[0] == 2 or power(found[0] - 1) < 0.8


@pytest.mark.parametrize("unit", [1e-200, 1e-90, 1e60])
def test_power_is_the_same_in_any_unit(unit: float) -> None:
    one = unpaired_power(0.5, 30, 40, spread_a=1.0, spread_b=2.0)
    assert unpaired_power(0.5 * unit, 30, 40, spread_a=unit, spread_b=2.0 * unit) == pytest.approx(one, rel=1e-9)
    assert unpaired_power(1.0, 30, 40, spread_a=unit, spread_b=2.0 * unit) == pytest.approx(float(unit < 1.0), abs=0.06)


def test_either_sample_may_take_up_to_a_billion_cases() -> None:
    for found in (two_proportion_cases(0.5, 0.5001), unpaired_cases(2e-4, spread_a=1.0)):
        assert found is not None
        assert found[0] == pytest.approx((1.959964 + 0.841621) ** 2 * 0.5 * 1e8, rel=1e-4)
    found = unpaired_cases(3e-3, spread_a=1.0, ratio=1000.0)  # whose second sample nears a billion
    assert found is not None
    assert found[0] == pytest.approx((1.959964 + 0.841621) ** 2 * 1.001 / 9e-6, rel=1e-4)
    assert found[1] == 1000 * found[0]


def test_no_difference_takes_no_number_and_power_lies_above_alpha() -> None:
    assert two_proportion_cases(0.5, 0.5) is None
    assert unpaired_cases(0.0, spread_a=1.0) is None
    assert unpaired_cases(1e-8, spread_a=1.0) is None
    assert unpaired_cases(5e-5, spread_a=1.0, ratio=1000.0) is None
    with pytest.raises(StatisticsError, match=r"power is 0\.01; allowed: above alpha"):
        unpaired_cases(0.5, spread_a=1.0, power=0.01)
    with pytest.raises(StatisticsError, match=r"rate_a is 1\.5"):
        two_proportion_power(1.5, 0.5, 10, 10)
