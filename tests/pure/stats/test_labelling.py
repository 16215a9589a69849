"""Which answers to label next: the same in any order, one sample over all rounds, and unbiased."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from themis.pure.errors import StatisticsError
from themis.pure.stats import choose_labels, score_uncertainty

KEYS = [f"case {number}" for number in range(200)]


@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 9), st.randoms(use_true_random=False))
def test_two_rounds_are_one_sample_in_any_order_of_rows(first: int, second: int, seed: int, rng: Any) -> None:
    shuffled = [*KEYS]
    rng.shuffle(shuffled)
    now = choose_labels(KEYS, first, seed=seed)
    later = choose_labels(shuffled, second, labelled=[choice.key for choice in now], seed=seed)
    at_once = choose_labels(KEYS, first + second, seed=seed)
    assert [choice.key for choice in (*now, *later)] == [choice.key for choice in at_once]
    assert all(choice.probability is None for choice in at_once)


@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 9))
def test_labels_chosen_by_uncertainty_come_again_with_their_new_probability(first: int, second: int, seed: int) -> None:
    unsure = [float(place % 7) for place in range(200)]
    now = choose_labels(KEYS, first, uncertainty=unsure, seed=seed)
    later = choose_labels(KEYS, second, uncertainty=unsure, labelled=[choice.key for choice in now], seed=seed)
    assert later == [
        choice.__class__(choice.key, choice.probability, number < first)
        for number, choice in enumerate(choose_labels(KEYS, first + second, uncertainty=unsure, seed=seed))
    ]
    new = {choice.key: choice.probability or 0.0 for choice in later}
    assert all(new[choice.key] >= (choice.probability or 0.0) for choice in now)


def test_another_seed_is_another_sample() -> None:
    assert choose_labels(KEYS, 20, seed=1) != choose_labels(KEYS, 20, seed=2)


def test_inverse_probabilities_are_unbiased_and_the_unsure_come_more_often() -> None:
    unsure = [0.5 if place < 40 else 0.0 for place in range(200)]
    values = {key: float(place) for place, key in enumerate(KEYS)}
    sums, often = [], 0
    for seed in range(2000):
        chosen = choose_labels(KEYS, 30, uncertainty=unsure, seed=seed)
        assert len(chosen) == 30
        sums.append(math.fsum(values[choice.key] / (choice.probability or 0.0) for choice in chosen))
        often += sum(values[choice.key] < 40 for choice in chosen)
    centre = math.fsum(sums) / len(sums)
    error = math.sqrt(math.fsum((value - centre) ** 2 for value in sums)) / len(sums)
    assert abs(centre - math.fsum(values.values())) < 4 * error
    assert often / 2000 > 2 * 30 * 40 / 200


def test_every_answer_is_as_likely_in_a_random_sample() -> None:
    counts = dict.fromkeys(KEYS, 0)
    for seed in range(1500):
        for choice in choose_labels(KEYS, 20, seed=seed):
            counts[choice.key] += 1
    expected = 1500 * 20 / 200
    chi_square = sum((count - expected) ** 2 / expected for count in counts.values())
    assert chi_square < 199 + 5 * math.sqrt(2 * 199)


def test_where_all_are_asked_for_all_come() -> None:
    unsure = [random.Random(place).random() for place in range(200)]
    chosen = choose_labels(KEYS, 500, uncertainty=unsure)
    assert len(chosen) == 200
    assert {choice.probability for choice in chosen} == {1.0}


def test_a_judge_is_unsure_in_the_middle_of_its_range() -> None:
    assert score_uncertainty(3.0, (1.0, 5.0)) == 0.5
    assert score_uncertainty(7.0, (1.0, 5.0)) == score_uncertainty(1.0, (1.0, 5.0)) == 0.0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"keys": ["a", "a"], "count": 1}, "keys is 2; allowed: each answer's name once"),
        ({"keys": ["a"], "count": 0}, "count is 0; allowed: a whole number from 1"),
        ({"keys": ["a", "b"], "count": 1, "uncertainty": [0.5, 0.5]}, "take a random sample"),
        ({"keys": ["a", "b"], "count": 1, "uncertainty": [0.5, -1.0]}, "uncertainty[1] is -1.0"),
        ({"keys": ["a", "b"], "count": 1, "uncertainty": [0.5]}, "keys, uncertainty have 2, 1 entries"),
    ],
)
def test_what_can_not_be_is_refused(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(StatisticsError) as caught:
        choose_labels(**arguments)
    assert said in str(caught.value)
