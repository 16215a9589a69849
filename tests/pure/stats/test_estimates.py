"""Estimates of means: oracles, missing data, clusters, and what is not defined."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from themis.pure.errors import DataError
from themis.pure.stats.estimates import describe_skewed, estimate_mean
from themis.pure.stats.records import Estimate, SkewedEstimate
from themis.pure.stats.samples import Correction, by_cluster, cluster_degrees_of_freedom, cluster_standard_error

VALUES = st.lists(st.none() | st.floats(-1e6, 1e6), max_size=40)
BINARY = st.lists(st.none() | st.sampled_from([0.0, 1.0]), max_size=40)


def clustered(seed: int = 1, groups: int = 25) -> tuple[list[float], list[str]]:
    rng = random.Random(seed)
    values, keys = [], []
    for group in range(groups):
        level = rng.gauss(0.5, 0.3)
        for _ in range(rng.randint(1, 9)):
            values.append(level + rng.gauss(0, 0.1))
            keys.append(f"g{group}")
    return values, keys


def test_graded_scores_against_scipy() -> None:
    scipy_stats = pytest.importorskip("scipy.stats", reason="SciPy is the oracle")
    values = [0.25, 0.5, 1.0, 0.75, 0.1, 0.9]
    estimate = estimate_mean(values)
    low, high = scipy_stats.t.interval(0.95, 5, loc=estimate.mean, scale=scipy_stats.sem(values))
    assert estimate.mean == pytest.approx(3.5 / 6, abs=1e-12)
    assert estimate.standard_error == pytest.approx(scipy_stats.sem(values), abs=1e-9)
    assert (estimate.interval.low, estimate.interval.high) == pytest.approx((low, high), abs=1e-9)
    assert estimate.interval.method == "Student t"
    assert any("under 30" in warning for warning in estimate.warnings)


def test_cr1_against_statsmodels() -> None:
    linear = pytest.importorskip("statsmodels.api", reason="statsmodels is the oracle")
    values, keys = clustered()
    fit = linear.OLS(values, [1.0] * len(values)).fit(
        cov_type="cluster", cov_kwds={"groups": [int(key[1:]) for key in keys]}, use_t=True
    )
    estimate = estimate_mean(values, clusters=keys, correction="CR1")
    assert estimate.standard_error == pytest.approx(fit.bse[0], abs=1e-9)
    low, high = fit.conf_int()[0]
    assert (estimate.interval.low, estimate.interval.high) == pytest.approx((low, high), abs=1e-9)
    assert estimate.naive_standard_error is not None
    assert estimate.standard_error is not None
    assert estimate.standard_error > estimate.naive_standard_error
    assert estimate.clusters == 25


def test_cr2_is_the_matrix_formula() -> None:
    numpy = pytest.importorskip("numpy", reason="the oracle is matrix algebra")
    values, keys = clustered(groups=7)
    x, y = numpy.ones((len(values), 1)), numpy.array(values)
    residual = y - y.mean()
    names = sorted(set(keys))
    members = {name: numpy.array([key == name for key in keys]) for name in names}
    hat = x @ numpy.linalg.inv(x.T @ x) @ x.T
    rows = []
    for name in names:
        inside = members[name]
        leverage = numpy.eye(inside.sum()) - hat[numpy.ix_(inside, inside)]
        eigen, vectors = numpy.linalg.eigh(leverage)
        root = vectors @ numpy.diag(eigen**-0.5) @ vectors.T
        row = numpy.zeros(len(values))
        row[inside] = (x[inside].T @ root).ravel() / len(values)
        rows.append(row @ (numpy.eye(len(values)) - hat))
    total = sum((row @ y) ** 2 for row in rows)
    gram = numpy.array(rows) @ numpy.array(rows).T
    df = numpy.trace(gram) ** 2 / (gram * gram).sum()
    sample = by_cluster(values, keys)
    assert residual.sum() == pytest.approx(0.0, abs=1e-9)
    assert cluster_standard_error(sample, "CR2") == pytest.approx(math.sqrt(total), abs=1e-9)
    assert cluster_degrees_of_freedom(sample, "CR2") == pytest.approx(df, abs=1e-9)


def test_cr2_of_equal_clusters_has_one_degree_less_than_clusters() -> None:
    sample = by_cluster([float(i * i % 7) for i in range(30)], [i % 6 for i in range(30)])
    assert cluster_degrees_of_freedom(sample, "CR2") == pytest.approx(5.0)
    assert cluster_standard_error(sample, "CR2") == pytest.approx(cluster_standard_error(sample, "CR1"))


@pytest.mark.parametrize("correction", ["CR1", "CR2"])
@pytest.mark.parametrize("values", [[0.1, 0.9, 0.4, 0.7], [1.0, 0.0, 1.0, 1.0], [1.0] * 4, [1.0, None, 0.0, 0.0]])
def test_clusters_of_one_change_nothing(values: list[float | None], correction: Correction) -> None:
    alone = estimate_mean(values)
    clustered = estimate_mean(values, clusters=list("abcd"), correction=correction)
    assert clustered.standard_error == pytest.approx(alone.standard_error)
    ends = alone.interval.low, alone.interval.high
    assert (clustered.interval.low, clustered.interval.high) == pytest.approx(ends)
    assert (clustered.interval_if_missing is None) == (alone.interval_if_missing is None)
    if alone.interval_if_missing is not None and clustered.interval_if_missing is not None:
        assert clustered.interval_if_missing.low == alone.interval_if_missing.low


def test_few_clusters_are_counted_by_what_they_tell() -> None:
    values = [float(i % 3 > 0) for i in range(195)]
    equal = estimate_mean(values, clusters=[i // 5 for i in range(195)])
    assert not any("clusters" in warning for warning in equal.warnings)
    unequal = estimate_mean(values, clusters=[max(i // 5, 19) for i in range(195)])
    assert unequal.clusters == 20
    assert "20 clusters of unequal sizes, which tell as much as 4.45 equal ones: under 20" in unequal.warnings[0]


def test_copies_of_a_case_add_no_information() -> None:
    twice = estimate_mean([1.0, 0.0, 1.0, 1.0, 0.0, 1.0] * 2, clusters=list("abcdef") * 2)
    copied = estimate_mean([1.0, 0.0, 1.0, 1.0, 0.0, 1.0] * 5, clusters=list("abcdef") * 5)
    assert copied.interval.method == "clustered Wilson score (CR2)"
    assert copied.standard_error == pytest.approx(twice.standard_error)
    assert copied.interval.low == pytest.approx(twice.interval.low, abs=1e-9)
    assert copied.naive_interval is not None
    assert copied.naive_interval.low is not None
    assert copied.interval.low is not None
    assert copied.interval.low < copied.naive_interval.low
    assert any("under 20" in warning for warning in copied.warnings)


def test_when_all_agree_the_number_of_clusters_counts() -> None:
    estimate = estimate_mean([1.0] * 100, clusters=[i % 10 for i in range(100)])
    assert estimate.effective_size == 10
    assert estimate.standard_error is None
    assert "no variation" in estimate.undefined["standard_error"]
    assert estimate.interval.low is not None
    assert estimate.interval.low < 0.75
    assert estimate.naive_interval is not None
    assert estimate.naive_interval.low == pytest.approx(0.963, abs=1e-3)


def test_one_cluster_is_refused() -> None:
    estimate = estimate_mean([1.0, 0.0, 1.0], clusters=["a"] * 3)
    assert estimate.mean == pytest.approx(2 / 3)
    assert estimate.standard_error is None
    assert estimate.interval.low is None
    assert "one cluster" in (estimate.interval.reason or "")
    assert estimate.naive_standard_error is not None


def test_missing_scores_are_counted_shown_and_bounded() -> None:
    estimate = estimate_mean(
        [1.0, None, 0.0, None, 1.0, 1.0], categories=[None, "parse_failure", None, None, None, None], planned=8
    )
    assert (estimate.planned, estimate.scored, estimate.missing) == (8, 4, 4)
    assert estimate.missing_by_category == {"parse_failure": 1, "unknown": 1, "no_row": 2}
    assert estimate.mean == 0.75
    assert (estimate.if_missing_wrong, estimate.if_missing_right) == (3 / 8, 7 / 8)
    assert estimate.warnings[0] == "4 of 8 planned rows have no score"


def test_bounds_need_a_declared_range() -> None:
    estimate = estimate_mean([12.0, 30.0, None])
    assert estimate.if_missing_wrong is None
    assert "not declared" in estimate.undefined["if_missing_wrong"]
    declared = estimate_mean([12.0, 30.0, None], score_range=(0.0, 48.0))
    assert (declared.if_missing_wrong, declared.if_missing_right) == (14.0, 30.0)


def test_nothing_scored_is_not_zero() -> None:
    estimate = estimate_mean([None, None])
    assert estimate.mean is None
    assert estimate.undefined["mean"] == "no scored value"
    assert estimate.interval.reason == "no scored value"
    assert (estimate.planned, estimate.missing) == (2, 2)
    assert estimate_mean([]).planned == 0


def test_one_value_has_a_mean_and_no_spread() -> None:
    estimate = estimate_mean([0.4])
    assert (estimate.mean, estimate.standard_error, estimate.interval.low) == (0.4, None, None)
    assert estimate.undefined["standard_error"] == "one scored value has no spread"


def test_equal_graded_scores_have_no_interval_though_rounding_gives_a_spread() -> None:
    estimate = estimate_mean([0.1 + 0.2, 0.3, 0.3])
    assert estimate.standard_error is None
    assert "no variation" in (estimate.interval.reason or "")


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_nan_is_refused(bad: float) -> None:
    with pytest.raises(DataError, match=r"values\[1\] is"):
        estimate_mean([1.0, bad], metric_id="accuracy")


@given(VALUES | BINARY, st.integers(1, 8), st.randoms())
def test_every_estimate_is_consistent(values: list[float | None], groups: int, rng: random.Random) -> None:
    keys = [index % groups for index in range(len(values))]
    rows = list(zip(values, keys, strict=True))
    rng.shuffle(rows)
    for clusters, shuffled in ((None, None), (keys, [key for _, key in rows])):
        estimate = estimate_mean(values, clusters=clusters)
        assert estimate == estimate_mean([value for value, _ in rows], clusters=shuffled)
        assert estimate.scored + estimate.missing == estimate.planned == len(values)
        check_undefined(estimate)
        if estimate.mean is not None and estimate.interval.defined:
            assert estimate.interval.contains(estimate.mean)
        assert Estimate.from_dict(estimate.to_dict()) == estimate


def check_undefined(estimate: Estimate) -> None:
    figures = ["mean", "standard_error", "if_missing_wrong", "if_missing_right"]
    for field in figures:
        assert (getattr(estimate, field) is None) == bool(estimate.undefined.get(field)), field
    assert estimate.interval.defined == (estimate.interval.reason is None)


# --- skewed quantities ---


def test_skewed_quantities_have_a_mean_and_a_median_with_intervals() -> None:
    rng = random.Random(1)
    seconds = [rng.lognormvariate(0, 1) for _ in range(300)]
    described = describe_skewed([*seconds, None], name="latency")
    assert (described.planned, described.measured, described.missing) == (301, 300, 1)
    assert described.median is not None
    assert described.mean is not None
    assert described.median_interval.contains(described.median)
    assert described.mean_interval.contains(described.mean)
    assert described.mean > described.median
    assert described.mean_interval.method == "studentised bootstrap (B=1999)"
    shuffled = list(seconds)
    rng.shuffle(shuffled)
    assert describe_skewed([None, *shuffled], name="latency") == described
    assert SkewedEstimate.from_dict(described.to_dict()) == described


def test_quantiles_against_numpy() -> None:
    numpy = pytest.importorskip("numpy", reason="numpy is the oracle")
    values = [3.0, 1.0, 4.0, 1.5, 9.0, 2.6, 5.0]
    described = describe_skewed(values)
    assert described.median == numpy.quantile(values, 0.5)
    assert described.percentile_90 == pytest.approx(numpy.quantile(values, 0.9), abs=1e-12)
    assert described.percentile_99 == pytest.approx(numpy.quantile(values, 0.99), abs=1e-12)


def test_a_clustered_median_is_less_certain_than_its_rows_suggest() -> None:
    values, keys = clustered(groups=30)
    plain, robust = describe_skewed(values), describe_skewed(values, clusters=keys)
    assert robust.median_interval.method == "Woodruff (cluster-robust)"
    assert robust.median is not None
    assert robust.median_interval.contains(robust.median)
    assert width(robust) > width(plain)
    assert describe_skewed(values, clusters=["x"] * len(values)).median_interval.reason


def width(described: SkewedEstimate) -> float:
    assert described.median_interval.high is not None
    assert described.median_interval.low is not None
    return described.median_interval.high - described.median_interval.low


def test_nothing_measured_is_not_zero() -> None:
    described = describe_skewed([None])
    assert described.mean is None
    assert described.median is None
    assert described.undefined["median"] == "no measured value"
