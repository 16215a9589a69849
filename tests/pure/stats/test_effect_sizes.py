"""Effect sizes against SciPy and a count of all pairs, and by their symmetries."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from themis.pure.errors import StatisticsError
from themis.pure.stats.effect_sizes import EffectSize, cliff_delta, cohen_d, cohen_h, discordant_odds_ratio
from themis.pure.stats.significance import mcnemar_test

optimize = pytest.importorskip("scipy.optimize", reason="SciPy finds the roots")
scipy_stats = pytest.importorskip("scipy.stats", reason="SciPy is an oracle")

PAIRS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=4, max_size=40)
BINARY = st.lists(st.tuples(st.sampled_from([0.0, 1.0]), st.sampled_from([0.0, 1.0])), min_size=2, max_size=60)


def columns(pairs: list[tuple[int, int]]) -> tuple[list[float | None], list[float | None]]:
    return [float(a) for a, _ in pairs], [float(b) for _, b in pairs]


def ends(effect: EffectSize) -> tuple[float, float]:
    assert effect.interval.low is not None
    assert effect.interval.high is not None
    return effect.interval.low, effect.interval.high


# --- Cohen's d ---


@given(PAIRS)
def test_d_is_the_noncentral_t_s(pairs: list[tuple[int, int]]) -> None:
    a, b = columns(pairs)
    effect = cohen_d(a, b)
    differences = [y - x for x, y in pairs]
    if len(set(differences)) == 1:
        assert effect.reason is not None
        return
    size = len(pairs)
    t = scipy_stats.ttest_rel(b, a).statistic
    assert effect.value == pytest.approx(t / math.sqrt(size), abs=1e-9)
    assert effect.statistic == pytest.approx(t, abs=1e-9)
    for end, chance in zip(ends(effect), (0.025, 0.975), strict=True):
        root = end * math.sqrt(size)
        assert scipy_stats.nct.sf(t, size - 1, root) == pytest.approx(chance, abs=1e-7)


def test_hedges_correction_and_the_average_s_standard_deviation() -> None:
    rng = random.Random(3)
    a: list[float | None] = [rng.gauss(0, 2) for _ in range(12)]
    b: list[float | None] = [(x or 0.0) + rng.gauss(1, 1) for x in a]
    plain, corrected, average = cohen_d(a, b), cohen_d(a, b, corrected=True), cohen_d(a, b, standardiser="average")
    j = math.gamma(5.5) / (math.sqrt(5.5) * math.gamma(5.0))
    assert plain.value is not None
    assert corrected.value == pytest.approx(j * plain.value, rel=1e-12)
    spread = math.sqrt((scipy_stats.tvar(a) + scipy_stats.tvar(b)) / 2)
    assert average.value == pytest.approx((sum(map(float, b)) - sum(map(float, a))) / 12 / spread, rel=1e-9)  # type: ignore[arg-type]  # no value is None
    low, high = ends(average)
    ratio = average.value / plain.value  # type: ignore[operator]  # as above
    assert (low, high) == pytest.approx(tuple(ratio * end for end in ends(plain)), rel=1e-9)


@given(PAIRS, st.floats(0.1, 100.0), st.floats(-50.0, 50.0))
def test_d_keeps_its_value_under_another_scale_and_changes_its_sign_with_the_runs(
    pairs: list[tuple[int, int]], scale: float, shift: float
) -> None:
    a, b = columns(pairs)
    effect, swapped = cohen_d(a, b), cohen_d(b, a)
    moved = cohen_d([scale * (x or 0.0) + shift for x in a], [scale * (y or 0.0) + shift for y in b])
    if effect.value is None:
        assert swapped.value is None
        return
    assert swapped.value == pytest.approx(-effect.value, abs=1e-9)
    assert ends(swapped) == pytest.approx(tuple(-end for end in reversed(ends(effect))), abs=1e-7)
    assert moved.value == pytest.approx(effect.value, rel=1e-6, abs=1e-6)


def test_a_large_t_of_few_pairs_keeps_its_exact_interval() -> None:
    a: list[float | None] = [0.0, 0.1, 0.2, 0.3, 0.4]
    b: list[float | None] = [10.0, 10.12, 10.19, 10.31, 10.4]
    effect = cohen_d(a, b)
    assert effect.statistic is not None
    assert effect.statistic > 1000
    for end, chance in zip(ends(effect), (0.025, 0.975), strict=True):
        # P(T > t) of a large t is P(chi < noncentrality / t), but for what the numerator varies.
        root = end * math.sqrt(5)
        assert scipy_stats.chi2.cdf(4 * (root / effect.statistic) ** 2, 4) == pytest.approx(chance, abs=1e-5)


# --- Cohen's h and the odds ratio ---


@given(BINARY)
def test_h_is_the_difference_of_angles_and_its_error_the_paired_one(pairs: list[tuple[float, float]]) -> None:
    a: list[float | None] = [x for x, _ in pairs]
    b: list[float | None] = [y for _, y in pairs]
    effect = cohen_h(a, b)
    size = len(pairs)
    rate_a, rate_b = sum(x for x, _ in pairs) / size, sum(y for _, y in pairs) / size
    assert effect.value == pytest.approx(2 * math.asin(math.sqrt(rate_b)) - 2 * math.asin(math.sqrt(rate_a)), abs=1e-12)
    assert cohen_h(b, a).value == pytest.approx(-(effect.value or 0.0), abs=1e-12)
    if len(set(a)) == 2 and len(set(b)) == 2 and a != b and size > 2:
        phi = scipy_stats.pearsonr([x for x, _ in pairs], [y for _, y in pairs]).statistic
        error = math.sqrt((2 - 2 * phi) / (size - 1))
        if effect.interval.defined:
            half = scipy_stats.t.ppf(0.975, size - 1) * error
            wanted = max(-math.pi, effect.value - half), min(math.pi, effect.value + half)
            assert ends(effect) == pytest.approx(wanted, abs=1e-7)


def test_h_takes_zeros_and_ones_alone() -> None:
    with pytest.raises(StatisticsError, match=r"a score is 0.5; allowed: 0 or 1"):
        cohen_h([0.0, 0.5], [1.0, 1.0])


@given(st.integers(0, 60), st.integers(0, 60))
def test_the_odds_ratio_holds_1_exactly_where_mcnemar_finds_nothing(wins: int, losses: int) -> None:
    effect = discordant_odds_ratio(wins, losses)
    if not wins + losses:
        assert effect.reason == "no pair is discordant"
        return
    oracle = scipy_stats.binomtest(wins, wins + losses).proportion_ci(0.95, "exact")
    p_value = mcnemar_test(wins, losses).p_value
    assert p_value is not None
    if losses:
        low, high = ends(effect)
        assert low == pytest.approx(oracle.low / (1 - oracle.low), rel=1e-6)
        assert (low > 1.0 or high < 1.0) == (p_value <= 0.05)
    else:
        assert f"at least {oracle.low / (1 - oracle.low):.4g}" in str(effect.reason)
    assert effect.value == (wins / losses if losses else None)


# --- Cliff's delta ---


@given(PAIRS)
def test_delta_is_the_count_over_all_pairs_of_scores(pairs: list[tuple[int, int]]) -> None:
    a, b = columns(pairs)
    effect = cliff_delta(a, b)
    wins = sum((y > x) - (y < x) for x, _ in pairs for _, y in pairs)
    assert effect.value == pytest.approx(wins / len(pairs) ** 2, abs=1e-12)
    assert cliff_delta(b, a).value == pytest.approx(-(effect.value or 0.0), abs=1e-12)
    assert cliff_delta([x and x**3 for x in a], [y and y**3 for y in b]).interval == effect.interval
    if effect.interval.defined:
        low, high = ends(effect)
        assert -1.0 < low <= (effect.value or 0.0) <= high < 1.0


def test_delta_s_error_is_the_jackknife_s() -> None:
    rng = random.Random(8)
    pairs = [(x := rng.randrange(6), min(6, x + rng.randrange(3))) for _ in range(200)]

    def delta(rows: list[tuple[int, int]]) -> float:
        return sum((y > x) - (y < x) for x, _ in rows for _, y in rows) / len(rows) ** 2

    size = len(pairs)
    left_out = [delta(pairs[:i] + pairs[i + 1 :]) for i in range(size)]
    middle = sum(left_out) / size
    jackknife = math.sqrt((size - 1) / size * sum((value - middle) ** 2 for value in left_out))
    a, b = columns(pairs)
    effect = cliff_delta(a, b)
    assert effect.value is not None
    assert effect.statistic is not None
    assert effect.value / effect.statistic == pytest.approx(jackknife, rel=0.01)


def test_delta_of_two_samples_is_the_mann_whitney_statistic() -> None:
    rng = random.Random(4)
    a: list[float | None] = [float(rng.randrange(8)) for _ in range(30)]
    b: list[float | None] = [float(rng.randrange(10)) for _ in range(50)]
    effect = cliff_delta([*a, None], b, paired=False)
    u = scipy_stats.mannwhitneyu(b, a).statistic
    assert effect.value == pytest.approx(2 * u / (30 * 50) - 1, abs=1e-12)
    assert effect.left_out == 1


def test_what_is_missing_is_left_out_and_counted_and_clusters_widen_the_interval() -> None:
    rng = random.Random(5)
    group = [rng.gauss(0, 1) for _ in range(25)]
    keys = [i // 8 for i in range(200)]
    a: list[float | None] = [rng.gauss(0, 1) for _ in keys]
    b: list[float | None] = [(x or 0.0) + group[key] + rng.gauss(0, 0.3) for x, key in zip(a, keys, strict=True)]
    plain, clustered = cliff_delta(a, b), cliff_delta(a, b, clusters=keys)
    assert (plain.clusters, clustered.clusters) == (None, 25)
    assert ends(clustered)[1] - ends(clustered)[0] > 1.3 * (ends(plain)[1] - ends(plain)[0])
    gaps = cohen_d([None, *a], [1.0, *b])
    assert (gaps.pairs, gaps.left_out, gaps.value) == (200, 1, cohen_d(a, b).value)


@pytest.mark.parametrize("effect", [cohen_d, cohen_h, cliff_delta])
def test_nothing_has_no_effect_size(effect: object) -> None:
    assert callable(effect)
    found = effect([None, 1.0], [0.0, None])
    assert found.value is None
    assert found.reason == "no case is scored in both runs"
    assert found.left_out == 2
    assert EffectSize.from_dict(found.to_dict()) == found


def test_a_run_without_variation_has_an_h_but_no_interval_over_clusters() -> None:
    right, mixed = [1.0] * 20, [1.0, 0.0] * 10
    effect = cohen_h(mixed, right, clusters=[case // 2 for case in range(20)])
    assert effect.value == pytest.approx(math.pi / 2)
    assert effect.reason is None
    assert effect.interval.reason == "a run whose scores are all equal shows no clusters"
    assert cohen_h(mixed, right).interval.defined


def test_scores_that_do_not_overlap_have_a_delta_but_no_interval() -> None:
    effect = cliff_delta([1.0, 2.0, 3.0], [4.0, 5.0, 6.0])
    assert effect.value == 1.0
    assert effect.interval.reason is not None
