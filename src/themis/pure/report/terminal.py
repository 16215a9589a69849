"""A report for a terminal of 80 columns; no control character of a model's reaches it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from themis.pure.report.sections import Report, Section, sections
from themis.pure.text import one_line


def run_summary(report: Report) -> str:
    """Return a report for a terminal: the result table, and beside it what the table has no room for."""
    return sections_text(sections(report, "terminal"))


def sections_text(shown: Iterable[Section]) -> str:
    """Return sections for a terminal, one after the other."""
    text = ""
    for section in shown:
        block = "\n".join(_lines(section)).rstrip("\n")
        if text and block:
            # Without a title it goes on with the section before; the table, which comes first, needs none.
            text += f"\n\n{one_line(section.title)}\n" if section.title else "\n"
        text += block
    return text


def _lines(section: Section) -> Iterator[str]:
    shown = section.table
    if shown is not None and shown.rows:
        places = [shown.header.index(name) for name in shown.narrow]
        yield plain_table(shown.narrow, ([row[place] for place in places] for row in shown.rows))
        yield ""
    for line in (section.figure, section.note, *(f"{name}: {value}" for name, value in section.facts)):
        if line:
            yield one_line(line)
    yield from map(one_line, section.remarks)
    if shown is None:
        for part in section.parts:
            yield from (one_line(part.title), *_lines(part))
        if section.plot is not None and not section.parts:
            yield one_line(section.plot.label)


def plain_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table for a terminal: columns in line, numbers to the right.

    >>> print(plain_table(["metric", "n"], [["em", "12"]]))
    metric |  n
    -------+---
    em     | 12
    """
    cells = [[one_line(cell) for cell in row] for row in (header, *rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    lines = [
        " | ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in cells
    ]
    return "\n".join([lines[0], "-+-".join("-" * width for width in widths), *lines[1:]])
