"""The frontier of score against cost: no row on it is beaten in both, and every other row is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from themis.pure.leaderboards.frontier import frontier
from themis.pure.leaderboards.records import Cell, Column, Leaderboard, Row, Spent
from themis.pure.stats.estimates import estimate_mean

FIGURES = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])


def board_of(rows: list[tuple[float, float | None, int]], *, higher_is_better: bool = True) -> Leaderboard:
    column = Column(name="x m", benchmark="x", metric_id="m", higher_is_better=higher_is_better)
    return Leaderboard(
        columns=[column],
        rows=[
            Row(
                name=f"r{place}",
                cells=[Cell(column="x m", estimate=estimate_mean([mean, mean]))],
                spent=[Spent(benchmark="x", cost=cost, unpriced=unpriced), Spent(benchmark="y", cost=100.0)],
            )
            for place, (mean, cost, unpriced) in enumerate(rows)
        ],
    )


@given(st.lists(st.tuples(FIGURES, FIGURES | st.none(), st.sampled_from([0, 0, 3])), max_size=8), st.booleans())
def test_a_row_is_on_the_frontier_if_no_other_is_better_for_no_more(
    rows: list[tuple[float, float | None, int]], higher_is_better: bool
) -> None:
    board = board_of(rows, higher_is_better=higher_is_better)
    points = frontier(board, board.columns[0])
    assert len(points) == sum(cost is not None for _, cost, _ in rows)
    assert [point.cost for point in points] == sorted(point.cost for point in points)
    sign = 1 if higher_is_better else -1
    whole = [point for point in points if not point.is_lower_bound]
    for point in points:
        beaten = any(
            (sign * other.mean, -other.cost) != (sign * point.mean, -point.cost)
            and sign * other.mean >= sign * point.mean
            and other.cost <= point.cost
            for other in whole
        )
        assert point.is_best == (not beaten and not point.is_lower_bound)
