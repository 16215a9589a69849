"""A report as Markdown; what models wrote is escaped."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from themis.pure.case_view import CaseView, passages
from themis.pure.records.prompt import text_of
from themis.pure.report.sections import Report, Section, sections
from themis.pure.text import one_line, printable

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


MARKDOWN_SAMPLE: Final = 6
"""Cases that a summary shows in full unless another number is asked for."""

_LONGEST_TEXT: Final = 1_500
"""Longer texts of a case are cut, and say so; the store has them whole."""


def case_markdown(view: CaseView) -> str:
    """Return a case in full: what was sent, by roles, what came back, and how that was judged and scored."""
    parts = [f"### {escape(f'{view.case_id} of {view.dataset_id}')}"]
    for title, value in passages(view):
        parts += [escape(title), fenced(text_of(value))]
    return "\n\n".join(parts)


def fenced(text: str) -> str:
    """Return untrusted text as a block of code, which it can't end: its fence is longer than any run of ticks in it.

    >>> fenced("a ``` b").splitlines()
    ['````', 'a ``` b', '````']
    """
    shown = printable(text[:_LONGEST_TEXT]).replace("\t", "    ")
    if len(text) > _LONGEST_TEXT:
        shown += f"\n[cut here: {len(text):,} characters in all; the store has them]"
    longest = max(map(len, _TICKS.findall(shown)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{shown}\n{fence}"


_TICKS: Final = re.compile(r"`+")


def run_markdown(report: Report, cases: Sequence[str] = (), *, sampling: str | None = None) -> str:
    """Return a report as Markdown, with cases in full; `sampling` says how they were chosen."""
    head = [("Run", report.snapshot.run_id), ("Status", report.status), *report.facts()]
    if report.error_message:
        head.insert(2, ("Ended early", report.error_message))
    parts = ["# Evaluation run", table(["", ""], head)]
    for section in sections(report, "markdown"):
        parts += _lines(section, 2)
    if cases:
        parts += ["## Cases", *([escape(sampling)] if sampling else []), *cases]
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
