"""Several answers a case, against counting by hand; and law 11: whatever is missing, no figure leaves its bounds."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from statistics import mean, variance

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from themis.pure.errors import DataError
from themis.pure.stats.several import Ballots, SeveralAnswers, checked_at, default_at, describe_several

Cases = list[list[tuple[float, bytes | None]]]
"""For each case, its answers: the score and what it votes for; one vote has one score."""


def cases_of(answers: int, largest: int = 4) -> st.SearchStrategy[Cases]:
    scored = st.sampled_from([(1.0, b"right"), (0.0, b"wrong"), (0.0, b"other"), (0.0, None)])
    return st.lists(st.lists(scored, min_size=answers, max_size=answers), min_size=1, max_size=largest)


CASES = st.integers(1, 4).flatmap(cases_of)


def described(cases: Cases, missing: Sequence[Sequence[bool]] | None = None) -> SeveralAnswers:
    answers = len(cases[0])
    gone = missing or [[False] * answers for _ in cases]
    ballots = Ballots(answers, range(1, answers + 1))
    for case, lost in zip(cases, gone, strict=True):
        ballots.add([None if out else vote for (_, vote), out in zip(case, lost, strict=True)], lost)
    scores = [
        None if out else score
        for case, lost in zip(cases, gone, strict=True)
        for (score, _), out in zip(case, lost, strict=True)
    ]
    return describe_several(scores, ballots)


@given(CASES)
def test_pass_at_k_is_the_share_of_all_draws_of_k(cases: Cases) -> None:
    several = described(cases)
    for k, any_of, all_of in zip(itertools.count(1), several.pass_at, several.pass_all, strict=False):
        drawn = [[[score for score, _ in draw] for draw in itertools.combinations(case, k)] for case in cases]
        assert any_of.mean == pytest.approx(mean(mean(float(any(d)) for d in draws) for draws in drawn))
        assert all_of.mean == pytest.approx(mean(mean(float(all(d)) for d in draws) for draws in drawn))
        assert (any_of.metric_id, all_of.metric_id) == (f"pass@{k}", f"pass^{k}")


@given(CASES)
def test_the_majority_scores_as_its_answer_does(cases: Cases) -> None:
    for k, estimate in enumerate(described(cases).majority, 1):
        expected = []
        for case in cases:
            votes = [vote for _, vote in case[:k] if vote is not None]
            winner = max(votes, key=lambda vote: (votes.count(vote), -votes.index(vote)), default=None)
            expected.append(float(winner == b"right"))
        assert estimate.mean == pytest.approx(mean(expected))


@given(CASES)
def test_cases_agree_if_all_their_answers_are_one(cases: Cases) -> None:
    same = [float(len({vote for _, vote in case}) == 1 and case[0][1] is not None) for case in cases]
    assert described(cases).agreement.mean == pytest.approx(mean(same))


@given(st.lists(st.lists(st.floats(0, 1), min_size=3, max_size=3), min_size=2, max_size=6))
def test_the_variance_of_a_score_is_that_between_and_that_within_cases(scores: list[list[float]]) -> None:
    ballots = Ballots(3, (1,))
    for _ in scores:
        ballots.add([b"x"] * 3, [False] * 3)
    several = describe_several([value for case in scores for value in case], ballots)
    within = mean(variance(case) for case in scores)
    assert several.within_variance == pytest.approx(within)
    expected = max(0.0, variance(mean(case) for case in scores) - within / 3)
    assert several.between_variance == pytest.approx(expected, abs=1e-12)


@given(st.integers(2, 3).flatmap(lambda n: cases_of(n, 2)), st.data())
@example([[(1.0, b"right"), (0.0, b"wrong"), (0.0, b"wrong")]], None)
def test_whatever_is_missing_no_figure_leaves_its_bounds(cases: Cases, data: st.DataObject | None) -> None:
    answers = len(cases[0])
    if data is None:
        lost = [[False, False, True]]
    else:
        lost = [data.draw(st.lists(st.booleans(), min_size=answers, max_size=answers)) for _ in cases]
    partial, whole = described(cases, lost), described(cases)
    for name in ("pass_at", "pass_all", "majority"):
        for seen, true in zip(getattr(partial, name), getattr(whole, name), strict=True):
            assert_within(seen.if_missing_wrong, true.mean, seen.if_missing_right)
    assert_within(partial.agreement.if_missing_wrong, whole.agreement.mean, partial.agreement.if_missing_right)


def assert_within(low: float | None, true: float | None, high: float | None) -> None:
    assert true is not None
    if low is not None and high is not None:
        assert low <= true + 1e-9
        assert true <= high + 1e-9


def test_nothing_is_said_that_cannot_be_told() -> None:
    several = described([[(1.0, b"right")]])
    assert several.between_variance is None
    assert several.within_variance is None
    assert several.ties == {"1": 0}
    assert not any(math.isnan(estimate.mean or 0.0) for estimate in several.pass_at)


def test_ties_are_counted() -> None:
    assert described([[(1.0, b"right"), (0.0, b"wrong")]]).ties == {"1": 0, "2": 1}


def test_what_is_reported_at_is_checked() -> None:
    assert default_at(6) == (1, 2, 4, 6)
    assert default_at(6, (1, 5, 10)) == (1, 5, 6)
    assert checked_at([4, 1, 4], 8) == (1, 4)
    with pytest.raises(DataError, match="k = 0, 9: each case has 8 answers"):
        checked_at([0, 9, 8], 8)
    with pytest.raises(DataError, match="k = nothing"):
        checked_at([], 8)
