"""One metric's mean with its uncertainty: which interval it gets, and the figures given with it.

The choice: Wilson for 0/1 scores, Student's t otherwise; over clusters the effective number of observations
and t with G - 1. Missing scores leave the mean but never the estimate.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence

import attrs

from themis.pure.stats.distributions import t_quantile
from themis.pure.stats.intervals import median_interval, t_interval, wilson_interval, woodruff_interval
from themis.pure.stats.records import DEFAULT_LEVEL, Estimate, Interval, SkewedEstimate
from themis.pure.stats.resampling import skewed_mean_interval
from themis.pure.stats.samples import (
    ClusteredSample,
    Correction,
    by_cluster,
    checked,
    cluster_degrees_of_freedom,
    cluster_standard_error,
    is_binary,
    is_constant,
    mean,
    quantile,
    variance,
)

FEW_VALUES = 30
"""Below this many values Student's t interval rests on the scores being near normal."""

FEW_CLUSTERS = 20
"""Below this many clusters cluster-robust intervals are too short (Cameron and Miller 2015, J. Human Resources 50)."""


@attrs.frozen
class _Spread:
    """A standard error, its degrees of freedom, the interval made of them, or the reason there is none."""

    standard_error: float | None
    degrees_of_freedom: float
    interval: Interval
    effective_size: float | None
    reason: str | None = None


def estimate_mean(
    values: Sequence[float | None],
    *,
    metric_id: str = "score",
    unit: str = "row",
    clusters: Sequence[Hashable] | None = None,
    planned: int | None = None,
    categories: Sequence[str | None] | None = None,
    score_range: tuple[float, float] | None = None,
    level: float = DEFAULT_LEVEL,
    correction: Correction = "CR1",
) -> Estimate:
    """Estimate the mean of scores, `None` being a score that is missing.

    Args:
        values: one per planned unit.
        metric_id: the metric's name, for the record.
        unit: what a value stands for.
        clusters: one key per value; values of one cluster are not independent.
        planned: how many units were planned, if more than `values` holds.
        categories: why each value is missing; entries of scored values are ignored.
        score_range: lowest and highest possible score, for the bounds; (0, 1) if all scores lie there.
        level: nominal coverage of the intervals.
        correction: `CR1`, or `CR2` for few or unequal clusters.

    Raises:
        DataError: a value is NaN or infinite.

    Source: Wilson (1927); Student (1908); Miller (2024), arXiv 2411.00640; effective size for clustered
    proportions: Korn and Graubard (1998), Survey Methodology 24, 193-201.

    >>> estimate = estimate_mean([1.0, 1.0, 0.0, None])
    >>> estimate.planned, estimate.scored, estimate.missing
    (4, 3, 1)
    >>> estimate.if_missing_wrong, estimate.if_missing_right, estimate.interval.method
    (0.5, 0.75, 'Wilson score')
    """
    column = checked(values, metric_id)
    scores = [value for value in column if value is not None]
    total = max(planned or 0, len(column))
    keys = None
    if clusters is not None:
        keys = [key for key, value in zip(clusters, column, strict=True) if value is not None]
    lacking = [] if categories is None else [
        category for category, value in zip(categories, column, strict=True) if value is None
    ]  # fmt: skip
    base = Estimate(
        metric_id=metric_id,
        unit=unit,
        planned=total,
        scored=len(scores),
        missing=total - len(scores),
        missing_by_category=_counts(lacking, total - len(scores)),
        binary=bool(scores) and is_binary(scores),
        interval=Interval(level=level, method="none", reason="no scored value"),
        clusters=None if keys is None else len(set(keys)),
    )
    if not scores:
        gone = dict.fromkeys(("mean", "standard_error", "if_missing_wrong", "if_missing_right"), "no scored value")
        return base.evolve(undefined=gone, warnings=_missing_warning(base))
    bounded = _with_bounds(base, scores, score_range)
    return _with_spread(bounded, scores, keys, level, correction)


