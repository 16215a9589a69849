"""Paired comparison: matching, oracles, clusters, families, equivalence and the undefined."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from themis.pure.errors import DataError, StatisticsError
from themis.pure.stats.distributions import t_quantile
from themis.pure.stats.equivalence import equivalence
from themis.pure.stats.estimates import estimate_mean
from themis.pure.stats.intervals import bonett_price_interval, tango_interval, tango_score
from themis.pure.stats.pairs import PairedMethod, adjusted, paired_compare
from themis.pure.stats.power import mcnemar_cases_needed, mcnemar_detectable_effect
from themis.pure.stats.records import PairedComparison
from themis.pure.stats.samples import Correction
from themis.pure.stats.significance import mcnemar_test, score_test
from themis.pure.stats.unpaired import unpaired_compare
from themis.pure.stats.wording import comparison_sentence

Rows = list[tuple[str, float | None]]


def keyed(values: Sequence[float | None]) -> Rows:
    return [(f"c{index}", value) for index, value in enumerate(values)]


def graded(seed: int, size: int, shift: float = 0.0) -> list[float]:
    rng = random.Random(seed)
    return [rng.random() + shift for _ in range(size)]


def test_graded_scores_against_scipy() -> None:
    scipy_stats = pytest.importorskip("scipy.stats", reason="SciPy is the oracle")
    a, b = graded(1, 40), graded(2, 40, 0.1)
    compared = paired_compare(keyed(a), keyed(b))
    oracle = scipy_stats.ttest_rel(b, a)
    low, high = oracle.confidence_interval(0.95)
    assert (compared.interval.low, compared.interval.high) == pytest.approx((low, high), abs=1e-9)
    assert compared.difference is not None
    assert compared.standard_error is not None
    assert compared.difference / compared.standard_error == pytest.approx(oracle.statistic, abs=1e-9)
    assert compared.wilcoxon.p_value == pytest.approx(scipy_stats.wilcoxon(b, a).pvalue, abs=1e-9)
    assert compared.test.method == "sign-flip permutation (sampled)"
    assert compared.test.p_value == pytest.approx(oracle.pvalue, abs=0.02)


def test_binary_scores_take_bonett_price_and_mcnemar() -> None:
    a = [1.0] * 5 + [0.0] * 12 + [1.0] * 20 + [0.0] * 3
    b = [0.0] * 5 + [1.0] * 12 + [1.0] * 20 + [0.0] * 3
    compared = paired_compare(keyed(a), keyed(b))
    assert (compared.wins, compared.losses, compared.ties, compared.pairs) == (12, 5, 23, 40)
    assert compared.interval == bonett_price_interval(12, 5, 40)
    assert compared.test == mcnemar_test(12, 5)
    assert compared.difference == pytest.approx(7 / 40)
    labelled = paired_compare(keyed(a), keyed(b), method=PairedMethod(mid_p=True))
    assert labelled.test.method == "McNemar mid-p"


def test_pairs_are_found_by_case_key_and_the_rest_is_counted() -> None:
    a: Rows = [("x", 1.0), ("y", 0.0), ("gone", 1.0), ("odd", None), ("changed", 0.0)]
    b: Rows = [("changed", 1.0), ("y", 1.0), ("x", 1.0), ("new", 0.0), ("newer", 0.0), ("odd", 1.0)]
    compared = paired_compare(a, b, changed=["changed", "elsewhere"])
    assert (compared.pairs, compared.unmatched_a, compared.unmatched_b) == (2, 1, 2)
    assert (compared.unscored, compared.changed) == (1, 1)
    assert (compared.wins, compared.losses, compared.ties) == (1, 0, 1)
    assert any("content differs" in warning for warning in compared.warnings)


def test_repeated_rows_are_kept_as_samples_of_their_case() -> None:
    a: Rows = [("x", 1.0), ("x", 0.0), ("y", 0.0), ("y", None)]
    b: Rows = [("x", 1.0), ("x", 1.0), ("y", 1.0), ("y", 0.0)]
    compared = paired_compare(a, b)
    assert (compared.pairs, compared.rows_a, compared.rows_b) == (2, 3, 4)
    assert (compared.mean_a, compared.mean_b, compared.difference) == (0.25, 0.75, 0.5)


def test_a_constant_difference_is_flagged_and_gets_no_p_value() -> None:
    a = graded(3, 200)
    compared = paired_compare(keyed(a), keyed([value + 0.1 for value in a]))
    assert compared.constant_difference
    assert compared.difference == pytest.approx(0.1)
    for test in (compared.test, compared.sign_test, compared.wilcoxon):
        assert test.p_value is None
        assert "every pair differs by +0.1" in (test.reason or "")
    assert compared.significant is None
    assert compared.interval.low is None
    assert any("check how the scores were made" in warning for warning in compared.warnings)


def test_equal_runs_have_no_p_value_and_no_flag() -> None:
    a = graded(3, 40)
    compared = paired_compare(keyed(a), keyed(a))
    assert not compared.constant_difference
    assert compared.difference == 0.0
    assert compared.test.p_value is None
    assert compared.significant is None
    assert "tie" in compared.undefined["standard_error"]


def test_no_shared_case_is_undefined_throughout() -> None:
    compared = paired_compare([("a", 1.0)], [("b", 1.0)])
    assert compared.pairs == 0
    assert compared.difference is None
    assert compared.undefined["difference"] == "no case is scored in both runs"
    assert compared.significant is None


def test_clusters_of_cases_widen_the_interval_and_flip_whole() -> None:
    linear = pytest.importorskip("statsmodels.api", reason="statsmodels is the oracle")
    rng = random.Random(5)
    effects = [rng.gauss(0.1, 0.3) for _ in range(22)]
    a = [rng.random() for _ in range(220)]
    b = [value + effects[index // 10] + rng.gauss(0, 0.05) for index, value in enumerate(a)]
    clusters = {f"c{index}": f"g{index // 10}" for index in range(220)}
    compared = paired_compare(keyed(a), keyed(b), clusters=clusters)
    differences = [y - x for x, y in zip(a, b, strict=True)]
    fit = linear.OLS(differences, [1.0] * 220).fit(
        cov_type="cluster", cov_kwds={"groups": [index // 10 for index in range(220)]}, use_t=True
    )
    assert compared.clusters == 22
    assert compared.clustered_standard_error == pytest.approx(fit.bse[0], abs=1e-9)
    low, high = fit.conf_int()[0]
    assert (compared.interval.low, compared.interval.high) == pytest.approx((low, high), abs=1e-9)
    assert compared.naive_interval is not None
    assert compared.standard_error is not None
    assert compared.clustered_standard_error is not None
    assert compared.clustered_standard_error > 2 * compared.standard_error
    assert "of clusters" in compared.test.method
    # With the clusters whole, the smallest possible p-value is 2 / 2^22.
    assert compared.test.p_value is not None
    assert compared.test.p_value > 1e-4


def test_with_two_clusters_only_four_flips_exist() -> None:
    a, b = graded(1, 30), graded(2, 30, 0.8)
    clusters = {f"c{i}": "left" if i < 14 else "right" for i in range(30)}
    compared = paired_compare(keyed(a), keyed(b), clusters=clusters)
    assert compared.test.method == "sign-flip permutation of clusters (exact)"
    assert compared.test.p_value == 0.5
    assert compared.significant is False


def test_clustered_binary_intervals_stay_within_what_is_possible() -> None:
    a, b = [0.0] * 12, [1.0] * 11 + [0.0]
    compared = paired_compare(keyed(a), keyed(b), clusters={f"c{i}": f"g{i % 3}" for i in range(12)})
    assert compared.interval.high == 1.0
    assert compared.interval.method == "clustered Bonett-Price (CR2)"


def test_rounding_does_not_turn_a_tie_into_a_win() -> None:
    a: Rows = [("x", 0.1), ("x", 0.2), ("x", 0.4), ("y", 0.3)]
    b: Rows = [("x", 0.7 / 3), ("y", 0.1 + 0.2)]
    assert (0.1 + 0.2) != 0.3
    compared = paired_compare(a, b)
    assert (compared.wins, compared.losses, compared.ties) == (0, 0, 2)


def test_one_cluster_is_refused() -> None:
    a, b = graded(1, 10), graded(2, 10)
    compared = paired_compare(keyed(a), keyed(b), clusters={f"c{i}": "g" for i in range(10)})
    assert compared.clustered_standard_error is None
    assert "one cluster" in compared.undefined["clustered_standard_error"]
    assert compared.test.p_value is None
    assert compared.interval.low is None


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("abcdefgh"), st.none() | st.sampled_from([0.0, 0.25, 0.5, 1.0])), max_size=20),
    st.lists(st.tuples(st.sampled_from("abcdefgh"), st.none() | st.sampled_from([0.0, 0.25, 0.5, 1.0])), max_size=20),
    st.booleans(),
    st.randoms(),
)
def test_every_comparison_is_consistent(a: Rows, b: Rows, grouped: bool, rng: random.Random) -> None:
    clusters = {key: "early" if key < "d" else "late" for key in "abcdef"} if grouped else None
    compared = paired_compare(a, b, clusters=clusters)
    shuffled_a, shuffled_b = list(a), list(b)
    rng.shuffle(shuffled_a)
    rng.shuffle(shuffled_b)
    assert paired_compare(shuffled_a, shuffled_b, clusters=clusters) == compared
    assert compared.wins + compared.losses + compared.ties == compared.pairs
    shared = {key for key, _ in a} & {key for key, _ in b}
    assert compared.pairs + compared.unscored == len(shared)
    mirrored = paired_compare(b, a, clusters=clusters)
    assert (mirrored.wins, mirrored.losses) == (compared.losses, compared.wins)
    assert mirrored.test.p_value == compared.test.p_value
    p_value = compared.test.p_value
    assert p_value is None or 0.0 < p_value <= 1.0
    if compared.interval.defined and compared.difference is not None:
        assert compared.interval.contains(compared.difference)
    for field in ("difference", "standard_error", "minimum_detectable_effect", "cases_needed", "p_holm", "significant"):
        assert (getattr(compared, field) is None) == bool(compared.undefined.get(field)), field
    assert PairedComparison.from_dict(compared.to_dict()) == compared


def test_a_family_is_adjusted_by_holm_for_decisions() -> None:
    base = paired_compare(keyed(graded(1, 40)), keyed(graded(2, 40)))
    family = [base.evolve(test=base.test.evolve(p_value=p)) for p in (0.02, 0.04, 0.03)]
    decided = adjusted(family)
    assert [each.p_holm for each in decided] == pytest.approx([0.06, 0.06, 0.06])
    assert [each.p_benjamini_hochberg for each in decided] == pytest.approx([0.04, 0.04, 0.04])
    assert [each.test.p_value for each in decided] == [0.02, 0.04, 0.03]
    assert [each.significant for each in decided] == [False] * 3
    assert {each.family_size for each in decided} == {3}


def test_the_detectable_effect_and_the_cases_needed_agree_with_the_design() -> None:
    power = pytest.importorskip("statsmodels.stats.power", reason="statsmodels is the oracle")
    compared = paired_compare(keyed(graded(1, 50)), keyed(graded(2, 50, 0.02)))
    assert compared.standard_error is not None
    assert compared.minimum_detectable_effect is not None
    spread = compared.standard_error * math.sqrt(50)
    size = power.TTestPower().solve_power(nobs=50, alpha=0.05, power=0.8)
    assert compared.minimum_detectable_effect == pytest.approx(size * spread, rel=1e-6)
    assert compared.cases_needed is not None
    assert compared.difference is not None
    effect = abs(compared.difference) / spread
    assert power.TTestPower().power(effect, compared.cases_needed, 0.05) >= 0.8
    assert power.TTestPower().power(effect, compared.cases_needed - 1, 0.05) < 0.8


# --- equivalence and independent samples ---


def test_tost_against_statsmodels() -> None:
    weights = pytest.importorskip("statsmodels.stats.weightstats", reason="statsmodels is the oracle")
    numpy = pytest.importorskip("numpy", reason="statsmodels takes arrays")
    a = graded(1, 60)
    b = [value + random.Random(index).gauss(0, 0.05) for index, value in enumerate(a)]
    compared = paired_compare(keyed(a), keyed(b))
    for margin in (0.005, 0.02, 0.1):
        oracle, _, _ = weights.ttost_paired(numpy.array(b), numpy.array(a), -margin, margin)
        result = equivalence(compared, margin=margin)
        assert result.p_value == pytest.approx(oracle, abs=1e-9)
        assert result.interval.low is not None
        assert result.interval.high is not None
        assert result.equivalent == (-margin <= result.interval.low and result.interval.high <= margin)


def test_equivalence_needs_a_margin_and_a_spread() -> None:
    far = [value + 3.0 for value in graded(1, 5)]
    compared = paired_compare(keyed(far), keyed(far))
    result = equivalence(compared, margin=0.1)
    assert result.p_value is None
    assert result.equivalent is None
    assert "tie" in (result.reason or "")
    with pytest.raises(DataError, match="margin is"):
        equivalence(compared, margin=0.0)


def test_equal_runs_are_equivalent_with_enough_cases() -> None:
    for scores in (graded(1, 400), [1.0, 0.0] * 200, [1.0] * 400):
        many, few = paired_compare(keyed(scores), keyed(scores)), paired_compare(keyed(scores[:20]), keyed(scores[:20]))
        assert equivalence(many, margin=0.02).equivalent
        assert equivalence(few, margin=0.02).equivalent is False
        named = {f"c{i}": f"g{i // 40}" for i in range(400)}
        assert (
            equivalence(paired_compare(keyed(scores), keyed(scores), clusters=named), margin=0.02).equivalent is False
        )
    (low, high), size = (-1.0, 3.0), 50
    ties = equivalence(paired_compare(keyed([0.5] * size), keyed([0.5] * size), score_range=(low, high)), margin=0.3)
    assert ties.interval.high == pytest.approx((high - low) * (1 - 0.05 ** (1 / size)))
    assert ties.p_value == pytest.approx((1 - 0.3 / (high - low)) ** size)


def test_tango_s_score_against_the_likelihood() -> None:
    # The statistic from its definition: the likeliest shares of wins and losses at a difference, found by search.
    optimize = pytest.importorskip("scipy.optimize", reason="SciPy is the oracle")
    for wins, losses, pairs, difference in ((15, 5, 100, 0.02), (3, 9, 40, 0.1), (3, 9, 40, -0.3), (20, 1, 60, 0.3)):

        def unlikely(lost: float, found: tuple[int, int, int, float] = (wins, losses, pairs, difference)) -> float:
            won, lost_pairs, size, by = found
            shares = ((won, lost + by), (lost_pairs, lost), (size - won - lost_pairs, 1 - 2 * lost - by))
            return -sum(count * math.log(share) for count, share in shares)

        ends = max(0.0, -difference) + 1e-12, (1 - difference) / 2 - 1e-12
        lost = optimize.minimize_scalar(unlikely, bounds=ends, method="bounded", options={"xatol": 1e-12}).x
        spread = pairs * (2 * lost + difference * (1 - difference))
        oracle = (wins - losses - pairs * difference) / math.sqrt(spread)
        assert tango_score(wins, losses, pairs, difference) == pytest.approx(oracle, abs=1e-5)


@given(st.integers(1, 30), st.integers(0, 30), st.integers(0, 30), st.floats(-0.99, 0.99))
def test_tango_s_score_grows_with_wins_and_falls_with_losses(
    ties: int, wins: int, losses: int, difference: float
) -> None:
    pairs = wins + losses + ties
    before = tango_score(wins, losses, pairs, difference)
    slack = 1e-9 * (1.0 + abs(before))
    assert tango_score(wins + 1, losses, pairs, difference) >= before - slack
    assert tango_score(wins, losses + 1, pairs, difference) <= before + slack
    interval = tango_interval(wins, losses, pairs)
    assert interval.contains((wins - losses) / pairs)


@given(st.integers(1, 60), st.integers(0, 20), st.integers(0, 20), st.floats(0.01, 0.99))
def test_equivalence_of_0_1_scores_is_decided_alike_by_interval_and_p(
    ties: int, wins: int, losses: int, margin: float
) -> None:
    a = [0.0] * wins + [1.0] * losses + [1.0] * ties
    b = [1.0] * wins + [0.0] * losses + [1.0] * ties
    result = equivalence(paired_compare(keyed(a), keyed(b)), margin=margin)
    assert result.interval.method == "Tango score, corrected for continuity"
    assert result.interval.low is not None
    assert result.interval.high is not None
    slack = min(margin + result.interval.low, margin - result.interval.high)
    assert abs(slack) < 1e-9 or result.equivalent == (slack > 0.0)


def test_missing_pairs_can_take_equivalence_away() -> None:
    a = keyed([1.0, 0.0] * 150)
    all_there = paired_compare(a, a)
    some: Rows = [(key, None if index < 10 else value) for index, (key, value) in enumerate(a)]
    assert equivalence(all_there, margin=0.03).equivalent
    result = equivalence(paired_compare(a, some), margin=0.03)
    assert result.p_value is not None
    assert result.p_value <= 0.05
    assert result.equivalent is False
    assert result.interval_if_missing is not None
    assert equivalence(paired_compare(a, some), margin=0.08).equivalent
    # The bounds were made for the comparison's own error rate; a stricter one has none.
    assert equivalence(paired_compare(a, some), margin=0.08, alpha=0.01).equivalent is False


def test_unpaired_against_scipy() -> None:
    scipy_stats = pytest.importorskip("scipy.stats", reason="SciPy is the oracle")
    a, b = graded(1, 30), graded(2, 25, 0.2)
    oracle = scipy_stats.ttest_ind(b, a, equal_var=False)
    result = unpaired_compare(a, [*b, None])
    low, high = oracle.confidence_interval(0.95)
    assert result.test.p_value == pytest.approx(oracle.pvalue, abs=1e-9)
    assert (result.interval.low, result.interval.high) == pytest.approx((low, high), abs=1e-9)
    binary = unpaired_compare([1.0, 0.0, 1.0], [1.0, 1.0, 0.0, 1.0])
    assert binary.interval.method == "Newcombe hybrid score"


def test_unpaired_says_what_it_can_not_say() -> None:
    assert unpaired_compare([], [1.0]).undefined["difference"] == "one of the samples has no scored value"
    assert unpaired_compare([0.5], [1.0, 0.2]).test.reason == "one scored value has no spread"
    assert unpaired_compare([0.5, 0.5], [0.2, 0.2]).test.reason == "no variation in either sample"


# --- clusters of one are none -----------------------------------------------------------------------------

PAIRED_SCORES = st.sampled_from([(0.0, 1.0), (0.0, 0.25, 0.5, 1.0)]).flatmap(
    lambda choices: st.lists(st.tuples(*[st.none() | st.sampled_from(choices)] * 2), min_size=2, max_size=25)
)


@settings(max_examples=200, deadline=None)
@given(PAIRED_SCORES, st.sampled_from(["CR1", "CR2"]), st.sampled_from([0.05, 0.2, 0.5]))
def test_naming_clusters_of_one_changes_nothing(
    scores: list[tuple[float | None, float | None]], correction: Correction, margin: float
) -> None:
    a, b = keyed([before for before, _ in scores]), keyed([after for _, after in scores])
    alone = paired_compare(a, b)
    named = paired_compare(a, b, clusters={key: key for key, _ in a}, method=PairedMethod(correction=correction))

    def ends(comparison: PairedComparison) -> list[float]:
        shown = equivalence(comparison, margin=margin)
        intervals = [comparison.interval, shown.interval]
        if comparison.if_missing is not None:
            intervals += [comparison.if_missing.interval, comparison.if_missing.equivalence_interval]
        figures = [comparison.test.p_value, shown.p_value, comparison.minimum_detectable_effect]
        found = [end for interval in intervals for end in (interval.low, interval.high)] + figures
        return [math.inf if figure is None else figure for figure in found]

    if alone.pairs > 1:
        assert ends(named) == pytest.approx(ends(alone), rel=1e-9)


def test_0_1_pairs_in_clusters_are_counted_by_their_effective_number() -> None:
    clusters = {f"c{case}": f"g{case // 5}" for case in range(100)}
    a, b = keyed([0.0] * 100), keyed([float(case // 5 % 4 == 0) for case in range(100)])
    compared = paired_compare(a, b, clusters=clusters)
    assert compared.interval.method == "clustered Bonett-Price (CR2)"
    assert compared.effective_pairs == pytest.approx(19)  # all pairs of a cluster agree: twenty, less one for the mean
    critical = t_quantile(0.975, 19)
    expected = bonett_price_interval(19 / 4, 0.0, 19, critical=critical)
    assert (compared.interval.low, compared.interval.high) == pytest.approx((expected.low, expected.high))


# --- what a comparison could find -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "scores", [[(0.0, 1.0)] * 4 + [(1.0, 0.0)], [(0.1, 0.9), (0.3, 0.2), (0.5, 0.9), (0.1, 0.7), (0.2, 0.4)]]
)
def test_five_pairs_can_not_find_anything_and_say_so(scores: list[tuple[float, float]]) -> None:
    compared = paired_compare(keyed([a for a, _ in scores]), keyed([b for _, b in scores]))
    assert compared.minimum_detectable_effect is None
    assert compared.undefined["minimum_detectable_effect"] == "no difference can be significant with fewer than 6 pairs"
    assert compared.cases_needed is not None
    assert compared.cases_needed >= 6
    assert "No difference can be significant with fewer than 6 pairs" in comparison_sentence(compared)


def test_power_is_told_at_the_error_rate_that_holm_leaves() -> None:
    a = keyed([0.0] * 60 + [1.0] * 40)
    b = keyed([0.0] * 55 + [1.0] * 5 + [1.0] * 30 + [0.0] * 10)
    alone = paired_compare(a, b)
    family = adjusted([alone] * 10)[0]
    assert alone.minimum_detectable_effect == mcnemar_detectable_effect(cases=100, discordant=0.15)
    assert family.minimum_detectable_effect == mcnemar_detectable_effect(cases=100, discordant=0.15, alpha=0.05 / 10)
    assert alone.cases_needed == mcnemar_cases_needed(-0.05, discordant=0.15)
    assert family.cases_needed == mcnemar_cases_needed(-0.05, discordant=0.15, alpha=0.05 / 10)
    assert "at an error rate of 0.005, which Holm's adjustment leaves" in comparison_sentence(family)
    again = adjusted([family])[0]
    assert again.minimum_detectable_effect == alone.minimum_detectable_effect
    mid_p = paired_compare(a, b, method=PairedMethod(mid_p=True))
    assert mid_p.minimum_detectable_effect == mcnemar_detectable_effect(cases=100, discordant=0.15, mid_p=True)


def test_a_difference_that_no_scores_can_have_is_not_promised() -> None:
    compared = paired_compare(keyed([0.0, 0.5, 1.0, 0.0, 1.0, 0.5]), keyed([1.0, 0.0, 0.0, 1.0, 0.5, 0.5]))
    assert compared.minimum_detectable_effect is None
    assert "within the scores' range" in compared.undefined["minimum_detectable_effect"]


def test_clusters_are_the_units_that_sign_flips_have() -> None:
    a, b = graded(1, 60), graded(2, 60)
    compared = paired_compare(keyed(a), keyed(b), clusters={f"c{i}": f"g{i % 5}" for i in range(60)})
    assert "fewer than 6 clusters" in compared.undefined["minimum_detectable_effect"]
    assert compared.cases_needed is not None
    assert compared.cases_needed >= 72  # six clusters of twelve


# --- what is refused --------------------------------------------------------------------------------------


def test_scores_outside_their_range_are_refused() -> None:
    with pytest.raises(StatisticsError, match=r"a score is 5.0; allowed: 0 to 1, as score_range says"):
        paired_compare(keyed([0.0, 5.0]), keyed([1.0, None]), score_range=(0.0, 1.0))
    with pytest.raises(StatisticsError, match=r"a score is 5\.0"):
        estimate_mean([5.0, None, 0.0], score_range=(0.0, 1.0))
    with pytest.raises(StatisticsError, match=r"power is 0\.04"):
        PairedMethod(power=0.04)


# --- independent samples ----------------------------------------------------------------------------------


def test_independent_0_1_scores_have_a_p_value_without_any_variation_within() -> None:
    far = unpaired_compare([0.0] * 20, [1.0] * 20)
    assert far.test.p_value is not None
    assert far.test.p_value < 1e-8
    assert far.test.statistic is not None
    assert far.test.statistic > 6.0
    assert unpaired_compare([1.0] * 20, [1.0] * 20).test.reason == "no variation: all scores are equal"
    assert unpaired_compare([0.0], [1.0]).test.p_value is not None


@pytest.mark.parametrize("counts", [(5, 20, 12, 20), (0, 50, 4, 60), (99, 100, 80, 100), (30, 31, 200, 400)])
def test_the_score_test_is_pearsons_with_n_less_one(counts: tuple[int, int, int, int]) -> None:
    scipy_stats = pytest.importorskip("scipy.stats", reason="SciPy is the oracle")
    ones_a, size_a, ones_b, size_b = counts
    table = [[ones_a, size_a - ones_a], [ones_b, size_b - ones_b]]
    chi2 = scipy_stats.chi2_contingency(table, correction=False).statistic * (size_a + size_b - 1) / (size_a + size_b)
    found = score_test(*counts)
    assert found.p_value == pytest.approx(scipy_stats.chi2.sf(chi2, 1), rel=1e-9)
    assert found.statistic == pytest.approx(math.copysign(math.sqrt(chi2), ones_b / size_b - ones_a / size_a))
