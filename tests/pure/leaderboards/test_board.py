"""The laws of a leaderboard: what changes nothing, what ties, and what its averages, ranks and letters follow from."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from themis.pure.leaderboards.board import Asked, Columns, columns_of
from themis.pure.leaderboards.columns import Family
from themis.pure.leaderboards.records import Cell
from themis.pure.leaderboards.scores import RunScores
from themis.pure.stats.estimates import estimate_mean
from themis.pure.stats.pairs import paired_compare

CASES = 20
Board = dict[tuple[str, str, str], list[RunScores]]


def run_scores(values: Sequence[float | None], benchmark: str = "x", run_id: str = "r", answers: int = 1) -> RunScores:
    found = RunScores(run_id=run_id, score_range=(0.0, 1.0))
    for number, value in enumerate(values):
        found.add(f"{benchmark}:{number // answers}", value, None if value is not None else "metric_error")
    return found


@st.composite
def boards(draw: st.DrawFn, benchmarks: str = "xy") -> Board:
    """Draw runs of up to four rows: 0/1 or graded, far apart or close, some scores missing, some benchmarks lacking."""
    found: Board = {}
    graded = draw(st.booleans())
    for row in "abcd"[: draw(st.integers(2, 4))]:
        share = draw(st.sampled_from([0.05, 0.5, 0.55, 0.95]))
        for benchmark in benchmarks:
            if draw(st.integers(0, 5)) == 0:
                continue
            noise = draw(st.lists(st.floats(0, 1), min_size=CASES, max_size=CASES))
            values: list[float | None] = [
                round((share + each) / 2, 2) if graded else float(each < share) for each in noise
            ]
            if draw(st.booleans()):
                values[draw(st.integers(0, CASES - 1))] = None
            found[row, benchmark, "builtin/m"] = [run_scores(values, benchmark, f"{row}{benchmark}")]
    if not found:
        found["a", "x", "builtin/m"] = [run_scores([1.0] * CASES)]
    return found


def made(
    scores: Board, benchmarks: str = "xy", baseline: str | None = None, weights: Mapping[str, float] | None = None
) -> Columns:
    rows = sorted({row for row, _, _ in scores})
    asked = Asked(
        family=Family(level=0.95, baseline=baseline),
        benchmarks=list(benchmarks),
        metrics=["builtin/m"],
        weights=weights or {},
    )
    return columns_of(scores, rows, asked)


def column(found: Columns, name: str) -> tuple[int, Mapping[str, Cell]]:
    place = next(place for place, each in enumerate(found.columns) if each.name == name)
    return place, found.cells[place]


@settings(max_examples=12)
@given(st.data())
def test_the_order_of_runs_changes_nothing(data: st.DataObject) -> None:
    scores = data.draw(boards())
    order = data.draw(st.permutations(sorted(scores)))
    rows = data.draw(st.permutations(sorted({row for row, _, _ in scores})))
    asked = Asked(family=Family(level=0.95), benchmarks=["x", "y"], metrics=["builtin/m"])
    found = columns_of({key: scores[key] for key in order}, rows, asked)
    as_they_were = made(scores)
    assert found.columns == as_they_were.columns
    assert found.cells == as_they_were.cells


@settings(max_examples=12)
@given(boards())
def test_a_copy_of_a_run_ties_with_it(scores: Board) -> None:
    copied = {
        **scores,
        **{("copy", benchmark, metric): parts for (row, benchmark, metric), parts in scores.items() if row == "a"},
    }
    found = made(copied)
    for each, cells in zip(found.columns, found.cells, strict=True):
        if "a" not in cells or cells["a"].estimate is None:
            continue
        first, second = cells["a"], cells["copy"]
        assert (first.estimate, first.letters, first.is_best) == (second.estimate, second.letters, second.is_best)
        assert first.rank is not None
        assert second.rank == first.rank.evolve(name="copy")
        pair = next(pair for pair in each.differences if {pair.a, pair.b} == {"a", "copy"})
        assert pair.difference in (0.0, None)
        assert not pair.apart


@settings(max_examples=12)
@given(boards())
def test_another_column_leaves_the_cells_of_the_others(scores: Board) -> None:
    rows = sorted({row for row, _, _ in scores})
    alone = columns_of(
        {key: parts for key, parts in scores.items() if key[1] == "x"},
        rows,
        Asked(family=Family(level=0.95), benchmarks=["x"], metrics=["builtin/m"]),
    )
    whole = made(scores)
    for each, cells in zip(alone.columns, alone.cells, strict=True):
        place, found = column(whole, each.name)
        assert found == cells
        assert whole.columns[place] == each


@settings(max_examples=12)
@given(boards())
def test_ranks_and_letters_say_what_the_pairs_say(scores: Board) -> None:
    found = made(scores)
    for each, cells in zip(found.columns, found.cells, strict=True):
        shown = {name: cell for name, cell in cells.items() if cell.estimate is not None and cell.rank is not None}
        assert len(each.differences) == math.comb(len(shown), 2)
        better = dict.fromkeys(shown, 0)
        worse = dict.fromkeys(shown, 0)
        for pair in each.differences:
            assert bool(set(shown[pair.a].letters) & set(shown[pair.b].letters)) == (not pair.apart)
            if pair.apart:
                assert pair.difference is not None
                above, below = (pair.b, pair.a) if pair.difference > 0 else (pair.a, pair.b)
                better[below] += 1
                worse[above] += 1
        firsts = {name for name, cell in shown.items() if cell.is_best}
        for name, cell in shown.items():
            assert cell.rank is not None
            assert (cell.rank.best, cell.rank.worst) == (1 + better[name], len(shown) - worse[name])
            alike = any(
                not pair.apart for pair in each.differences for first in firsts if {pair.a, pair.b} == {name, first}
            )
            assert cell.is_like_best == (alike and name not in firsts)


@settings(max_examples=12)
@given(boards(), st.sampled_from([None, {"x": 3.0}, {"x": 0.0, "y": 2.0}]))
def test_macro_averages_are_those_of_their_columns_and_nothing_missing_is_averaged(
    scores: Board, weights: Mapping[str, float] | None
) -> None:
    found = made(scores, weights=weights)
    if len(found.columns) < 4:
        whole = {row for row, benchmark, _ in scores if benchmark == "x"} & {row for row, b, _ in scores if b == "y"}
        assert not whole
        assert len(found.columns) < 2 or "no row has all of x m, y m" in found.notes[0]
        return
    (_, x), (_, y), (_, macro), (_, micro) = (
        column(found, name) for name in ("x m", "y m", "macro average", "micro average")
    )
    for row, cell in macro.items():
        of_x, of_y, of_all = x[row].estimate, y[row].estimate, micro[row].estimate
        if of_x is None or of_y is None:
            assert cell.estimate is None
            assert of_all is None
            assert "no average without" in str(cell.absent)
            continue
        counts = (weights or {}).get("x", 1.0), (weights or {}).get("y", 1.0)
        means = of_x.mean, of_y.mean
        if None in means or cell.estimate is None:
            continue
        total = sum(count * mean for count, mean in zip(counts, means, strict=True) if mean is not None)
        assert cell.estimate.mean == pytest.approx(total / sum(counts))
        values = [
            value for benchmark in "xy" for part in scores[row, benchmark, "builtin/m"] for value in part.scores()
        ]
        pooled = estimate_mean(values, score_range=(0.0, 1.0))
        assert of_all is not None
        assert of_all.mean == pytest.approx(pooled.mean)
        assert of_all.interval == pooled.interval


@settings(max_examples=8)
@given(boards("x"))
def test_comparisons_are_those_of_two_runs(scores: Board) -> None:
    found = made(scores, "x")
    for pair in found.columns[0].differences:
        rows = [
            list(zip(part.keys, part.scores(), strict=True))
            for name in (pair.a, pair.b)
            for part in scores[name, "x", "builtin/m"]
        ]
        alone = paired_compare(*rows, score_range=(0.0, 1.0))
        assert (pair.pairs, pair.difference, pair.interval, pair.test) == (
            alone.pairs,
            alone.difference,
            alone.interval,
            alone.test,
        )


# --- by hand ----------------------------------------------------------------------------------------------


def board_of(**rows: Sequence[float | None]) -> Board:
    return {(row, "x", "builtin/m"): [run_scores(values, run_id=row)] for row, values in rows.items()}


def test_rows_are_compared_with_a_baseline_in_one_smaller_family() -> None:
    good, bad = [1.0] * 20, [0.0] * 10 + [1.0] * 10
    scores = board_of(a=bad, b=good, c=bad, d=good)
    whole, against = made(scores, "x"), made(scores, "x", baseline="a")
    assert len(whole.columns[0].differences) == 6
    assert [(pair.a, pair.b) for pair in against.columns[0].differences] == [("a", "b"), ("a", "c"), ("a", "d")]
    assert {name: cell.against for name, cell in against.cells[0].items()} == {
        "a": None,
        "b": "better" if against.columns[0].differences[0].apart else "not told apart",
        "c": "not told apart",
        "d": against.cells[0]["b"].against,
    }
    assert all(cell.rank is None and not cell.letters for cell in against.cells[0].values())
    of_pair = {(pair.a, pair.b): pair.p_adjusted for pair in whole.columns[0].differences}
    first = against.columns[0].differences[0].p_adjusted
    assert first is not None
    assert first <= (of_pair["a", "b"] or 0.0)


def test_where_lower_is_better_the_order_turns_round() -> None:
    scores = board_of(a=[0.0] * CASES, b=[1.0] * CASES)
    asked = Asked(
        family=Family(level=0.95), benchmarks=["x"], metrics=["builtin/m"], lower_is_better=frozenset({"builtin/m"})
    )
    cells = columns_of(scores, ["a", "b"], asked).cells[0]
    assert [(name, cell.is_best, cell.rank and cell.rank.best) for name, cell in cells.items()] == [
        ("a", True, 1),
        ("b", False, 2),
    ]


def test_several_runs_of_a_row_are_pooled_by_case_and_say_so() -> None:
    parts = [run_scores([1.0] * 10 + [0.0] * 10, run_id="r1"), run_scores([1.0] * 15 + [0.0] * 5, run_id="r2")]
    scores: Board = {("a", "x", "builtin/m"): parts, ("b", "x", "builtin/m"): [run_scores([1.0] * 20, run_id="r3")]}
    cell = made(scores, "x").cells[0]["a"]
    assert cell.runs == ("r1", "r2")
    assert cell.marks == ("2 runs pooled",)
    assert cell.estimate is not None
    assert (cell.estimate.unit, cell.estimate.scored, cell.estimate.clusters) == ("answer", 40, 20)
    assert cell.estimate.mean == 25 / 40
    pair = made(scores, "x").columns[0].differences[0]
    assert (pair.pairs, pair.difference) == (20, 1.0 - 25 / 40)


def test_what_missing_scores_could_overturn_is_said() -> None:
    good: list[float | None] = [1.0] * 16 + [None] * 24
    bad: list[float | None] = [0.0] * 16 + [None] * 24
    column = made(board_of(a=bad, b=good), "x").columns[0]
    assert [(pair.apart, pair.holds, pair.left_out) for pair in column.differences] == [(True, False, 24)]
    assert any("could be overturned" in note for note in column.notes)


def test_drawn_p_values_that_no_family_so_large_can_call_small_are_said() -> None:
    scores = board_of(**{f"r{i}": [((i * 7 + case * 13) % 101) / 100 for case in range(30)] for i in range(3)})
    said = "none whose p-value is drawn can be decided"
    for level, expected in ((0.95, False), (1.0 - 1e-4, True)):
        asked = Asked(family=Family(level=level), benchmarks=["x"], metrics=["builtin/m"])
        column = columns_of(scores, ["r0", "r1", "r2"], asked).columns[0]
        assert any(pair.test.resamples for pair in column.differences)
        assert any(said in note for note in column.notes) == expected


def test_the_macro_difference_has_the_error_of_a_stratified_one() -> None:
    x = [float(i % 3 == 0) for i in range(CASES)], [float(i % 2 == 0) for i in range(CASES)]
    y = [float(i % 5 == 0) for i in range(CASES)], [float(i % 4 < 3) for i in range(CASES)]
    scores: Board = {
        (row, benchmark, "builtin/m"): [run_scores(values[place], benchmark, row)]
        for benchmark, values in (("x", x), ("y", y))
        for place, row in enumerate("ab")
    }
    place, _ = column(made(scores), "macro average")
    pair = made(scores).columns[place].differences[0]
    errors = []
    for a, b in (x, y):
        differences = [second - first for first, second in zip(a, b, strict=True)]
        mean = sum(differences) / CASES
        errors.append(sum((each - mean) ** 2 for each in differences) / (CASES - 1) / CASES)
    error = math.sqrt(sum(errors)) / 2
    freedom = sum(errors) ** 2 / sum(each**2 / (CASES - 1) for each in errors)
    assert pair.test.statistic == pytest.approx((pair.difference or 0.0) / error)
    assert pair.test.degrees_of_freedom == pytest.approx(freedom)


def test_benchmarks_that_share_clusters_have_averages_and_no_claims_about_the_macro_one() -> None:
    scores: Board = {
        (row, benchmark, "builtin/m"): [run_scores([float((i + place) % 3 > 0) for i in range(CASES)], benchmark, row)]
        for benchmark in "xy"
        for place, row in enumerate("ab")
    }
    for clusters, shared in (
        ({f"{b}:{i}": str(i // 2) for b in "xy" for i in range(CASES)}, True),
        ({f"{b}:{i}": f"{b}{i // 2}" for b in "xy" for i in range(CASES)}, False),
    ):
        family = Family(level=0.95, clusters=clusters)
        found = columns_of(scores, ["a", "b"], Asked(family=family, benchmarks=["x", "y"], metrics=["builtin/m"]))
        (pair,) = found.columns[2].differences
        assert (pair.test.p_value is None) == shared
        assert pair.difference is not None
        estimate = found.cells[2]["a"].estimate
        assert estimate is not None
        assert estimate.interval.defined != shared


def test_a_row_without_a_single_score_of_a_benchmark_has_no_average() -> None:
    scores: Board = {
        (row, benchmark, "builtin/m"): [run_scores([None if row + benchmark == "ay" else 1.0] * CASES, benchmark, row)]
        for benchmark in "xy"
        for row in "ab"
    }
    _, macro = column(made(scores), "macro average")
    assert macro["a"].absent == "no average without y m"
    assert macro["b"].estimate is not None


def test_scores_of_two_scales_are_not_averaged() -> None:
    wide = run_scores([], "y")
    wide.score_range = (0.0, 100.0)
    for number in range(CASES):
        wide.add(f"y:{number}", 50.0, None)
    scores = {**board_of(a=[1.0] * CASES), ("a", "y", "builtin/m"): [wide]}
    assert [each.kind for each in made(scores).columns] == ["scores", "scores"]


def test_heat_maps_have_the_hardest_cases_first() -> None:
    scores = board_of(a=[float(i >= 10) for i in range(CASES)], b=[float(i >= 15) for i in range(CASES)])
    heat = made(scores, "x").heat[0]
    assert (heat.cases, heat.rows, len(heat.bands[0])) == (CASES, ("a", "b"), CASES)
    means = [(one or 0.0) + (other or 0.0) for one, other in zip(*heat.bands, strict=True)]
    assert means == sorted(means)
    assert all(len(band) == len(heat.bands[0]) for band in heat.bands)


def test_every_two_pairs_are_named_once() -> None:
    found = made(board_of(c=[1.0] * 4, a=[0.0] * 4, b=[1.0, 0.0] * 2), "x").columns[0].differences
    assert [(pair.a, pair.b) for pair in found] == list(itertools.combinations("abc", 2))
