"""A leaderboard as one page that opens offline: tables and plots as markup, no script, nothing loaded.

What models, datasets and errors are called is untrusted, and escaped (`pure/report/markup.py`). A content security
policy with the hash of the page's style forbids everything else.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from themis.pure.leaderboards import words
from themis.pure.leaderboards.frontier import frontier
from themis.pure.leaderboards.plots import frontier_plot, heat_plot, intervals_plot
from themis.pure.leaderboards.records import Cell, Column, Leaderboard, Row
from themis.pure.leaderboards.style import STYLE
from themis.pure.report.html import page_head
from themis.pure.report.markup import Markup, element, joined


def board_page(board: Leaderboard) -> str:
    """Return a leaderboard as an HTML page."""
    head = page_head(f"{board.title} - Themis", STYLE)
    return f"{head}<body>\n{_header(board)}\n{element('main', *_sections(board))}\n</body>\n</html>\n"


def board_fragment(board: Leaderboard) -> str:
    """Return the table as a fragment of a page, for a notebook."""
    return str(element("div", element("h2", board.title), _overview(board), *_paragraphs(words.methods(board))))


def _header(board: Leaderboard) -> Markup:
    scored = [column for column in board.columns if column.kind == "scores"]
    facts = [
        ("Rows", str(len(board))),
        ("Benchmarks", str(len({column.benchmark for column in scored}))),
        ("Metric", words.metric_in_title(board) or f"{len({column.metric_id for column in scored})} metrics"),
        ("Runs", str(len(board.runs))),
        ("Confidence", words.level_text(board)),
        *([("Baseline", board.baseline)] if board.baseline is not None else []),
    ]
    pairs = (element("div", element("dt", name), element("dd", value)) for name, value in facts)
    return element(
        "header",
        element("p", "Themis leaderboard", class_="eyebrow"),
        element("h1", board.title),
        element("dl", *pairs, class_="facts"),
    )


def _sections(board: Leaderboard) -> Iterator[Markup]:
    yield _section("Means", _overview(board), *_paragraphs([_signs(board), *words.methods(board)]))
    remarks = words.remarks(board)
    if remarks:
        lines = element("ul", *(element("li", line) for line in remarks), class_="remarks")
        few = len(remarks) <= _FEW_REMARKS
        unfolding = element("details", element("summary", f"{len(remarks)} remarks"), lines)
        yield _section("To keep in mind", lines if few else unfolding)
    heat = {each.column: each for each in board.heat}
    for column in board.columns:
        parts = [_part("Intervals", intervals_plot(board, column))]
        points = frontier(board, column)
        if len(points) > 1 and any(point.cost for point in points):
            parts.append(_part("Score against cost", frontier_plot(column, points)))
        if column.name in heat and heat[column.name].cases:
            parts.append(_part("Cases by rows", heat_plot(heat[column.name])))
        said = words.not_apart(board, column)
        yield _section(
            column.name,
            *([element("p", said, class_="note")] if said else []),
            element("div", *parts, class_="parts"),
            _ranks(board, column),
        )
    if words.has_costs(board) or words.has_times(board):
        yield _section("What answers took", _spent(board))
    yield _section("Runs", _runs(board))


_FEW_REMARKS: Final = 8


def _section(title: str, *children: Markup) -> Markup:
    return element("section", element("h2", title), *children)


def _part(title: str, plot: Markup) -> Markup:
    return element("article", element("h3", title), plot)


def _paragraphs(lines: list[str]) -> Iterator[Markup]:
    return (element("p", line, class_="note") for line in lines if line)


def _signs(board: Leaderboard) -> str:
    if board.baseline is None:
        return "Bold: the best mean; underlined: not told apart from the best; dagger: see what to keep in mind."
    return "Arrows: shown to be better or worse than the baseline; dagger: see what to keep in mind."


# --- tables -----------------------------------------------------------------------------------------------


def _table(header: list[str], rows: Iterator[Markup] | list[Markup], name: str) -> Markup:
    head = element("thead", element("tr", *(element("th", each, scope="col") for each in header)))
    whole = element("table", head, element("tbody", *rows))
    return element("div", whole, class_="wide", tabindex="0", role="group", aria_label=name)


def _line(name: str, *cells: str) -> Markup:
    return element("tr", element("th", name, scope="row"), *cells)


def _overview(board: Leaderboard) -> Markup:
    costs = words.has_costs(board)
    header = ["", *(words.short_heading(board, column) for column in board.columns), *(["cost"] if costs else [])]
    names = words.short_names([row.name for row in board], words.LONGEST_NAME)
    rows = (
        _line(names[row.name], *map(_mean, row.cells), *([element("td", words.total_cost(row))] if costs else []))
        for row in board
    )
    return _table(header, rows, "Means")


def _mean(cell: Cell) -> Markup:
    if cell.estimate is None or cell.estimate.mean is None:
        return element("td", "missing", class_="missing", title=cell.absent or "no score")
    kind = "best" if cell.is_best else "like" if cell.is_like_best else ""
    beside = cell.letters or {"better": "\u2191", "worse": "\u2193"}.get(cell.against or "", "")
    marks = element("abbr", "\u2020", title="; ".join(cell.marks)) if cell.marks else ""
    ends = element("small", words.ends(cell.estimate.interval))
    shown = joined(element("span", words.score(cell.estimate.mean), class_=kind), marks, " ", element("sup", beside))
    return element("td", shown, ends)


def _ranks(board: Leaderboard, column: Column) -> Markup:
    compared = "rank" if board.baseline is None else f"difference to {board.baseline}"
    header = [
        "",
        "mean",
        f"{words.level_text(board)} interval",
        "n",
        compared,
        "letters" if board.baseline is None else "",
    ]
    return _table(header, [_rank(board, row, column) for row in board], column.name)


def _rank(board: Leaderboard, row: Row, column: Column) -> Markup:
    cell = row[column.name]
    if cell.estimate is None:
        return _line(row.name, element("td", cell.absent or "missing", class_="missing", colspan="5"))
    last = (
        [words.rank_text(cell), cell.letters]
        if board.baseline is None
        else [words.difference_text(board, row, column), str(cell.against or "")]
    )
    figures = [words.score(cell.estimate.mean), words.ends(cell.estimate.interval), words.planned(cell), *last]
    return _line(row.name, *(element("td", figure) for figure in figures))


def _spent(board: Leaderboard) -> Markup:
    header = ["", "benchmark", "answers", "cost", "tokens in", "tokens out", "median time (90th percentile)"]
    rows = [
        _line(
            row.name,
            element("td", each.benchmark),
            *(
                element("td", figure)
                for figure in (
                    f"{each.answers:,}",
                    words.cost_text([each]),
                    f"{each.prompt_tokens:,}",
                    f"{each.completion_tokens:,}",
                    words.latency_text(each),
                )
            ),
        )
        for row in board
        for each in row.spent
    ]
    return _table(header, rows, "What answers took")


def _runs(board: Leaderboard) -> Markup:
    rows = [
        _line(
            run.row,
            element("td", element("code", run.run_id[:12])),
            element("td", run.name or words.NONE),
            element("td", run.status.replace("_", " ")),
            element("td", ", ".join(run.benchmarks)),
            element("td", ", ".join(run.tags) or words.NONE),
        )
        for run in board.runs
    ]
    return _table(["", "run", "name", "status", "benchmarks", "tags"], rows, "Runs")
