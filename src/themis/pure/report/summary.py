"""The result table: every mean with its error, its count, and everything that was left out of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import attrs

from themis.pure.records.results import BenchmarkResult, BenchmarkScoreRow
from themis.pure.stats import Estimate, StatsEngine

HEADER = ("metric", "value ± stderr", "n", "planned", "scored", "unparsed", "errored", "95% interval")
NARROW = ("metric", "value ± stderr", "n", "planned", "unparsed", "errored")
UNPARSED = ("parse_failure", "parse_null", "parse_invalid")


@attrs.frozen(kw_only=True)
class SummaryRow:
    """One metric of a run: its estimate and the counts beside it."""

    metric_id: str
    estimate: Estimate
    planned: int
    scored: int
    unparsed: int
    errored: int

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


def summary_rows(benchmark: BenchmarkResult, score_rows: Iterable[BenchmarkScoreRow]) -> list[SummaryRow]:
    """Return a run's metrics as rows of the result table; errors apart from unparsed answers."""
    estimates = StatsEngine().aggregate(score_rows)
    rows = []
    for metric in benchmark.metric_ids:
        errors: Mapping[str, int] = benchmark.error_counts[metric]
        unparsed = sum(errors.get(category, 0) for category in UNPARSED)
        estimate = estimates[metric]
        rows.append(
            SummaryRow(
                metric_id=metric,
                estimate=estimate,
                planned=benchmark.total_cases,
                scored=estimate.scored,
                unparsed=unparsed,
                errored=sum(errors.values()) - unparsed,
            )
        )
    return rows


def terminal_summary(rows: Sequence[SummaryRow]) -> str:
    """Return the result table for a terminal of 80 columns; `n` is the number of scored cases."""
    places = [HEADER.index(name) for name in NARROW]
    table = plain_table(NARROW, ([row.cells()[place] for place in places] for row in rows))
    intervals = [f"{row.metric_id}: 95% interval {interval_text(row.estimate)}" for row in rows]
    warnings = [f"{row.metric_id}: {text}" for row in rows for text in row.estimate.warnings]
    return "\n".join([table, "", "n counts scored cases; means are over them only.", *intervals, *warnings])


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
    cells = [list(header), *(list(row) for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    lines = [
        " | ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in cells
    ]
    return "\n".join([lines[0], "-+-".join("-" * width for width in widths), *lines[1:]])
