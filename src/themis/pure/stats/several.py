"""Several answers a case: pass@k, pass^k, the majority's score, agreement, and where the variance comes from.

The rule of the room: the case is the unit. Each case gives one value, and intervals are over cases.
"""

from __future__ import annotations

import itertools
import math
from array import array
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Final

import attrs

from themis.pure.errors import StatisticsError
from themis.pure.json import FrozenDict
from themis.pure.records.base import HashableModel
from themis.pure.records.fields import sequence
from themis.pure.stats.arguments import Level, ScoreRange, checked_arguments
from themis.pure.stats.bounds import Possible, Range, mean_bounds
from themis.pure.stats.estimates import estimate_mean, range_of
from themis.pure.stats.pairs import CaseScores
from themis.pure.stats.pass_at_k import chances, estimate_pass_at_k
from themis.pure.stats.records import DEFAULT_LEVEL, Estimate
from themis.pure.stats.samples import DEFAULT_CORRECTION, Correction, mean, variance
from themis.pure.voting import Ballot, majority

FIGURES: Final = ("pass@", "pass^", "maj@")
"""What the figures of several answers are called, before their k."""

_NO_ANSWER: Final = -1
_AGREES: Final[Mapping[int, float | None]] = {1: 1.0, 0: 0.0, _NO_ANSWER: None}
_NO_USABLE: Final = "no_usable_answer"


@attrs.frozen(kw_only=True)
class SeveralAnswers(HashableModel):
    """What several answers a case say of one metric.

    Attributes:
        metric_id: the metric.
        answers: how many answers each case was planned to have.
        pass_at: pass@k, one estimate for each k.
        pass_all: pass^k, one for each k.
        majority: maj@k, one for each k: the score of the commonest parsed answer among the first k of a case. Of
            equally common ones the first counts; a case without a usable answer scores what one that could not be
            parsed does.
        ties: by k, in how many cases the majority was a tie.
        agreement: the share of cases all of whose answers are the same once parsed.
        between_variance: the variance over cases of a case's expected score; `None` where it can't be told.
        within_variance: the mean over cases of the variance of one answer's score; `None` where it can't be told.
    """

    metric_id: str
    answers: int
    pass_at: tuple[Estimate, ...] = attrs.field(default=(), converter=sequence)
    pass_all: tuple[Estimate, ...] = attrs.field(default=(), converter=sequence)
    majority: tuple[Estimate, ...] = attrs.field(default=(), converter=sequence)
    ties: Mapping[str, int] = attrs.field(factory=FrozenDict, converter=FrozenDict)
    agreement: Estimate
    between_variance: float | None = None
    within_variance: float | None = None


def default_at(answers: int, usual: Sequence[int] = ()) -> tuple[int, ...]:
    """Return for which k to report where nobody says.

    Args:
        answers: how many answers each case has.
        usual: the k that are usual for these cases, of which those count that do not exceed the answers; without any,
            the powers of two. All answers are a k, too.

    >>> default_at(8), default_at(10), default_at(1)
    ((1, 2, 4, 8), (1, 2, 4, 8, 10), (1,))
    >>> default_at(10, (1, 10, 100)), default_at(20, (1, 10, 100)), default_at(8, (16, 64))
    ((1, 10), (1, 10, 20), (8,))
    """
    known = usual or [2**i for i in range(answers.bit_length())]
    return tuple(sorted({answers, *(k for k in known if k <= answers)}))


def checked_at(at: Sequence[int], answers: int) -> tuple[int, ...]:
    """Return the k to report for, in order.

    Raises:
        StatisticsError: a k below 1, or one that exceeds the answers of a case; or each case has one answer.
    """
    if answers == 1:
        raise StatisticsError("each case has one answer; ask for more samples, and for no reducer or selector")
    wrong = [k for k in at if not 1 <= k <= answers]
    if wrong or not at:
        found = ", ".join(map(str, wrong)) or "nothing"
        raise StatisticsError(f"k = {found}: each case has {answers} answers; give numbers from 1 to {answers}")
    return tuple(sorted({*at}))


