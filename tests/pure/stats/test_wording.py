"""Sentences claim no more than the numbers do."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from themis.pure.report.comparison import comparison_data
from themis.pure.stats import StatsEngine, estimate_mean, paired_compare
from themis.pure.stats.equivalence import equivalence
from themis.pure.stats.pairs import adjusted
from themis.pure.stats.records import RunComparison
from themis.pure.stats.wording import (
    comparison_sentence,
    equivalence_sentence,
    estimate_sentence,
    p_text,
)

Rows = list[tuple[str, float | None]]
CLAIMS = ("no difference", "the same", "equal", "equivalent", "identical", "higher than", "lower than", "better")


def binary(seed: int, size: int, chance: float) -> Rows:
    rng = random.Random(seed)
    return [(f"c{index}", float(rng.random() < chance)) for index in range(size)]


def test_a_significant_difference_is_said_with_its_interval_and_test() -> None:
    sentence = comparison_sentence(
        paired_compare(binary(1, 200, 0.4), binary(2, 200, 0.8), label_a="base", label_b="tuned")
    )
    assert sentence.startswith("score: tuned scores 0.405 higher than base over 200 paired cases")
    assert "Bonett-Price" in sentence
    assert "p < 0.0001 (McNemar exact)" in sentence


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 60))
def test_what_is_not_significant_is_neither_a_difference_nor_sameness(seed: int, size: int) -> None:
    compared = paired_compare(binary(seed, size, 0.5), binary(seed + 1, size, 0.5))
    sentence = comparison_sentence(compared)
    if compared.significant:
        assert "higher than" in sentence or "lower than" in sentence
        return
    assert not any(claim in sentence for claim in CLAIMS)
    if compared.significant is False and compared.minimum_detectable_effect is not None:
        assert "It could find a true difference of" in sentence
        assert "80 % power" in sentence
        assert ("cases." in sentence) == (compared.cases_needed is not None)


def test_a_family_shows_the_adjusted_p_value_and_decides_by_it() -> None:
    base = paired_compare(binary(1, 40, 0.5), binary(2, 40, 0.5))
    family = adjusted([base.evolve(test=base.test.evolve(p_value=p)) for p in (0.03, 0.5)])
    sentence = comparison_sentence(family[0])
    assert "p = 0.03" in sentence
    assert "p = 0.06 adjusted over 2 tests (Holm)" in sentence
    assert "does not tell a and b apart" in sentence


def test_what_has_no_p_value_says_why() -> None:
    values: Rows = [(f"c{i}", i / 7) for i in range(20)]
    shifted: Rows = [(key, (value or 0.0) + 0.5) for key, value in values]
    assert "no test decides: no variation: every pair differs by +0.5" in comparison_sentence(
        paired_compare(values, shifted)
    )
    tied = comparison_sentence(paired_compare(values, values))
    assert "no test decides: no pair differs" in tied
    assert "nothing to compare" in comparison_sentence(paired_compare(values, [("z", 1.0)]))


def test_estimates_name_their_missing_scores() -> None:
    sentence = estimate_sentence(estimate_mean([1.0, 1.0, 0.0, None], metric_id="accuracy"))
    assert sentence.startswith("accuracy: 0.6667 over 3 of 4 rows; 95 % interval 0.2077 to 0.9385 (Wilson score)")
    assert "1 missing: 0.5 if all were wrong, 0.75 if all were right" in sentence
    assert estimate_sentence(estimate_mean([None])) == "score: not defined: no scored value (1 rows planned)."
    assert "1 missing" in estimate_sentence(estimate_mean([7.0, 9.0, None]))
    assert "2 clusters" in estimate_sentence(estimate_mean([1.0, 0.0, 1.0], clusters=["a", "a", "b"]))


def test_equivalence_is_said_only_if_shown() -> None:
    compared = paired_compare(binary(1, 400, 0.5), binary(2, 400, 0.5))
    assert "is not shown to lie within 0.001" in equivalence_sentence(equivalence(compared, margin=0.001))
    assert "is shown to lie within 0.5" in equivalence_sentence(equivalence(compared, margin=0.5))
    alone = paired_compare([("x", 0.3)], [("x", 0.4)])
    assert "can't be tested: one pair" in equivalence_sentence(equivalence(alone, margin=0.5))
    missing = paired_compare([("x", 0.0), ("y", 1.0), ("z", 1.0)], [("x", 0.0), ("y", 1.0), ("z", None)])
    assert "Whatever the missing scores are, the interval lies within" in (
        equivalence_sentence(equivalence(missing, margin=0.5))
    )


def test_a_sentence_says_which_conclusion_survives_what_is_missing() -> None:
    a = [(f"c{i}", float(i < 60)) for i in range(100)]
    for unscored, said in (
        (2, "and that b scores higher holds whatever they are."),
        (10, "That b scores higher does not hold if they all go to a: b - a = +0.02, p = 0.83."),
    ):
        b: list[tuple[str, float | None]] = [(key, 1.0 if 60 <= i < 72 else value) for i, (key, value) in enumerate(a)]
        b = [(key, None if i < unscored else value) for i, (key, value) in enumerate(b)]
        sentence = comparison_sentence(paired_compare(a, b))
        assert f"{unscored} pairs lack a score: counting them, b - a lies between" in sentence
        assert said in sentence
    unknown = paired_compare([("x", 3.0), ("y", 4.0), ("z", 1.0)], [("x", 2.0), ("y", 3.5), ("z", None)])
    assert "1 pair lacks a score, and what they could change is not known" in comparison_sentence(unknown)


def test_runs_say_what_was_left_out_and_what_was_not_checked() -> None:
    comparison = RunComparison(added=("x",), removed=("y", "z"), changed=("w",), content_checked=True)
    assert comparison_data(comparison)["sentences"] == [
        "Left out: 2 cases only in a: y, z",
        "Left out: 1 cases only in b: x",
        "Left out: 1 cases whose content differs: w",
    ]
    assert "not checked" in comparison_data(StatsEngine().paired_compare([], []))["sentences"][-1]


def test_p_values_are_never_written_as_zero() -> None:
    assert p_text(1e-300) == "p < 0.0001"
    assert p_text(0.04999) == "p = 0.05"