def _counts(categories: Sequence[str | None], missing: int) -> dict[str, int]:
    counts: dict[str, int] = {}
    for category in categories:
        counts[category or "unknown"] = counts.get(category or "unknown", 0) + 1
    if missing > len(categories):
        counts["no_row"] = missing - len(categories)
    return counts


def _missing_warning(estimate: Estimate) -> tuple[str, ...]:
    if not estimate.missing:
        return ()
    return (f"{estimate.missing} of {estimate.planned} planned {estimate.unit}s have no score",)


def _with_bounds(base: Estimate, scores: Sequence[float], score_range: tuple[float, float] | None) -> Estimate:
    total = math.fsum(scores)
    centre = total / len(scores)
    if not base.missing:
        return base.evolve(mean=centre, if_missing_wrong=centre, if_missing_right=centre)
    if score_range is None and min(scores) >= 0.0 and max(scores) <= 1.0:
        score_range = (0.0, 1.0)
    if score_range is None:
        reason = "the metric's score range is not declared"
        gone = {"if_missing_wrong": reason, "if_missing_right": reason}
        return base.evolve(mean=centre, undefined=gone, warnings=_missing_warning(base))
    return base.evolve(
        mean=centre,
        if_missing_wrong=(total + base.missing * score_range[0]) / base.planned,
        if_missing_right=(total + base.missing * score_range[1]) / base.planned,
        warnings=_missing_warning(base),
    )


def _with_spread(
    base: Estimate,
    scores: Sequence[float],
    keys: Sequence[Hashable] | None,
    level: float,
    correction: Correction,
) -> Estimate:
    naive = _independent_spread(scores, level=level)
    warnings = list(base.warnings)
    if keys is None:
        spread = naive
    else:
        spread = _clustered_spread(scores, by_cluster(scores, keys), level=level, correction=correction)
        if spread.reason is None and len(set(keys)) < FEW_CLUSTERS:
            warnings.append(f"{len(set(keys))} clusters: under {FEW_CLUSTERS} a cluster-robust interval is too short")
    if not base.binary and 2 <= len(scores) < FEW_VALUES:
        warnings.append(
            f"{len(scores)} scored {base.unit}s: under {FEW_VALUES} a t interval rests on near-normal scores"
        )
    undefined = dict(base.undefined)
    if spread.standard_error is None:
        undefined["standard_error"] = spread.reason or "not defined"
    if keys is not None and naive.standard_error is None:
        undefined["naive_standard_error"] = naive.reason or "not defined"
    if spread.effective_size is None:
        undefined["effective_size"] = spread.reason or "not defined"
    return base.evolve(
        standard_error=spread.standard_error,
        interval=spread.interval,
        effective_size=spread.effective_size,
        naive_standard_error=None if keys is None else naive.standard_error,
        naive_interval=None if keys is None else naive.interval,
        undefined=undefined,
        warnings=tuple(warnings),
    )


def _independent_spread(scores: Sequence[float], *, level: float = DEFAULT_LEVEL) -> _Spread:
    """Return spread and interval of at least one score, scores counting as independent."""
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
    return _Spread(error, size - 1.0, interval, float(size), reason)


