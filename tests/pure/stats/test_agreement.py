"""Agreement against scikit-learn, statsmodels and krippendorff; the undefined."""

from __future__ import annotations

import math
import random
import warnings
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from themis import stats
from themis.pure.errors import DataError, StatisticsError
from themis.pure.stats import agreement

RATERS = st.integers(2, 4).flatmap(
    lambda raters: st.integers(1, 12).flatmap(
        lambda units: st.lists(
            st.lists(st.none() | st.integers(1, 4), min_size=units, max_size=units),
            min_size=raters,
            max_size=raters,
        )
    )
)


def two_raters(seed: int, size: int = 80) -> tuple[list[int], list[int]]:
    rng = random.Random(seed)
    first = [rng.randint(1, 4) for _ in range(size)]
    return first, [label if rng.random() < 0.6 else rng.randint(1, 4) for label in first]


@pytest.mark.parametrize("weights", ["none", "linear", "quadratic"])
def test_cohen_against_scikit_learn(weights: Literal["none", "linear", "quadratic"]) -> None:
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is the oracle")
    first, second = two_raters(1)
    oracle = metrics.cohen_kappa_score(first, second, weights=None if weights == "none" else weights)
    result = agreement.cohen_kappa(first, second, weights=weights)
    assert result.value == pytest.approx(oracle, abs=1e-9)
    assert result.interval.contains(oracle)


@pytest.mark.parametrize("weights", ["none", "linear", "quadratic"])
def test_cohen_standard_error_against_statsmodels(weights: Literal["none", "linear", "quadratic"]) -> None:
    raters = pytest.importorskip("statsmodels.stats.inter_rater", reason="statsmodels is the oracle")
    numpy = pytest.importorskip("numpy", reason="statsmodels takes arrays")
    first, second = two_raters(2)
    table = numpy.zeros((4, 4))
    for a, b in zip(first, second, strict=True):
        table[a - 1, b - 1] += 1
    kinds: dict[str, Any] = {"none": {}, "linear": {"wt": "linear"}, "quadratic": {"wt": "quadratic"}}
    oracle = raters.cohens_kappa(table, **kinds[weights])
    result = agreement.cohen_kappa(first, second, weights=weights)
    assert (result.interval.low, result.interval.high) == pytest.approx((oracle.kappa_low, oracle.kappa_upp), abs=1e-9)


def test_fleiss_against_statsmodels() -> None:
    raters = pytest.importorskip("statsmodels.stats.inter_rater", reason="statsmodels is the oracle")
    first, second = two_raters(3)
    third, _ = two_raters(4)
    table, _ = raters.aggregate_raters(list(zip(first, second, third, strict=True)))
    result = agreement.fleiss_kappa([first, second, third])
    assert result.value == pytest.approx(raters.fleiss_kappa(table), abs=1e-9)


@given(RATERS, st.sampled_from(["nominal", "ordinal", "interval", "ratio"]))
def test_krippendorff_against_the_reference(ratings: list[list[int | None]], scale: agreement.Scale) -> None:
    krippendorff = pytest.importorskip("krippendorff", reason="krippendorff is the oracle")
    result = agreement.krippendorff_alpha(ratings, scale=scale)
    if result.value is None:
        pairable = [[r for r in unit if r is not None] for unit in zip(*ratings, strict=True)]
        assert len({r for unit in pairable if len(unit) > 1 for r in unit}) < 2
        return
    table = [[float("nan") if r is None else float(r) for r in rater] for rater in ratings]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        oracle = krippendorff.alpha(reliability_data=table, level_of_measurement=scale)
    assert result.value == pytest.approx(oracle, abs=1e-9)


@pytest.mark.parametrize("scale", ["nominal", "interval", "ratio"])
def test_the_jackknife_leaves_one_unit_out(scale: agreement.Scale) -> None:
    first, second = two_raters(5, 30)
    ratings: list[list[int | None]] = [list(first), list(second), [None, *first[1:]]]
    size = 30
    left = []
    for gone in range(size):
        kept = [[r for i, r in enumerate(rater) if i != gone] for rater in ratings]
        value = agreement.krippendorff_alpha(kept, scale=scale).value
        assert value is not None
        left.append(value)
    centre = sum(left) / size
    error = ((size - 1) / size * sum((value - centre) ** 2 for value in left)) ** 0.5
    result = agreement.krippendorff_alpha(ratings, scale=scale)
    assert result.value is not None
    assert result.interval.low == pytest.approx(result.value - 1.959963984540054 * error, abs=1e-9)


