"""Scores against what they cost: which rows no other row beats in both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs

from themis.pure.leaderboards.records import Column, Leaderboard, Row


@attrs.frozen(kw_only=True)
class Point:
    """A row in a column: its mean, and what its answers cost.

    Attributes:
        is_lower_bound: the cost leaves answers out whose price is not known; such a row is on no frontier.
        is_best: no other row has a better mean at the same cost or less, or the same mean at less.
    """

    row: str
    mean: float
    cost: float
    is_lower_bound: bool = False
    is_best: bool = False


def frontier(board: Leaderboard, column: Column) -> tuple[Point, ...]:
    """Return the rows of a column whose cost is known, the cheapest first, and which of them are on the frontier."""
    points = list(_points(board, column))
    sign = 1.0 if column.higher_is_better else -1.0
    found = [
        attrs.evolve(
            point, is_best=not point.is_lower_bound and not any(_beats(other, point, sign) for other in points)
        )
        for point in points
    ]
    return tuple(sorted(found, key=lambda point: (point.cost, -sign * point.mean, point.row)))


def _beats(other: Point, point: Point, sign: float) -> bool:
    """Whether another row is at least as good and as cheap, and better in one of these."""
    if other.is_lower_bound:
        return False
    better = sign * (other.mean - point.mean)
    return better >= 0.0 and other.cost <= point.cost and (better > 0.0 or other.cost < point.cost)


def _points(board: Leaderboard, column: Column) -> Iterator[Point]:
    benchmarks = {each.benchmark for each in board.columns if each.name == column.name or each.name in column.of}
    benchmarks.discard(None)
    for row in board:
        estimate = row[column.name].estimate
        cost, is_lower_bound = _cost(row, [name for name in benchmarks if name is not None])
        if estimate is not None and estimate.mean is not None and cost is not None:
            yield Point(row=row.name, mean=estimate.mean, cost=cost, is_lower_bound=is_lower_bound)


def _cost(row: Row, benchmarks: Sequence[str]) -> tuple[float | None, bool]:
    spent = [each for each in row.spent if each.benchmark in benchmarks]
    known = [each.cost for each in spent if each.cost is not None]
    return (sum(known) if known else None), any(each.is_lower_bound for each in spent)
