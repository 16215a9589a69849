"""Any statistic, paired: against SciPy's BCa, brute-force jackknives, and the rules of the room."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from themis.pure.errors import StatisticsError
from themis.pure.stats.drawn_statistics import Quantile, Statistic, Totals
from themis.pure.stats.paired_bootstrap import Method, PairedStatistic, paired_statistic
from themis.pure.stats.pairs import paired_compare
from themis.pure.stats.resampling import resampled_rows

Rows = list[tuple[str, float | None]]

CONTRASTS = ("difference", "ratio", "of_differences")
TABLES = st.lists(st.tuples(st.integers(1, 60), st.integers(1, 60)), min_size=2, max_size=14)


def as_rows(pairs: Sequence[tuple[float, float]]) -> tuple[Rows, Rows]:
    return [(f"c{i}", float(a)) for i, (a, _) in enumerate(pairs)], [
        (f"c{i}", float(b)) for i, (_, b) in enumerate(pairs)
    ]


def latencies(size: int, seed: int) -> list[tuple[float, float]]:
    rng = random.Random(seed)
    shared = [rng.gauss(0, 0.8) for _ in range(size)]
    return [(math.exp(x + rng.gauss(0, 0.5)), 0.9 * math.exp(x + rng.gauss(0, 0.5))) for x in shared]


PRICES = Totals(lambda t: t[0] / t[1] if t[1] else None, "cost per right answer")


# --- against oracles ---


@pytest.mark.parametrize("statistic", ["median", "mean"])
def test_bca_is_scipys_within_monte_carlo_error(statistic: Statistic) -> None:
    stats = pytest.importorskip("scipy.stats", reason="SciPy is the oracle")
    numpy = pytest.importorskip("numpy", reason="SciPy's bootstrap is of arrays")
    pairs = latencies(60, 4)
    a, b = as_rows(pairs)
    found = paired_statistic(a, b, statistic, method="bca", resamples=19_999, seed=2)
    of = {"median": numpy.median, "mean": numpy.mean}[str(statistic)]
    oracle = stats.bootstrap(
        ([x for x, _ in pairs], [y for _, y in pairs]),
        lambda x, y, axis=-1: of(y, axis=axis) - of(x, axis=axis),
        paired=True,
        n_resamples=19_999,
        rng=numpy.random.default_rng(1),
    )
    assert found.standard_error == pytest.approx(oracle.standard_error, rel=0.03)
    for end, other, error in (
        (found.interval.low, oracle.confidence_interval.low, found.monte_carlo_low),
        (found.interval.high, oracle.confidence_interval.high, found.monte_carlo_high),
    ):
        assert error is not None
        # Both are drawn; a median's ends are values that were seen, and jump.
        assert end == pytest.approx(other, abs=6 * error + 0.02)


@pytest.mark.parametrize("statistic", ["median", "mean"])
def test_every_bca_figure_by_hand(statistic: Any) -> None:
    of: Callable[[Sequence[float]], float] = statistics.median if statistic == "median" else statistics.fmean
    pairs = latencies(20, 7)
    a, b = as_rows(pairs)
    order = sorted(range(20), key=lambda i: f"c{i}")
    ordered = [pairs[i] for i in order]

    def contrast(rows: Sequence[tuple[float, float]]) -> float:
        return of([y for _, y in rows]) - of([x for x, _ in rows])

    normal, draw = statistics.NormalDist(), resampled_rows(20, 5)
    drawn = sorted(contrast([ordered[i] for i in draw()]) for _ in range(399))
    point = contrast(pairs)
    below = (sum(v < point - 1e-12 for v in drawn) + sum(v <= point + 1e-12 for v in drawn)) / 2 / 399
    z0 = normal.inv_cdf(below)
    left_out = [contrast(ordered[:i] + ordered[i + 1 :]) for i in range(20)]
    influences = [statistics.fmean(left_out) - v for v in left_out]
    acceleration = sum(u**3 for u in influences) / (6 * sum(u**2 for u in influences) ** 1.5)
    ends = []
    for chance in (0.05, 0.95):
        shifted = z0 + normal.inv_cdf(chance)
        place = normal.cdf(z0 + shifted / (1 - acceleration * shifted))
        ends.append(drawn[min(max(round(400 * place), 1), 399) - 1])
    assert statistic == "median" or abs(acceleration) > 0.01  # so that it shows
    found = paired_statistic(a, b, statistic, method="bca", level=0.9, resamples=399, seed=5)
    assert found.value == pytest.approx(point, abs=1e-12)
    assert found.bias_correction == pytest.approx(z0, abs=1e-12)
    assert found.acceleration == pytest.approx(acceleration, abs=1e-9)
    assert (found.interval.low, found.interval.high) == pytest.approx(tuple(ends), abs=1e-9)


@pytest.mark.parametrize("contrast", ["difference", "ratio"])
def test_the_error_within_a_resample_is_the_linearised_one_of_its_rows(contrast: Any) -> None:
    pairs = latencies(15, 3)
    a, b = as_rows(pairs)
    ordered = [pairs[i] for i in sorted(range(15), key=lambda i: f"c{i}")]
    draw, ratios = resampled_rows(15, 9), []

    def value_and_error(rows: Sequence[tuple[float, float]]) -> tuple[float, float]:
        x, y = statistics.fmean(r[0] for r in rows), statistics.fmean(r[1] for r in rows)
        if contrast == "difference":
            return y - x, math.sqrt(statistics.variance([r[1] - r[0] for r in rows]) / 15)
        return math.log(y / x), math.sqrt(statistics.variance([r[1] / y - r[0] / x for r in rows]) / 15)

    point, error = value_and_error(pairs)
    for _ in range(199):
        value, own = value_and_error([ordered[i] for i in draw()])
        ratios.append((value - point) / own)
    ratios.sort()
    low, high = point - ratios[189] * error, point - ratios[9] * error
    if contrast == "ratio":
        low, high = math.exp(low), math.exp(high)
    found = paired_statistic(a, b, contrast=contrast, level=0.9, resamples=199, seed=9)
    assert (found.interval.low, found.interval.high) == pytest.approx((low, high), rel=1e-6)
    assert found.test.statistic == pytest.approx(point / error, rel=1e-6)


def test_linearised_means_are_the_paired_t_interval() -> None:
    a, b = as_rows([(i % 7, i % 5 + 0.5 * (i % 3)) for i in range(60)])
    found, oracle = paired_statistic(a, b, method="linearised"), paired_compare(a, b)
    assert found.value == pytest.approx(oracle.difference, abs=1e-12)
    assert found.standard_error == pytest.approx(oracle.standard_error, rel=1e-6)
    assert found.interval.low == pytest.approx(oracle.interval.low, rel=1e-6)
    assert found.resamples is None
    assert found.test.p_value is not None


# --- the rules of the room ---


@settings(max_examples=40, deadline=None)
@given(
    TABLES,
    st.sampled_from(CONTRASTS),
    st.sampled_from(["mean", "median", Quantile(0.8)]),
    st.sampled_from(["bca", "percentile", "studentised"]),
    st.randoms(use_true_random=False),
)
def test_neither_order_nor_numpy_changes_a_bit(
    pairs: list[tuple[int, int]], contrast: Any, statistic: Any, method: Method, order: random.Random
) -> None:
    a, b = as_rows(pairs)
    kept = {"contrast": contrast, "method": method, "resamples": 39}
    found = paired_statistic(a, b, statistic, vectorised=False, **kept)
    order.shuffle(a)
    order.shuffle(b)
    assert paired_statistic(a, b, statistic, vectorised=False, **kept) == found
    assert paired_statistic(a, b, statistic, vectorised=None, **kept) == found
    assert PairedStatistic.from_dict(found.to_dict()) == found


def test_nor_does_the_order_of_a_case_s_own_rows() -> None:
    a: Rows = [(str(i % 5), float(i * 7 % 11)) for i in range(20)]
    b: Rows = [(str(i % 5), float(i * 3 % 13)) for i in range(15)]

    def first(values: Sequence[Any]) -> float:
        return float(values[0]) - float(values[-1])

    assert paired_statistic(a, b, first, resamples=39) == paired_statistic(a[::-1], b[::-1], first, resamples=39)


@settings(max_examples=40, deadline=None)
@given(TABLES, st.sampled_from(["mean", "median", Quantile(0.3)]), st.sampled_from([2.0, 8.0, 0.25]))
def test_scale_and_the_runs_turned_round(pairs: list[tuple[int, int]], statistic: Any, scale: float) -> None:
    a, b = as_rows(pairs)
    kept: dict[str, Any] = {"method": "percentile", "resamples": 99}
    found, turned = paired_statistic(a, b, statistic, **kept), paired_statistic(b, a, statistic, **kept)
    scaled = paired_statistic(*as_rows([(scale * x, scale * y) for x, y in pairs]), statistic, **kept)
    ratio = paired_statistic(a, b, statistic, contrast="ratio", **kept)
    scaled_ratio = paired_statistic(
        *as_rows([(scale * x, scale * y) for x, y in pairs]), statistic, contrast="ratio", **kept
    )
    assert turned.value == pytest.approx(-(found.value or 0.0), abs=1e-9)
    assert scaled.value == pytest.approx(scale * (found.value or 0.0), rel=1e-9, abs=1e-9)
    assert scaled_ratio.value == pytest.approx(ratio.value, rel=1e-9)
    if found.interval.low is not None and turned.interval.high is not None:
        assert turned.interval.high == pytest.approx(-found.interval.low, abs=1e-9)
        assert scaled.interval.low == pytest.approx(scale * found.interval.low, rel=1e-9, abs=1e-9)
    if ratio.interval.low is not None:
        assert 0.0 < ratio.interval.low <= (ratio.interval.high or 0.0)


@settings(max_examples=60, deadline=None)
@given(TABLES, st.sampled_from(["bca", "percentile"]))
def test_the_test_finds_a_difference_exactly_where_the_interval_leaves_out_0(
    pairs: list[tuple[int, int]], method: Method
) -> None:
    found = paired_statistic(*as_rows(pairs), method=method, resamples=199)
    if found.interval.low is None or found.interval.high is None or found.test.p_value is None:
        return
    if 0.0 in (found.interval.low, found.interval.high):
        return  # an end that is 0 lies inside the interval, and just beyond it as well
    # An end is one of the resamples: p-values that close to alpha may fall to either side.
    if abs(found.test.p_value - 0.05) > 0.02:
        assert (found.test.p_value <= 0.05) == (not found.interval.low <= 0.0 <= found.interval.high)


def test_a_statistic_of_ones_own_and_of_totals() -> None:
    rng = random.Random(12)
    rows: list[list[tuple[str, Any]]] = [
        [(f"c{i}", (rng.uniform(0.5, 1.5), float(rng.random() < rate))) for i in range(80)] for rate in (0.6, 0.8)
    ]

    def per_right(values: Sequence[Any]) -> float | None:
        right = sum(value[1] for value in values)
        return sum(value[0] for value in values) / right if right else None

    a, b = rows
    own = paired_statistic(a, b, per_right, contrast="ratio", resamples=499, seed=3)
    totals = paired_statistic(a, b, PRICES, contrast="ratio", method="bca", resamples=499, seed=3)
    assert own.statistic == "per_right"
    assert totals.statistic == "cost per right answer"
    assert totals.value == pytest.approx(own.value, rel=1e-9)
    assert (totals.interval.low, totals.interval.high) == pytest.approx((own.interval.low, own.interval.high), rel=1e-6)
    assert totals.acceleration == pytest.approx(own.acceleration, abs=1e-6)


def test_more_resamples_scatter_less_and_by_as_much_as_is_said() -> None:
    a, b = as_rows(latencies(40, 6))
    for method in ("bca", "percentile", "studentised"):
        found = [paired_statistic(a, b, method=method, resamples=499, seed=seed) for seed in range(60)]
        for end, error in (("low", "monte_carlo_low"), ("high", "monte_carlo_high")):
            scatter = statistics.stdev(getattr(each.interval, end) for each in found)
            said = statistics.fmean(getattr(each, error) for each in found)
            assert said == pytest.approx(scatter, rel=0.35), (method, end)


def test_clusters_are_drawn_whole() -> None:
    rng = random.Random(2)
    shared = [rng.gauss(0, 1) for _ in range(25)]
    pairs = [(rng.gauss(0, 0.1), shared[i // 8] + rng.gauss(0, 0.1)) for i in range(200)]
    a, b = as_rows(pairs)
    clusters = {f"c{i}": f"g{i // 8}" for i in range(200)}
    for statistic in ("mean", "median"):
        plain = paired_statistic(a, b, statistic, resamples=199)
        clustered = paired_statistic(a, b, statistic, clusters=clusters, resamples=199)
        assert clustered.clusters == 25
        assert clustered.standard_error is not None
        assert plain.standard_error is not None
        assert clustered.standard_error > 2 * plain.standard_error
        assert clustered.value == pytest.approx(plain.value, abs=1e-12)
        assert "over clusters" in clustered.interval.method


# --- what is left out ---


def test_what_is_left_out_is_counted_and_bounded() -> None:
    a: Rows = [("1", 1.0), ("2", 0.0), ("3", None), ("4", 1.0), ("5", 1.0), ("6", 0.0), ("only a", 1.0)]
    b: Rows = [("1", 1.0), ("2", 1.0), ("3", 1.0), ("4", None), ("5", 0.0), ("6", 0.0), ("only b", 1.0), ("and", 0.0)]
    found = paired_statistic(a, b, changed=["6"], score_range=(0.0, 1.0))
    assert (found.pairs, found.unscored, found.changed) == (3, 2, 1)
    assert (found.unmatched_a, found.unmatched_b) == (1, 2)
    # Over the five cases: b has 1, 1, 1, ?, 0 and a has 1, 0, ?, 1, 1.
    assert found.lowest == pytest.approx(3 / 5 - 4 / 5)
    assert found.highest == pytest.approx(4 / 5 - 3 / 5)
    assert len(found.warnings) == 3
    unknown = paired_statistic(a, b)
    assert unknown.lowest is None
    assert unknown.undefined["lowest"] == "the range of values is not declared"


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(*[st.sampled_from([0.0, 0.5, 1.0, None, 1.0])] * 2), min_size=2, max_size=7),
    st.sampled_from(["mean", "median", Quantile(0.25)]),
)
def test_no_completion_leaves_the_bounds(table: list[tuple[float | None, float | None]], statistic: Any) -> None:
    a: Rows = [(str(i), x) for i, (x, _) in enumerate(table)]
    b: Rows = [(str(i), y) for i, (_, y) in enumerate(table)]
    found = paired_statistic(a, b, statistic, score_range=(0.0, 1.0), method="percentile", resamples=9)
    gaps = sum(x is None for row in table for x in row)
    if found.lowest is None or not gaps:
        return
    assert found.highest is not None
    rng = random.Random(len(table))
    for _ in range(10):
        fill = [rng.choice([0.0, 0.5, 1.0]) for _ in range(gaps)]
        filled = iter(fill)
        complete = [[next(filled) if x is None else x for x in row] for row in table]
        done = paired_statistic(
            [(str(i), row[0]) for i, row in enumerate(complete)],
            [(str(i), row[1]) for i, row in enumerate(complete)],
            statistic,
            method="percentile",
            resamples=9,
        )
        assert found.lowest - 1e-12 <= (done.value or 0.0) <= found.highest + 1e-12


def test_several_samples_of_a_case_stay_together() -> None:
    a: Rows = [("1", 1.0), ("1", 0.0), ("2", 1.0), ("2", None)]
    b: Rows = [("1", 1.0), ("2", 0.0), ("2", 0.0)]
    found = paired_statistic(a, b, resamples=9)
    assert (found.pairs, found.rows_a, found.rows_b, found.unscored) == (2, 3, 3, 0)
    assert (found.value_a, found.value_b) == (0.75, 0.5)
    assert "1 cases lack some of their values" in found.warnings[0]


@pytest.mark.parametrize(
    ("a", "b", "statistic", "contrast", "reason"),
    [
        ([], [], "mean", "difference", "no case has a value in both runs"),
        ([("1", 1.0)], [("1", 2.0)], "mean", "difference", "1 cases: two are needed"),
        ([("1", 0.0), ("2", 0.0)], [("1", 2.0), ("2", 1.0)], "mean", "ratio", "a ratio needs two values of one sign"),
        ([("1", 1.0), ("2", 2.0)], [("1", 2.0), ("2", 3.0)], "mean", "of_differences", "no variation"),
        (
            [("1", 1.0), ("2", 2.0)],
            [("1", 1.0), ("2", 2.0)],
            lambda values: None,
            "difference",
            "not defined for the cases",
        ),
    ],
)
def test_what_is_not_defined_says_why(a: Rows, b: Rows, statistic: Any, contrast: Any, reason: str) -> None:
    found = paired_statistic(a, b, statistic, contrast=contrast, resamples=99)
    assert not found.interval.defined
    assert reason in str(found.interval.reason)
    assert reason in str(found.test.reason)


def test_a_statistic_that_is_seldom_defined_has_no_interval() -> None:
    a, b = as_rows([(i, i + 1) for i in range(10)])
    found = paired_statistic(a, b, lambda values: 1.0 if 0.0 in values or 1.0 in values else None, resamples=199)
    assert found.undefined_resamples > 10
    assert f"in {found.undefined_resamples} of 199 resamples" in str(found.interval.reason)


@pytest.mark.parametrize(
    ("statistic", "settings_", "message"),
    [
        ("Median", {}, "statistic is 'Median'; allowed: 'mean' or 'median'"),
        (Quantile(0.5), {"method": "linearised"}, "method is 'linearised'; allowed: of a mean and of totals alone"),
        (PRICES, {}, "allowed: a sequence of numbers, for Totals"),
        ("mean", {"level": 95}, "level is 95"),
        ("mean", {"resamples": 0}, "resamples is 0"),
        ("mean", {"contrast": "Ratio"}, "contrast is 'Ratio'"),
    ],
)
def test_wrong_arguments_are_refused(statistic: Any, settings_: dict[str, Any], message: str) -> None:
    with pytest.raises(StatisticsError, match=message):
        paired_statistic(*as_rows([(1, 2), (2, 3)]), statistic, **settings_)


def test_rows_of_totals_have_one_length_and_a_quantile_a_share() -> None:
    a: list[tuple[str, Any]] = [("1", (1.0, 2.0)), ("2", (1.0,))]
    with pytest.raises(StatisticsError, match=r"the lengths of a's rows is \[1, 2\]"):
        paired_statistic(a, a, PRICES)
    with pytest.raises(StatisticsError, match=r"probability is 1\.5"):
        Quantile(1.5)
