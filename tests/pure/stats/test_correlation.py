"""Correlations against SciPy, their errors against the jackknife, and their symmetries."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from themis.pure.stats.correlation import Coefficient, Correlation, correlation

scipy_stats = pytest.importorskip("scipy.stats", reason="SciPy is the oracle")

COEFFICIENTS: tuple[Coefficient, ...] = ("pearson", "spearman", "kendall")
PAIRS = st.lists(st.tuples(st.integers(-4, 4), st.integers(-4, 4)), min_size=1, max_size=30)
ORACLES: dict[str, Callable[[list[float], list[float]], tuple[float, float]]] = {
    "pearson": lambda x, y: tuple(scipy_stats.pearsonr(x, y)),
    "spearman": lambda x, y: tuple(scipy_stats.spearmanr(x, y)),
    "kendall": lambda x, y: tuple(scipy_stats.kendalltau(x, y, method="asymptotic")),
}


@pytest.mark.parametrize("coefficient", COEFFICIENTS)
@given(pairs=PAIRS)
def test_value_and_test_are_scipys_ties_included(coefficient: Coefficient, pairs: list[tuple[int, int]]) -> None:
    x, y = [float(a) for a, _ in pairs], [float(b) for _, b in pairs]
    found = correlation(x, y, coefficient=coefficient)
    if len(pairs) < 3 or len(set(x)) == 1 or len(set(y)) == 1:
        assert found.value is None
        assert found.reason is not None
        assert found.interval.reason == found.reason
        return
    value, p_value = ORACLES[coefficient](x, y)
    assert found.value == pytest.approx(value, abs=1e-9)
    if found.test.p_value is not None:
        assert found.test.p_value == pytest.approx(p_value, abs=1e-9)
    if found.interval.defined:
        assert found.interval.low is not None
        assert found.interval.high is not None
        assert -1.0 <= found.interval.low <= value + 1e-12
        assert value - 1e-12 <= found.interval.high <= 1.0


@pytest.mark.parametrize("coefficient", COEFFICIENTS)
@given(pairs=PAIRS, order=st.randoms(use_true_random=False))
def test_sides_order_and_direction(
    coefficient: Coefficient, pairs: list[tuple[int, int]], order: random.Random
) -> None:
    x, y = [float(a) for a, _ in pairs], [float(b) for _, b in pairs]
    found = correlation(x, y, coefficient=coefficient)
    other = correlation(y, x, coefficient=coefficient)
    against = correlation(x, [-value for value in y], coefficient=coefficient)
    shuffled = list(pairs)
    order.shuffle(shuffled)
    again = correlation([float(a) for a, _ in shuffled], [float(b) for _, b in shuffled], coefficient=coefficient)
    if found.value is None:
        assert other.value is against.value is again.value is None
        return
    for same in (other, again):
        assert same.value == pytest.approx(found.value, abs=1e-12)
        assert same.interval.low == pytest.approx(found.interval.low, abs=1e-9)
    assert against.value == pytest.approx(-found.value, abs=1e-12)
    if found.interval.defined and found.interval.high is not None:
        assert against.interval.low == pytest.approx(-found.interval.high, abs=1e-9)


@pytest.mark.parametrize("coefficient", COEFFICIENTS)
def test_the_error_is_the_jackknife_s(coefficient: Coefficient) -> None:
    rng = random.Random(6)
    x = [float(rng.randrange(6)) for _ in range(300)]
    y = [value + rng.randrange(8) for value in x]
    found = correlation(x, y, coefficient=coefficient)
    assert found.value is not None
    assert found.interval.low is not None
    assert found.interval.high is not None
    size = len(x)
    left_out = [math.atanh(ORACLES[coefficient](x[:i] + x[i + 1 :], y[:i] + y[i + 1 :])[0]) for i in range(size)]
    middle = sum(left_out) / size
    jackknife = math.sqrt((size - 1) / size * sum((value - middle) ** 2 for value in left_out))
    half = (math.atanh(found.interval.high) - math.atanh(found.interval.low)) / 2
    assert half / scipy_stats.t.ppf(0.975, size - 1) == pytest.approx(jackknife, rel=0.02)


@pytest.mark.parametrize("coefficient", ["spearman", "kendall"])
@given(pairs=PAIRS)
def test_ranks_do_not_see_the_scale(coefficient: Coefficient, pairs: list[tuple[int, int]]) -> None:
    x, y = [float(a) for a, _ in pairs], [float(b) for _, b in pairs]
    found = correlation(x, y, coefficient=coefficient)
    assert correlation([value**3 for value in x], [math.exp(value) for value in y], coefficient=coefficient) == found


def test_missing_scores_are_left_out_ties_counted_and_clusters_kept_whole() -> None:
    rng = random.Random(7)
    keys = [i // 10 for i in range(300)]
    shared = [(rng.gauss(0, 1), rng.gauss(0, 1)) for _ in range(30)]
    x = [shared[key][0] + rng.gauss(0, 0.3) for key in keys]
    y = [shared[key][1] + rng.gauss(0, 0.3) for key in keys]
    plain, clustered = correlation(x, y), correlation(x, y, clusters=keys)
    assert clustered.clusters == 30
    assert clustered.degrees_of_freedom == pytest.approx(29.0)
    assert "clustered" in clustered.test.method
    assert clustered.test.degrees_of_freedom == clustered.degrees_of_freedom
    assert (plain.degrees_of_freedom, plain.test.degrees_of_freedom) == (299.0, 298.0)
    assert correlation(x, y, coefficient="kendall").test.degrees_of_freedom is None
    width = [(each.interval.high or 0.0) - (each.interval.low or 0.0) for each in (plain, clustered)]
    assert width[1] > 2 * width[0]
    gaps = correlation([None, 1.0, 1.0, 2.0, 3.0], [1.0, None, 2.0, 3.0, 3.0])
    assert (gaps.size, gaps.left_out, gaps.tied_x, gaps.tied_y) == (3, 2, 0, 2)
    assert Correlation.from_dict(gaps.to_dict()) == gaps


def test_a_perfect_correlation_has_no_interval_but_a_reason() -> None:
    found = correlation([1.0, 2.0, 3.0, 4.0], [2.0, 4.0, 6.0, 8.0])
    assert found.value == 1.0
    assert found.interval.reason is not None
    assert found.test.reason is not None
