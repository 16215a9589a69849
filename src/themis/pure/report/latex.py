"""A run as LaTeX tables with booktabs rules; whatever a model wrote is escaped."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from themis.pure.records.results import BenchmarkScoreRow
from themis.pure.report.overview import RunOverview
from themis.pure.report.plain import one_line
from themis.pure.report.summary import SummaryRow

LONGEST: Final = 60
"""Longer texts are cut in a table's cell."""

_SPECIAL: Final = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "'": r"\textquotesingle{}",
    "`": r"\textasciigrave{}",
    "-": "{-}",
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
    "!": "{!}",
    "?": "{?}",
    ",": "{,}",
}
_ESCAPED: Final = re.compile(r"[\\{}$&#%_^~<>|\"'`\-\[\]*!?,]|[^\x20-\x7e]")
_LATIN: Final = re.compile("[\u00a1-\u00ac\u00ae-\u00ff]")

PREAMBLE: Final = "% Needs \\usepackage[T1]{fontenc} and \\usepackage{booktabs}\n"


def escape(text: str) -> str:
    r"""Return untrusted text as LaTeX that means nothing but itself, on one line.

    Characters that pdfLaTeX has no glyph for are named by their code point.

    >>> escape(r"\input{x} 50 % 中")
    '\\textbackslash{}input\\{x\\} 50 \\% \\texttt{U+4E2D}'
    """
    return _ESCAPED.sub(lambda found: _written(found[0]), one_line(text))


def _written(character: str) -> str:
    if character in _SPECIAL:
        return _SPECIAL[character]
    return character if _LATIN.match(character) else rf"\texttt{{U+{ord(character):04X}}}"


def _cut(text: str) -> str:
    line = one_line(text)
    return escape(line if len(line) <= LONGEST else f"{line[:LONGEST]}...")


def run_latex(run_id: str, overview: RunOverview, rows: Iterable[BenchmarkScoreRow], total: int) -> str:
    """Return a run as two tables: one line per metric, and the first score rows.

    Args:
        run_id: the run.
        overview: its figures.
        rows: the score rows to show.
        total: how many score rows there are.
    """
    shown = [_score_cells(row) for row in rows]
    metrics = _table(
        ("Metric", "Mean", "Std. error", "95\\% interval", "Planned", "Scored", "Missing", "Bounds"),
        [_metric_cells(row) for row in overview.metrics],
        "lrrrrrrr",
        f"Run {escape(run_id[:12])}: means over scored cases. Bounds: the mean if all missing scores were wrong, "
        "or right.",
    )
    caption = f"Run {escape(run_id[:12])}: " + (
        "all score rows." if len(shown) == total else f"the first {len(shown)} of {total} score rows."
    )
    header = ("Case", "Dataset", "Metric", "Value", "Outcome")
    return PREAMBLE + metrics + "\n" + _table(header, shown, "lllrl", caption)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], columns: str, caption: str) -> str:
    lines = [
        r"\begin{table}[htbp]",
        r"  \centering\small",
        rf"  \caption{{{caption}}}",
        rf"  \begin{{tabular}}{{{columns}}}",
        r"    \toprule",
        f"    {' & '.join(header)} \\\\",
        r"    \midrule",
        *(f"    {' & '.join(row)} \\\\" for row in rows),
        r"    \bottomrule",
        r"  \end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _metric_cells(row: SummaryRow) -> tuple[str, ...]:
    estimate = row.estimate
    interval = estimate.interval
    return (
        _cut(row.metric_id),
        _number(estimate.mean),
        _number(estimate.standard_error),
        _range(interval.low, interval.high),
        str(row.planned),
        str(row.scored),
        str(estimate.missing),
        _range(estimate.if_missing_wrong, estimate.if_missing_right),
    )


def _range(low: float | None, high: float | None) -> str:
    return "--" if low is None or high is None else f"{_number(low)}--{_number(high)}"


def _score_cells(row: BenchmarkScoreRow) -> tuple[str, ...]:
    outcome = row.outcome if row.error_category is None else f"{row.outcome} ({row.error_category})"
    return _cut(row.case_id), _cut(row.dataset_id), _cut(row.metric_id), _number(row.value), _cut(outcome)


def _number(value: float | None) -> str:
    return "--" if value is None else f"${value:.4f}$"
