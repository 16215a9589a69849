"""A run as Markdown: identity, the result table, errors by kind, and the first cases with errors."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from themis.pure.records.results import BenchmarkResult, BenchmarkScoreRow
from themis.pure.records.snapshot import ComponentRef, RunSnapshot
from themis.pure.report.plain import one_line
from themis.pure.report.summary import HEADER, SummaryRow

# All that CommonMark and GitHub's extensions read as markup within a line, and what starts an automatic link.
_SPECIAL = re.compile(r"([\\`*_\[\]<>|&~!$@:]|(?<=www)\.|^[#+\-=])")


def escape(text: str) -> str:
    """Return untrusted text as one line of Markdown that means nothing but itself.

    >>> escape("| <b>x</b> |")
    '\\\\| \\\\<b\\\\>x\\\\</b\\\\> \\\\|'
    """
    return _SPECIAL.sub(r"\\\1", one_line(text))


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table; its cells are escaped."""
    lines = [header, ["---"] * len(header), *([escape(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def run_markdown(
    snapshot: RunSnapshot,
    status: str,
    summary: Sequence[SummaryRow],
    benchmark: BenchmarkResult,
    failed: Iterable[BenchmarkScoreRow],
) -> str:
    """Return a whole run as Markdown."""
    identity = snapshot.identity
    facts = [
        ("run", snapshot.run_id),
        ("status", status),
        ("generator", _ref(identity.generator_ref)),
        *(
            ("dataset", f"{ref.dataset_id} {ref.revision or ''} ({ref.fingerprint[:12]})")
            for ref in identity.dataset_refs
        ),
        *(("parser", _ref(ref)) for ref in identity.parser_refs),
        *(("metric", _ref(ref)) for ref in identity.metric_refs),
        ("Themis", snapshot.provenance.themis_version),
        ("Python", f"{snapshot.provenance.python_version} on {snapshot.provenance.platform}"),
    ]
    parts = [
        "# Evaluation run",
        table(["", ""], facts),
        "## Results",
        "Means are over scored cases only; what was not scored stands beside them.",
        table(HEADER, (row.cells() for row in summary)),
        "What is missing could change the means to:",
        table(
            ("metric", "missing", "if all missing were wrong or right", "parse rate", "were clusters ignored"),
            (
                (row.metric_id, str(row.estimate.missing), row.bounds(), _share(row.parse_rate), row.naive())
                for row in summary
            ),
        ),
    ]
    errors = [
        (metric, category, str(count))
        for metric, counts in benchmark.error_counts.items()
        for category, count in counts.items()
    ]
    if errors:
        parts += ["## Errors", table(["metric", "category", "cases"], errors)]
        rows = [(row.case_key, row.metric_id, row.error_category or "", row.error_message or "") for row in failed]
        parts += ["The first of them:", table(["case", "metric", "category", "message"], rows)]
    warnings = [f"- {escape(row.metric_id)}: {escape(text)}" for row in summary for text in row.estimate.warnings]
    if warnings:
        parts += ["## Mind", "\n".join(warnings)]
    return "\n\n".join(parts) + "\n"


def _share(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


def _ref(ref: ComponentRef) -> str:
    return f"{ref.component_id} {ref.version} ({ref.fingerprint[:12]})"