class Ballots:
    """How the answers of each case voted; takes one case at a time and keeps a few bytes of it.

    Args:
        answers: how many answers each case was planned to have.
        at: for which k the majority among the first k is wanted.
    """

    def __init__(self, answers: int, at: Sequence[int]) -> None:
        self.answers = answers
        self.at: tuple[int, ...] = tuple(at)
        self.ties: dict[int, int] = dict.fromkeys(self.at, 0)
        self._winners = {k: array("l") for k in self.at}
        self._holds = {k: array("b") for k in self.at}
        self._agree = array("b")

    def add(self, ballots: Sequence[Ballot], missing: Sequence[bool]) -> None:
        """Take a case: what each of its answers votes for, and which of them are not there at all."""
        for k in self.at:
            vote = majority(ballots[:k])
            self.ties[k] += vote.tied > 1
            self._winners[k].append(_NO_ANSWER if vote.winner is None else vote.winner)
            self._holds[k].append(vote.holds(sum(missing[:k])))
        there = [cast for cast, gone in zip(ballots, missing, strict=True) if not gone]
        same = None not in there and len({*there}) <= 1
        self._agree.append(0 if not same else 1 if len(there) == self.answers else _NO_ANSWER)

    def agreement(self) -> list[float | None]:
        """Return for each case whether its answers are all the same: 1 or 0, `None` where missing ones decide."""
        return [_AGREES[agrees] for agrees in self._agree]

    def majority_scores(
        self, scores: Sequence[float | None], k: int, unparsed: float | None = 0.0
    ) -> tuple[list[float | None], list[bool]]:
        """Return for each case its majority's score, and whether that is sure, whatever missing answers had said.

        Args:
            scores: of all cases, the answers of each one after the other.
            k: one of `at`: the majority is of the first k answers.
            unparsed: the score of a case without a usable answer; `None` if it is missing.
        """
        found: list[float | None] = []
        sure = []
        for case, (winner, holds) in enumerate(zip(self._winners[k], self._holds[k], strict=True)):
            if winner == _NO_ANSWER:
                found.append(unparsed if holds else None)
            else:
                found.append(scores[case * self.answers + winner])
            sure.append(bool(holds) and found[-1] is not None)
        return found, sure


@checked_arguments
def describe_several(
    scores: Sequence[float | None],
    ballots: Ballots,
    *,
    metric_id: str = "score",
    threshold: float = 1.0,
    unparsed: float | None = 0.0,
    score_range: ScoreRange | None = None,
    clusters: Sequence[Hashable] | None = None,
    level: Level = DEFAULT_LEVEL,
    correction: Correction = DEFAULT_CORRECTION,
) -> SeveralAnswers:
    """Describe a metric over several answers a case.

    Args:
        scores: of all cases, the answers of each one after the other; `None` where there is no score.
        ballots: how the same answers voted.
        metric_id: the metric.
        threshold: the score from which an answer is correct.
        unparsed: the score of an answer that could not be parsed; `None` if it is missing.
        score_range: lowest and highest possible score, for the bounds; (0, 1) if all scores lie there.
        clusters: one key per case.
        level: nominal coverage of the intervals.
        correction: of cluster-robust standard errors.

    Source: pass@k, Chen et al. (2021), arXiv 2107.03374; pass^k, Yao et al. (2024), arXiv 2406.12045; majority, Wang et
    al. (2023), arXiv 2203.11171; variances, Miller (2024), arXiv 2411.00640, section 3.

    >>> ballots = Ballots(2, (1, 2))
    >>> for cast in ([b"4", b"4"], [b"5", b"4"]):
    ...     ballots.add(cast, [False, False])
    >>> several = describe_several([1.0, 1.0, 0.0, 1.0], ballots)
    >>> [estimate.mean for estimate in several.pass_at], several.majority[1].mean, several.agreement.mean
    ([0.75, 1.0], 0.5, 0.5)
    """
    count = ballots.answers
    # Large runs are told in few different counts: each of them is held once.
    counts: dict[tuple[int, int], tuple[int, int]] = {}
    problems = []
    for values in _scored_by_case(scores, count):
        problem = len(values), sum(value >= threshold for value in values)
        problems.append(counts.setdefault(problem, problem))
    planned = [count] * len(problems)
    passes = {
        every: tuple(
            estimate_pass_at_k(
                problems, k, every=every, planned=planned, clusters=clusters, level=level, correction=correction
            )
            for k in ballots.at
        )
        for every in (False, True)
    }
    between, within = _variances(scores, count)
    return SeveralAnswers(
        metric_id=metric_id,
        answers=count,
        pass_at=passes[False],
        pass_all=passes[True],
        majority=tuple(
            _majority(*ballots.majority_scores(scores, k, unparsed), k, score_range, clusters, level, correction)
            for k in ballots.at
        ),
        ties={str(k): ties for k, ties in ballots.ties.items()},
        agreement=estimate_mean(
            ballots.agreement(),
            metric_id="agreement",
            unit="case",
            clusters=clusters,
            level=level,
            correction=correction,
        ),
        between_variance=between,
        within_variance=within,
    )


