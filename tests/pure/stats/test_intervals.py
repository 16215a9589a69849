"""Intervals against statsmodels, SciPy and hand-worked cases; what is not defined says why."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from themis.pure.stats import intervals
from themis.pure.stats.records import Interval
from themis.pure.stats.samples import mean, variance

scipy_stats = pytest.importorskip("scipy.stats", reason="SciPy is an oracle")
proportion = pytest.importorskip("statsmodels.stats.proportion", reason="statsmodels is an oracle")


def ends(interval: Interval) -> tuple[float, float]:
    assert interval.low is not None
    assert interval.high is not None
    return interval.low, interval.high


@pytest.mark.parametrize(("ones", "size"), [(0, 5), (1, 7), (10, 20), (18, 20), (20, 20), (640, 1000)])
@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
def test_wilson(ones: int, size: int, level: float) -> None:
    oracle = proportion.proportion_confint(ones, size, alpha=1 - level, method="wilson")
    interval = intervals.wilson_interval(ones / size, size, level=level)
    assert ends(interval) == pytest.approx(oracle, abs=1e-9)


def test_wilson_of_nothing_is_not_defined() -> None:
    interval = intervals.wilson_interval(0.5, 0)
    assert (interval.low, interval.high, interval.reason) == (None, None, "no scored value")


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_contains_its_estimate_and_stays_within_0_and_1(counts: tuple[int, int]) -> None:
    ones, size = counts
    low, high = ends(intervals.wilson_interval(ones / size, size))
    assert 0.0 <= low <= ones / size <= high <= 1.0
    assert low < high


def test_student_t() -> None:
    values = [0.1, 0.7, 0.4, 0.9, 0.35]
    error = math.sqrt(variance(values) / 5)
    oracle = scipy_stats.t.interval(0.95, 4, loc=mean(values), scale=scipy_stats.sem(values))
    assert ends(intervals.t_interval(mean(values), error, 4)) == pytest.approx(oracle, abs=1e-9)


def test_student_t_without_a_standard_error_says_why() -> None:
    assert intervals.t_interval(0.5, None, 4, reason="one value").reason == "one value"


def test_bonett_price_by_hand() -> None:
    # n = 100, 15 wins, 5 losses: 16/102 and 6/102, difference 10/102.
    up, down = 16 / 102, 6 / 102
    half = 1.959963984540054 * math.sqrt((up + down - (up - down) ** 2) / 102)
    assert ends(intervals.bonett_price_interval(15, 5, 100)) == pytest.approx(
        (up - down - half, up - down + half), abs=1e-12
    )


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 60))
def test_bonett_price_contains_its_estimate(wins: int, losses: int, ties: int) -> None:
    pairs = wins + losses + ties
    interval = intervals.bonett_price_interval(wins, losses, pairs)
    if pairs == 0:
        assert interval.reason
        return
    assert interval.contains((wins - losses) / pairs)
    low, high = ends(interval)
    assert -1.0 <= low < high <= 1.0


@pytest.mark.parametrize("counts", [(3, 10, 7, 12), (0, 15, 5, 15), (50, 80, 48, 75), (20, 20, 0, 20)])
def test_newcombe(counts: tuple[int, int, int, int]) -> None:
    ones_a, size_a, ones_b, size_b = counts
    oracle = proportion.confint_proportions_2indep(ones_b, size_b, ones_a, size_a, method="newcomb", compare="diff")
    assert ends(intervals.newcombe_interval(*counts)) == pytest.approx(oracle, abs=1e-9)
    assert intervals.newcombe_interval(0, 0, 1, 2).reason


def test_welch_terms() -> None:
    a, b = [1.0, 2.5, 2.0, 4.0], [3.0, 3.5, 9.0, 5.0, 6.0]
    error, df = intervals.welch_terms(a, b)
    oracle = scipy_stats.ttest_ind(b, a, equal_var=False)
    assert (mean(b) - mean(a)) / error == pytest.approx(oracle.statistic, abs=1e-9)
    assert df == pytest.approx(oracle.df, abs=1e-9)


@pytest.mark.parametrize("size", [6, 7, 20, 31, 100, 1001])
def test_median_interval_takes_the_tightest_order_statistics(size: int) -> None:
    low, high = ends(intervals.median_interval([float(i) for i in range(1, size + 1)]))
    # The oracle is SciPy's exact quantile interval for p = 0.5, one side at a time.
    rank = int(scipy_stats.binom.ppf(0.025, size, 0.5))
    rank = rank if scipy_stats.binom.cdf(rank - 1, size, 0.5) <= 0.025 else rank - 1
    assert (low, high) == (rank, size + 1 - rank)
    assert 1 - 2 * scipy_stats.binom.cdf(rank - 1, size, 0.5) >= 0.95


def test_median_interval_needs_six_values() -> None:
    assert intervals.median_interval([1.0] * 5).reason == "5 values can't reach 95%; 6 are needed"
    assert intervals.median_interval([]).reason == "no scored value"
    assert intervals.median_interval([float(i) for i in range(6)]).low == 0.0


def test_hall_interval_leans_to_the_long_tail() -> None:
    values = [math.exp(scipy_stats.norm.ppf((i + 0.5) / 50)) for i in range(50)]
    low, high = ends(intervals.hall_interval(values))
    centre = mean(values)
    assert high - centre > centre - low > 0
    mirrored = intervals.hall_interval([-value for value in values])
    assert ends(mirrored) == pytest.approx((-high, -low))


def test_hall_interval_needs_variation() -> None:
    assert intervals.hall_interval([0.1, 0.1, 0.1]).reason
    assert intervals.hall_interval([1.0]).reason
    assert intervals.hall_interval([]).reason


def test_hall_interval_of_symmetric_values_is_student_t() -> None:
    values = [float(i) for i in range(-20, 21)]
    error = math.sqrt(variance(values) / 41)
    assert ends(intervals.hall_interval(values)) == pytest.approx(ends(intervals.t_interval(0.0, error, 40)))
