"""A judge's mean corrected by human labels of some of the cases.

A judge scores every case and errs in a direction of its own, so that an interval around its mean is short and in the
wrong place: more cases make it shorter, and no better placed. Labels of a few hundred cases tell how the judge errs.
What lives here: the estimates made of both, and what one more label is worth.

The condition of all of them: the labelled cases are a random sample of the cases, or each label states the probability
with which its case was chosen. Labels of the cases that looked wrong, or of the first ones, correct nothing.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import Annotated, Final, TypeAlias

import attrs

from themis.pure.json import EMPTY, FrozenDict, freeze_mapping
from themis.pure.records.base import HashableModel
from themis.pure.records.fields import sequence
from themis.pure.stats.arguments import (
    LARGEST,
    Level,
    Limits,
    OneOrMore,
    Score,
    checked_arguments,
    refuse_unless,
    same_length,
)
from themis.pure.stats.distributions import normal_quantile, t_quantile
from themis.pure.stats.estimates import estimate_mean
from themis.pure.stats.intervals import t_interval, wilson_interval
from themis.pure.stats.records import DEFAULT_LEVEL, Estimate, Interval
from themis.pure.stats.samples import grouped, is_binary, is_constant, mean

Chance: TypeAlias = Annotated[float, Limits("a number from 1e-9 to 1", 1e-9, 1.0)]
"""The probability with which an answer was chosen to be labelled."""

FEWEST_LABELS: Final = 10
"""Below this many labelled clusters there is no interval: how a judge errs can't be told from so few."""

_FEW_LABELS: Final = 50
"""Below this many the interval rests on few of the judge's errors, and may be too short."""

_FEW_OF_A_VALUE: Final = 5
"""Below this many 0/1 labels of the rarer value the interval may cover less than it says: 91.6 %, simulated."""


@attrs.frozen(kw_only=True)
class LabelWorth(HashableModel):
    """What more labels are worth against more cases, in half the width of the interval.

    Attributes:
        half_width: as it is.
        more: how many more labels, or cases, the next two are of.
        with_more_labels: if so many more of the cases were labelled; `None` if there are not as many.
        with_more_cases: if the judge scored so many more cases, and no label were added.
        with_all_labels: if every case were labelled.
        label_variance: of the labels: over the number of cases, it is what no label can take away.
        residual_variance: of what the judge does not tell of a label: it goes down with the number of labels.
        alone: how many labels without the judge would be as precise.
    """

    half_width: float
    more: int
    with_more_labels: float | None = None
    with_more_cases: float
    with_all_labels: float
    label_variance: float
    residual_variance: float
    alone: float | None = None


@attrs.frozen(kw_only=True)
class CorrectedEstimate(HashableModel):
    """A judge's mean corrected by labels, beside the mean of the judge alone and that of the labels alone.

    Attributes:
        metric_id: the metric whose scores are corrected.
        method: how.
        judged: answers that the judge scored.
        labelled: answers that have both a label and a score.
        unscored: labelled answers that have no score, and are left out.
        mean: the corrected mean, an estimate of what labels of all answers would have.
        standard_error: of it.
        interval: of it.
        judge: the mean of the judge's scores, with the interval that it has if the judge never errs.
        labels: the mean of the labels alone.
        bias: by how much the judge's scores lie above the labels on the labelled answers, on average.
        tuning: how far the judge is trusted, lambda of PPI++: 0 is not at all, 1 as if it were on the labels' scale.
        sensitivity: of 0/1 labels, the share of those that are 1 which the judge finds.
        specificity: the share of those that are 0 which it finds.
        clusters: how many clusters hold a label; `None` if answers count as independent.
        worth: what more labels are worth.
        undefined: for each figure that is `None`, the reason.
        warnings: what a reader should know before trusting the interval.
    """

    metric_id: str
    method: str
    judged: int
    labelled: int
    unscored: int = 0
    mean: float | None = None
    standard_error: float | None = None
    interval: Interval
    judge: Estimate
    labels: Estimate
    bias: Estimate
    tuning: float | None = None
    sensitivity: float | None = None
    specificity: float | None = None
    clusters: int | None = None
    worth: LabelWorth | None = None
    undefined: FrozenDict = attrs.field(default=EMPTY, converter=freeze_mapping)
    warnings: tuple[str, ...] = attrs.field(default=(), converter=sequence)


