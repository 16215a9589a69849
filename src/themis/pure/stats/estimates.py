"""One metric's mean with its uncertainty: which interval it gets, and the figures given with it.

The choice: Wilson for 0/1 scores, Student's t otherwise; over clusters the effective number of observations,
and t with Bell and McCaffrey's degrees of freedom. Missing scores leave the mean but never the estimate.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Final, TypeVar

import attrs

from themis.pure.stats.arguments import (
    Count,
    Level,
    Resamples,
    ScoreRange,
    Seed,
    checked_arguments,
    refuse_unless,
    same_length,
)
from themis.pure.stats.bounds import Possible, mean_bounds
from themis.pure.stats.distributions import t_quantile
from themis.pure.stats.intervals import median_interval, t_interval, wilson_interval
from themis.pure.stats.records import DEFAULT_LEVEL, Estimate, Interval, SkewedEstimate
from themis.pure.stats.resampling import skewed_mean_interval
from themis.pure.stats.samples import (
    DEFAULT_CORRECTION,
    ClusteredSample,
    Correction,
    by_cluster,
    checked,
    cluster_degrees_of_freedom,
    cluster_standard_error,
    effective_clusters,
    effective_size,
    has_clusters,
    is_binary,
    is_constant,
    mean,
    quantile,
    variance,
)

K = TypeVar("K", bound=Hashable)

FEW_VALUES = 30
"""Below this many values Student's t interval rests on the scores being near normal."""

UNBOUNDED: Final = (-math.inf, math.inf)
"""The score range of what has none: there are no bounds then, even if all values lie between 0 and 1."""

FEW_CLUSTERS = 20
"""Below this many clusters of one size an interval is rough (Cameron and Miller 2015, J. Human Resources 50)."""

UNKNOWN_RANGE = "the metric's score range is not declared"


@attrs.frozen
class _Spread:
    """A standard error and the interval made of it, or the reason there is none."""

    standard_error: float | None
    interval: Interval
    effective_size: float | None
    reason: str | None = None
    degrees_of_freedom: float | None = None


@checked_arguments
def estimate_mean(
    values: Sequence[float | None],
    *,
    metric_id: str = "score",
    unit: str = "row",
    clusters: Sequence[Hashable] | None = None,
    planned: Count | None = None,
    categories: Sequence[str | None] | None = None,
    score_range: ScoreRange | None = None,
    level: Level = DEFAULT_LEVEL,
    correction: Correction = DEFAULT_CORRECTION,
) -> Estimate:
    """Estimate the mean of scores, `None` being a score that is missing.

    Args:
        values: one per planned unit.
        metric_id: the metric's name, for the record.
        unit: what a value stands for.
        clusters: one key per value; values of one cluster are not independent.
        planned: how many units were planned, if more than `values` holds.
        categories: why each value is missing; of a value that is there, why its answer could not be parsed, which is
            scored then all the same.
        score_range: lowest and highest possible score, for the bounds; (0, 1) if all scores lie there.
        level: nominal coverage of the intervals.
        correction: of cluster-robust standard errors: `CR2`, with Bell and McCaffrey's degrees of freedom, or `CR1`,
            which is too short where clusters are few or of unequal size.

    Raises:
        StatisticsError: a value is NaN or infinite, or lies outside the range; or columns are not of one length.

    Source: Wilson (1927); Student (1908); Miller (2024), arXiv 2411.00640; effective size for clustered
    proportions: Korn and Graubard (1998), Survey Methodology 24, 193-201.

    >>> estimate = estimate_mean([1.0, 1.0, 0.0, None])
    >>> estimate.planned, estimate.scored, estimate.missing
    (4, 3, 1)
    >>> estimate.if_missing_wrong, estimate.if_missing_right, estimate.interval.method
    (0.5, 0.75, 'Wilson score')
    """
    same_length("estimate_mean", values=values, clusters=clusters, categories=categories)
    column = checked(values, metric_id)
    scores = [value for value in column if value is not None]
    total = max(planned or 0, len(column))
    missing = total - len(scores)
    keys = _of_scored(clusters, column)
    base = Estimate(
        metric_id=metric_id,
        unit=unit,
        planned=total,
        scored=len(scores),
        missing=missing,
        missing_by_category=_reasons(categories, column, missing),
        binary=bool(scores) and is_binary(scores),
        interval=Interval(level=level, method="none", reason="no scored value"),
        clusters=None if keys is None else len(set(keys)),
        warnings=(f"{missing} of {total} planned {unit}s have no score",) if missing else (),
    )
    if not scores:
        figures = ("mean", "standard_error", "if_missing_wrong", "if_missing_right", "parsed_mean")
        return base.evolve(undefined=dict.fromkeys(figures, "no scored value"))
    within_range("estimate_mean", scores, score_range)
    base = _without_unparsed(base, column, categories)
    known = range_of(scores, score_range) if missing else None
    found = _with_spread(_with_bounds(base, scores, known), scores, keys, level, correction)
    if not missing:
        return found
    return found.evolve(interval_if_missing=_interval_if_missing(found, column, clusters, known, correction))


