"""pass@k and pass^k: the formulas by enumeration, intervals over problems, the undefined."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from themis.pure.errors import DataError
from themis.pure.stats.pass_at_k import estimate_pass_at_k, pass_at_k, pass_hat_k


@pytest.mark.parametrize(
    ("samples", "correct", "k"), [(5, 2, 1), (5, 2, 3), (6, 3, 2), (4, 0, 2), (4, 4, 4), (7, 1, 7)]
)
def test_both_by_drawing_all_subsets(samples: int, correct: int, k: int) -> None:
    draws = list(itertools.combinations([True] * correct + [False] * (samples - correct), k))
    assert pass_at_k(samples, correct, k) == pytest.approx(sum(map(any, draws)) / len(draws), abs=1e-12)
    assert pass_hat_k(samples, correct, k) == pytest.approx(sum(map(all, draws)) / len(draws), abs=1e-12)


def test_the_published_product_form_agrees() -> None:
    numpy = pytest.importorskip("numpy", reason="the published form is in numpy")
    for samples, correct, k in [(200, 13, 10), (200, 199, 100), (1000, 5, 100)]:
        published = 1.0 - numpy.prod(1.0 - k / numpy.arange(samples - correct + 1, samples + 1))
        published = 1.0 if samples - correct < k else published
        assert pass_at_k(samples, correct, k) == pytest.approx(published, abs=1e-9)


def test_more_draws_than_samples_is_not_defined() -> None:
    assert pass_at_k(3, 3, 4) is None
    assert pass_hat_k(3, 3, 4) is None
    with pytest.raises(DataError, match="correct is 5"):
        pass_at_k(3, 5, 1)
    with pytest.raises(DataError, match="k is 0"):
        pass_hat_k(3, 1, 0)


@given(st.integers(1, 40).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))))
def test_all_correct_is_rarer_than_one_and_any_is_likelier(counts: tuple[int, int, int]) -> None:
    samples, correct, k = counts
    at, hat = pass_at_k(samples, correct, k), pass_hat_k(samples, correct, k)
    assert at is not None
    assert hat is not None
    assert 0.0 <= hat <= correct / samples + 1e-12
    assert correct / samples - 1e-12 <= at <= 1.0


def test_the_interval_is_over_problems() -> None:
    estimate = estimate_pass_at_k([(10, 3), (10, 10), (10, 0), (10, 6)], 1)
    assert estimate.metric_id == "pass@1"
    assert estimate.mean == pytest.approx((0.3 + 1.0 + 0.0 + 0.6) / 4)
    assert estimate.interval.method == "Student t, a 0 and a 1 added"
    assert (estimate.planned, estimate.scored) == (4, 4)
    assert estimate_pass_at_k([(4, 2)] * 3, 2, every=True).metric_id == "pass^2"


def test_problems_with_too_few_samples_are_missing_and_counted() -> None:
    estimate = estimate_pass_at_k([(4, 2), (1, 1), (4, 4)], 2, planned=[4, 4, 4])
    assert (estimate.planned, estimate.scored, estimate.missing) == (3, 2, 1)
    assert estimate.missing_by_category == {"fewer_samples_than_k": 1}
    assert estimate.mean == pytest.approx((5 / 6 + 1) / 2)
    # The three lost samples of the second problem wrong: 1 - C(3,2)/C(4,2) = 1/2; right: 1.
    assert estimate.if_missing_wrong == pytest.approx((5 / 6 + 0.5 + 1) / 3)
    assert estimate.if_missing_right == pytest.approx((5 / 6 + 1 + 1) / 3)


def test_k_beyond_every_problem_is_not_defined() -> None:
    estimate = estimate_pass_at_k([(3, 1), (2, 2)], 5)
    assert estimate.mean is None
    assert "k = 5 exceeds" in estimate.undefined["mean"]
    assert "k = 5 exceeds" in (estimate.interval.reason or "")
    assert estimate.if_missing_wrong is None