@checked_arguments
def corrected_mean(
    scores: Sequence[Score],
    labels: Sequence[Score],
    *,
    probabilities: Sequence[Chance | None] | None = None,
    clusters: Sequence[Hashable] | None = None,
    metric_id: str = "score",
    level: Level = DEFAULT_LEVEL,
    more: OneOrMore = 100,
) -> CorrectedEstimate:
    """Correct the mean of a judge's scores by labels of a random part of them (PPI++).

    The estimate is L mean(f) + mean(y - L f): the judge's scores f over all answers, and over the labelled ones what
    labels y differ by. L is the slope of labels on scores, which makes the variance least (power tuning): a judge that
    tells nothing is left out, one on another scale is rescaled. With labels that were drawn with unequal probabilities
    the second mean weighs each by the inverse of its own. The variance is that of the influence of each answer, summed
    by cluster.

    Of 0/1 labels the interval is Wilson's at the effective number of labels; of others it is Student's t. Where scores
    are 0 or 1, too, the variance counts half a false alarm and half a miss besides: of 50 labels without an error of
    the judge, none is not what its rate of errors is known to be.

    Args:
        scores: the judge's, one per answer; `None` where there is none.
        labels: of the same answers; `None` where there is none.
        probabilities: with what probability each answer was chosen to be labelled; needed of labelled ones only.
            Without it, labels are a simple random sample.
        clusters: one key per answer, where answers of a case or of a group are not independent.
        metric_id: the metric's name, for the record.
        level: nominal coverage.
        more: how many more labels, or cases, `worth` is about.

    Raises:
        StatisticsError: columns of different lengths, a value that is not finite, or a probability outside (0, 1].

    Source: Angelopoulos, Duchi and Zrnic (2023), PPI++: Efficient Prediction-Powered Inference, arXiv 2311.01453,
    example 6.1; with unequal probabilities: Zrnic and Candes (2024), Active Statistical Inference, arXiv 2403.03208;
    the same as the regression estimator of Sarndal, Swensson and Wretman (1992), Model Assisted Survey Sampling,
    section 6.4; half an answer in either direction: Anscombe (1956), Biometrika 43, 461-464; effective number: Korn and
    Graubard (1998), Survey Methodology 24, 193-201.

    >>> scores = [1.0, 1.0, 0.0, 1.0] * 50
    >>> labels = [1.0, 0.0, 0.0, 1.0] * 15 + [None] * 140
    >>> found = corrected_mean(scores, labels)
    >>> found.judge.mean, round(found.mean, 4), round(found.interval.low, 2), round(found.interval.high, 2)
    (0.75, 0.5, 0.39, 0.61)
    """
    same_length("corrected_mean", scores=scores, labels=labels, probabilities=probabilities, clusters=clusters)
    given = _Given.of(scores, labels, probabilities, clusters)
    method = "PPI++" if probabilities is None else "PPI++ with inverse probabilities"
    base = _base(given, method, metric_id, level)
    reason = _reason_against(given)
    if reason is not None:
        return base.evolve(**_nothing(reason, level, method))
    found = _Fit.of(given)
    half = t_quantile(0.5 + level / 2.0, found.freedom)
    interval = _interval(found, given, level, method)
    tuning = found.slope * (1.0 - len(given.labelled) / len(given.judged))
    return base.evolve(
        mean=min(1.0, max(0.0, found.mean)) if is_binary(given.labels) else found.mean,
        standard_error=math.sqrt(found.variance),
        interval=interval,
        tuning=tuning if abs(tuning) <= LARGEST else None,
        worth=_worth(found, given, half, more),
        undefined={} if abs(tuning) <= LARGEST else {"tuning": "labels and scores differ too much in size"},
    )


@attrs.frozen
class _Given:
    """The columns of what is judged, and which of these answers are labelled."""

    judged: Sequence[float]
    labelled: Sequence[int]
    labels: Sequence[float]
    weights: Sequence[float]
    clusters: Sequence[Hashable] | None
    missing: int
    unscored: int
    unstated: int

    @classmethod
    def of(
        cls,
        scores: Sequence[Score],
        labels: Sequence[Score],
        probabilities: Sequence[float | None] | None = None,
        clusters: Sequence[Hashable] | None = None,
    ) -> _Given:
        rows = [(place, float(score), labels[place]) for place, score in enumerate(scores) if score is not None]
        labelled = [(number, place, label) for number, (place, _, label) in enumerate(rows) if label is not None]
        chances = [1.0 if probabilities is None else probabilities[place] for _, place, _ in labelled]
        return cls(
            judged=[score for _, score, _ in rows],
            labelled=[number for number, _, _ in labelled],
            labels=[float(label) for _, _, label in labelled],
            weights=[1.0 / (chance or 1.0) for chance in chances],
            clusters=None if clusters is None else [clusters[place] for place, _, _ in rows],
            missing=len(scores) - len(rows),
            unscored=sum(label is not None for label in labels) - len(labelled),
            unstated=chances.count(None),
        )

    @property
    def scores(self) -> list[float]:
        """The judge's scores of the labelled answers."""
        return [self.judged[place] for place in self.labelled]

    @property
    def of_labelled(self) -> list[Hashable] | None:
        return None if self.clusters is None else [self.clusters[place] for place in self.labelled]

    @property
    def groups(self) -> int:
        """How many clusters hold a label; answers, without clusters."""
        keys = self.of_labelled
        return len(self.labelled) if keys is None else len(set(keys))

    @property
    def size(self) -> float:
        """How many labels of equal weight theirs count as (Kish 1965, Survey Sampling, section 11.7)."""
        squares = math.fsum(weight * weight for weight in self.weights)
        return min(float(self.groups), math.fsum(self.weights) ** 2 / squares) if squares else 0.0


