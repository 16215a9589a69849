"""A judge's mean corrected by labels: against formulas by hand, in any order, and as wide as it says."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from themis.pure.errors import StatisticsError
from themis.pure.stats import corrected_mean, rogan_gladen
from themis.pure.stats.corrected import FEWEST_LABELS

SCORES = st.sampled_from([0.0, 0.25, 0.5, 1.0])
ANSWERS = st.lists(st.tuples(st.none() | SCORES, st.none() | SCORES), min_size=1, max_size=60)


def biased(size: int, labels: int, seed: int = 0) -> tuple[list[float | None], list[float | None]]:
    rng = random.Random(seed)
    truths = [float(rng.random() < 0.7) for _ in range(size)]
    scores: list[float | None] = [1.0 if y or rng.random() < 0.4 else 0.0 for y in truths]
    return scores, [*truths[:labels], *[None] * (size - labels)]


def graded(size: int, labels: int, seed: int = 0) -> tuple[list[float | None], list[float | None]]:
    rng = random.Random(seed)
    truths = [rng.betavariate(4, 2) for _ in range(size)]
    scores: list[float | None] = [min(1.0, max(0.0, y + 0.1 + rng.gauss(0, 0.2))) for y in truths]
    return scores, [*truths[:labels], *[None] * (size - labels)]


# --- against formulas by hand -----------------------------------------------------------------------------


def test_the_mean_and_its_error_are_those_of_the_paper() -> None:
    """Angelopoulos, Duchi and Zrnic (2023), example 6.1: two samples, of labelled and of unlabelled answers."""
    scores, labels = graded(1000, 120)
    found = corrected_mean(scores, labels)
    assert found.mean is not None
    assert found.tuning is not None
    f, y = [score for score in scores if score is not None], [label for label in labels if label is not None]
    rest, n = f[120:], 120
    power = found.tuning
    assert found.mean == pytest.approx(
        power * math.fsum(rest) / len(rest) + math.fsum(b - power * a for a, b in zip(f, y, strict=False)) / n
    )
    # ppi_py 0.2.3 gives 0.65622328 and 0.6279497 to 0.68449687 for these columns and this lambda.
    spread = _variance(rest) * power**2 / len(rest) + _variance([b - power * a for a, b in zip(f, y, strict=False)]) / n
    assert found.standard_error == pytest.approx(math.sqrt(spread), rel=0.03)
    slope = _covariance(f[:n], y) / _variance(f[:n])
    assert power == pytest.approx(slope / (1 + n / len(rest)))


def _variance(values: list[float]) -> float:
    return _covariance(values, values)


def _covariance(a: list[float], b: list[float]) -> float:
    x, y = sum(a) / len(a), sum(b) / len(b)
    return math.fsum((u - x) * (v - y) for u, v in zip(a, b, strict=True)) / (len(a) - 1)


def test_the_rates_of_a_judge_and_what_they_come_to_are_those_by_hand() -> None:
    # 100 labels: of 60 right ones 54 are found, of 40 wrong ones 32 are; 900 more, of which 580 are called right.
    scores = [1.0] * 54 + [0.0] * 6 + [1.0] * 8 + [0.0] * 32 + [1.0] * 580 + [0.0] * 320
    labels = [1.0] * 60 + [0.0] * 40 + [None] * 900
    found = rogan_gladen(scores, labels)
    assert (found.sensitivity, found.specificity) == (0.9, 0.8)
    assert found.mean == pytest.approx((580 / 900 + 0.8 - 1) / (0.9 + 0.8 - 1))
    assert (found.interval.method, found.interval.contains(found.mean or 0.0)) == ("Lang-Reiczigel", True)


def test_equal_probabilities_are_a_simple_random_sample() -> None:
    scores, labels = biased(800, 100)
    plain, stated = corrected_mean(scores, labels), corrected_mean(scores, labels, probabilities=[0.125] * 800)
    assert stated.mean == pytest.approx(plain.mean)
    assert stated.interval.low == pytest.approx(plain.interval.low)
    assert stated.interval.high == pytest.approx(plain.interval.high)


def test_inverse_probabilities_undo_an_unequal_choice() -> None:
    """Of the wrong answers all are labelled, of the right ones a tenth: unweighed, the mean would be far too low."""
    labels: list[float | None] = []
    probabilities: list[float | None] = []
    for place in range(1000):
        right = place % 5 != 0
        labels.append(float(right) if not right or place % 50 == 1 else None)
        probabilities.append(1.0 if not right else 20 / 800)
    scores = [1.0] * 1000
    weighed = corrected_mean(scores, labels, probabilities=probabilities)
    assert weighed.mean == pytest.approx(0.8)
    assert (corrected_mean(scores, labels).mean or 1.0) < 0.1


# --- rules ------------------------------------------------------------------------------------------------


@given(ANSWERS, st.randoms(use_true_random=False))
def test_the_order_of_answers_changes_nothing(answers: list[tuple[float | None, float | None]], rng: Any) -> None:
    shuffled = [*answers]
    rng.shuffle(shuffled)
    first, second = (corrected_mean(*map(list, zip(*rows, strict=True))) for rows in (answers, shuffled))
    assert first == second


@given(ANSWERS)
def test_there_is_a_figure_or_the_reason_why_not(answers: list[tuple[float | None, float | None]]) -> None:
    scores, labels = map(list, zip(*answers, strict=True))
    found = corrected_mean(scores, labels)
    pairs = sum(score is not None and label is not None for score, label in answers)
    assert found.labelled == pairs
    assert (found.mean is None) == ("mean" in found.undefined) == (pairs < FEWEST_LABELS)
    assert found.interval.defined or found.interval.reason
    if found.mean is not None and found.interval.low is not None:
        assert found.interval.contains(min(1.0, max(0.0, found.mean))) or found.labels.binary


def test_a_judge_that_tells_nothing_is_left_out() -> None:
    _, labels = biased(500, 100)
    found = corrected_mean([1.0] * 500, labels)
    assert found.mean == pytest.approx(found.labels.mean)
    assert found.tuning == 0.0


def test_a_judge_on_another_scale_is_as_good() -> None:
    scores, labels = graded(500, 100)
    found = corrected_mean(scores, labels)
    rescaled = corrected_mean([None if score is None else 1.0 - score / 2.0 for score in scores], labels)
    assert rescaled.mean == pytest.approx(found.mean)
    assert rescaled.standard_error == pytest.approx(found.standard_error)


def test_where_every_answer_is_labelled_their_mean_is_it() -> None:
    scores, labels = biased(300, 300)
    found = corrected_mean(scores, labels)
    assert found.mean == pytest.approx(found.labels.mean)
    assert found.tuning == 0.0
    assert found.worth is not None
    assert found.worth.with_more_labels is None


def test_answers_of_a_case_are_not_independent() -> None:
    rng = random.Random(3)
    truths = [
        float(case_rate > rng.random()) for case_rate in (rng.betavariate(0.3, 0.3) for _ in range(300)) for _ in "123"
    ]
    scores: list[float | None] = [1.0 - y if rng.random() < 0.2 else y for y in truths]
    labels: list[float | None] = [*truths[:180], *[None] * 720]
    cases = [place // 3 for place in range(900)]
    alone, clustered = corrected_mean(scores, labels), corrected_mean(scores, labels, clusters=cases)
    assert (alone.clusters, clustered.clusters) == (None, 60)
    assert alone.mean == clustered.mean
    same = corrected_mean(scores, labels, clusters=range(900))
    assert same.interval.low == pytest.approx(alone.interval.low)


def test_what_labels_are_worth_is_what_they_turn_out_to_be() -> None:
    scores, labels = graded(2000, 100)
    _, more = graded(2000, 200)
    worth = corrected_mean(scores, labels).worth
    then = corrected_mean(scores, more).worth
    assert worth is not None
    assert then is not None
    assert worth.with_more_labels == pytest.approx(then.half_width, rel=0.12)
    assert worth.with_all_labels < (worth.with_more_labels or 0.0) < worth.with_more_cases <= worth.half_width
    assert (worth.alone or 0.0) > 100


def test_answers_without_a_score_are_said() -> None:
    scores, labels = biased(200, 80)
    scores[0] = scores[150] = None
    found = corrected_mean(scores, labels)
    assert (found.judged, found.labelled, found.unscored) == (198, 79, 1)
    assert "answers without a score: 2; the mean is of the others" in found.warnings
    assert "labelled answers without a score: 1; they are left out" in found.warnings


def test_labels_of_two_kinds_of_samples_are_not_mixed() -> None:
    scores, labels = biased(200, 80)
    found = corrected_mean(scores, labels, probabilities=[0.4] * 79 + [None] * 121)
    assert found.mean is None
    assert found.undefined["mean"] == (
        "1 of 80 labels state no probability, and the others do: labels of two kinds of samples can't be told apart"
    )


def test_few_labels_are_warned_of() -> None:
    assert (
        corrected_mean(*biased(200, 9)).interval.reason == "9 labels: at least 10 are needed to tell how the judge errs"
    )
    few = corrected_mean(*biased(200, 30))
    assert "30 labels: under 50 the interval rests on few of the judge's errors" in few.warnings
    labels = [1.0] * 57 + [0.0] * 3 + [None] * 40
    assert (
        "labels of the rarer value: 3; under 5 the interval is too short"
        in corrected_mean([1.0] * 100, labels).warnings
    )


def test_a_judge_no_better_than_chance_has_no_rates_to_correct_by() -> None:
    found = rogan_gladen([1.0, 0.0] * 50, [0.0, 1.0] * 20 + [None] * 60)
    assert found.interval.reason == "the judge tells right from wrong no better than chance on the labelled answers"
    assert rogan_gladen([1.0] * 9, [1.0] * 4 + [None] * 5).undefined["mean"].startswith("labels of either value")


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: corrected_mean([1.0], [1.0, 0.0]), "scores, labels have 1, 2 entries"),
        (lambda: corrected_mean([math.nan], [1.0]), "scores[0] is nan"),
        (lambda: corrected_mean([1.0], [1.0], probabilities=[0.0]), "a number from 1e-9 to 1"),
        (lambda: corrected_mean([1.0], [1.0], level=95), "level is 95"),
        (lambda: rogan_gladen([0.5], [1.0]), "scores is 0.5; allowed: 0, 1 or None"),
        (lambda: rogan_gladen([1.0], [2.0]), "labels is 2.0; allowed: 0, 1 or None"),
    ],
)
def test_what_can_not_be_is_refused(call: Callable[[], object], said: str) -> None:
    with pytest.raises(StatisticsError) as caught:
        call()
    assert said in str(caught.value)
