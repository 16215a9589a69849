"""Exact and one-sided bounds: of a proportion from its counts, and of a mean.

A one-sided bound at level L is the end of the two-sided interval at level 2L - 1: use it where only one direction
matters, as in "at most so many answers are unsafe".
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Annotated, Final, Literal, TypeAlias

import attrs

from themis.pure.records.base import HashableModel
from themis.pure.stats.arguments import (
    LARGEST,
    MOST,
    Count,
    Level,
    Limits,
    Score,
    ScoreRange,
    checked_arguments,
    refuse_unless,
    same_length,
)
from themis.pure.stats.distributions import beta_quantile, binomial_cdf
from themis.pure.stats.estimates import estimate_mean
from themis.pure.stats.power import least_count
from themis.pure.stats.records import DEFAULT_LEVEL, Interval
from themis.pure.stats.samples import Correction

Side: TypeAlias = Literal["both", "lower", "upper"]

DesignEffect: TypeAlias = Annotated[float, Limits("a number of 1 or more", 1.0, LARGEST)]
"""By how much clusters inflate a variance."""

Rate: TypeAlias = Annotated[float, Limits("a number above 0 and below 1", 0.0, 1.0, low_open=True, high_open=True)]

_ONE_SIDED: Final = "needs a level above 0.5"


@checked_arguments
def exact_interval(
    successes: Count,
    trials: Count,
    *,
    side: Side = "both",
    level: Level = DEFAULT_LEVEL,
    design_effect: DesignEffect = 1.0,
) -> Interval:
    """Return Clopper and Pearson's interval of a proportion, which covers it at least as often as it says.

    Wider than Wilson's, which covers `level` on average: for safety and other claims where "at least" matters.

    Args:
        successes: how many of the trials are what is counted.
        trials: independent cases.
        side: both ends, or a one-sided `lower` or `upper` bound; the other end is then 0 or 1.
        level: of the interval, or of the one bound.
        design_effect: where trials come in clusters: they count as `trials / design_effect` independent ones, as in
            Korn and Graubard (1998), Survey Methodology 24, 193-201. The interval is then no longer exact.

    Raises:
        StatisticsError: more successes than trials, or another argument out of its range.

    Source: Clopper and Pearson (1934), Biometrika 26, 404-413.

    >>> interval = exact_interval(0, 300, side="upper")
    >>> interval.low, round(interval.high, 5)
    (0.0, 0.00994)
    """
    refuse_unless(successes <= trials, "exact_interval", "successes", successes, f"at most the {trials} trials")
    method = "Clopper-Pearson" if design_effect == 1.0 else "Clopper-Pearson of the effective size"
    method += {"both": "", "lower": ", lower bound", "upper": ", upper bound"}[side]
    if not trials:
        return Interval(level=level, method=method, reason="no trial")
    tail = (1.0 - level) / 2.0 if side == "both" else 1.0 - level
    hits, misses = successes / design_effect, (trials - successes) / design_effect
    low = beta_quantile(tail, hits, misses + 1.0) if hits and side != "upper" else 0.0
    high = beta_quantile(1.0 - tail, hits + 1.0, misses) if misses and side != "lower" else 1.0
    return Interval(low=low, high=high, level=level, method=method)


@checked_arguments
def trials_needed(rate: Rate, *, failures: Count = 0, level: Level = DEFAULT_LEVEL) -> int | None:
    """Return how many trials show that failures are rarer than a rate, if no more than `failures` of them fail.

    The fewest trials whose exact upper bound (`exact_interval(failures, trials, side="upper")`) is at most the rate:
    with no failure, about 3 / rate at 95 % (Hanley and Lippman-Hand 1983, JAMA 249, 1743-1745). `None` past 10^9.

    Source: Clopper and Pearson (1934), Biometrika 26, 404-413.

    >>> trials_needed(0.01), trials_needed(0.01, failures=1)
    (299, 473)
    """
    alpha = 1.0 - level

    def shows(trials: int) -> bool:
        return binomial_cdf(failures, trials, rate) <= alpha

    return least_count(shows, failures + 1, MOST)


@attrs.frozen(kw_only=True)
class MeanBound(HashableModel):
    """A one-sided bound of a mean.

    Attributes:
        metric_id: the metric.
        side: `lower` or `upper`.
        bound: `None` if not defined.
        bound_if_missing: the worst that the bound could be, whatever the missing scores are; `None` if none is missing,
            or where the metric's score range is not declared.
        mean: over the scored values.
        scored: how many values have a score.
        missing: how many don't, and are left out of `mean` and `bound`.
        clusters: how many clusters; `None` if values count as independent.
        level: how often the bound holds, nominally.
        method: of the interval whose end it is.
        reason: why the bound is not defined.
    """

    metric_id: str
    side: str
    bound: float | None = None
    bound_if_missing: float | None = None
    mean: float | None = None
    scored: int
    missing: int = 0
    clusters: int | None = None
    level: float = DEFAULT_LEVEL
    method: str
    reason: str | None = None


@checked_arguments
def mean_bound(
    values: Sequence[Score],
    side: Literal["lower", "upper"],
    *,
    metric_id: str = "score",
    clusters: Sequence[Hashable] | None = None,
    score_range: ScoreRange | None = None,
    level: Level = DEFAULT_LEVEL,
    correction: Correction = "CR2",
) -> MeanBound:
    """Return a lower or an upper bound of a mean: an end of `estimate_mean`'s interval at level 2L - 1.

    Args:
        values: one per planned unit; `None` is a score that is missing.
        side: which bound.
        metric_id: the metric's name, for the record.
        clusters: one key per value.
        score_range: lowest and highest possible score; (0, 1) if all scores lie there.
        level: of the bound, above 0.5.
        correction: of cluster-robust standard errors.

    Source: as `estimate_mean`: Wilson (1927) for 0/1 scores, Student (1908) otherwise.

    >>> bound = mean_bound([1.0] * 95 + [0.0] * 5, "lower")
    >>> round(bound.bound, 4), bound.method
    (0.9008, 'Wilson score')
    """
    same_length("mean_bound", values=values, clusters=clusters)
    refuse_unless(level > 0.5, "mean_bound", "level", level, _ONE_SIDED)
    estimate = estimate_mean(
        values,
        metric_id=metric_id,
        clusters=clusters,
        score_range=score_range,
        level=round(2.0 * level - 1.0, 12),
        correction=correction,
    )
    worst = estimate.interval_if_missing
    return MeanBound(
        metric_id=metric_id,
        side=side,
        bound=estimate.interval.low if side == "lower" else estimate.interval.high,
        bound_if_missing=None if worst is None else worst.low if side == "lower" else worst.high,
        mean=estimate.mean,
        scored=estimate.scored,
        missing=estimate.missing,
        clusters=estimate.clusters,
        level=level,
        method=estimate.interval.method,
        reason=estimate.interval.reason,
    )
