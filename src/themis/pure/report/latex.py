"""A report as LaTeX tables with booktabs rules; what models wrote is escaped."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from themis.pure.report.sections import Report, Section, sections
from themis.pure.text import one_line, shortened

LONGEST: Final = 60
"""Longer texts are cut in a table's cell."""

_SPECIAL: Final = {
    **{character: rf"\{character}" for character in "{}$&#%_"},
    **{character: f"{{{character}}}" for character in "-[]*!?,"},
    "\\": r"\textbackslash{}",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "'": r"\textquotesingle{}",
    "`": r"\textasciigrave{}",
}
_ESCAPED: Final = re.compile(rf"[{re.escape(''.join(_SPECIAL))}]|[^\x20-\x7e]")
_FIGURE: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?")
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
    named = character if _LATIN.match(character) else rf"\texttt{{U+{ord(character):04X}}}"
    return _SPECIAL.get(character, named)


def _cell(text: str, place: str) -> str:
    if place == "r" and _FIGURE.fullmatch(text):
        return f"${text}$"  # so that a minus is one
    return escape(shortened(one_line(text), LONGEST))


def run_latex(report: Report) -> str:
    """Return a report as LaTeX, mostly tables with their captions."""
    run = f"Run {report.snapshot.run_id[:12]}"
    return PREAMBLE + "\n".join(piece for section in sections(report, "latex") for piece in _pieces(section, run))


def _pieces(section: Section, run: str) -> Iterator[str]:
    words = [line.removesuffix(".") for line in (section.title, section.figure, section.note) if line]
    described = section.plot.label if section.plot is not None and not (section.table or section.parts) else ""
    caption = escape(f"{run}: {'. '.join([*words, *filter(None, [described])])}.")
    if section.table is not None:
        yield _table(section.table.header, section.table.rows, section.table.align, caption)
    if section.facts or section.table is None:
        yield _table((), section.facts, "ll", caption)
    if section.remarks:
        items = "".join(f"  \\item {escape(remark)}\n" for remark in section.remarks)
        yield f"\\begin{{itemize}}\n{items}\\end{{itemize}}\n"
    if section.table is None:
        for part in section.parts:
            yield from _pieces(part, run)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], columns: str, caption: str) -> str:
    names = [f"    {' & '.join(map(escape, header))} \\\\", r"    \midrule"]
    lines = [
        r"\begin{table}[htbp]",
        r"  \centering\small",
        rf"  \caption{{{caption}}}",
        rf"  \begin{{tabular}}{{{columns}}}",
        r"    \toprule",
        *(names if header else ()),
        *(f"    {' & '.join(map(_cell, row, columns))} \\\\" for row in rows),
        r"    \bottomrule",
        r"  \end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"
