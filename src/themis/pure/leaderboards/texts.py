"""A leaderboard as text: for a terminal, Markdown and CSV."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from themis.pure.leaderboards import words
from themis.pure.leaderboards.records import Cell, Column, Leaderboard, Row
from themis.pure.report.markdown import escape, table
from themis.pure.report.table import csv_of
from themis.pure.report.terminal import plain_table
from themis.pure.text import one_line

_WIDTH: Final = 80
_LONGEST_NAME: Final = 32
_SHORTER_NAME: Final = 18  # where a difference with its interval takes the room
_LONGEST_HEADING: Final = 28
_BETWEEN: Final = 3  # characters between the columns of a table


def board_text(board: Leaderboard) -> str:
    """Return a leaderboard for a terminal of 80 columns: its table in parts that fit, the details, and what to know."""
    names = list(words.short_names([row.name for row in board], _LONGEST_NAME).values())
    header, cells = _overview(board)
    parts = [one_line(board.title)]
    for shown in _fitting(names, header, cells):
        rows = [[name, *(of_row[place] for place in shown)] for name, of_row in zip(names, cells, strict=True)]
        parts.append(plain_table(["row", *(header[place] for place in shown)], rows))
    parts += [_details(board, column) for column in board.columns]
    lines = [*_signs(board), *words.methods(board), *words.remarks(board)]
    parts.append("\n".join(wrapped for line in lines for wrapped in textwrap.wrap(one_line(line), _WIDTH)))
    return "\n\n".join(parts)


def _signs(board: Leaderboard) -> Iterator[str]:
    """Yield what the signs in the table of means stand for, besides letters."""
    if any(cell.marks for row in board for cell in row.cells):
        yield "*: see below."
    if board.baseline is not None:
        yield f"+, - and =: better than {board.baseline}, worse, and not told apart."


def _overview(board: Leaderboard) -> tuple[list[str], list[list[str]]]:
    """Return the table of means: headings, and the cells of each row."""
    headings = [words.short_heading(board, column) for column in board.columns]
    shown = words.short_names(headings, _LONGEST_HEADING)
    header = [shown[heading] for heading in headings]
    cells = [[_mean(cell) for cell in row.cells] for row in board]
    if words.has_costs(board):
        header.append("cost")
        for of_row, row in zip(cells, board, strict=True):
            of_row.append(words.total_cost(row))
    return header, cells


def _mean(cell: Cell) -> str:
    if cell.estimate is None:
        return "missing" if cell.absent is not None else words.NONE
    marked = "*" if cell.marks else ""
    beside = cell.letters or _AGAINST.get(cell.against or "", "")
    return f"{words.score(cell.estimate.mean)}{marked} {beside}".rstrip()


_AGAINST: Final = {"better": "+", "worse": "-", "not told apart": "="}


def _fitting(names: Sequence[str], header: Sequence[str], cells: Sequence[Sequence[str]]) -> Iterator[list[int]]:
    """Yield the columns' numbers, as many together as a terminal has room for; at least one."""
    first = max(map(len, ("row", *names)))
    shown, used = list[int](), first
    for place, name in enumerate(header):
        width = _BETWEEN + max(map(len, (name, *(of_row[place] for of_row in cells))))
        if shown and used + width > _WIDTH:
            yield shown
            shown, used = [], first
        shown.append(place)
        used += width
    if shown:
        yield shown


def _details(board: Leaderboard, column: Column) -> str:
    level = f"{words.level_text(board)} interval"
    own, last = ([level], ["rank"]) if board.baseline is None else ([], [f"difference, {level}", ""])
    names = words.short_names([row.name for row in board], _LONGEST_NAME if own else _SHORTER_NAME)
    rows = [
        [
            names[row.name],
            words.score(cell.estimate.mean) if cell.estimate else words.NONE,
            *([words.ends(cell.estimate.interval) if cell.estimate else words.NONE] if own else []),
            words.planned(cell),
            *_standing(board, row, column),
        ]
        for row in board
        for cell in [row[column.name]]
        if cell.absent is None
    ]
    table_text = plain_table(["row", "mean", *own, "n", *last], rows)
    said = words.not_apart(board, column)
    return "\n".join([one_line(column.name), table_text, *textwrap.wrap(one_line(said), _WIDTH)])


def _standing(board: Leaderboard, row: Row, column: Column) -> list[str]:
    cell = row[column.name]
    if board.baseline is None:
        return [words.rank_text(cell)]
    if row.name == board.baseline:
        return [words.NONE, "baseline"]
    return [words.difference_text(board, row, column), str(cell.against or words.NONE)]


# --- Markdown ---------------------------------------------------------------------------------------------


