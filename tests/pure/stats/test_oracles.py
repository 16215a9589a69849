"""Published examples, and formulas worked out a second way: roots where the code has a closed form."""

from __future__ import annotations

import math
import random

import pytest

from themis.pure.stats import agreement, intervals
from themis.pure.stats.distributions import t_quantile
from themis.pure.stats.equivalence import equivalence
from themis.pure.stats.estimates import describe_skewed, estimate_mean
from themis.pure.stats.pairs import PairedMethod, paired_compare
from themis.pure.stats.power import PairedDesign, detectable_standard_errors, minimum_detectable_effect
from themis.pure.stats.samples import by_cluster, cluster_degrees_of_freedom, cluster_standard_error, mean, quantile
from themis.pure.stats.significance import benjamini_hochberg, holm
from themis.pure.stats.unpaired import unpaired_compare

optimize = pytest.importorskip("scipy.optimize", reason="SciPy finds the roots")
scipy_stats = pytest.importorskip("scipy.stats", reason="SciPy is an oracle")

SIZES = (1, 2, 3, 5, 8, 13)
"""Of clusters: unequal, so that a wrong weight or degree of freedom shows."""


def unequal_clusters(seed: int, groups: int = 24, chance: float | None = None) -> tuple[list[float], list[int]]:
    rng = random.Random(seed)
    values: list[float] = []
    keys: list[int] = []
    for group in range(groups):
        level = rng.betavariate(2, 1)
        for _ in range(SIZES[group % len(SIZES)]):
            values.append(float(rng.random() < level) if chance else level + rng.gauss(0, 0.1))
            keys.append(group)
    return values, keys


# --- published examples ---


def test_wilson_as_newcombe_printed_it() -> None:
    # Newcombe (1998), Statistics in Medicine 17, 857-872: 81 of 263.
    interval = intervals.wilson_interval(81 / 263, 263)
    assert (interval.low, interval.high) == pytest.approx((0.2553, 0.3662), abs=5e-5)


def test_newcombe_as_newcombe_printed_it() -> None:
    # Newcombe (1998), Statistics in Medicine 17, 873-890: 56/70 - 48/80 by method 10.
    interval = intervals.newcombe_interval(48, 80, 56, 70)
    assert (interval.low, interval.high) == pytest.approx((0.0524, 0.3339), abs=5e-5)


def test_krippendorff_as_krippendorff_printed_it() -> None:
    # Krippendorff (2011), Computing Krippendorff's Alpha-Reliability: 4 observers, 12 units, missing ratings.
    gap = None
    ratings = [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, gap, gap, gap],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, gap, 3],
        [gap, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, gap],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, gap],
    ]
    printed: dict[agreement.Scale, float] = {"nominal": 0.743, "ordinal": 0.815, "interval": 0.849, "ratio": 0.797}
    for scale, alpha in printed.items():
        result = agreement.krippendorff_alpha(ratings, scale=scale)
        assert result.value == pytest.approx(alpha, abs=5e-4)
        assert (result.units, result.dropped_units) == (11, 1)


def test_fleiss_by_hand() -> None:
    # 3 raters, 3 units: shares of agreeing pairs 1, 1/3, 1/3; 6 of 9 ratings are "a".
    result = agreement.fleiss_kappa([["a", "a", "b"], ["a", "a", "b"], ["a", "b", "a"]])
    observed, expected = (1 + 1 / 3 + 1 / 3) / 3, (6 / 9) ** 2 + (3 / 9) ** 2
    assert result.value == pytest.approx((observed - expected) / (1 - expected), abs=1e-12)


def test_cohen_by_hand() -> None:
    # 50 units: both yes 20, both no 15, only the first yes 5, only the second 10: (0.7 - 0.5) / (1 - 0.5).
    first = ["yes"] * 25 + ["no"] * 25
    second = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    assert agreement.cohen_kappa(first, second).value == pytest.approx(0.4, abs=1e-12)


def test_holm_and_benjamini_hochberg_by_hand() -> None:
    p_values = [0.01, 0.02, 0.03, 0.04, 0.05]
    assert holm(p_values) == pytest.approx((0.05, 0.08, 0.09, 0.09, 0.09))
    assert benjamini_hochberg(p_values) == pytest.approx((0.05,) * 5)


# --- a second way ---


