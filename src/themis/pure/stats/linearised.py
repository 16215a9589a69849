"""Standard errors of statistics that are no means, by their linearisation.

A smooth statistic of n cases moves with each of them by the case's influence over n, so that its variance is that of a
mean of influences: of clusters of them, where cases come in clusters.

Source: Hampel (1974), Journal of the American Statistical Association 69, 383-393; with clusters, Sarndal, Swensson and
Wretman (1992), Model Assisted Survey Sampling, section 5.5, and the corrections that means have (`samples`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence

import attrs

from themis.pure.stats.distributions import t_quantile
from themis.pure.stats.records import Interval
from themis.pure.stats.samples import (
    by_cluster,
    cluster_degrees_of_freedom,
    cluster_standard_error,
    mean,
    variance,
)


@attrs.frozen(kw_only=True)
class LinearisedError:
    """A standard error, what it rests on, or why there is none."""

    standard_error: float | None = None
    degrees_of_freedom: float | None = None
    clusters: int | None = None
    reason: str | None = None


def linearised_error(influences: Sequence[float], clusters: Sequence[Hashable] | None = None) -> LinearisedError:
    """Return the standard error of a statistic from each case's influence on it; with clusters, CR2."""
    size = len(influences)
    if clusters is None:
        if size < 2:
            return LinearisedError(reason="fewer than two cases have no spread")
        error = math.sqrt(variance(influences) / size)
        return LinearisedError(standard_error=error, degrees_of_freedom=size - 1.0)
    sample = by_cluster(influences, clusters)
    if sample.clusters < 2:
        return LinearisedError(clusters=sample.clusters, reason="one cluster: its spread can't be told; two are needed")
    error = cluster_standard_error(sample, "CR2")
    freedom = cluster_degrees_of_freedom(sample, "CR2")
    return LinearisedError(standard_error=error, degrees_of_freedom=freedom, clusters=sample.clusters)


def transformed_interval(
    value: float,
    error: LinearisedError,
    *,
    level: float,
    method: str,
    to: Callable[[float], float],
    slope: float,
    back: Callable[[float], float],
) -> Interval:
    """Return the t interval of `to(value)`, whose derivative is `slope`, taken back to the statistic's own scale.

    Source: the delta method; Student's t (1908) with the error's degrees of freedom.
    """
    if not error.standard_error or error.degrees_of_freedom is None:
        return Interval(level=level, method=method, reason=error.reason or "no variation between the cases")
    half = t_quantile(0.5 + level / 2.0, error.degrees_of_freedom) * error.standard_error * slope
    centre = to(value)
    return Interval(low=back(centre - half), high=back(centre + half), level=level, method=method)


def centred(values: Sequence[float]) -> list[float]:
    middle = mean(values)
    return [value - middle for value in values]
