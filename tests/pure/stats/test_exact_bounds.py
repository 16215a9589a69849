"""Exact bounds against SciPy, and by their own promise: the chance that they hold, summed over all outcomes."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from themis.pure.errors import StatisticsError
from themis.pure.stats.distributions import binomial_pmf
from themis.pure.stats.estimates import estimate_mean
from themis.pure.stats.exact_bounds import Side, exact_interval, mean_bound, trials_needed

scipy_stats = pytest.importorskip("scipy.stats", reason="SciPy is the oracle")

COUNTS = st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
SIDES = {"both": "two-sided", "lower": "greater", "upper": "less"}


@given(COUNTS, st.sampled_from([0.5, 0.9, 0.95, 0.999]), st.sampled_from(sorted(SIDES)))
def test_the_interval_is_scipys(counts: tuple[int, int], level: float, side: Side) -> None:
    interval = exact_interval(*counts, side=side, level=level)
    oracle = scipy_stats.binomtest(*counts, alternative=SIDES[side]).proportion_ci(level, "exact")
    assert (interval.low, interval.high) == pytest.approx((oracle.low, oracle.high), abs=1e-9)


@given(COUNTS)
def test_successes_and_failures_are_each_other_s_mirror_image(counts: tuple[int, int]) -> None:
    hits, trials = counts
    one, other = exact_interval(hits, trials), exact_interval(trials - hits, trials)
    assert one.low is not None
    assert one.high is not None
    assert (other.low, other.high) == pytest.approx((1.0 - one.high, 1.0 - one.low), abs=1e-9)


@given(st.integers(1, 30), st.floats(0.01, 0.99), st.sampled_from(["both", "lower", "upper"]))
def test_it_holds_at_least_as_often_as_it_says(trials: int, rate: float, side: Side) -> None:
    coverage = math.fsum(
        binomial_pmf(hits, trials, rate)
        for hits in range(trials + 1)
        if exact_interval(hits, trials, side=side, level=0.9).contains(rate)
    )
    assert coverage >= 0.9 - 1e-9


def test_a_design_effect_counts_fewer_trials() -> None:
    plain, clustered = exact_interval(20, 200), exact_interval(20, 200, design_effect=4.0)
    assert (clustered.low, clustered.high) == pytest.approx(
        (scipy_stats.beta.ppf(0.025, 5, 46), scipy_stats.beta.ppf(0.975, 6, 45)), abs=1e-9
    )
    assert plain.high is not None
    assert clustered.high is not None
    assert clustered.high > plain.high
    assert "effective" in clustered.method


def test_no_trial_has_no_interval_and_too_many_successes_are_refused() -> None:
    assert exact_interval(0, 0).reason == "no trial"
    with pytest.raises(StatisticsError, match=r"successes is 4; allowed: at most the 3 trials"):
        exact_interval(4, 3)
    with pytest.raises(StatisticsError, match=r"side is 'uper'; allowed: .*did you mean upper"):
        exact_interval(1, 3, side="uper")  # type: ignore[arg-type]  # what is tested


@given(st.floats(0.001, 0.9), st.integers(0, 20), st.sampled_from([0.8, 0.95, 0.99]))
def test_trials_needed_are_the_fewest_whose_bound_is_low_enough(rate: float, failures: int, level: float) -> None:
    trials = trials_needed(rate, failures=failures, level=level)
    assert trials is not None
    bound = exact_interval(failures, trials, side="upper", level=level).high
    assert bound is not None
    assert bound <= rate + 1e-9
    if trials - 1 > failures:
        before = exact_interval(failures, trials - 1, side="upper", level=level).high
        assert before is not None
        assert before > rate - 1e-9


def test_the_rule_of_three() -> None:
    assert trials_needed(0.001) == pytest.approx(3.0 / 0.001, rel=0.002)
    assert trials_needed(1e-10) is None


@given(st.lists(st.sampled_from([0.0, 1.0, None]), min_size=1, max_size=40), st.sampled_from(["lower", "upper"]))
def test_a_bound_of_a_mean_is_an_end_of_a_two_sided_interval(values: list[float | None], side: Side) -> None:
    assert side != "both"
    bound = mean_bound(values, side, level=0.95)
    interval = estimate_mean(values, level=0.9).interval
    assert bound.bound == (interval.low if side == "lower" else interval.high)
    assert bound.scored + bound.missing == len(values)
    if bound.bound is not None and bound.missing:
        assert bound.bound_if_missing is not None
        worse = bound.bound - bound.bound_if_missing if side == "lower" else bound.bound_if_missing - bound.bound
        assert worse >= -1e-12


def test_a_one_sided_bound_below_an_even_chance_is_refused() -> None:
    with pytest.raises(StatisticsError, match=r"level is 0\.4"):
        mean_bound([1.0, 0.0], "lower", level=0.4)
