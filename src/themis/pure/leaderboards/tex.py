"""A leaderboard as papers print it: a LaTeX table with booktabs rules, its best figures bold, ties marked.

What models and datasets are called is escaped.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Final

from themis.pure.leaderboards import words
from themis.pure.leaderboards.records import Cell, Column, Leaderboard
from themis.pure.report.latex import PREAMBLE, escape
from themis.pure.text import shortened

_MOST_COLUMNS: Final = 4
"""In one table: a page has no room for more means with their intervals."""

_LONGEST: Final = 40


def board_latex(board: Leaderboard) -> str:
    """Return a leaderboard as LaTeX tables of at most four columns each, with one caption; needs `booktabs`.

    The best mean of a column is bold; those not told apart from it have a dagger. With a baseline, those shown to be
    better or worse have an arrow.
    """
    marks = _marks(board)
    chunks = [board.columns[i : i + _MOST_COLUMNS] for i in range(0, len(board.columns), _MOST_COLUMNS)] or [()]
    tables = [_table(board, chunk, marks) for chunk in chunks]
    signs = "Bold: the best mean; $\\dagger$: not told apart from the best. "
    if board.baseline is not None:
        signs = (
            "$\\uparrow$ and $\\downarrow$: shown to be better and worse than the baseline; others are not told apart. "
        )
    caption = f"{escape(board.title)}. {signs}{escape(' '.join(words.methods(board, letters=False)))}"
    lines = [
        r"\begin{table}[htbp]",
        r"  \centering\small\setlength{\tabcolsep}{4pt}",
        rf"  \caption{{{caption}}}",
        "\n\n  \\medskip\n\n".join(tables),
        *_notes(marks),
        r"\end{table}",
    ]
    return PREAMBLE + "\n".join(lines) + "\n"


def _table(board: Leaderboard, columns: Sequence[Column], marks: Sequence[str]) -> str:
    with_cost = bool(columns) and columns[-1] is board.columns[-1] and words.has_costs(board)
    align = "l" + "r" * len(columns) + ("r" if with_cost else "")
    tops, rules, place = list[str](), list[str](), 2
    for top, group in itertools.groupby(columns, key=lambda column: words.heading(board, column)[0]):
        count = len(list(group))
        tops.append(rf"\multicolumn{{{count}}}{{c}}{{{escape(shortened(top, _LONGEST))}}}")
        rules.append(rf"\cmidrule(lr){{{place}-{place + count - 1}}}")
        place += count
    seconds = [escape(shortened(words.heading(board, column)[1], _LONGEST)) for column in columns]
    end = " & " if with_cost else ""
    end_of = (r"\\", r"\\[2pt]")
    rows, names = [], words.short_names([row.name for row in board], _LONGEST)
    for row in board:
        name, cells = escape(names[row.name]), [row[column.name] for column in columns]
        cost = [escape(words.total_cost(row))] if with_cost else []
        rows += [[name, *(_mean(cell, marks) for cell in cells), *cost], ["", *map(_ends, cells), *([""] * len(cost))]]
    return "\n".join(
        [
            rf"  \begin{{tabular}}{{{align}}}",
            r"    \toprule",
            f"     & {' & '.join(tops)}{end} \\\\",
            f"    {''.join(rules)}",
            f"     & {' & '.join([*seconds, *(['cost'] if with_cost else [])])} \\\\",
            r"    \midrule",
            *(f"    {' & '.join(row)} {end_of[place % 2]}" for place, row in enumerate(rows)),
            r"    \bottomrule",
            r"  \end{tabular}",
        ]
    )


def _mean(cell: Cell, marks: Sequence[str]) -> str:
    if cell.estimate is None or cell.estimate.mean is None:
        return "{--}"
    mean = words.score(cell.estimate.mean)
    shown = rf"\textbf{{{mean}}}" if cell.is_best else f"${mean}$"
    shown += {"better": r"$^{\uparrow}$", "worse": r"$^{\downarrow}$"}.get(cell.against or "", "")
    shown += r"$^{\dagger}$" if cell.is_like_best else ""
    numbers = [str(marks.index(mark) + 1) for mark in cell.marks]
    return shown + (rf"\textsuperscript{{{','.join(numbers)}}}" if numbers else "")


def _ends(cell: Cell) -> str:
    if cell.estimate is None or cell.estimate.interval.low is None or cell.estimate.interval.high is None:
        return ""
    low, high = words.score(cell.estimate.interval.low), words.score(cell.estimate.interval.high)
    return rf"{{\scriptsize $[{low}, {high}]$}}"


def _marks(board: Leaderboard) -> list[str]:
    """Return what the marks of the cells say, each once, as notes below the table number them."""
    return list(dict.fromkeys(mark for row in board for cell in row.cells for mark in cell.marks))


def _notes(marks: Sequence[str]) -> list[str]:
    if not marks:
        return []
    notes = [rf"\textsuperscript{{{number}}} {escape(mark)}" for number, mark in enumerate(marks, start=1)]
    return [r"", rf"  \smallskip{{\footnotesize {'; '.join(notes)}.\par}}"]
