"""What is not defined: `None` with its reason, whatever the input; never 0, NaN or an exception."""

from __future__ import annotations

import math
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from themis.pure.errors import DataError
from themis.pure.stats import agreement, intervals, resampling
from themis.pure.stats.arguments import LARGEST
from themis.pure.stats.equivalence import equivalence
from themis.pure.stats.estimates import describe_skewed, estimate_mean
from themis.pure.stats.pairs import PairedMethod, paired_compare
from themis.pure.stats.pass_at_k import estimate_pass_at_k
from themis.pure.stats.records import Estimate, Interval, PairedComparison, SignificanceTest, SkewedEstimate
from themis.pure.stats.samples import mean
from themis.pure.stats.unpaired import unpaired_compare

# Huge, tiny, equal but for rounding, tied and plain values.
SCORES = st.sampled_from([0.0, 1.0, -1.0, 0.5, 0.1 + 0.2, 0.3, 1e-300, 5e-324, 1e-160, 1e90, -LARGEST, LARGEST])
VALUES = st.lists(st.none() | SCORES, max_size=9)
KEYS = st.integers(0, 3)


def numbers(record: Any) -> list[tuple[str, float | None, str | None]]:
    """Every figure of a record and of the records in it, with its reason."""
    found: list[tuple[str, float | None, str | None]] = []
    if isinstance(record, Interval):
        return [("low", record.low, record.reason), ("high", record.high, record.reason)]
    if isinstance(record, SignificanceTest):
        return [("p_value", record.p_value, record.reason)]
    for field in attrs.fields(type(record)):
        value = getattr(record, field.name)
        if attrs.has(type(value)):
            found += numbers(value)
        elif isinstance(value, float):
            found.append((field.name, value, None))
    return found


def check_honest(record: Any) -> None:
    for name, value, reason in numbers(record):
        assert value is None or math.isfinite(value), name
        assert (value is None) == bool(reason) or name not in ("low", "high", "p_value"), name


def check_reasons(record: Estimate | SkewedEstimate | PairedComparison, *fields: str) -> None:
    for field in fields:
        assert (getattr(record, field) is None) == bool(record.undefined.get(field)), field


@settings(deadline=None)
@given(st.lists(st.tuples(st.none() | SCORES, KEYS), max_size=9), st.sampled_from(["CR1", "CR2"]), st.booleans())
def test_estimates(rows: list[tuple[float | None, int]], correction: Any, grouped: bool) -> None:
    values, keys = [value for value, _ in rows], [key for _, key in rows] if grouped else None
    estimate = estimate_mean(values, clusters=keys, correction=correction)
    check_honest(estimate)
    check_reasons(estimate, "mean", "standard_error")
    assert estimate.standard_error is None or estimate.standard_error > 0.0
    if estimate.interval.low is not None and estimate.interval.high is not None:
        assert estimate.interval.low < estimate.interval.high


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.none() | SCORES, KEYS), max_size=9), st.booleans())
def test_skewed_quantities(rows: list[tuple[float | None, int]], grouped: bool) -> None:
    values, keys = [value for value, _ in rows], [key for _, key in rows] if grouped else None
    described = describe_skewed(values, clusters=keys, resamples=39)
    check_honest(described)
    check_reasons(described, "mean", "median", "percentile_90", "percentile_99")


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("abcdef"), st.none() | SCORES), max_size=9),
    st.lists(st.tuples(st.sampled_from("abcdef"), st.none() | SCORES), max_size=9),
    st.sampled_from([None, {}, dict.fromkeys("abcdef", "g"), dict.fromkeys("abc", "g")]),
    st.sampled_from(["CR1", "CR2"]),
)
def test_comparisons(
    a: list[tuple[str, float | None]],
    b: list[tuple[str, float | None]],
    clusters: dict[str, str] | None,
    correction: Any,
) -> None:
    compared = paired_compare(a, b, clusters=clusters, method=PairedMethod(correction=correction))
    check_honest(compared)
    check_reasons(compared, "difference", "standard_error", "minimum_detectable_effect", "cases_needed", "significant")
    assert compared.standard_error is None or compared.standard_error > 0.0
    check_honest(equivalence(compared, margin=0.1))


