"""A report by the name of its format, as the command line asks for it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeAlias

from themis.api.reporting import Reporter
from themis.pure.errors import SpecError

ReportFormat: TypeAlias = Literal["markdown", "json", "csv", "latex", "html", "parquet"]


def report_text(reporter: Reporter, run_id: str, kind: ReportFormat) -> str:
    """Return a report as text.

    Raises:
        SpecError: the format is no text.
        RunNotFoundError: the store has no such run.
    """
    if kind == "parquet":
        raise SpecError("a Parquet report is no text: name a file for it with --output")
    exports = {
        "markdown": reporter.export_markdown,
        "json": reporter.export_json,
        "csv": reporter.export_csv,
        "latex": reporter.export_latex,
        "html": reporter.export_html,
    }
    return exports[kind](run_id)


def write_report(reporter: Reporter, run_id: str, kind: ReportFormat, path: Path) -> None:
    """Write a report to a file, a part of it at a time where the format allows it; its folder is made.

    Raises:
        MissingExtraError: the format needs an extra.
        RunNotFoundError: the store has no such run.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "csv":
        reporter.write_csv(run_id, path)
    elif kind == "html":
        reporter.write_html(run_id, path)
    elif kind == "parquet":
        reporter.write_parquet(run_id, path)
    else:
        path.write_text(report_text(reporter, run_id, kind), encoding="utf-8")
