"""A report as Markdown; what models wrote is escaped."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from themis.pure.report.sections import Report, Section, sections
from themis.pure.text import one_line

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


def run_markdown(report: Report) -> str:
    """Return a report as Markdown."""
    head = [("Run", report.snapshot.run_id), ("Status", report.status), *report.facts()]
    if report.error_message:
        head.insert(2, ("Ended early", report.error_message))
    parts = ["# Evaluation run", table(["", ""], head)]
    for section in sections(report, "markdown"):
        parts += _lines(section, 2)
    return "\n\n".join(parts) + "\n"


def _lines(section: Section, level: int) -> Iterator[str]:
    if section.title:
        yield f"{'#' * level} {escape(section.title)}"
    for line in (section.figure, section.note):
        if line:
            yield escape(line)
    if section.facts:
        yield table(["", ""], section.facts)
    if section.table is not None:
        yield table(tuple(map(escape, section.table.header)), section.table.rows)
    elif section.parts:
        for part in section.parts:
            yield from _lines(part, level + 1)
    elif section.plot is not None:
        yield escape(section.plot.label)
    if section.remarks:
        yield "\n".join(f"- {escape(remark)}" for remark in section.remarks)
