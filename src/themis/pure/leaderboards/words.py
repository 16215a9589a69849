"""What a leaderboard says in words, for every format: figures, how they were made, and what to keep in mind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from themis.pure.leaderboards.records import Cell, Column, Leaderboard, Row, Spent
from themis.pure.stats.records import Interval
from themis.pure.stats.wording import number
from themis.pure.text import one_line

NONE: Final = "-"

LONGEST_NAME: Final = 60
"""Of a row's name where there is room for it."""


def score(value: float | None) -> str:
    """Write a mean: three digits behind the point, or four significant ones where it is large.

    >>> score(0.89666), score(45.25), score(None)
    ('0.897', '45.25', '-')
    """
    if value is None:
        return NONE
    return f"{value:.3f}" if abs(value) < 10.0 else number(value)


def ends(interval: Interval | None) -> str:
    """Write an interval's ends in brackets; a dash if it has none."""
    if interval is None or interval.low is None or interval.high is None:
        return NONE
    return f"[{score(interval.low)}, {score(interval.high)}]"


def short_names(names: Sequence[str], most: int) -> dict[str, str]:
    """Return rows' names, harmless and on one line, cut in the middle to about so many characters; no two are the same.

    >>> list(short_names(["lab/a, temperature 0.5", "lab/a, temperature 0.7"], 15).values())
    ['lab/a,...re 0.5', 'lab/a,...re 0.7']
    >>> list(short_names(["a long name one more", "a long nice one more"], 12).values())
    ['a lon...more', 'a lon...more (2)']
    """
    found, counts = dict[str, str](), Counter[str]()
    for name in names:
        shown = one_line(name)
        if len(shown) > most:
            end = (most - 3) // 2
            shown = f"{shown[: most - 3 - end]}...{shown[len(shown) - end :]}"
        counts[shown] += 1
        found[name] = shown if counts[shown] == 1 else f"{shown} ({counts[shown]})"
    return found


def rank_text(cell: Cell) -> str:
    """Write a rank with the ranks that its interval allows.

    >>> from themis.pure.stats.ranks import Rank
    >>> rank_text(Cell(column="c", rank=Rank(name="x", rank=2, best=1, worst=3)))
    '2 (1 to 3)'
    """
    if cell.rank is None or cell.rank.rank is None:
        return NONE
    best, worst = cell.rank.best, cell.rank.worst
    return f"{cell.rank.rank} ({best}{'' if best == worst else f' to {worst}'})"


def planned(cell: Cell) -> str:
    """Write how many answers are scored; of how many planned, where that is not all."""
    if cell.estimate is None:
        return NONE
    every = "" if cell.estimate.scored == cell.estimate.planned else f" of {cell.estimate.planned}"
    return f"{cell.estimate.scored}{every}"


def cost_text(spent: Sequence[Spent]) -> str:
    """Write what answers cost together.

    >>> cost_text([Spent(benchmark="a", cost=0.5), Spent(benchmark="b", cost=0.25, unpriced=2)])
    'at least $0.7500'
    """
    known = [each.cost for each in spent if each.cost is not None]
    if not known:
        return NONE
    cost = sum(known)
    digits = f"{cost:,.2f}" if cost >= 1 else f"{cost:.4f}" if cost >= 1e-4 or not cost else f"{cost:.2g}"
    return f"at least ${digits}" if any(each.is_lower_bound for each in spent) else f"${digits}"


def latency_text(spent: Spent) -> str:
    """Write the median time of an answer and the 90th percentile, in seconds; a dash if it is not known."""
    if spent.latency_ms is None or spent.latency_p90 is None:
        return NONE
    return f"{number(spent.latency_ms / 1000)} s ({number(spent.latency_p90 / 1000)} s)"


def has_costs(board: Leaderboard) -> bool:
    """Tell whether any answer is known to have cost anything."""
    return any(spent.cost for row in board for spent in row.spent)


def has_times(board: Leaderboard) -> bool:
    """Tell whether it is known of any answer how long it took."""
    return any(spent.measured for row in board for spent in row.spent)


def level_text(board: Leaderboard) -> str:
    """Write the level of intervals, such as `95%`."""
    return f"{100 * board.level:g}%"


def metric_in_title(board: Leaderboard) -> str | None:
    """Return the metric, if all columns are of one."""
    metrics = {column.metric_id for column in board.columns if column.kind == "scores"}
    found = metrics.pop() if len(metrics) == 1 else None
    return None if found is None else found.removeprefix("builtin/")


def heading(board: Leaderboard, column: Column) -> tuple[str, str]:
    """Return a column's heading in two parts: the benchmark and the metric, or an average and what it is of."""
    if column.kind == "scores":
        return str(column.benchmark), str(column.metric_id).removeprefix("builtin/")
    first, _, rest = column.name.partition(" ")
    return rest if rest != "average" else "average", first