_MOST_WITHOUT_ROW: Final = 2_000_000
"""Missing scores that bounds are searched for; whatever more they could be is not known then."""


def _interval_if_missing(
    found: Estimate,
    column: Sequence[float | None],
    clusters: Sequence[Hashable] | None,
    score_range: tuple[float, float] | None,
    correction: Correction,
) -> Interval:
    interval, without_row = found.interval, found.planned - len(column)
    reason = None
    if score_range is None:
        reason = UNKNOWN_RANGE
    elif clusters is not None and without_row:
        reason = f"{without_row} missing scores have no row, and so no cluster"
    elif without_row > _MOST_WITHOUT_ROW:
        reason = f"{without_row:,} scores are missing, and at most {_MOST_WITHOUT_ROW:,} are looked at"
    if score_range is None or reason:
        return Interval(level=interval.level, method=interval.method, reason=reason)
    known: dict[float, tuple[float, float]] = {}  # of a million zeros and ones, two ranges
    ranges = [score_range if value is None else known.setdefault(value, (value, value)) for value in column]
    values = Possible(
        ranges=ranges + [score_range] * without_row,
        clusters=clusters,
        step=score_range[1] - score_range[0],
        whole=found.binary and score_range == (0.0, 1.0),
    )
    return mean_bounds(values, level=interval.level, method=interval.method, correction=correction)


def _of_scored(keys: Sequence[Hashable] | None, column: Sequence[float | None]) -> list[Hashable] | None:
    return None if keys is None else [key for key, value in zip(keys, column, strict=True) if value is not None]


def _without_unparsed(
    base: Estimate, column: Sequence[float | None], categories: Sequence[str | None] | None
) -> Estimate:
    """Say what the mean is over the answers that could be parsed."""
    reasons = categories if categories is not None else [None] * len(column)
    parsed = [value for value, reason in zip(column, reasons, strict=True) if value is not None and reason is None]
    if not parsed:
        return base.evolve(unparsed=base.scored, undefined={"parsed_mean": "no answer could be parsed"})
    return base.evolve(unparsed=base.scored - len(parsed), parsed_mean=mean(parsed))


def _reasons(categories: Sequence[str | None] | None, column: Sequence[float | None], missing: int) -> Counter[str]:
    pairs = zip(categories, column, strict=True) if categories is not None else ()
    counts = Counter(category or "unknown" for category, value in pairs if value is None)
    if missing > counts.total():
        counts["no_row"] = missing - counts.total()
    return counts


def _with_bounds(base: Estimate, scores: Sequence[float], known: tuple[float, float] | None) -> Estimate:
    total = math.fsum(scores)
    centre = total / len(scores)
    if not base.missing:
        return base.evolve(mean=centre, if_missing_wrong=centre, if_missing_right=centre)
    if known is None:
        unknown = dict.fromkeys(("if_missing_wrong", "if_missing_right"), UNKNOWN_RANGE)
        return base.evolve(mean=centre, undefined={**base.undefined, **unknown})
    return base.evolve(
        mean=centre,
        if_missing_wrong=(total + base.missing * known[0]) / base.planned,
        if_missing_right=(total + base.missing * known[1]) / base.planned,
    )


def within_range(where: str, scores: Sequence[float], score_range: tuple[float, float] | None) -> None:
    """Refuse scores outside the range that is said to hold all of them: bounds would lie outside it, too."""
    if score_range is not None and scores:
        for extreme in (min(scores), max(scores)):
            allowed = f"{score_range[0]:g} to {score_range[1]:g}, as score_range says"
            refuse_unless(score_range[0] <= extreme <= score_range[1], where, "a score", extreme, allowed)