@pytest.mark.parametrize("correction", ["CR1", "CR2"])
def test_clustered_wilson_is_the_root_of_the_score_equation(correction: str) -> None:
    values, keys = unequal_clusters(3, chance=0.65)
    estimate = estimate_mean(values, clusters=keys, correction="CR1" if correction == "CR1" else "CR2")
    centre, error = estimate.mean, estimate.standard_error
    assert centre is not None
    assert error is not None
    effective = centre * (1 - centre) / error**2
    assert estimate.effective_size == pytest.approx(effective, abs=1e-9)
    assert effective < len(values)
    sample = by_cluster(values, keys)
    freedom = cluster_degrees_of_freedom(sample, "CR1" if correction == "CR1" else "CR2")
    critical = scipy_stats.t.ppf(0.975, freedom)

    def score(p: float) -> float:
        return float((centre - p) ** 2 - critical**2 * p * (1 - p) / effective)

    ends = optimize.brentq(score, 1e-9, centre, xtol=1e-13), optimize.brentq(score, centre, 1 - 1e-9, xtol=1e-13)
    assert (estimate.interval.low, estimate.interval.high) == pytest.approx(ends, abs=1e-9)


def test_when_all_agree_wilson_counts_clusters_and_takes_t() -> None:
    estimate = estimate_mean([1.0] * 60, clusters=[i % 12 for i in range(60)])
    critical = scipy_stats.t.ppf(0.975, 11)
    assert estimate.interval.low == pytest.approx(12 / (12 + critical**2), abs=1e-9)
    assert estimate.interval.high == 1.0


def test_clustered_t_interval_with_cr2_has_its_own_degrees_of_freedom() -> None:
    values, keys = unequal_clusters(5)
    sample = by_cluster(values, keys)
    freedom = cluster_degrees_of_freedom(sample, "CR2")
    assert freedom < sample.clusters - 1
    estimate = estimate_mean(values, clusters=keys, correction="CR2")
    half = scipy_stats.t.ppf(0.975, freedom) * cluster_standard_error(sample, "CR2")
    assert estimate.interval.high == pytest.approx(sample.mean + half, abs=1e-9)


@pytest.mark.parametrize("tied", [0.0, 0.08])
def test_woodruff_reads_the_interval_of_the_rank_off_the_values(tied: float) -> None:
    numpy = pytest.importorskip("numpy", reason="numpy is the oracle of quantiles")
    values, keys = unequal_clusters(7)
    centre = float(numpy.median(values))
    values = [centre if abs(value - centre) <= tied else value for value in values]
    middle = float(numpy.median(values))
    sample = by_cluster([float(v <= middle) for v in values], keys)
    half = scipy_stats.t.ppf(0.975, cluster_degrees_of_freedom(sample)) * cluster_standard_error(sample)
    described = describe_skewed(values, clusters=keys, resamples=1)
    expected = numpy.quantile(values, 0.5 - half), numpy.quantile(values, 0.5 + half)
    assert (described.median_interval.low, described.median_interval.high) == pytest.approx(expected, abs=1e-9)


def test_hall_inverts_the_cubic_of_his_paper() -> None:
    rng = random.Random(1)
    values = [rng.lognormvariate(0, 1) for _ in range(40)]
    size, centre = len(values), mean(values)
    spread = math.sqrt(sum((v - centre) ** 2 for v in values) / size)
    skewness = sum(((v - centre) / spread) ** 3 for v in values) / size
    error = spread / math.sqrt(size - 1)
    critical = scipy_stats.t.ppf(0.975, size - 1)

    def cubic(t: float) -> float:
        root = math.sqrt(size)
        return t + skewness * t * t / (3 * root) + skewness**2 * t**3 / (27 * size) + skewness / (6 * root)

    upper = optimize.brentq(lambda t: cubic(t) - critical, -60, 60, xtol=1e-13)
    lower = optimize.brentq(lambda t: cubic(t) + critical, -60, 60, xtol=1e-13)
    interval = intervals.hall_interval(values)
    assert (interval.low, interval.high) == pytest.approx((centre - upper * error, centre - lower * error), abs=1e-9)


def test_quantile_is_type_seven() -> None:
    numpy = pytest.importorskip("numpy", reason="numpy is the oracle")
    values = sorted(random.Random(2).random() for _ in range(37))
    for probability in (0.0, 0.1, 0.5, 0.77, 0.99, 1.0):
        assert quantile(values, probability) == pytest.approx(numpy.quantile(values, probability), abs=1e-12)