def _base(given: _Given, method: str, metric_id: str, level: float) -> CorrectedEstimate:
    keys = given.of_labelled
    sensitivity, specificity = _rates(given)
    differences = [score - label for score, label in zip(given.scores, given.labels, strict=True)]
    warnings = []
    if given.missing:
        warnings.append(f"answers without a score: {given.missing}; the mean is of the others")
    if given.unscored:
        warnings.append(f"labelled answers without a score: {given.unscored}; they are left out")
    if given.size < _FEW_LABELS:
        warnings.append(f"{_counted(given)}: under {_FEW_LABELS} the interval rests on few of the judge's errors")
    if is_binary(given.labels) and given.size >= FEWEST_LABELS:
        rarer = min(given.labels.count(0.0), given.labels.count(1.0))
        if rarer < _FEW_OF_A_VALUE:
            warnings.append(f"labels of the rarer value: {rarer}; under {_FEW_OF_A_VALUE} the interval is too short")
    return CorrectedEstimate(
        metric_id=metric_id,
        method=method,
        judged=len(given.judged),
        labelled=len(given.labelled),
        unscored=given.unscored,
        interval=Interval(level=level, method=method),
        judge=estimate_mean(given.judged, metric_id=metric_id, clusters=given.clusters, level=level),
        labels=estimate_mean(given.labels, metric_id="labels", clusters=keys, level=level),
        bias=estimate_mean(differences, metric_id="judge minus labels", clusters=keys, level=level),
        clusters=None if keys is None else len(set(keys)),
        warnings=warnings,
        sensitivity=sensitivity,
        specificity=specificity,
    )


def _counted(given: _Given) -> str:
    counted = f"{given.groups} labels" if given.clusters is None else f"{given.groups} clusters with a label"
    return (
        counted if given.size > given.groups - 1 else f"{counted}, which weigh as much as {given.size:.0f} equal ones"
    )


def _rates(given: _Given) -> tuple[float | None, float | None]:
    """Return the judge's sensitivity and specificity, where labels and scores are 0 or 1."""
    if not is_binary(given.labels) or not is_binary(given.scores):
        return None, None
    pairs = [*zip(given.scores, given.labels, strict=True)]
    right_of = [[score == value for score, label in pairs if label == value] for value in (1.0, 0.0)]
    sensitivity, specificity = (sum(right) / len(right) if right else None for right in right_of)
    return sensitivity, specificity


def _reason_against(given: _Given) -> str | None:
    """Say why there is no corrected mean; `None` if there is one."""
    if not given.labelled:
        return "no answer has both a label and a score"
    if given.unstated:
        return (
            f"{given.unstated} of {len(given.labelled)} labels state no probability, and the others do: "
            "labels of two kinds of samples can't be told apart"
        )
    if given.size < FEWEST_LABELS:
        return f"{_counted(given)}: at least {FEWEST_LABELS} are needed to tell how the judge errs"
    return None


def _nothing(reason: str, level: float, method: str) -> dict[str, object]:
    figures = dict.fromkeys(("mean", "standard_error", "tuning", "worth"), reason)
    return {"interval": Interval(level=level, method=method, reason=reason), "undefined": figures}


# --- the estimate -----------------------------------------------------------------------------------------