def test_raw_agreement_counts_pairs_of_raters() -> None:
    result = agreement.raw_agreement([["a", "b", "b"], ["a", "a", "b"], ["a", "a", None]])
    # Units agree in 3 of 3, 1 of 3 and 1 of 1 pairs.
    assert result.value == pytest.approx((1 + 1 / 3 + 1) / 3)
    two = agreement.raw_agreement([[1, 0, 1, None], [1, 1, 1, 1]])
    assert two.interval.method == "Wilson score"
    assert (two.units, two.dropped_units) == (3, 1)


def test_labels_may_be_words_and_their_order_may_be_given() -> None:
    first, second = ["bad", "good", "fair", "good"], ["bad", "fair", "fair", "good"]
    order = ["bad", "fair", "good"]
    as_numbers = [[order.index(label) for label in rater] for rater in (first, second)]
    assert agreement.krippendorff_alpha([first, second], scale="ordinal", categories=order).value == pytest.approx(
        agreement.krippendorff_alpha(as_numbers, scale="ordinal").value
    )
    assert agreement.cohen_kappa(first, second, weights="linear", categories=order).value == pytest.approx(
        agreement.cohen_kappa(*as_numbers, weights="linear").value
    )
    with pytest.raises(DataError, match="outside the categories"):
        agreement.cohen_kappa(first, second, categories=["bad", "good"])


def test_without_variation_chance_agreement_is_not_defined() -> None:
    same = [[1, 1, 1], [1, 1, 1]]
    for result in (
        agreement.cohen_kappa(*same),
        agreement.fleiss_kappa(same),
        agreement.krippendorff_alpha(same),
    ):
        assert result.value is None
        assert "no variation" in (result.reason or "")
    assert agreement.raw_agreement(same).value == 1.0


def test_without_a_unit_rated_twice_nothing_is_defined() -> None:
    ratings = [[1, None], [None, 2]]
    for result in (
        agreement.raw_agreement(ratings),
        agreement.cohen_kappa(*ratings),
        agreement.fleiss_kappa(ratings),
        agreement.krippendorff_alpha(ratings),
    ):
        assert result.value is None
        assert result.reason
        assert result.dropped_units == 2


def test_misuse_is_refused() -> None:
    with pytest.raises(DataError, match="two or more raters"):
        agreement.raw_agreement([[1, 2]])
    with pytest.raises(DataError, match="over the same units"):
        agreement.fleiss_kappa([[1, 2], [1]])
    with pytest.raises(DataError, match="finite numbers"):
        agreement.krippendorff_alpha([["a", "b"], ["a", "a"]], scale="interval")


# --- standard errors --------------------------------------------------------------------------------------


def zero_one_raters(size: int, seed: int) -> tuple[list[float], list[float]]:
    rng = random.Random(seed)
    first = [float(rng.random() < 0.6) for _ in range(size)]
    return first, [1.0 - value if rng.random() < 0.2 else value for value in first]


def test_the_errors_of_kappa_and_alpha_are_how_far_they_scatter() -> None:
    drawn = [zero_one_raters(150, seed) for seed in range(400)]
    kappas, alphas = ([make(each) for each in drawn] for make in (_kappa, agreement.krippendorff_alpha))
    for found in (kappas, alphas):
        values = [each.value or 0.0 for each in found]
        middle = sum(values) / len(values)
        scatter = math.sqrt(sum((value - middle) ** 2 for value in values) / len(values))
        assert sum(each.standard_error or 0.0 for each in found) / len(found) == pytest.approx(scatter, rel=0.1)
    resampled = agreement.krippendorff_alpha(drawn[0], resamples=999, seed=1)
    assert resampled.value == alphas[0].value
    assert resampled.standard_error == pytest.approx(alphas[0].standard_error, rel=0.1)
    assert resampled.interval.method == "percentile bootstrap over units (B=999)"
    assert resampled.interval.low == pytest.approx(alphas[0].interval.low or 0.0, abs=0.03)


