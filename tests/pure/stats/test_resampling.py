"""Resampling: the same bits with and without numpy, exact where it can be, and right where it samples."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from themis.pure.stats import resampling
from themis.pure.stats.distributions import binomial_cdf, binomial_pmf
from themis.pure.stats.engine import StatsEngine
from themis.pure.stats.intervals import t_interval
from themis.pure.stats.pairs import cluster_sums
from themis.pure.stats.records import Interval
from themis.pure.stats.samples import by_cluster, mean, variance

DIFFERENCES = st.lists(st.floats(-5, 5).map(lambda x: round(x, 3)), min_size=1, max_size=14)


def skewed(size: int, seed: int = 1) -> list[float]:
    rng = random.Random(seed)
    return [rng.lognormvariate(0.0, 1.0) for _ in range(size)]


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 60), st.integers(0, 2**40), st.integers(1, 40))
def test_numpy_and_python_draw_the_same_sums(size: int, seed: int, resamples: int) -> None:
    pytest.importorskip("numpy", reason="compares the two paths")
    rng = random.Random(seed)
    columns = [[rng.randrange(-(2**40), 2**40) for _ in range(size)] for _ in range(3)]
    plain = resampling.resampled_sums(columns, resamples, seed, vectorised=False)
    assert resampling.resampled_sums(columns, resamples, seed, vectorised=True) == plain


def test_a_seed_gives_one_interval_with_numpy_and_without(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("numpy", reason="compares the two paths")
    values = skewed(700)
    for clusters in (range(700), [i % 90 for i in range(700)]):
        sample = by_cluster(values, clusters)
        fast = resampling.studentised_bootstrap(sample, seed=11)
        monkeypatch.setattr(resampling, "_numpy", lambda: None)
        assert resampling.studentised_bootstrap(sample, seed=11) == fast
        monkeypatch.undo()
        assert resampling.studentised_bootstrap(sample, seed=12) != fast


def test_rows_in_any_order_give_the_same_interval() -> None:
    values, clusters = skewed(200), [i % 40 for i in range(200)]
    rows = list(zip(values, clusters, strict=True))
    random.Random(2).shuffle(rows)
    shuffled = by_cluster([v for v, _ in rows], [c for _, c in rows])
    assert resampling.studentised_bootstrap(by_cluster(values, clusters)) == resampling.studentised_bootstrap(shuffled)


def test_studentised_bootstrap_by_its_definition() -> None:
    # Drawn again by hand, in floating point, from the same row numbers.
    values = sorted(skewed(25))
    centre, error = mean(values), math.sqrt(variance(values) / 25)
    draw = resampling.resampled_rows(25, 5)
    ratios = []
    for _ in range(1999):
        picked = [values[i] for i in draw()]
        ratios.append((mean(picked) - centre) / math.sqrt(variance(picked) / 25))
    ratios.sort()
    interval = resampling.studentised_bootstrap(by_cluster(values, range(25)), seed=5)
    assert interval.low == pytest.approx(centre - ratios[1949] * error, abs=1e-9)
    assert interval.high == pytest.approx(centre - ratios[49] * error, abs=1e-9)


def test_studentised_bootstrap_is_undefined_without_variation() -> None:
    assert resampling.studentised_bootstrap(by_cluster([1.0], [0])).reason
    assert "no variation" in (resampling.studentised_bootstrap(by_cluster([0.1] * 9, range(9))).reason or "")


def test_percentile_bootstrap_of_a_mean_is_close_to_student_t() -> None:
    values = [random.Random(4).gauss(0, 1) for _ in range(1)] + [random.Random(i).gauss(0, 1) for i in range(199)]
    interval = resampling.percentile_bootstrap(values, mean, seed=1)
    expected = t_interval(mean(values), math.sqrt(variance(values) / 200), 199)
    assert interval.low == pytest.approx(expected.low, abs=0.02)
    assert interval.high == pytest.approx(expected.high, abs=0.02)


def test_percentile_bootstrap_agrees_with_scipy_within_monte_carlo_error() -> None:
    scipy_stats = pytest.importorskip("scipy.stats", reason="SciPy is an oracle")
    values = skewed(120)
    ours = resampling.percentile_bootstrap(values, statistics.median, resamples=4999, seed=1)
    theirs = scipy_stats.bootstrap(
        (values,), statistics.median, n_resamples=4999, method="percentile", vectorized=False, rng=1
    ).confidence_interval
    assert ours.low == pytest.approx(theirs.low, abs=0.05)
    assert ours.high == pytest.approx(theirs.high, abs=0.05)


def test_percentile_bootstrap_draws_clusters_whole() -> None:
    sizes = set()

    def watch(rows: object) -> float:
        assert isinstance(rows, list)
        counts = {cluster: rows.count((cluster, 0)) for cluster, _ in rows}
        assert all(rows.count((cluster, 1)) == count for cluster, count in counts.items())
        sizes.add(len(rows))
        return float(len(counts))

    rows = [(cluster, i) for cluster in "abcd" for i in (0, 1)]
    resampling.percentile_bootstrap(rows, watch, clusters=[c for c, _ in rows], resamples=99)
    assert sizes == {8}


def test_percentile_bootstrap_says_why_it_is_not_defined() -> None:
    assert "two are needed" in (resampling.percentile_bootstrap([1.0], mean).reason or "")
    assert "one cluster" in (resampling.percentile_bootstrap([1.0, 2.0], mean, clusters=list("aa")).reason or "")
    assert "not defined for" in (resampling.percentile_bootstrap([1.0, 2.0], lambda _: None).reason or "")


def test_many_single_values_take_the_formula_and_named_resamples_override_it() -> None:
    values = skewed(3000)
    sample = by_cluster(values, range(3000))
    assert "Hall" in resampling.skewed_mean_interval(values, sample).method
    drawn = resampling.skewed_mean_interval(values, sample, resamples=999)
    assert "studentised bootstrap (B=999)" in drawn.method
    formula = resampling.skewed_mean_interval(values, sample)
    assert drawn.low == pytest.approx(formula.low, abs=0.02)
    assert drawn.high == pytest.approx(formula.high, abs=0.02)
    grouped = resampling.skewed_mean_interval(values, by_cluster(values, [i // 10 * 10 for i in range(3000)]))
    assert "B=1999" in grouped.method


def test_many_clusters_take_the_formula_of_their_shares() -> None:
    values = [level * (1 + i / 10) for level in skewed(1500) for i in range(3)]
    sample = by_cluster(values, [i // 3 for i in range(4500)])
    formula = resampling.skewed_mean_interval(values, sample)
    drawn = resampling.skewed_mean_interval(values, sample, resamples=999)
    assert "Hall" in formula.method
    assert drawn.low == pytest.approx(formula.low, abs=0.02)
    assert drawn.high == pytest.approx(formula.high, abs=0.02)


# --- sign flips ---


@settings(deadline=None)
@given(DIFFERENCES)
def test_exact_sign_flips_count_all_of_them(differences: list[float]) -> None:
    test = resampling.sign_flip_test(differences)
    nonzero = [round(d * 1000) for d in differences if d]
    if not nonzero:
        assert test.p_value is None
        return
    sums = [0]
    for size in nonzero:
        sums = [s + size for s in sums] + [s - size for s in sums]
    hits = sum(abs(s) >= abs(sum(nonzero)) for s in sums)
    assert test.p_value == hits / len(sums)
    assert 0.0 < test.p_value <= 1.0


def test_exact_sign_flips_agree_with_scipy() -> None:
    scipy_stats = pytest.importorskip("scipy.stats", reason="SciPy is an oracle")
    differences = [0.3, -0.1, 0.25, 0.4, 0.05, -0.2, 0.6, 0.15, 0.35, 0.1]
    oracle = scipy_stats.permutation_test(
        (differences,), lambda x: sum(x), permutation_type="samples", n_resamples=float("inf"), vectorized=False
    )
    assert resampling.sign_flip_test(differences).p_value == pytest.approx(oracle.pvalue, abs=1e-9)


def test_sampled_sign_flips_come_close_to_the_exact_share() -> None:
    rng = random.Random(9)
    differences = [rng.gauss(0.4, 1.0) for _ in range(24)]
    exact = resampling.sign_flip_test(differences)
    sampled = resampling.sign_flip_test(differences, resamples=19_999, seed=3)
    assert exact.p_value is not None
    assert "exact" in exact.method
    assert "sampled" in sampled.method
    assert sampled.resamples == 19_999
    error = math.sqrt(exact.p_value * (1 - exact.p_value) / 19_999)
    assert sampled.p_value == pytest.approx(exact.p_value, abs=5 * error + 1e-4)


def test_a_sampled_p_value_is_never_zero() -> None:
    assert resampling.sign_flip_test([1.0 + i / 100 for i in range(60)]).p_value == 1 / 10_000


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(-1, 1), min_size=30, max_size=60), st.randoms())
def test_sampled_flips_do_not_depend_on_the_order_of_pairs(values: list[float], rng: random.Random) -> None:
    shuffled = list(values)
    rng.shuffle(shuffled)
    test = resampling.sign_flip_test(values, resamples=99)
    assert test == resampling.sign_flip_test(shuffled, resamples=99)
    assert test.p_value is None or 0.0 < test.p_value <= 1.0


def test_clusters_flip_whole() -> None:
    # Two clusters of three: only four flips exist, so p can't fall below 1/2, whatever the pairs say.
    differences = [1.0, 1.1, 0.9, 1.05, 0.95, 1.0]
    assert resampling.sign_flip_test(cluster_sums(differences, "aaabbb")).p_value == 0.5
    assert resampling.sign_flip_test(differences).p_value == 2 / 64


@given(st.lists(st.integers(0, 2**24 - 1), min_size=1, max_size=80).filter(any), st.integers(0))
def test_bit_planes_add_up(sizes: list[int], flips: int) -> None:
    flips %= 1 << len(sizes)
    chosen = sum(size for i, size in enumerate(sizes) if flips >> (len(sizes) - 1 - i) & 1)
    planes = resampling.bit_planes(sizes)
    assert sum((flips & plane).bit_count() << weight for weight, plane in planes) == chosen


# --- sign flips of many -----------------------------------------------------------------------------------


def tail(ones: int, twos: int, observed: int) -> float:
    """Return the share of flips of so many 1 and 2 whose sum is at least `observed` in size."""
    share = 0.0
    for up in range(twos + 1):
        weight = binomial_pmf(up, twos, 0.5)
        if weight > 1e-15:
            needed = math.ceil((observed - 2 * (2 * up - twos) + ones) / 2)
            share += weight * (1.0 - binomial_cdf(needed - 1, ones, 0.5))
    return 2.0 * share


@pytest.mark.parametrize("z", [0.1, 1.0, 2.0, 2.3, 3.0, 4.5])
@pytest.mark.parametrize(("ones", "twos"), [(1001, 0), (760, 250), (10_001, 0), (100, 12_000)])
def test_past_a_thousand_pairs_the_p_value_is_that_of_all_flips(ones: int, twos: int, z: float) -> None:
    observed = round(z * math.sqrt(ones + 4 * twos))
    observed += (observed - ones) % 2  # all sums have the same parity
    negative = (ones + 2 * twos - observed) // 2
    down = min(twos, negative // 2)
    differences = [-2.0] * down + [2.0] * (twos - down)
    rest = negative - 2 * down
    differences += [-1.0] * rest + [1.0] * (ones - rest)
    assert sum(differences) == observed
    found = resampling.sign_flip_test(differences)
    assert found.method == "sign-flip permutation (saddlepoint)"
    assert found.p_value == pytest.approx(tail(ones, twos, observed), rel=0.002 if ones + twos > 10_000 else 0.01)


def test_a_few_large_differences_among_many_are_drawn() -> None:
    differences = [1e-3] * 11_000 + [50.0, -49.0]
    found = resampling.sign_flip_test(differences)
    assert found.method == "sign-flip permutation (sampled)"
    assert found.resamples == 9999
    assert resampling.sign_flip_test([1.0] * 20_000).p_value == 5e-324


# --- order ------------------------------------------------------------------------------------------------


class _Plain:
    def __init__(self, key: str, value: float) -> None:
        self.case_key, self.value = key, value


@given(st.permutations(range(12)), st.booleans(), st.sampled_from(["numbers", "rows", "mappings", "objects"]))
def test_a_bootstrap_does_not_see_the_order_of_rows(order: list[int], clustered: bool, kind: str) -> None:
    values = [0.1 * place**2 for place in range(12)]
    kinds: dict[str, list[Any]] = {
        "numbers": values,
        "rows": [(f"c{place}", value) for place, value in enumerate(values)],
        "mappings": [{"case_key": f"c{place}", "value": value} for place, value in enumerate(values)],
        "objects": [_Plain(f"c{place}", value) for place, value in enumerate(values)],
    }
    rows = kinds[kind]

    def value_of(row: Any) -> float:
        if kind == "numbers":
            return float(row)
        return float(row[1] if kind == "rows" else row["value"] if kind == "mappings" else row.value)

    def statistic(taken: Sequence[Any]) -> float:
        return sum(map(value_of, taken)) / (1.0 + value_of(taken[0]))  # of the order of a resample, too

    clusters = [place // 3 for place in range(12)]
    engine = StatsEngine(seed=4)

    def found(places: Sequence[int]) -> Interval:
        keys = [clusters[place] for place in places] if clustered else None
        return engine.bootstrap([rows[place] for place in places], statistic, clusters=keys, resamples=50)

    assert found(order) == found(range(12))