def figures_by_case(
    scores: Sequence[float | None],
    ballots: Ballots,
    keys: Sequence[str],
    *,
    threshold: float = 1.0,
    unparsed: float | None = 0.0,
    score_range: tuple[float, float] | None = None,
) -> dict[str, CaseScores]:
    """Return pass@k, pass^k and maj@k of each case, by the figure's name, for a paired comparison.

    Args:
        scores: of all cases, the answers of each one after the other.
        ballots: how the same answers voted.
        keys: of the cases.
        threshold: the score from which an answer is correct.
        unparsed: the score of an answer that could not be parsed; `None` if it is missing.
        score_range: lowest and highest possible score; (0, 1) if all scores lie there.
    """
    figures = {}
    problems = [(len(v), sum(value >= threshold for value in v)) for v in _scored_by_case(scores, ballots.answers)]
    totals = [ballots.answers] * len(problems)
    for k, every in itertools.product(ballots.at, (False, True)):
        values, lows, highs = chances(problems, totals, k, every=every)
        ranges = {
            key: (low, high)
            for key, low, high in zip(keys, lows, highs, strict=True)
            if low is not None and high is not None and low < high
        }
        figures[f"pass{'^' if every else '@'}{k}"] = _case_scores(keys, values, ranges, whole=k == ballots.answers)
    known = range_of([value for value in scores if value is not None], score_range)
    for k in ballots.at:
        found, sure = ballots.majority_scores(scores, k, unparsed)
        open_ = {} if known is None else {key: known for key, holds in zip(keys, sure, strict=True) if not holds}
        figures[f"maj@{k}"] = _case_scores(keys, found, open_, whole=True)
    return figures


def _case_scores(
    keys: Sequence[str], values: Sequence[float | None], ranges: Mapping[str, Range], *, whole: bool
) -> CaseScores:
    scores: dict[str, Sequence[float]] = {
        key: () if value is None else (value,) for key, value in zip(keys, values, strict=True)
    }
    return CaseScores(scores=scores, ranges=ranges, whole=whole)


def _scored_by_case(scores: Sequence[float | None], count: int) -> Iterator[list[float]]:
    """Yield the scores that each case has."""
    for first in range(0, len(scores), count):
        yield [value for value in scores[first : first + count] if value is not None]


def _majority(
    values: Sequence[float | None],
    sure: Sequence[bool],
    k: int,
    score_range: tuple[float, float] | None,
    clusters: Sequence[Hashable] | None,
    level: float,
    correction: Correction,
) -> Estimate:
    estimate = estimate_mean(
        values,
        metric_id=f"maj@{k}",
        unit="case",
        clusters=clusters,
        categories=[_NO_USABLE if value is None else None for value in values],
        score_range=score_range,
        level=level,
        correction=correction,
    )
    known = range_of([value for value in values if value is not None], score_range)
    if known is None or all(sure):
        return estimate
    # Answers that are missing could have voted otherwise: those cases count as wrong and as right.
    total = math.fsum(value for value, holds in zip(values, sure, strict=True) if holds and value is not None)
    unsure = len(sure) - sum(sure)
    low, high = ((total + unsure * end) / len(values) for end in known)
    ranges = [
        (value, value) if holds and value is not None else known for value, holds in zip(values, sure, strict=True)
    ]
    whole = estimate.binary and known == (0.0, 1.0)
    possible = Possible(ranges=ranges, clusters=clusters, step=known[1] - known[0], whole=whole)
    return estimate.evolve(
        interval_if_missing=mean_bounds(possible, level=level, method=estimate.interval.method, correction=correction),
        if_missing_wrong=low,
        if_missing_right=high,
        warnings=(*estimate.warnings, f"in {unsure} cases, answers that are missing could change the majority"),
    )


def _variances(scores: Sequence[float | None], count: int) -> tuple[float | None, float | None]:
    """Return the variance between and within cases, from those with two scores or more."""
    means, sizes, spread, freedom = array("d"), array("l"), array("d"), 0
    for values in _scored_by_case(scores, count):
        if len(values) > 1:
            means.append(mean(values))
            sizes.append(len(values))
            spread.append(variance(values) * (len(values) - 1))
            freedom += len(values) - 1
    if not freedom:
        return None, None
    within = math.fsum(spread) / freedom
    if len(means) < 2:
        return None, within
    # Sampling noise inflates the variance of the observed means: take it out again.
    noise = math.fsum(within / size for size in sizes) / len(sizes)
    return max(0.0, variance(means) - noise), within
