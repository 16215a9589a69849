"""The result table: every mean with its error, its count, and everything that was left out of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import attrs

from themis.pure.json import EMPTY
from themis.pure.records.base import HashableModel
from themis.pure.records.fields import json_object
from themis.pure.records.results import BenchmarkResult, BenchmarkScoreRow
from themis.pure.report.plain import one_line
from themis.pure.stats import Estimate, StatsEngine

HEADER = ("metric", "value ± stderr", "n", "planned", "scored", "unparsed", "errored", "95% interval")
NARROW = ("metric", "value ± stderr", "n", "planned", "unparsed", "errored")
UNPARSED = ("parse_failure", "parse_null", "parse_invalid")
UNGENERATED = ("generation_failure", "reduction_failure")


@attrs.frozen(kw_only=True)
class SummaryRow(HashableModel):
    """One metric of a run: its estimate and the counts beside it.

    Attributes:
        metric_id: the metric.
        estimate: mean, interval, bounds and warnings.
        planned: cases that should have a score.
        scored: cases that have one.
        unparsed: cases whose answer could not be parsed, or was parsed to nothing usable.
        errored: cases without a score for any other reason.
        parse_rate: of the cases that came to parsing, the share with a usable answer; `None` if none came to it.
        outcomes: `{"correct": n, "incorrect": n, "error": n}`.
        errors: `{category: n}`.
    """

    metric_id: str
    estimate: Estimate
    planned: int
    scored: int
    unparsed: int
    errored: int
    parse_rate: float | None = None
    outcomes: Mapping[str, int] = attrs.field(default=EMPTY, converter=json_object)
    errors: Mapping[str, int] = attrs.field(default=EMPTY, converter=json_object)

    def cells(self) -> tuple[str, ...]:
        """Return the row as text, in the order of `HEADER`."""
        return (
            self.metric_id,
            _value(self.estimate),
            str(self.scored),
            str(self.planned),
            str(self.scored),
            str(self.unparsed),
            str(self.errored),
            interval_text(self.estimate),
        )

    def bounds(self) -> str:
        """Return the mean if all missing scores were wrong, and if all were right, as text; a dash if unknown."""
        low, high = self.estimate.if_missing_wrong, self.estimate.if_missing_right
        return "-" if low is None or high is None else f"{low:.3f} to {high:.3f}"

    def naive(self) -> str:
        """Return the interval that ignores clusters, as text; a dash without clusters."""
        naive = self.estimate.naive_interval
        return "-" if naive is None or naive.low is None else f"{naive.low:.3f} to {naive.high:.3f}"


def summary_rows(benchmark: BenchmarkResult, score_rows: Iterable[BenchmarkScoreRow]) -> list[SummaryRow]:
    """Return a run's metrics as rows of the result table; errors apart from unparsed answers."""
    estimates = StatsEngine().aggregate(score_rows)
    return [summary_row(benchmark, estimates[metric]) for metric in benchmark.metric_ids]


def summary_row(benchmark: BenchmarkResult, estimate: Estimate) -> SummaryRow:
    """Return one metric's row."""
    metric = estimate.metric_id
    errors: Mapping[str, int] = benchmark.error_counts[metric]
    unparsed = sum(errors.get(category, 0) for category in UNPARSED)
    reached = benchmark.total_cases - sum(errors.get(category, 0) for category in UNGENERATED)
    return SummaryRow(
        metric_id=metric,
        estimate=estimate,
        planned=benchmark.total_cases,
        scored=estimate.scored,
        unparsed=unparsed,
        errored=sum(errors.values()) - unparsed,
        parse_rate=(reached - unparsed) / reached if reached else None,
        outcomes=benchmark.outcome_counts[metric],
        errors=errors,
    )


def terminal_summary(rows: Sequence[SummaryRow]) -> str:
    """Return the result table for a terminal of 80 columns; `n` is the number of scored cases."""
    places = [HEADER.index(name) for name in NARROW]
    table = plain_table(NARROW, ([row.cells()[place] for place in places] for row in rows))
    notes = ["n counts scored cases; means are over them only."]
    for row in rows:
        name = one_line(row.metric_id)
        notes.append(f"{name}: 95% interval {interval_text(row.estimate)}")
        if row.naive() != "-":
            notes.append(f"{name}: {row.estimate.clusters} clusters; were they ignored: {row.naive()}")
        if row.estimate.missing:
            notes.append(f"{name}: {row.bounds()} if all missing were wrong, or all right")
        notes += [f"{name}: {one_line(text)}" for text in row.estimate.warnings]
    return "\n".join([table, "", *notes])


def _value(estimate: Estimate) -> str:
    if estimate.mean is None:
        return "-"
    error = "?" if estimate.standard_error is None else f"{estimate.standard_error:.4f}"
    return f"{estimate.mean:.4f} ± {error}"


def interval_text(estimate: Estimate) -> str:
    """Return an estimate's interval with its method, or a dash."""
    interval = estimate.interval
    if interval.low is None or interval.high is None:
        return "-"
    return f"{interval.low:.3f} to {interval.high:.3f} ({interval.method})"


def plain_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table for a terminal: columns in line, numbers to the right.

    >>> print(plain_table(["metric", "n"], [["em", "12"]]))
    metric |  n
    -------+---
    em     | 12
    """
    cells = [list(header), *([one_line(cell) for cell in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    lines = [
        " | ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in cells
    ]
    return "\n".join([lines[0], "-+-".join("-" * width for width in widths), *lines[1:]])
