"""Differences of pass@k: by hand, and bounded whatever missing samples are."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from themis.pure.errors import StatisticsError
from themis.pure.stats.pass_differences import compare_pass_at_k

PROBLEMS = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 4)).map(lambda pair: (max(pair), min(pair))), min_size=2, max_size=6
)


def named(problems: list[tuple[int, int]]) -> dict[str, tuple[int, int]]:
    return {f"p{i}": problem for i, problem in enumerate(problems)}


def chance(samples: int, correct: int, k: int) -> float:
    draws = list(itertools.combinations(range(samples), k))
    return sum(any(sample < correct for sample in draw) for draw in draws) / len(draws)


@given(st.data(), st.integers(1, 4))
def test_the_difference_is_that_of_all_draws(data: st.DataObject, k: int) -> None:
    size = data.draw(st.integers(2, 8))
    one = st.integers(k, 6).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n)))
    a, b = (data.draw(st.lists(one, min_size=size, max_size=size)) for _ in range(2))
    found = compare_pass_at_k(named(a), named(b), k)
    wanted = math.fsum(chance(*y, k) - chance(*x, k) for x, y in zip(a, b, strict=True)) / size
    assert found.pairs == size
    assert found.metric_id == f"pass@{k}"
    assert found.difference == pytest.approx(wanted, abs=1e-12)
    turned = compare_pass_at_k(named(b), named(a), k)
    assert turned.difference == pytest.approx(-wanted, abs=1e-12)


@given(PROBLEMS, PROBLEMS, st.booleans())
def test_no_completion_leaves_the_bounds(a: list[tuple[int, int]], b: list[tuple[int, int]], every: bool) -> None:
    size = min(len(a), len(b))
    a, b = a[:size], b[:size]
    found = compare_pass_at_k(named(a), named(b), 2, every=every, planned=4)
    if not found.pairs:
        return
    for missing_right_a, missing_right_b in itertools.product((0.0, 0.5, 1.0), repeat=2):
        full_a = {name: (4, c + round(missing_right_a * (4 - n))) for name, (n, c) in named(a).items()}
        full_b = {name: (4, c + round(missing_right_b * (4 - n))) for name, (n, c) in named(b).items()}
        complete = compare_pass_at_k(full_a, full_b, 2, every=every)
        assert complete.difference is not None
        if found.if_missing is None:
            assert complete.difference == pytest.approx(found.difference, abs=1e-12)
        elif found.if_missing.lowest is not None and found.if_missing.highest is not None:
            assert found.if_missing.lowest - 1e-12 <= complete.difference <= found.if_missing.highest + 1e-12


def test_problems_with_too_few_samples_and_of_one_run_alone_are_counted() -> None:
    a = {"1": (4, 2), "2": (1, 0), "3": (4, 4)}
    b = {"1": (4, 3), "2": (4, 1), "4": (4, 4)}
    found = compare_pass_at_k(a, b, 2, planned=4)
    assert (found.pairs, found.unscored, found.unmatched_a, found.unmatched_b) == (1, 1, 1, 1)
    clustered = compare_pass_at_k(a, a, 1, clusters={"1": "x", "2": "x", "3": "y"})
    assert clustered.clusters == 2


def test_more_correct_samples_than_samples_are_refused_with_the_problem() -> None:
    with pytest.raises(StatisticsError, match="problem 'p1' of b has 3 correct of 2 samples"):
        compare_pass_at_k({"p1": (2, 1)}, {"p1": (2, 3)}, 1)
    with pytest.raises(StatisticsError, match="k is 0"):
        compare_pass_at_k({"p1": (2, 1)}, {"p1": (2, 1)}, 0)