def _kappa(ratings: tuple[list[float], list[float]]) -> stats.Agreement:
    return agreement.cohen_kappa(*ratings)


def test_the_bootstrap_of_alpha_is_the_same_in_any_order_of_units() -> None:
    first, second = zero_one_raters(60, 3)
    back = [first[::-1], second[::-1]]
    found = agreement.krippendorff_alpha([first, second], scale="interval", resamples=199, seed=7)
    assert found == agreement.krippendorff_alpha(back, scale="interval", resamples=199, seed=7)
    assert found.interval != agreement.krippendorff_alpha(back, scale="interval", resamples=199, seed=8).interval


def test_the_bootstrap_of_alpha_says_where_it_is_not_defined() -> None:
    found = agreement.krippendorff_alpha([[1, 1, 1, 2], [1, 1, 1, 2]], resamples=99)
    assert found.interval.low is None
    assert "not defined for" in (found.interval.reason or "")
    assert found.standard_error is None


def clustered_raters(cases: int, seed: int) -> tuple[list[float], list[float], list[int]]:
    """Four answers a case, which the second rater misjudges all alike."""
    rng = random.Random(seed)
    first, second, keys = [], [], []
    for case in range(cases):
        right, is_misjudged = rng.betavariate(1, 1), rng.random() < 0.2
        for _ in range(4):
            value = float(rng.random() < right)
            first.append(value)
            second.append(1.0 - value if is_misjudged else value)
            keys.append(case)
    return first, second, keys


def test_where_cases_have_several_answers_the_errors_are_those_over_cases() -> None:
    drawn = [clustered_raters(50, seed) for seed in range(300)]
    kappas = [agreement.cohen_kappa(a, b, clusters=keys) for a, b, keys in drawn]
    values = [found.value or 0.0 for found in kappas]
    middle = sum(values) / len(values)
    scatter = math.sqrt(sum((value - middle) ** 2 for value in values) / len(values))
    assert sum(found.standard_error or 0.0 for found in kappas) / 300 == pytest.approx(scatter, rel=0.1)
    alone = [agreement.cohen_kappa(a, b).standard_error or 0.0 for a, b, _ in drawn]
    assert sum(alone) / 300 < 0.7 * scatter
    a, b, keys = drawn[0]
    alpha = agreement.krippendorff_alpha([a, b], resamples=499, clusters=keys, seed=1)
    assert alpha.standard_error == pytest.approx(kappas[0].standard_error or 0.0, rel=0.2)
    assert alpha.interval.method == "percentile bootstrap over clusters (B=499)"


def test_clusters_of_one_are_units() -> None:
    first, second = zero_one_raters(80, 2)
    units = agreement.krippendorff_alpha([first, second], resamples=99)
    clusters = agreement.krippendorff_alpha([first, second], resamples=99, clusters=range(80))
    assert units.interval.low == clusters.interval.low
    by_formula, by_jackknife = (
        agreement.cohen_kappa(first, second),
        agreement.cohen_kappa(first, second, clusters=range(80)),
    )
    assert by_jackknife.standard_error == pytest.approx(by_formula.standard_error or 0.0, rel=0.05)
    lone = agreement.cohen_kappa(first, second, clusters=["a"] * 80)
    assert (lone.value, lone.interval.defined) == (by_formula.value, False)
    missing = agreement.cohen_kappa([*first, None], [*second, 1.0], clusters=range(81))
    assert missing.standard_error == by_jackknife.standard_error


def test_clusters_are_drawn_and_not_left_out_of_a_jackknife() -> None:
    ratings, keys = [[1, 2, 3, 3, 1, 2], [1, 2, 3, 4, 1, 1]], list("aabbcc")
    found = agreement.krippendorff_alpha(ratings, scale="interval", resamples=99, clusters=keys)
    assert "over clusters" in found.interval.method
    with pytest.raises(StatisticsError, match=r"clusters is .*allowed: None without resamples"):
        agreement.krippendorff_alpha(ratings, scale="interval", clusters=keys)