@attrs.frozen
class _Fit:
    """The corrected mean and its variance; `of_labels` is the part of the variance that labels bring down."""

    mean: float
    slope: float
    variance: float
    of_labels: float
    freedom: float

    @classmethod
    def of(cls, given: _Given) -> _Fit:
        # In units of the largest score and label, so that no square leaves its range.
        x_unit, y_unit = (max(map(abs, column)) or 1.0 for column in (given.judged, given.labels))
        judged, labels = [score / x_unit for score in given.judged], [label / y_unit for label in given.labels]
        scores, weights = [judged[place] for place in given.labelled], given.weights
        centre, total = mean(judged), math.fsum(weights)
        halves = _half_answers(given)
        points = [*zip(scores, labels, weights, strict=True), *halves]
        slope = 0.0 if is_constant(scores, 1.0) else _slope(points)
        residuals = [label - slope * score for score, label in zip(scores, labels, strict=True)]
        offset = math.fsum(w * e for w, e in zip(weights, residuals, strict=True)) / total
        shares = [w * (e - offset) / total for w, e in zip(weights, residuals, strict=True)]
        spread, of_labels = _influence(given, [slope * (score - centre) / len(judged) for score in judged], shares)
        more = math.fsum((w * (label - slope * score - offset) / total) ** 2 for score, label, w in halves)
        # Two figures are estimated, the slope and the offset.
        freedom = given.size - 2.0
        of_two = (of_labels + more) * given.size / freedom
        return cls(
            mean=(slope * centre + offset) * y_unit,
            slope=slope * y_unit / x_unit,
            variance=(spread - of_labels + of_two) * y_unit * y_unit,
            of_labels=of_two * y_unit * y_unit,
            freedom=freedom,
        )


def _half_answers(given: _Given) -> list[tuple[float, float, float]]:
    """Return the score, label and weight of half a false alarm and half a miss, where scores and labels are 0 or 1."""
    if not is_binary(given.labels) or not is_binary(given.judged) or is_constant(given.scores):
        return []
    half = 0.5 * math.fsum(given.weights) / len(given.weights)
    return [(1.0, 0.0, half), (0.0, 1.0, half)]


def _slope(points: Sequence[tuple[float, float, float]]) -> float:
    """Return the slope of labels on scores, which makes the variance least, from scores, labels and weights."""
    total = math.fsum(w for _, _, w in points)
    x = math.fsum(w * score for score, _, w in points) / total
    y = math.fsum(w * label for _, label, w in points) / total
    spread = math.fsum(w * (score - x) ** 2 for score, _, w in points)
    return math.fsum(w * (score - x) * (label - y) for score, label, w in points) / spread


def _influence(given: _Given, of_judge: Sequence[float], of_labels: Sequence[float]) -> tuple[float, float]:
    """Return the variance of the corrected mean, and the part of the labels in it, from each answer's influence."""
    whole = [*of_judge]
    for place, share in zip(given.labelled, of_labels, strict=True):
        whole[place] += share
    if given.clusters is None:
        return math.fsum(u * u for u in whole), math.fsum(u * u for u in of_labels)
    return _summed(given.clusters, whole), _summed(given.of_labelled or (), of_labels)


def _summed(clusters: Sequence[Hashable], influences: Sequence[float]) -> float:
    return math.fsum(math.fsum(group) ** 2 for group in grouped(influences, clusters))


def _interval(found: _Fit, given: _Given, level: float, method: str) -> Interval:
    error = math.sqrt(found.variance)
    if not error > 1e-12 * max(map(abs, given.labels)):
        return Interval(level=level, method=method, reason="no variation: labels and scores are all equal")
    p = found.mean
    if not is_binary(given.labels):
        return t_interval(p, error, found.freedom, level=level, method=f"{method}, Student t")
    critical = t_quantile(0.5 + level / 2.0, found.freedom)
    name = f"{method}, Wilson score"
    if not 0.0 < p < 1.0:
        low, high = max(0.0, p - critical * error), min(1.0, p + critical * error)
        return Interval(low=min(low, 1.0), high=max(high, 0.0), level=level, method=f"{method}, Student t")
    return wilson_interval(p, p * (1.0 - p) / found.variance, level=level, critical=critical, method=name)


def _worth(found: _Fit, given: _Given, critical: float, more: int) -> LabelWorth:
    cases, count = len(given.judged), len(given.labelled)
    residual = found.of_labels * count
    # What is left with all answers labelled: the variance of the labels themselves.
    spread = max(0.0, (found.variance - found.of_labels) * cases + residual)

    def half(labels: int, of: int) -> float:
        return critical * math.sqrt(max(0.0, spread / of + residual * (1.0 / labels - 1.0 / of)))

    alone = spread / found.variance if found.variance > 0.0 and spread > 0.0 else None
    return LabelWorth(
        half_width=half(count, cases),
        more=more,
        with_more_labels=half(count + more, cases) if count + more <= cases else None,
        with_more_cases=half(count, cases + more),
        with_all_labels=half(cases, cases),
        label_variance=spread,
        residual_variance=residual,
        alone=alone,
    )