def range_of(scores: Sequence[float], stated: tuple[float, float] | None) -> tuple[float, float] | None:
    """Return the lowest and highest possible score: as stated, or 0 and 1 if all scores lie there."""
    if stated is None and scores and min(scores) >= 0.0 and max(scores) <= 1.0:
        return 0.0, 1.0
    return None if stated == UNBOUNDED else stated


def _with_spread(
    base: Estimate,
    scores: Sequence[float],
    keys: Sequence[Hashable] | None,
    level: float,
    correction: Correction,
) -> Estimate:
    naive = _independent_spread(scores, level)
    spread = naive
    warnings = list(base.warnings)
    if keys is not None:
        sample = by_cluster(scores, keys)
        if sample.clusters < sample.size:  # clusters of one are no clusters
            spread = _clustered_spread(scores, sample, level, correction)
        base = base.evolve(naive_standard_error=naive.standard_error, naive_interval=naive.interval)
        if spread.reason is None:
            warnings.extend(few_clusters(sample))
    reasons = {
        "standard_error": spread.reason,
        "naive_standard_error": None if keys is None else naive.reason,
        "effective_size": spread.reason if spread.effective_size is None else None,
    }
    if not base.binary and 2 <= len(scores) < FEW_VALUES:
        warnings.append(
            f"{len(scores)} scored {base.unit}s: under {FEW_VALUES} a t interval rests on near-normal scores"
        )
    return base.evolve(
        standard_error=spread.standard_error,
        degrees_of_freedom=spread.degrees_of_freedom,
        interval=spread.interval,
        effective_size=spread.effective_size,
        undefined={**base.undefined, **{figure: reason for figure, reason in reasons.items() if reason}},
        warnings=warnings,
    )


def few_clusters(sample: ClusteredSample) -> Iterator[str]:
    """Yield the warning that is due where clusters are few, or count as few since one of them is large."""
    worth = effective_clusters(sample)
    if 2 <= sample.clusters < sample.size and worth < FEW_CLUSTERS - 1e-9:
        as_many = (
            "" if worth > sample.clusters - 0.5 else f" of unequal sizes, which tell as much as {worth:.3g} equal ones"
        )
        yield f"{sample.clusters} clusters{as_many}: under {FEW_CLUSTERS} a cluster-robust interval is rough"


def _independent_spread(scores: Sequence[float], level: float) -> _Spread:
    size, centre = len(scores), mean(scores)
    reason = None
    if size == 1:
        reason = "one scored value has no spread"
    elif is_constant(scores):
        reason = "no variation: all scores are equal"
    error = None if reason else math.sqrt(variance(scores) / size)
    if is_binary(scores):
        interval = wilson_interval(centre, size, level=level)
    else:
        interval = t_interval(centre, error, size - 1, level=level, reason=reason)
    return _Spread(error, interval, float(size), reason, None if error is None or is_binary(scores) else size - 1.0)


def _clustered_spread(
    scores: Sequence[float], sample: ClusteredSample, level: float, correction: Correction
) -> _Spread:
    binary = is_binary(scores)
    method = f"clustered Wilson score ({correction})" if binary else f"clustered Student t ({correction})"
    error: float | None = None
    reason: str | None = None
    if sample.clusters < 2:
        reason = "one cluster: its spread can't be told from that of others; two are needed"
        return _Spread(None, Interval(level=level, method=method, reason=reason), None, reason)
    if is_constant(scores):
        effective = effective_size(sample, 0.0, None)
        reason = "no variation: all scores are equal"
    else:
        error = cluster_standard_error(sample, correction)
        spread = sample.mean * (1.0 - sample.mean) if binary else variance(scores)
        effective = effective_size(sample, spread, error)
        if error * error * sample.size < 1e-12 * spread:
            # Every cluster has the overall mean: no information on how clusters differ.
            error, reason = None, "no variation between clusters: all have the same mean"
    freedom = cluster_degrees_of_freedom(sample, correction)
    if binary:
        critical = t_quantile(0.5 + level / 2.0, freedom)
        interval = wilson_interval(sample.mean, effective, level=level, critical=critical, method=method)
    else:
        interval = t_interval(sample.mean, error, freedom, level=level, method=method, reason=reason)
    return _Spread(error, interval, effective, reason, freedom if binary or error is not None else None)