def _clustered_spread(
    scores: Sequence[float],
    sample: ClusteredSample,
    *,
    level: float = DEFAULT_LEVEL,
    correction: Correction = "CR1",
) -> _Spread:
    """Return spread and interval of scores whose clusters stay whole; fewer than two clusters are refused."""
    binary = is_binary(scores)
    method = f"clustered Wilson score ({correction})" if binary else f"clustered Student t ({correction})"
    if sample.clusters < 2:
        reason = "one cluster: its spread can't be told from that of others; two are needed"
        return _Spread(None, 0.0, Interval(level=level, method=method, reason=reason), None, reason)
    if is_constant(scores):
        # When all agree, clusters may be copies of one observation each: their number is what counts.
        reason = "no variation: all scores are equal"
        if binary:
            critical = t_quantile(0.5 + level / 2.0, sample.clusters - 1.0)
            interval = wilson_interval(scores[0], sample.clusters, level=level, critical=critical, method=method)
        else:
            interval = Interval(level=level, method=method, reason=reason)
        return _Spread(None, sample.clusters - 1.0, interval, float(sample.clusters), reason)
    error = cluster_standard_error(sample, correction)
    freedom = cluster_degrees_of_freedom(sample, correction)
    independent = sample.mean * (1.0 - sample.mean) if binary else variance(scores)
    if error * error * sample.size < 1e-12 * independent:
        # Every cluster has the overall mean: no information on how clusters differ.
        reason = "no variation between clusters: all have the same mean"
        interval = Interval(level=level, method=method, reason=reason)
        if binary:
            interval = _clustered_wilson(sample, float(sample.size), freedom, level, method)
        return _Spread(None, freedom, interval, float(sample.size), reason)
    # Clusters that look better than independence do so by chance: never count more than there are.
    effective = min(float(sample.size), independent / (error * error))
    if binary:
        return _Spread(error, freedom, _clustered_wilson(sample, effective, freedom, level, method), effective)
    interval = t_interval(sample.mean, error, freedom, level=level, method=method)
    return _Spread(error, freedom, interval, effective)


def _clustered_wilson(sample: ClusteredSample, effective: float, freedom: float, level: float, method: str) -> Interval:
    critical = t_quantile(0.5 + level / 2.0, freedom)
    return wilson_interval(sample.mean, effective, level=level, critical=critical, method=method)


# --- skewed quantities ------------------------------------------------------------------------------------


def describe_skewed(
    values: Sequence[float | None],
    *,
    name: str = "value",
    clusters: Sequence[Hashable] | None = None,
    planned: int | None = None,
    level: float = DEFAULT_LEVEL,
    resamples: int | None = None,
    seed: int = 0,
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
    column = checked(values, name)
    present = [value for value in column if value is not None]
    total = max(planned or 0, len(column))
    keys: list[Hashable] | None = None
    if clusters is not None:
        keys = [key for key, value in zip(clusters, column, strict=True) if value is not None]
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
    few = sample.clusters < FEW_CLUSTERS
    return base.evolve(
        mean=sample.mean,
        mean_interval=skewed_mean_interval(present, sample, level=level, resamples=resamples, seed=seed),
        median=quantile(ordered, 0.5),
        median_interval=median_interval(ordered, level=level)
        if keys is None
        else _clustered_median_interval(ordered, present, keys, level),
        percentile_90=quantile(ordered, 0.9),
        percentile_99=quantile(ordered, 0.99),
        warnings=(f"{sample.clusters} independent values: intervals are rough under {FEW_CLUSTERS}",) if few else (),
    )


def _clustered_median_interval(
    ordered: Sequence[float], values: Sequence[float], keys: Sequence[Hashable], level: float
) -> Interval:
    middle = quantile(ordered, 0.5)
    sample = by_cluster([float(value <= middle) for value in values], keys)
    method = "Woodruff (cluster-robust)"
    if sample.clusters < 2:
        return Interval(level=level, method=method, reason="one cluster; two are needed")
    error = cluster_standard_error(sample)
    if error == 0.0:
        return Interval(level=level, method=method, reason="no variation between clusters")
    critical = t_quantile(0.5 + level / 2.0, sample.clusters - 1.0)
    return woodruff_interval(ordered, 0.5, error, critical, level=level)


def observed_clusters(keys: Sequence[str], names: Mapping[str, str] | None) -> list[Hashable] | None:
    """Return one cluster key per row: the named cluster of its case, or the case if cases repeat, or `None`.

    A case without a name is a cluster of its own.
    """
    if names is not None:
        return [("named", names[key]) if key in names else ("case", key) for key in keys]
    return list(keys) if len(set(keys)) < len(keys) else None