def short_heading(board: Leaderboard, column: Column) -> str:
    """Return a column's heading on one line, without the metric that all have."""
    if column.kind == "scores" and metric_in_title(board) is not None:
        return str(column.benchmark)
    if column.kind != "scores" and metric_in_title(board) is not None:
        return f"{column.kind} average"
    return column.name


# --- sentences --------------------------------------------------------------------------------------------


def methods(board: Leaderboard, *, letters: bool = True) -> list[str]:
    """Return how the figures were made, in sentences; of letters, only where they are shown."""
    estimates = [cell.estimate for row in board for cell in row.cells if cell.estimate is not None]
    names = dict.fromkeys(each.interval.method for each in estimates if each.interval.defined)
    metric = metric_in_title(board)
    said = [
        f"Means of {metric}, with {level_text(board)} intervals"
        if metric
        else f"Means with {level_text(board)} intervals"
    ]
    said[0] += f" ({', '.join(sorted(names))})." if names else "."
    tests = sorted({each.test.method for column in board.columns for each in column.differences if each.test.p_value})
    made = f" ({', '.join(tests)})" if tests else ""
    at_once = f"hold at once with {level_text(board)} confidence"
    if board.baseline is not None:
        said.append(
            f"Each row is compared with {board.baseline}, case by case{made}; all comparisons of a column are one "
            f"family (Holm): its decisions {at_once}. The interval of each difference holds by itself."
        )
    elif tests:
        said.append(
            f"Every two rows are compared, case by case{made}; all pairs of a column are one family (Holm): its "
            f"decisions and intervals of ranks {at_once}."
        )
        said += ["Rows that share a letter are not told apart."] if letters else []
    averages = [column for column in board.columns if column.kind != "scores"]
    if averages:
        weights = next((column.weights for column in averages if column.weights), None)
        equal = "each benchmark counts the same"
        if weights is not None:
            equal = "benchmarks count by weight: " + ", ".join(f"{name} {value:g}" for name, value in weights.items())
        said.append(
            f"Macro average: {equal}. Micro average: each case counts the same. A row that lacks a benchmark has none."
        )
    return said


def remarks(board: Leaderboard) -> list[str]:
    """Return what to keep in mind: what is missing, marked, left out, and who is told apart."""
    found = list(board.notes)
    names = short_names([row.name for row in board], LONGEST_NAME)
    for column in board.columns:
        if column.kind != "scores":
            continue
        absent = [names[row.name] for row in board if row[column.name].absent is not None]
        found += [f"{column.name}: no run of {', '.join(absent)}"] if absent else []
        found += [f"{names[row.name]}, {column.name}: {mark}" for row in board for mark in row[column.name].marks]
    found += [f"run {run.run_id[:12]} ({names[run.row]}): {mark}" for run in board.runs for mark in run.marks]
    found += [f"{column.name}: {note}" for column in board.columns for note in column.notes]
    lower = [column.name for column in board.columns if not column.higher_is_better]
    if lower:
        found.append(f"Lower is better: {', '.join(lower)}")
    if has_costs(board) or has_times(board):
        found.append("Costs and times are those of the answers, whichever run asked for them, without judges.")
    return found


def not_apart(board: Leaderboard, column: Column) -> str:
    """Return a column's groups of rows that are not told apart, in words; empty if there is none of two."""
    letters: dict[str, list[str]] = {}
    shown = short_names([row.name for row in board], LONGEST_NAME)
    for row in board:
        cell = row[column.name]
        for letter in cell.letters:
            letters.setdefault(letter, []).append(shown[row.name])
    groups = [f"{letter}: {', '.join(names)}" for letter, names in letters.items() if len(names) > 1]
    return f"Not told apart: {'; '.join(groups)}" if groups else ""


def difference_text(board: Leaderboard, row: Row, column: Column) -> str:
    """Write a row's difference from the baseline, with its interval; a dash if there is none."""
    found = next((each for each in column.differences if each.b == row.name), None)
    if found is None or found.difference is None:
        return NONE
    low, high = found.interval.low, found.interval.high
    within = "" if low is None or high is None else f" [{low:+.3f}, {high:+.3f}]"
    return f"{found.difference:+.3f}{within}"


def total_cost(row: Row) -> str:
    """Write what all answers of a row cost."""
    return cost_text(row.spent)


def lines_of_cells(board: Leaderboard) -> Iterator[tuple[Row, Column, Cell]]:
    """Yield every cell with its row and column, column by column."""
    for column in board.columns:
        for row in board:
            yield row, column, row[column.name]
