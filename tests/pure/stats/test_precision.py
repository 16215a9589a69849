"""Plans for precision are kept by the intervals that are reported, and by no fewer cases."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from themis.pure.errors import StatisticsError
from themis.pure.stats.intervals import bonett_price_interval, wilson_interval
from themis.pure.stats.precision import PrecisionPlan, cases_for_difference, cases_for_mean, cases_for_proportion
from themis.pure.stats.records import Interval
from themis.pure.stats.variance_components import intraclass_correlation

scipy_stats = pytest.importorskip("scipy.stats", reason="SciPy is the oracle")

WIDTHS = st.floats(0.005, 0.4)


def half(interval: Interval) -> float:
    assert interval.low is not None
    assert interval.high is not None
    return (interval.high - interval.low) / 2


@given(WIDTHS, st.floats(0.0, 1.0), st.sampled_from([0.8, 0.95, 0.99]))
def test_a_pass_rate_takes_the_fewest_cases_that_wilsons_interval_does(width: float, rate: float, level: float) -> None:
    plan = cases_for_proportion(width, proportion=rate, level=level)
    assert plan.cases is not None
    assert half(wilson_interval(rate, plan.cases, level=level)) <= width + 1e-12
    assert plan.reached == pytest.approx(half(wilson_interval(rate, plan.cases, level=level)), abs=1e-12)
    if plan.cases > 1:
        assert half(wilson_interval(rate, plan.cases - 1, level=level)) > width


@given(WIDTHS, st.floats(0.0, 1.0))
def test_at_an_even_rate_the_plan_holds_whatever_the_rate_is(width: float, rate: float) -> None:
    plan = cases_for_proportion(width)
    assert plan.cases is not None
    assert half(wilson_interval(rate, plan.cases)) <= width + 1e-9


@given(WIDTHS, st.floats(0.0, 1.0), st.integers(2, 40), st.floats(0.0, 1.0))
def test_clusters_are_planned_whole_with_their_design_effect_and_t(
    width: float, rate: float, size: int, correlation: float
) -> None:
    plan = cases_for_proportion(width, proportion=rate, cluster_size=size, correlation=correlation)
    assert plan.cases is not None
    assert plan.clusters is not None
    assert plan.cases == plan.clusters * size
    assert plan.design_effect == pytest.approx(1 + (size - 1) * correlation)

    def reached(clusters: int) -> float:
        critical = scipy_stats.t.ppf(0.975, clusters - 1)
        return half(wilson_interval(rate, clusters * size / plan.design_effect, critical=critical))

    assert reached(plan.clusters) <= width + 1e-9
    if plan.clusters > 2:
        assert reached(plan.clusters - 1) > width - 1e-9


@given(st.floats(0.01, 0.4), st.integers(0, 20))
def test_a_difference_takes_the_cases_that_bonett_and_prices_interval_does(width: float, tenths: int) -> None:
    plan = cases_for_difference(width, discordant=0.2)
    assert plan.cases is not None
    pairs = 10 * math.ceil(plan.cases / 10)
    assert half(bonett_price_interval(pairs // 10, pairs // 10, pairs)) <= width + 1e-9
    assert cases_for_difference(width, discordant=0.2, difference=0.01 * tenths).cases <= plan.cases  # type: ignore[operator]  # a number


@given(st.floats(0.01, 2.0), st.floats(0.0, 3.0))
def test_a_mean_takes_the_fewest_cases_that_students_t_does(width: float, spread: float) -> None:
    plan = cases_for_mean(width, spread=spread)
    assert plan.cases is not None
    assert scipy_stats.t.ppf(0.975, plan.cases - 1) * spread / math.sqrt(plan.cases) <= width + 1e-9
    if plan.cases > 2:
        assert scipy_stats.t.ppf(0.975, plan.cases - 2) * spread / math.sqrt(plan.cases - 1) > width - 1e-9


def test_a_pilot_tells_spread_and_clusters() -> None:
    rng = random.Random(2)
    keys = [i // 5 for i in range(200)]
    middles = [rng.gauss(0, 0.7) for _ in range(40)]
    pilot: list[float | None] = [middles[key] + rng.gauss(0, 1) for key in keys]
    plain = cases_for_mean(0.1, pilot=[*pilot, None])
    clustered = cases_for_mean(0.1, pilot=pilot, clusters=keys)
    assert plain.assumed == pytest.approx(scipy_stats.tstd(pilot), rel=1e-12)
    found = intraclass_correlation(pilot, keys)
    assert clustered.design_effect == pytest.approx(found.design_effect, rel=1e-9)
    assert clustered.cluster_size == 5
    assert clustered.cases is not None
    assert plain.cases is not None
    assert clustered.cases > 1.5 * plain.cases
    assert PrecisionPlan.from_dict(clustered.to_dict()) == clustered


def test_a_plan_may_take_up_to_a_billion_cases() -> None:
    assert cases_for_proportion(3.7e-5).cases == pytest.approx((1.959964 / 3.7e-5) ** 2 / 4.0, rel=1e-5)
    assert cases_for_proportion(3.0e-5).reason == "more than 10^9 cases"


def test_what_can_t_be_planned_says_why() -> None:
    assert cases_for_proportion(1e-7).reason == "more than 10^9 cases"
    assert "two are needed" in str(cases_for_mean(0.1, pilot=[1.0, None]).reason)
    assert "the pilot's clusters" in str(cases_for_mean(0.1, pilot=[1.0, 2.0], clusters=["a", "a"]).reason)
    assert "roughly" in cases_for_mean(0.1, pilot=[1.0, 2.0]).warnings[0]
    with pytest.raises(StatisticsError, match="either spread or pilot"):
        cases_for_mean(0.1)
    with pytest.raises(StatisticsError, match="half_width is 0"):
        cases_for_proportion(0)
    with pytest.raises(StatisticsError, match=r"discordant is 0\.1"):
        cases_for_difference(0.1, discordant=0.1, difference=-0.3)