# --- skewed quantities ------------------------------------------------------------------------------------


@checked_arguments
def describe_skewed(
    values: Sequence[float | None],
    *,
    name: str = "value",
    clusters: Sequence[Hashable] | None = None,
    planned: Count | None = None,
    level: Level = DEFAULT_LEVEL,
    resamples: Resamples | None = None,
    seed: Seed = 0,
) -> SkewedEstimate:
    """Describe cost, latency or another skewed quantity by mean and median, each with an interval.

    Args:
        values: in the quantity's own unit; `None` where it was not measured.
        name: what was measured.
        clusters: one key per value; values of one cluster are not independent.
        planned: how many values were expected, if more than `values` holds.
        level: nominal coverage.
        resamples: bootstrap draws; by default as `skewed_mean_interval` chooses.
        seed: of the bootstrap.

    Source: Efron and Tibshirani (1993), section 12.5; Conover (1999), section 3.2; Woodruff (1952).
    """
    same_length("describe_skewed", values=values, clusters=clusters)
    column = checked(values, name)
    present = [value for value in column if value is not None]
    total = max(planned or 0, len(column))
    keys = _of_scored(clusters, column)
    empty = Interval(level=level, method="none", reason="no measured value")
    base = SkewedEstimate(
        name=name,
        planned=total,
        measured=len(present),
        missing=total - len(present),
        mean_interval=empty,
        median_interval=empty,
        clusters=None if keys is None else len(set(keys)),
    )
    if not present:
        figures = ("mean", "median", "percentile_90", "percentile_99")
        return base.evolve(undefined=dict.fromkeys(figures, "no measured value"))
    ordered = sorted(present)
    sample = by_cluster(present, range(len(present)) if keys is None else keys)
    few = sample.clusters < 2 or effective_clusters(sample) < FEW_CLUSTERS - 1e-9
    return base.evolve(
        mean=sample.mean,
        mean_interval=skewed_mean_interval(present, sample, level=level, resamples=resamples, seed=seed),
        median=quantile(ordered, 0.5),
        median_interval=middle_interval(present, keys, level),
        percentile_90=quantile(ordered, 0.9),
        percentile_99=quantile(ordered, 0.99),
        warnings=(f"{sample.clusters} independent values: intervals are rough under {FEW_CLUSTERS}",) if few else (),
    )


def middle_interval(values: Sequence[float], keys: Sequence[Hashable] | None, level: float) -> Interval:
    """Return the interval of a median: from order statistics, or Woodruff's if values share clusters."""
    if has_clusters(keys):
        return _woodruff_interval(values, keys, level)
    return median_interval(sorted(values), level=level)


def _woodruff_interval(values: Sequence[float], keys: Sequence[Hashable], level: float) -> Interval:
    """Return the interval of a median of clustered values: an interval of its rank, read off the values.

    Its standard error is that of the share of values at or below the median, clusters kept whole.

    Source: Woodruff (1952), Journal of the American Statistical Association 47, 635-646.
    """
    method = "Woodruff (cluster-robust)"
    ordered = sorted(values)
    middle = quantile(ordered, 0.5)
    sample = by_cluster([1.0 if value <= middle else 0.0 for value in values], keys)
    if sample.clusters < 2:
        return Interval(level=level, method=method, reason="one cluster; two are needed")
    error = cluster_standard_error(sample)
    if error == 0.0:
        return Interval(level=level, method=method, reason="no variation between clusters")
    reach = t_quantile(0.5 + level / 2.0, cluster_degrees_of_freedom(sample)) * error
    low, high = quantile(ordered, max(0.0, 0.5 - reach)), quantile(ordered, min(1.0, 0.5 + reach))
    return Interval(low=low, high=high, level=level, method=method)


def observed_clusters(keys: Sequence[K], names: Mapping[K, str] | None) -> list[Hashable] | None:
    """Return one cluster key per row: the named cluster of its case, or the case if cases repeat, or `None`.

    A case without a name is a cluster of its own.
    """
    if names is not None:
        return [("named", names[key]) if key in names else ("case", key) for key in keys]
    return list(keys) if has_clusters(keys) else None