@given(VALUES, VALUES)
def test_unpaired_comparisons(a: list[float | None], b: list[float | None]) -> None:
    result = unpaired_compare(a, b)
    check_honest(result)
    assert (result.difference is None) == bool(result.undefined)


@given(st.lists(st.integers(0, 4).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))), max_size=6), KEYS)
def test_pass_at_k_of_any_counts(problems: list[tuple[int, int]], k: int) -> None:
    for every in (False, True):
        estimate = estimate_pass_at_k(problems, k + 1, every=every)
        check_honest(estimate)
        check_reasons(estimate, "mean", "standard_error", "if_missing_wrong", "if_missing_right")
        assert estimate.scored == sum(n > k for n, _ in problems)


@given(
    st.integers(2, 3).flatmap(
        lambda raters: st.integers(0, 6).flatmap(
            lambda units: st.lists(
                st.lists(st.none() | st.sampled_from([0, 1, 2, 1e-200, 1e90, LARGEST]), min_size=units, max_size=units),
                min_size=raters,
                max_size=raters,
            )
        )
    )
)
def test_agreement_of_any_ratings(ratings: list[list[float | None]]) -> None:
    results = [agreement.raw_agreement(ratings), agreement.fleiss_kappa(ratings)]
    if len(ratings) == 2:
        weights: tuple[agreement.Weights, ...] = ("none", "linear", "quadratic")
        results += [agreement.cohen_kappa(*ratings, weights=each) for each in weights]
    scales: tuple[agreement.Scale, ...] = ("nominal", "ordinal", "interval", "ratio")
    results += [agreement.krippendorff_alpha(ratings, scale=scale) for scale in scales]
    for result in results:
        check_honest(result)
        assert (result.value is None) == bool(result.reason), result.method
        assert result.value is None or result.value <= 1.0 + 1e-12


def test_one_rater_is_refused_by_every_coefficient() -> None:
    for coefficient in (agreement.raw_agreement, agreement.fleiss_kappa, agreement.krippendorff_alpha):
        with pytest.raises(DataError, match="two or more raters"):
            coefficient([[1, 2, 3]])


def test_a_rating_that_is_no_rating_is_refused() -> None:
    with pytest.raises(DataError, match="put None"):
        agreement.krippendorff_alpha([[1.0, math.nan], [1.0, 2.0]])
    with pytest.raises(DataError, match="0 or more"):
        agreement.krippendorff_alpha([[1, -1], [1, 2]], scale="ratio")
    with pytest.raises(DataError, match="finite numbers"):
        agreement.krippendorff_alpha([[1, 1e200], [1, 2]], scale="interval")


def test_a_kappa_without_a_standard_error_says_why() -> None:
    agreed = agreement.cohen_kappa([1, 2, 1], [1, 2, 1])
    assert (agreed.value, agreed.interval.reason) == (1.0, "no variation: the raters agree on every unit")
    one_sided = agreement.cohen_kappa([1, 1, 1], [1, 2, 1])
    assert one_sided.value == pytest.approx(0.0, abs=1e-12)
    assert one_sided.interval.reason == "no variation: one rater gave the same rating to every unit"
    opposed = agreement.cohen_kappa([1, 2], [2, 1])
    assert opposed.value == pytest.approx(-1.0)
    assert opposed.interval.reason == "no variation: the estimated standard error is 0"


def test_values_whose_squares_would_overflow_are_refused() -> None:
    with pytest.raises(DataError, match="1e\\+120 in size"):
        estimate_mean([0.0, 1e200])


def test_without_variation_no_interval_has_a_width_of_zero() -> None:
    assert "no variation" in (intervals.median_interval([3.0] * 20).reason or "")
    assert "no variation" in (resampling.percentile_bootstrap([2.0] * 20, mean, resamples=99).reason or "")
    assert "not defined for" in (resampling.percentile_bootstrap([1.0, 2.0], lambda _: math.nan).reason or "")
    nearly = unpaired_compare([0.1 + 0.2, 0.3], [0.7, 0.7])
    assert (nearly.test.p_value, nearly.test.reason) == (None, "no variation in either sample")