# --- 0/1 labels -------------------------------------------------------------------------------------------


@checked_arguments
def rogan_gladen(
    scores: Sequence[Score],
    labels: Sequence[Score],
    *,
    metric_id: str = "score",
    level: Level = DEFAULT_LEVEL,
) -> CorrectedEstimate:
    """Correct a share of 0/1 scores by the judge's sensitivity and specificity on the labelled answers.

    The share is that of the answers without a label, so that it and the two rates are independent. It needs labels of
    either value; they may be drawn by their label, unlike those of `corrected_mean`, which is the shorter of the two
    where they are a random sample.

    Args:
        scores: the judge's, each 0 or 1; `None` where there is none.
        labels: of the same answers, each 0 or 1; `None` where there is none.
        metric_id: the metric's name, for the record.
        level: nominal coverage.

    Raises:
        StatisticsError: a score or label that is neither 0 nor 1, or columns of different lengths.

    Source: Rogan and Gladen (1978), American Journal of Epidemiology 107, 71-76; interval: Lang and Reiczigel (2014),
    Preventive Veterinary Medicine 113, 13-22.

    >>> scores = [1.0, 1.0, 0.0, 1.0] * 50
    >>> labels = [1.0, 0.0, 0.0, 1.0] * 15 + [None] * 140
    >>> found = rogan_gladen(scores, labels)
    >>> found.sensitivity, found.specificity, round(found.mean, 4)
    (1.0, 0.5, 0.5)
    """
    same_length("rogan_gladen", scores=scores, labels=labels)
    for name, column in (("scores", scores), ("labels", labels)):
        odd = next((value for value in column if value not in (None, 0.0, 1.0)), None)
        refuse_unless(odd is None, "rogan_gladen", name, odd, "0, 1 or None; corrected_mean takes other values")
    given = _Given.of(scores, labels)
    method = "Rogan-Gladen"
    base = _base(given, method, metric_id, level)
    known = set(given.labelled)
    rest = [score for place, score in enumerate(given.judged) if place not in known]
    positives = sum(1 for label in given.labels if label == 1.0)
    negatives = len(given.labels) - positives
    sensitivity, specificity = base.sensitivity, base.specificity
    if sensitivity is None or specificity is None or not rest:
        reason = "labels of either value, and answers without a label, are needed"
        return base.evolve(**_nothing(reason, level, method))
    skill = sensitivity + specificity - 1.0
    if skill <= 0.0:
        reason = "the judge tells right from wrong no better than chance on the labelled answers"
        return base.evolve(**_nothing(reason, level, method))
    share = mean(rest)
    estimate = min(1.0, max(0.0, (share + specificity - 1.0) / skill))
    interval = _lang_reiczigel(share, len(rest), (sensitivity, positives), (specificity, negatives), level)
    undefined = {"standard_error": "the interval is not made of one", "tuning": "not of this method"}
    return base.evolve(mean=estimate, interval=interval, undefined={**undefined, "worth": "not of this method"})


def _lang_reiczigel(
    share: float, size: int, sensitivity: tuple[float, int], specificity: tuple[float, int], level: float
) -> Interval:
    z = normal_quantile(0.5 + level / 2.0)
    n = size + z * z
    p = (size * share + z * z / 2.0) / n
    (se, positives), (sp, negatives) = sensitivity, specificity
    n_se, n_sp = positives + 2.0, negatives + 2.0
    se, sp = (positives * se + 1.0) / n_se, (negatives * sp + 1.0) / n_sp
    skill = se + sp - 1.0
    method = "Lang-Reiczigel"
    if skill <= 0.0:
        return Interval(level=level, method=method, reason="the judge tells right from wrong no better than chance")
    prevalence = (p + sp - 1.0) / skill
    of_se, of_sp = se * (1.0 - se) / n_se, sp * (1.0 - sp) / n_sp
    shift = 2.0 * z * z * (prevalence * of_se - (1.0 - prevalence) * of_sp)
    spread = p * (1.0 - p) / n + prevalence**2 * of_se + (1.0 - prevalence) ** 2 * of_sp
    half = z * math.sqrt(spread) / skill
    low, high = (min(1.0, max(0.0, prevalence + shift + side * half)) for side in (-1.0, 1.0))
    return Interval(low=low, high=high, level=level, method=method)
