"""One metric of a run at a glance: its mean with its error, its count, and everything that was left out of it."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from themis.pure.json import EMPTY
from themis.pure.projections import UNPARSED
from themis.pure.records.base import HashableModel
from themis.pure.records.fields import json_object
from themis.pure.records.results import BenchmarkResult
from themis.pure.stats import Estimate, Interval

_UNGENERATED = ("generation_failure", "reduction_failure")


@attrs.frozen(kw_only=True)
class SummaryRow(HashableModel):
    """One metric of a run: its estimate and the counts beside it.

    Attributes:
        metric_id: the metric.
        estimate: mean, interval, bounds and warnings.
        unparsed: answers that could not be parsed, or were parsed to nothing usable. Those of them that count as
            incorrect are in the mean, and `estimate.parsed_mean` is without them.
        errored: answers without a score for any other reason.
        not_reached: answers without a score since the run did not come to it.
        parse_rate: of the answers that came to parsing, the share that is usable; `None` if none came to it.
        outcomes: `{"correct": n, "incorrect": n, "error": n}`, and `"not_reached": n` where there is any.
        errors: `{category: n}`.
    """

    metric_id: str
    estimate: Estimate
    unparsed: int
    errored: int
    not_reached: int = 0
    parse_rate: float | None = None
    outcomes: Mapping[str, int] = attrs.field(default=EMPTY, converter=json_object)
    errors: Mapping[str, int] = attrs.field(default=EMPTY, converter=json_object)

    def cells(self) -> tuple[str, ...]:
        """Return the row as text: metric, value, n, planned, unparsed, errored, interval."""
        counts = (self.estimate.scored, self.estimate.planned, self.unparsed, self.errored)
        return (self.metric_id, self.value(), *map(str, counts), self.interval())

    def value(self) -> str:
        """Return the mean with its standard error, as text; a dash if it is not defined."""
        return value_text(self.estimate)

    def interval(self) -> str:
        """Return the interval with its method, as text; a dash if there is none."""
        interval = self.estimate.interval
        return _range(interval.low, interval.high, f" ({interval.method})")

    def bounds(self) -> str:
        """Return the mean if all missing scores were wrong, and if all were right, as text; a dash if unknown."""
        return bounds_text(self.estimate)

    def naive(self) -> str:
        """Return the interval that ignores clusters, as text; a dash without clusters."""
        naive = self.estimate.naive_interval
        return "-" if naive is None else ends_text(naive)

    def parsed(self) -> str:
        """Return the parse rate as text; a dash if nothing came to it."""
        return "-" if self.parse_rate is None else f"{self.parse_rate:.1%}"


def value_text(estimate: Estimate) -> str:
    mean, error = estimate.mean, estimate.standard_error
    return "-" if mean is None else f"{mean:.4f} ± {'?' if error is None else f'{error:.4f}'}"


def ends_text(interval: Interval) -> str:
    return _range(interval.low, interval.high)


def bounds_text(estimate: Estimate) -> str:
    return _range(estimate.if_missing_wrong, estimate.if_missing_right)


def _range(low: float | None, high: float | None, method: str = "") -> str:
    return "-" if low is None or high is None else f"{low:.3f} to {high:.3f}{method}"


def summary_row(benchmark: BenchmarkResult, estimate: Estimate, unread: int) -> SummaryRow:
    """Return a metric's row; of its answers, the run has not parsed `unread` yet."""
    metric = estimate.metric_id
    errors: Mapping[str, int] = benchmark.error_counts[metric]
    unparsed = sum(errors.get(category, 0) for category in UNPARSED)
    not_reached = errors.get("not_reached", 0)
    reached = estimate.planned - unread - sum(errors.get(category, 0) for category in _UNGENERATED)
    return SummaryRow(
        metric_id=metric,
        estimate=estimate,
        unparsed=unparsed,
        errored=sum(errors.values()) - unparsed - not_reached,
        not_reached=not_reached,
        parse_rate=(reached - unparsed) / reached if reached else None,
        outcomes=benchmark.outcome_counts[metric],
        errors=errors,
    )