def paired_rows(seed: int, groups: int = 12) -> tuple[list[tuple[str, float]], list[tuple[str, float]], dict[str, str]]:
    gains, keys = unequal_clusters(seed, groups)
    rng = random.Random(seed + 1)
    a = [(f"c{index}", rng.random()) for index in range(len(gains))]
    b = [(key, value + 0.1 * (gain - 0.6)) for (key, value), gain in zip(a, gains, strict=True)]
    return a, b, {f"c{index}": f"g{group}" for index, group in enumerate(keys)}


@pytest.mark.parametrize("correction", ["CR1", "CR2"])
def test_equivalence_and_planning_use_the_interval_s_degrees_of_freedom(correction: str) -> None:
    a, b, clusters = paired_rows(4)
    method = PairedMethod(correction="CR1" if correction == "CR1" else "CR2")
    compared = paired_compare(a, b, clusters=clusters, method=method)
    difference, error = compared.difference, compared.clustered_standard_error
    assert difference is not None
    assert error is not None
    assert compared.interval.high is not None
    gains = [y - x for (_, x), (_, y) in zip(a, b, strict=True)]
    sample = by_cluster(gains, list(clusters.values()))
    freedom = 11.0 if correction == "CR1" else cluster_degrees_of_freedom(sample, "CR2")
    assert compared.degrees_of_freedom == pytest.approx(freedom, abs=1e-9)
    assert compared.interval.high - difference == pytest.approx(scipy_stats.t.ppf(0.975, freedom) * error, abs=1e-9)
    result = equivalence(compared, margin=0.05)
    sides = (difference + 0.05) / error, (0.05 - difference) / error
    assert result.p_value == pytest.approx(max(scipy_stats.t.sf(t, freedom) for t in sides), abs=1e-9)
    half = scipy_stats.t.ppf(0.95, freedom) * error
    assert result.interval.low == pytest.approx(difference - half, abs=1e-9)
    assert result.interval.high == pytest.approx(difference + half, abs=1e-9)
    assert compared.minimum_detectable_effect == pytest.approx(detectable_standard_errors(freedom) * error, abs=1e-9)


def test_cases_needed_of_a_clustered_comparison_price_the_clusters_in() -> None:
    power = pytest.importorskip("statsmodels.stats.power", reason="statsmodels is the oracle")
    a, b, clusters = paired_rows(6)
    for compared in (paired_compare(a, b), paired_compare(a, b, clusters=clusters)):
        error = compared.clustered_standard_error or compared.standard_error
        assert error is not None
        assert compared.difference is not None
        spread = error * math.sqrt(compared.pairs)
        needed = power.TTestPower().solve_power(abs(compared.difference) / spread, alpha=0.05, power=0.8)
        assert compared.cases_needed == math.ceil(needed)


def test_the_detectable_effect_against_statsmodels() -> None:
    power = pytest.importorskip("statsmodels.stats.power", reason="statsmodels is the oracle")
    for cases in (5, 30, 400):
        oracle = power.TTestPower().solve_power(nobs=cases, alpha=0.05, power=0.8)
        assert minimum_detectable_effect(cases=cases, spread=2.0) == pytest.approx(2.0 * oracle, abs=1e-6)


def test_power_of_a_design_is_how_often_the_t_test_finds_it() -> None:
    design = PairedDesign(
        cases=25, between_variance=0.02, within_variance_a=0.09, within_variance_b=0.04, samples_a=3, samples_b=2
    )
    rng, found, runs = random.Random(8), 0, 2000
    critical = t_quantile(0.975, 24)
    for _ in range(runs):
        differences = [
            rng.gauss(0.12, math.sqrt(0.02))
            + mean([rng.gauss(0, 0.2) for _ in range(2)])
            - mean([rng.gauss(0, 0.3) for _ in range(3)])
            for _ in range(25)
        ]
        centre = mean(differences)
        error = math.sqrt(sum((d - centre) ** 2 for d in differences) / 24 / 25)
        found += abs(centre / error) > critical
    share = found / runs
    assert design.power(0.12) == pytest.approx(share, abs=4 * math.sqrt(share * (1 - share) / runs))


def test_unpaired_differences_are_the_second_minus_the_first() -> None:
    result = unpaired_compare([1.0, 0.0, 0.0, 0.0], [1.0, 1.0, 0.0, 1.0])
    assert result.difference == 0.5
    assert result.interval == intervals.newcombe_interval(1, 4, 3, 4)
