"""Means by group: the laws that tie them to the mean of the whole, and the macro average against its formulas."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Hashable
from statistics import mean, variance

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from themis.pure.errors import DataError
from themis.pure.stats.estimates import UNBOUNDED, estimate_mean
from themis.pure.stats.groups import GroupedEstimate, estimate_by_group
from themis.pure.stats.intervals import wilson_interval

Cases = list[tuple[float | None, str | None]]
"""For each case, its score and its group."""

NAMES = st.sampled_from(["algebra", "10", "9", "", None])
SCORES = st.one_of(st.sampled_from([0.0, 1.0]), st.floats(0, 1), st.none())
CASES = st.lists(st.tuples(SCORES, NAMES), min_size=1, max_size=40)
BINARY = st.lists(st.tuples(st.sampled_from([0.0, 1.0, None]), NAMES), min_size=1, max_size=40)


def grouped(cases: Cases, clusters: list[Hashable] | None = None) -> GroupedEstimate:
    return estimate_by_group(
        [score for score, _ in cases],
        [name for _, name in cases],
        clusters=clusters,
        categories=[None if score is not None else "parse_failure" for score, _ in cases],
    )


@given(CASES | BINARY)
def test_the_groups_counts_add_up_to_the_whole(cases: Cases) -> None:
    found = grouped(cases)
    assert {group.name for group in found.groups} == {name for _, name in cases}
    for count in ("planned", "scored", "missing"):
        assert sum(getattr(group.estimate, count) for group in found.groups) == getattr(found.micro, count)
    lost = sum(group.estimate.missing_by_category.get("parse_failure", 0) for group in found.groups)
    assert lost == found.micro.missing_by_category.get("parse_failure", 0) == found.micro.missing


@given(CASES | BINARY)
def test_the_micro_average_is_the_weighted_mean_of_the_groups(cases: Cases) -> None:
    found = grouped(cases)
    weighted = [(group.estimate.mean, group.estimate.scored) for group in found.groups]
    total = sum(count for _, count in weighted)
    if not total:
        assert found.micro.mean is None
        return
    assert found.micro.mean == pytest.approx(sum(m * n for m, n in weighted if m is not None) / total)


@given(CASES | BINARY, st.randoms())
def test_the_order_of_the_cases_changes_nothing(cases: Cases, rng: random.Random) -> None:
    order = list(range(len(cases)))
    rng.shuffle(order)
    keys: list[Hashable] = [place // 2 for place in range(len(cases))]
    assert grouped([cases[place] for place in order]) == grouped(cases)
    clustered = grouped(cases, keys)
    assert grouped([cases[place] for place in order], [keys[place] for place in order]) == clustered


@given(CASES | BINARY)
def test_missing_scores_widen_a_groups_bounds_as_they_do_the_whole_s(cases: Cases) -> None:
    found = grouped(cases)
    if found.micro.mean is None:
        return
    for bound, worst in (("if_missing_wrong", 0.0), ("if_missing_right", 1.0)):
        # A group that nothing was scored of has no bounds of its own, and counts as all wrong, or all right.
        of_groups = [
            (worst if group.estimate.scored == 0 else getattr(group.estimate, bound), group.estimate.planned)
            for group in found.groups
        ]
        total = sum(count for _, count in of_groups)
        assert getattr(found.micro, bound) == pytest.approx(sum(each * count for each, count in of_groups) / total)
        assert getattr(found.macro, bound) == pytest.approx(mean(each for each, _ in of_groups))
    assert found.macro.mean is not None
    if not found.macro.missing:
        assert found.macro.if_missing_wrong is not None
        assert found.macro.if_missing_right is not None
        assert found.macro.if_missing_wrong <= found.macro.mean + 1e-12
        assert found.macro.if_missing_right >= found.macro.mean - 1e-12
    for group in found.groups:
        filled = [worst if score is None else score for worst in (0.0, 1.0) for score, n in cases if n == group.name]
        half = len(filled) // 2
        if group.estimate.scored:
            assert group.estimate.if_missing_wrong == pytest.approx(mean(filled[:half]))
            assert group.estimate.if_missing_right == pytest.approx(mean(filled[half:]))


def test_a_group_has_no_bounds_that_the_other_groups_scores_exceed() -> None:
    found = estimate_by_group([5.0, 3.0, 0.5, None], ["a", "a", "b", "b"])
    assert found["b"].if_missing_wrong is None
    assert found["b"].undefined["if_missing_wrong"] == "the metric's score range is not declared"
    assert found.macro.undefined["if_missing_right"] == "the metric's score range is not declared"
    declared = estimate_by_group([5.0, 3.0, 0.5, None], ["a", "a", "b", "b"], score_range=(0.0, 5.0))
    assert (declared["b"].if_missing_wrong, declared["b"].if_missing_right) == (0.25, 2.75)
    empty = estimate_by_group([5.0, 3.0, None], ["a", "a", "b"])
    assert (empty.macro.if_missing_wrong, empty.macro.if_missing_right) == (None, None)
    unbounded = estimate_by_group([1.0, 0.0, None], ["a", "a", "a"], score_range=UNBOUNDED)
    assert (unbounded.micro.if_missing_wrong, unbounded["a"].if_missing_right) == (None, None)


def test_the_mean_over_all_cases_is_taken_where_there_is_one_already() -> None:
    scores, names = [1.0, 0.0, None, 0.5], ["a", "a", "b", "b"]
    whole = estimate_mean(scores)
    assert estimate_by_group(scores, names, micro=whole) == estimate_by_group(scores, names)
    assert estimate_by_group(scores, names, micro=whole).micro is whole


def test_each_group_is_estimated_as_if_it_were_all_there_is() -> None:
    found = estimate_by_group([1.0, 0.0, 1.0, 0.5, None], ["a", "a", "a", "b", "b"], by="topic", metric_id="f1")
    assert (found.by, found.metric_id, found["a"].metric_id) == ("topic", "f1", "f1")
    assert found["a"].interval == wilson_interval(2 / 3, 3)
    assert found["b"].interval.reason == "one scored value has no spread"
    with pytest.raises(KeyError):
        found["c"]


def test_groups_stand_in_the_order_of_their_names_numbers_by_value_and_the_unnamed_last() -> None:
    names = ["b", None, "10", "9", "", "inf", "a"]
    found = estimate_by_group([1.0] * len(names), names)
    assert [group.name for group in found.groups] == ["9", "10", "", "a", "b", "inf", None]


def test_every_value_needs_a_group() -> None:
    with pytest.raises(DataError, match="values, names have 2, 1 entries"):
        estimate_by_group([1.0, 0.0], ["a"])


# --- the macro average ------------------------------------------------------------------------------------


def drawn(seed: int, sizes: dict[str, int]) -> list[tuple[float, str]]:
    rng = random.Random(seed)
    return [(rng.random() ** place, name) for place, (name, size) in enumerate(sizes.items(), 1) for _ in range(size)]


@pytest.mark.parametrize("seed", range(5))
def test_the_macro_average_is_that_of_equally_weighted_strata(seed: int) -> None:
    cases = drawn(seed, {"a": 5, "b": 40, "c": 12})
    of_group: dict[str, list[float]] = defaultdict(list)
    for score, name in cases:
        of_group[name].append(score)
    macro = grouped(list(cases)).macro
    parts = [variance(scores) / len(scores) for scores in of_group.values()]
    error = math.sqrt(sum(parts)) / 3
    freedom = sum(parts) ** 2 / sum(p**2 / (len(s) - 1) for p, s in zip(parts, of_group.values(), strict=True))
    centre = mean(mean(scores) for scores in of_group.values())
    assert [macro.mean, macro.standard_error] == pytest.approx([centre, error])
    low, high = scipy_stats.t.interval(0.95, freedom, centre, error)
    assert [macro.interval.low, macro.interval.high] == pytest.approx([low, high])
    assert (macro.unit, macro.planned, macro.scored) == ("group", 3, 3)


def test_a_group_that_does_not_vary_adds_nothing_and_is_no_reason_to_say_nothing() -> None:
    macro = estimate_by_group([1.0] * 20 + [1.0, 0.0] * 10, ["easy"] * 20 + ["hard"] * 20).macro
    error = math.sqrt(0.25 / 19) / 2
    assert macro.standard_error == pytest.approx(error)
    critical = float(scipy_stats.t.ppf(0.975, 19))
    expected = wilson_interval(0.75, 0.75 * 0.25 / error**2, critical=critical)
    assert [macro.interval.low, macro.interval.high] == pytest.approx([expected.low, expected.high])
    assert macro.interval.method == "stratified Wilson score (Satterthwaite)"


def test_what_the_variance_can_not_be_known_of_has_neither_error_nor_interval() -> None:
    constant = estimate_by_group([1.0] * 100 + [0.0] * 10, ["easy"] * 100 + ["hard"] * 10).macro
    assert (constant.mean, constant.standard_error) == (0.5, None)
    assert constant.interval.reason == constant.undefined["standard_error"] == "no variation within any group"
    alone = estimate_by_group([1.0, 0.0, 1.0], ["a", "a", None]).macro
    assert alone.interval.reason == "group without a name has none: one scored value has no spread"


@pytest.mark.parametrize(
    ("sizes", "rates"),
    [
        ((12, 60, 25), (0.95, 0.6, 0.3)),
        ((10,) * 14, tuple(0.5 + 0.03 * n for n in range(14))),
        ((2,) * 57, (0.7,) * 57),
        ((20,) * 4, (0.9,) * 4),
    ],
)
def test_intervals_hold_the_true_macro_average_as_often_as_they_say(
    sizes: tuple[int, ...], rates: tuple[float, ...]
) -> None:
    rng, held, draws = random.Random(1), 0, 400
    for _ in range(draws):
        cases: Cases = [
            (float(rng.random() < rate), str(group))
            for group, (size, rate) in enumerate(zip(sizes, rates, strict=True))
            for _ in range(size)
        ]
        held += grouped(cases).macro.interval.contains(mean(rates))
    assert 0.92 <= held / draws <= 0.985


def test_one_group_is_its_own_macro_average() -> None:
    found = grouped([(score, "a") for score, _ in drawn(3, {"a": 30})])
    assert found.macro.mean == found.micro.mean
    assert found.macro.standard_error == found.micro.standard_error
    assert found.macro.interval.method == "stratified Student t (Satterthwaite)"
    assert found.macro.interval.low == pytest.approx(found.micro.interval.low)


def test_a_group_that_nothing_was_scored_of_is_said_and_bounded() -> None:
    macro = estimate_by_group([1.0, 0.0, None], ["a", "a", "b"]).macro
    assert (macro.mean, macro.planned, macro.scored, macro.missing) == (0.5, 2, 1, 1)
    assert (macro.if_missing_wrong, macro.if_missing_right) == (0.25, 0.75)
    assert macro.warnings == ("1 of 2 groups have no score",)
    nothing = estimate_by_group([None, None], ["a", None])
    assert nothing.macro.mean is None
    assert nothing.macro.undefined["mean"] == "no scored value"


def test_a_clustered_groups_error_is_its_clusters_and_clusters_across_groups_are_refused() -> None:
    cases = drawn(2, {"a": 20, "b": 20})
    within: list[Hashable] = [place // 4 for place in range(40)]
    found = grouped(list(cases), within)
    errors = [group.estimate.standard_error or 0.0 for group in found.groups]
    assert found["a"].clusters == 5
    assert found.macro.standard_error == pytest.approx(math.hypot(*errors) / 2)
    one = grouped(list(cases), [place // 4 if place < 20 else "all" for place in range(40)]).macro
    assert (one.interval.reason or "").startswith("group 'b' has none: one cluster")
    across = grouped(list(cases), [place % 20 for place in range(40)]).macro
    reason = "groups are not independent: clusters with cases in several of them: 20"
    assert (across.standard_error, across.interval.reason) == (None, reason)
    rounded: Cases = [(float(score > 0.5), name) for score, name in cases]
    assert grouped(rounded, [place % 20 for place in range(40)]).macro.interval.reason == reason


@given(BINARY, st.sampled_from([0.5, 1.0, 3.0]))
def test_weights_are_parts_of_their_sum_and_a_group_of_no_weight_is_left_out(cases: Cases, factor: float) -> None:
    names = sorted({name for _, name in cases if name is not None})
    cases = [(score, name) for score, name in cases if name is not None] or [(1.0, "only")]

    def macro(weights: dict[str, float]) -> float | None:
        scores, groups = [score for score, _ in cases], [name for _, name in cases]
        return estimate_by_group(scores, groups, weights=weights).macro.mean

    plain = grouped(cases)
    assert macro(dict.fromkeys(names, factor)) == pytest.approx(plain.macro.mean)
    for group in plain.groups:
        alone = {name: float(name == group.name) for name in names}
        assert macro(alone or {"only": 1.0}) == group.estimate.mean


def test_the_error_of_a_weighted_macro_average_is_that_of_the_weighted_sum() -> None:
    easy, hard = [1.0] * 30 + [0.0] * 10, [1.0] * 10 + [0.0] * 30
    found = estimate_by_group(easy + hard, ["easy"] * 40 + ["hard"] * 40, weights={"easy": 3.0, "hard": 1.0})
    error = math.sqrt((0.75**2) * variance(easy) / 40 + (0.25**2) * variance(hard) / 40)
    assert found.macro.mean == pytest.approx(0.75 * 0.75 + 0.25 * 0.25)
    assert found.macro.standard_error == pytest.approx(error)
    with pytest.raises(DataError, match="a group of a weight above 0"):
        estimate_by_group(easy, ["easy"] * 40, weights={"easy": 0.0})