def board_markdown(board: Leaderboard) -> str:
    """Return a leaderboard as Markdown: the best of each column is bold, those not told apart from it are italic."""
    header = ["", *(escape(words.short_heading(board, column)) for column in board.columns)]
    names = words.short_names([row.name for row in board], words.LONGEST_NAME)
    rows = [[escape(names[row.name]), *(_markdown_cell(cell) for cell in row.cells)] for row in board]
    beside = [("cost", words.total_cost)] if words.has_costs(board) else []
    beside += [("median time (90th percentile)", _times)] if words.has_times(board) else []
    header += [name for name, _ in beside]
    for of_row, row in zip(rows, board, strict=True):
        of_row += [escape(said(row)) for _, said in beside]
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    parts = [f"# {escape(board.title)}", "\n".join(f"| {' | '.join(line)} |" for line in lines)]
    if board.baseline is None:
        parts.append("Bold: the best mean. Italic: not told apart from the best.")
    if any(cell.marks for row in board for cell in row.cells):
        parts.append("†: see what to keep in mind.")
    parts.append(" ".join(escape(line) for line in words.methods(board)))
    last = ["rank", "letters"] if board.baseline is None else [f"difference to {board.baseline}", "it is"]
    details = [
        (
            column.name,
            names[row.name],
            words.planned(cell),
            *_standing(board, row, column),
            *([cell.letters] * (not board.baseline)),
        )
        for row, column, cell in words.lines_of_cells(board)
        if cell.estimate is not None
    ]
    parts += ["## Rows compared", table(["column", "row", "n", *map(escape, last)], details)]
    remarks = words.remarks(board)
    if remarks:
        parts += ["## To keep in mind", "\n".join(f"- {escape(remark)}" for remark in remarks)]
    return "\n\n".join(parts) + "\n"


def _markdown_cell(cell: Cell) -> str:
    if cell.estimate is None:
        return "missing"
    mark = "**" if cell.is_best else "*" if cell.is_like_best else ""
    ends = f" {escape(words.ends(cell.estimate.interval))}" if cell.estimate.interval.defined else ""
    beside = f" {escape(cell.letters or str(cell.against or ''))}".rstrip()
    return f"{mark}{escape(words.score(cell.estimate.mean))}{mark}{ends}{beside}{' †' if cell.marks else ''}"


def _times(row: Row) -> str:
    return "; ".join(
        f"{each.benchmark} {words.latency_text(each)}" if len(row.spent) > 1 else words.latency_text(each)
        for each in row.spent
        if each.measured
    )


# --- CSV --------------------------------------------------------------------------------------------------

_CSV: Final[tuple[tuple[str, Callable[[Leaderboard, Row, Column, Cell], object]], ...]] = (
    ("row", lambda board, row, column, cell: row.name),
    ("column", lambda board, row, column, cell: column.name),
    ("kind", lambda board, row, column, cell: column.kind),
    ("benchmark", lambda board, row, column, cell: column.benchmark),
    ("metric", lambda board, row, column, cell: column.metric_id),
    ("mean", lambda board, row, column, cell: cell.estimate and cell.estimate.mean),
    ("low", lambda board, row, column, cell: cell.estimate and cell.estimate.interval.low),
    ("high", lambda board, row, column, cell: cell.estimate and cell.estimate.interval.high),
    ("level", lambda board, row, column, cell: board.level),
    ("method", lambda board, row, column, cell: cell.estimate and cell.estimate.interval.method),
    ("scored", lambda board, row, column, cell: cell.estimate and cell.estimate.scored),
    ("planned", lambda board, row, column, cell: cell.estimate and cell.estimate.planned),
    ("unparsed", lambda board, row, column, cell: cell.estimate and cell.estimate.unparsed),
    ("rank", lambda board, row, column, cell: cell.rank and cell.rank.rank),
    ("rank_best", lambda board, row, column, cell: cell.rank and cell.rank.best),
    ("rank_worst", lambda board, row, column, cell: cell.rank and cell.rank.worst),
    ("letters", lambda board, row, column, cell: cell.letters or None),
    ("is_best", lambda board, row, column, cell: cell.is_best),
    ("is_like_best", lambda board, row, column, cell: cell.is_like_best),
    ("to_baseline", lambda board, row, column, cell: cell.against),
    ("absent", lambda board, row, column, cell: cell.absent),
    ("marks", lambda board, row, column, cell: "; ".join(cell.marks) or None),
    ("cost", lambda board, row, column, cell: _of_benchmark(row, column, "cost")),
    ("unpriced", lambda board, row, column, cell: _of_benchmark(row, column, "unpriced")),
    ("latency_ms", lambda board, row, column, cell: _of_benchmark(row, column, "latency_ms")),
    ("runs", lambda board, row, column, cell: " ".join(cell.runs) or None),
)


def board_csv(board: Leaderboard) -> str:
    """Return a leaderboard as CSV, a line for each row and column; a spreadsheet takes no cell of it for a formula."""
    lines = (
        [value(board, row, column, cell) for _, value in _CSV] for row, column, cell in words.lines_of_cells(board)
    )
    return "".join(csv_of([name for name, _ in _CSV], lines))


def _of_benchmark(row: Row, column: Column, name: str) -> object:
    return next((getattr(each, name) for each in row.spent if each.benchmark == column.benchmark), None)
