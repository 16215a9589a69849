"""Ranks: by hand, by brute force over completions, and how often all of their intervals hold at once."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from themis.pure.errors import StatisticsError
from themis.pure.stats.bradley_terry import bradley_terry
from themis.pure.stats.pairs import PairedMethod
from themis.pure.stats.ranks import Ranking, rank_runs, rank_strengths, ranked

TABLES = st.integers(2, 4).flatmap(
    lambda runs: st.lists(st.tuples(*[st.sampled_from([0.0, 1.0])] * runs), min_size=1, max_size=25)
)


def as_runs(table: list[tuple[float, ...]]) -> dict[str, list[tuple[str, float | None]]]:
    return {f"r{run}": [(f"c{case}", row[run]) for case, row in enumerate(table)] for run in range(len(table[0]))}


def test_ranks_by_hand() -> None:
    shown = [("a", "b", -0.3, 0.0001), ("a", "c", -0.4, 0.0001), ("b", "c", -0.1, 0.4)]
    found = ranked({"a": 0.9, "b": 0.6, "c": 0.5}, shown, alpha=0.05)
    assert [(each.name, each.rank, each.best, each.worst) for each in found] == [
        ("a", 1, 1, 1),
        ("b", 2, 2, 3),
        ("c", 3, 2, 3),
    ]


def test_equal_values_share_a_rank_and_no_value_has_none() -> None:
    found = ranked({"a": 1.0, "b": 1.0, "c": None}, [("a", "b", 0.0, 1.0), ("a", "c", None, None)], alpha=0.05)
    assert [(each.name, each.rank, each.best, each.worst) for each in found] == [
        ("a", 1, 1, 3),
        ("b", 1, 1, 3),
        ("c", None, 1, 3),
    ]


def test_directions_are_one_sided_hypotheses_in_one_family() -> None:
    # Six one-sided hypotheses: 0.02 / 2 * 6 = 0.06 decides nothing, 0.016 / 2 * 6 = 0.048 does.
    values = {"a": 2.0, "b": 1.0, "c": 0.0}
    for p, best in ((0.02, 1), (0.016, 2)):
        found = ranked(values, [("a", "b", -1.0, p), ("a", "c", -2.0, 0.9), ("b", "c", -1.0, 0.9)], alpha=0.05)
        assert found[1].best == best


@given(TABLES)
def test_every_rank_lies_in_its_interval_and_turning_the_scores_turns_the_ranks(table: list[tuple[float, ...]]) -> None:
    runs = as_runs(table)
    found = rank_runs(runs)
    turned = rank_runs({name: [(key, 1.0 - (v or 0.0)) for key, v in rows] for name, rows in runs.items()})
    lowest = {each.name: each for each in rank_runs(runs, higher_is_better=False).ranks}
    turned_by_name = {each.name: each for each in turned.ranks}
    for each in found.ranks:
        assert each.rank is not None
        assert 1 <= each.best <= each.rank <= each.worst <= len(runs)
        other = turned_by_name[each.name]
        assert (other.best, other.worst) == (len(runs) + 1 - each.worst, len(runs) + 1 - each.best)
        assert (other.rank, other.best, other.worst) == (
            lowest[each.name].rank,
            lowest[each.name].best,
            lowest[each.name].worst,
        )
    assert len(found.comparisons) == len(runs) * (len(runs) - 1) // 2
    assert {each.family_size for each in found.comparisons} == {len(found.comparisons)}


@given(st.lists(st.tuples(*[st.sampled_from([0.0, 1.0, None, 1.0])] * 2), min_size=8, max_size=14))
def test_no_completion_of_what_is_missing_leaves_the_widest_interval(
    table: list[tuple[float | None, float | None]],
) -> None:
    gaps = [(case, run) for case, row in enumerate(table) for run in (0, 1) if row[run] is None]
    if not 1 <= len(gaps) <= 6:
        return
    runs = {f"r{run}": [(str(case), row[run]) for case, row in enumerate(table)] for run in (0, 1)}
    found = {each.name: each for each in rank_runs(runs).ranks}
    for filled in itertools.product((0.0, 1.0), repeat=len(gaps)):
        complete = {name: dict(rows) for name, rows in runs.items()}
        for (case, run), value in zip(gaps, filled, strict=True):
            complete[f"r{run}"][str(case)] = value
        for each in rank_runs({name: list(rows.items()) for name, rows in complete.items()}).ranks:
            bounds = found[each.name]
            if bounds.best == bounds.worst and bounds.best_if_missing == bounds.worst_if_missing:
                # What is shown, whatever is missing, is shown by every completion.
                assert (each.best, each.worst) == (bounds.best, bounds.worst)


def test_all_intervals_hold_at_once_at_least_as_often_as_said() -> None:
    rng = random.Random(11)
    rates = [0.8, 0.7, 0.7, 0.5]
    true_best = [1, 2, 2, 4]
    true_worst = [1, 3, 3, 4]
    held = 0
    for _ in range(150):
        runs = {f"r{run}": [(str(i), float(rng.random() < rate)) for i in range(60)] for run, rate in enumerate(rates)}
        ranks = {each.name: each for each in rank_runs(runs, method=PairedMethod(level=0.8)).ranks}
        held += all(
            ranks[f"r{run}"].best <= true_best[run] and ranks[f"r{run}"].worst >= true_worst[run] for run in range(4)
        )
    assert held / 150 >= 0.8


def test_missing_scores_are_counted_and_fewer_than_two_runs_are_refused() -> None:
    rows: list[tuple[str, float | None]] = [(str(i), 1.0) for i in range(40)]
    worse: list[tuple[str, float | None]] = [(str(i), 0.0) for i in range(30)] + [(str(i), None) for i in range(30, 40)]
    found = rank_runs({"a": rows, "b": worse})
    assert [(each.name, each.best, each.scored, each.missing) for each in found.ranks] == [
        ("a", 1, 40, 0),
        ("b", 2, 30, 10),
    ]
    assert found.ranks[0].worst_if_missing == 1
    assert found.warnings == ("10 cases lack a score in b",)
    assert Ranking.from_dict(found.to_dict()) == found
    with pytest.raises(StatisticsError, match="two runs at least"):
        rank_runs({"a": rows})


def test_strengths_of_models_are_ranked_by_their_differences() -> None:
    judged = [("a", "b", "first")] * 40 + [("b", "a", "first")] * 10 + [("b", "c", "tie")] * 30
    judged += [("b", "c", "first"), ("c", "b", "first")]
    found = rank_strengths(bradley_terry(judged))  # type: ignore[arg-type]  # a list of strings is read as verdicts
    assert [(each.name, each.best, each.worst) for each in found] == [("a", 1, 1), ("b", 2, 3), ("c", 2, 3)]
    nothing = rank_strengths(bradley_terry([("a", "b", "first")]))
    assert [(each.rank, each.best, each.worst) for each in nothing] == [(None, 1, 2), (None, 1, 2)]
