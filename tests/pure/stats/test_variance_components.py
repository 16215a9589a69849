"""The intraclass correlation against SciPy's analysis of variance and a jackknife that fits anew."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from themis.pure.stats.variance_components import IntraclassCorrelation, intraclass_correlation

scipy_stats = pytest.importorskip("scipy.stats", reason="SciPy is the oracle")

GROUPS = st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=5), min_size=2, max_size=10)


def columns(groups: list[list[int]]) -> tuple[list[float | None], list[int]]:
    return [float(v) for group in groups for v in group], [key for key, group in enumerate(groups) for _ in group]


def by_hand(groups: list[list[float]]) -> tuple[float, float]:
    """Return the ICC and the size that clusters count as, from mean squares."""
    size, count = sum(map(len, groups)), len(groups)
    centre = sum(map(sum, groups)) / size
    between = sum(len(g) * (sum(g) / len(g) - centre) ** 2 for g in groups) / (count - 1)
    within = sum((v - sum(g) / len(g)) ** 2 for g in groups for v in g) / (size - count)
    usual = (size - sum(len(g) ** 2 for g in groups) / size) / (count - 1)
    return (between - within) / (between + (usual - 1) * within), usual


def varies(groups: list[list[int]]) -> bool:
    return sum(map(len, groups)) > len(groups) and len({v for group in groups for v in group}) > 1


@given(GROUPS)
def test_value_and_f_are_those_of_the_analysis_of_variance(groups: list[list[int]]) -> None:
    values, keys = columns(groups)
    found = intraclass_correlation(values, keys)
    if not varies(groups):
        assert found.value is None
        assert found.reason == found.interval.reason == found.test.reason
        return
    value, _ = by_hand([list(map(float, group)) for group in groups])
    assert found.value == pytest.approx(value, abs=1e-9)
    if found.test.p_value is not None:
        oracle = scipy_stats.f_oneway(*groups)
        assert found.test.statistic == pytest.approx(oracle.statistic, rel=1e-9, abs=1e-9)
        assert found.test.p_value == pytest.approx(oracle.pvalue, abs=1e-9)
    weighted = sum(len(g) ** 2 for g in groups) / len(values)
    assert found.design_effect == pytest.approx(max(0.0, 1 + (weighted - 1) * value), abs=1e-9)
    if found.interval.low is not None and found.interval.high is not None:
        assert found.interval.low <= value + 1e-9
        assert found.interval.high >= value - 1e-9


@given(GROUPS, st.randoms(use_true_random=False), st.floats(0.01, 1000.0), st.floats(-1000.0, 1000.0))
def test_order_scale_and_names_do_not_matter(
    groups: list[list[int]], order: random.Random, scale: float, shift: float
) -> None:
    values, keys = columns(groups)
    rows = [(scale * (value or 0.0) + shift, f"cluster {key}") for value, key in zip(values, keys, strict=True)]
    order.shuffle(rows)
    found = intraclass_correlation(values, keys)
    again = intraclass_correlation([value for value, _ in rows], [key for _, key in rows])
    if found.value is None:
        assert again.value is None
        return
    assert again.value == pytest.approx(found.value, abs=1e-6)
    if found.interval.low is not None and again.interval.low is not None:
        assert again.interval.low == pytest.approx(found.interval.low, abs=1e-5)


def test_the_jackknife_leaves_each_cluster_out_and_fits_anew() -> None:
    rng = random.Random(3)
    groups = []
    for i in range(24):
        middle = rng.gauss(0, 0.7)
        groups.append([middle + rng.gauss(0, 1) for _ in range(2 + i % 4)])
    value, usual = by_hand(groups)

    def z(rows: list[list[float]]) -> float:
        icc, _ = by_hand(rows)
        return 0.5 * math.log((1 + (usual - 1) * icc) / (1 - icc))

    count = len(groups)
    pseudo = [count * z(groups) - (count - 1) * z(groups[:i] + groups[i + 1 :]) for i in range(count)]
    middle, spread = sum(pseudo) / count, scipy_stats.tstd(pseudo) / math.sqrt(count)
    half = scipy_stats.t.ppf(0.975, count - 1) * spread
    ends = [(math.exp(2 * x) - 1) / (math.exp(2 * x) + usual - 1) for x in (middle - half, middle + half)]
    found = intraclass_correlation([v for g in groups for v in g], [k for k, g in enumerate(groups) for _ in g])
    assert found.value == pytest.approx(value, abs=1e-12)
    assert (found.interval.low, found.interval.high) == pytest.approx(tuple(ends), abs=1e-9)


def test_the_f_interval_of_equal_sizes_is_searles() -> None:
    rng = random.Random(4)
    groups = [[middle + rng.gauss(0, 1) for _ in range(5)] for middle in (rng.gauss(0, 1) for _ in range(12))]
    statistic = scipy_stats.f_oneway(*groups).statistic
    ratios = [statistic / scipy_stats.f.ppf(chance, 11, 48) for chance in (0.975, 0.025)]
    found = intraclass_correlation(
        [v for g in groups for v in g], [k for k, g in enumerate(groups) for _ in g], method="f"
    )
    expected = tuple((ratio - 1) / (ratio + 4) for ratio in ratios)
    assert (found.interval.low, found.interval.high) == pytest.approx(expected, abs=1e-9)


def test_what_is_left_out_is_counted_and_reasons_are_given() -> None:
    found = intraclass_correlation([1.0, 2.0, None, 4.0, 4.0, None], ["a", "a", "a", "b", "b", "c"])
    assert (found.size, found.left_out, found.clusters) == (4, 2, 2)
    assert "2 clusters: under 20" in found.warnings[0]
    assert IntraclassCorrelation.from_dict(found.to_dict()) == found
    assert intraclass_correlation([], []).reason == "0 clusters: two are needed"
    assert "one score" in str(intraclass_correlation([1.0, 2.0], ["a", "b"]).reason)
    same = intraclass_correlation([1.0, 1.0, 3.0, 3.0, 5.0, 5.0], list("aabbcc"))
    assert same.value == pytest.approx(1.0)
    assert same.interval.reason == "no variation within any cluster"
