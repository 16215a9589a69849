"""Confidence sequences, e-values and sequential tests: what they promise, by rule and by simulation."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from themis.pure.errors import StatisticsError
from themis.pure.stats.betting import Tally, Wealth, lower_end_without_replacement
from themis.pure.stats.mixtures import log_beta_binomial, log_normal_mixture
from themis.pure.stats.sequences import (
    anytime_interval,
    anytime_paired_interval,
    confidence_sequence,
    e_value,
)
from themis.pure.stats.sequential import Evidence, SequentialTest, sequential_test

METHODS = ("betting", "normal mixture", "beta-binomial")
scores = st.floats(0.0, 1.0, allow_subnormal=False)
bits = st.sampled_from((0.0, 1.0))
columns = st.lists(scores | st.none(), min_size=1, max_size=60)
binary = st.lists(bits | st.none(), min_size=1, max_size=60)


def ends(interval: Any) -> tuple[float, float]:
    assert interval.low is not None
    assert interval.high is not None
    return interval.low, interval.high


# --- rules ------------------------------------------------------------------------------------------------


@given(binary, st.sampled_from(METHODS), st.randoms())
def test_the_order_of_scores_makes_no_difference(values: list[float | None], method: Any, rng: random.Random) -> None:
    other = rng.sample(values, len(values))
    assert anytime_interval(other, method=method) == anytime_interval(values, method=method)


@given(st.lists(st.tuples(scores, st.integers(1, 4)), min_size=1, max_size=20), st.randoms())
def test_the_order_of_clusters_makes_no_difference(clusters: list[tuple[float, int]], rng: random.Random) -> None:
    def interval(of: Sequence[tuple[int, tuple[float, int]]]) -> Any:
        values = [score for _, (score, size) in of for _ in range(size)]
        return anytime_interval(values, clusters=[name for name, (_, size) in of for _ in range(size)])

    named = list(enumerate(clusters))
    assert interval(rng.sample(named, len(named))) == interval(named)


@given(binary, st.sampled_from(METHODS), st.sampled_from([(-1.0, 1.0), (0.0, 5.0), (2.0, 3.0)]))
def test_another_unit_of_the_scores_is_another_unit_of_the_interval(
    values: list[float | None], method: Any, score_range: tuple[float, float]
) -> None:
    low, high = score_range
    moved = [None if value is None else low + (high - low) * value for value in values]
    plain = ends(anytime_interval(values, method=method))
    found = ends(anytime_interval(moved, method=method, score_range=score_range))
    assert found == pytest.approx([low + (high - low) * end for end in plain], abs=1e-8)


@given(binary, st.sampled_from(METHODS))
def test_the_other_way_round_is_the_mirror_image(values: list[float | None], method: Any) -> None:
    low, high = ends(anytime_interval(values, method=method))
    turned = ends(anytime_interval([None if value is None else 1.0 - value for value in values], method=method))
    assert turned == pytest.approx((1.0 - high, 1.0 - low), abs=1e-9)


@given(columns, st.sampled_from(METHODS[:2]), st.data())
def test_no_completion_leaves_the_interval_of_what_is_missing(
    values: list[float | None], method: Any, data: st.DataObject
) -> None:
    whole = [value if value is not None else data.draw(scores) for value in values]
    low, high = ends(anytime_interval(values, method=method))
    within_low, within_high = ends(anytime_interval(whole, method=method))
    assert low <= within_low + 1e-9
    assert within_high <= high + 1e-9


@given(binary, st.data())
def test_no_completion_of_zeros_and_ones_leaves_it(values: list[float | None], data: st.DataObject) -> None:
    whole = [value if value is not None else data.draw(bits) for value in values]
    low, high = ends(anytime_interval(values, method="beta-binomial"))
    within_low, within_high = ends(anytime_interval(whole, method="beta-binomial"))
    assert low <= within_low + 1e-9
    assert within_high <= high + 1e-9


@given(columns, columns, st.data())
def test_no_completion_leaves_the_interval_of_pairs(
    a: list[float | None], b: list[float | None], data: st.DataObject
) -> None:
    size = min(len(a), len(b))
    a, b = a[:size], b[:size]
    whole = [[v if v is not None else data.draw(scores) for v in column] for column in (a, b)]
    low, high = ends(anytime_paired_interval(a, b))
    within_low, within_high = ends(anytime_paired_interval(*whole))
    assert low <= within_low + 1e-9
    assert within_high <= high + 1e-9


@given(columns, st.integers(0, 30), st.data())
def test_no_completion_leaves_the_interval_of_a_finite_set(
    values: list[float | None], more: int, data: st.DataObject
) -> None:
    whole = [value if value is not None else data.draw(scores) for value in values]
    low, high = ends(anytime_interval(values, population=len(values) + more))
    within_low, within_high = ends(anytime_interval(whole, population=len(values) + more))
    assert low <= within_low + 1e-9
    assert within_high <= high + 1e-9


@settings(suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])  # a third of draws is decided
@given(
    columns,
    st.sampled_from((">=", ">", "<=", "<")),
    st.floats(0.05, 0.95),
    st.integers(1, 20),
    st.none() | st.integers(0, 40),
    st.data(),
)
def test_no_completion_overturns_a_decision(
    values: list[float | None], operator: Any, value: float, every: int, more: int | None, data: st.DataObject
) -> None:
    values = values * 4
    population = None if more is None else len(values) + more
    found = sequential_test(values, operator, value, every=every, population=population, alpha=0.4)
    assume(found.decision != "undecided")
    whole = [each if each is not None else data.draw(scores) for each in values]
    again = sequential_test(whole, operator, value, every=every, population=population, alpha=0.4)
    assert again.decision == found.decision
    assert again.values <= found.values


@given(columns, st.floats(0.05, 0.95), st.integers(1, 20))
def test_the_interval_at_the_stop_says_what_was_decided(values: list[float | None], value: float, every: int) -> None:
    found = sequential_test(values * 5, ">=", value, every=every, alpha=0.3)
    low, high = ends(found.interval)
    told = "passes" if low >= value else "fails" if high <= value else "undecided"
    assert told == found.decision
    seen = (values * 5)[: found.values]
    assert (low, high) == pytest.approx(ends(anytime_interval(seen, level=0.7)), abs=1e-9)


@given(columns, st.integers(1, 20))
def test_running_intervals_are_nested_and_the_others_are_those_of_each_size(
    values: list[float | None], every: int
) -> None:
    looks = confidence_sequence(values, every=every)
    assert looks[-1].values == len(values)
    for first, second in itertools.pairwise(look.interval for look in looks):
        if second.low is not None:
            (low, high), (next_low, next_high) = ends(first), ends(second)
            assert low <= next_low
            assert next_high <= high
    for look in confidence_sequence(values, every=every, running=False):
        assert look.interval == anytime_interval(values[: look.values])


def test_intervals_that_have_no_mean_in_common_are_not_defined_and_say_why() -> None:
    looks = confidence_sequence([1.0] * 200 + [0.0] * 2000, every=100)
    assert looks[-1].interval.low is None
    assert "no mean in common" in str(looks[-1].interval.reason)


@given(st.lists(st.tuples(scores, st.sampled_from((0.25, 0.5, 1.0))), min_size=1, max_size=40), st.floats(0.01, 0.99))
def test_wealth_by_tally_is_wealth_score_by_score(units: list[tuple[float, float]], mean: float) -> None:
    wealth = Wealth(mean)
    for unit in units:
        wealth.add(*unit)
    assert Tally.of(units).log_wealth(mean) == pytest.approx(wealth.log, abs=1e-9)


def test_many_different_scores_are_laid_on_a_grid_that_costs_hardly_anything_and_flatters_nobody() -> None:
    rng = random.Random(3)
    units = [(rng.random(), 1.0) for _ in range(3000)]
    exact = Tally()
    for unit in units:
        exact.counts[unit] = 1.0
    laid, low = Tally.of(units).lower_end(0.025), exact.lower_end(0.025)
    assert low - 1e-3 < laid <= low + 1e-9


@given(st.lists(bits, min_size=1, max_size=30), st.floats(0.05, 0.95))
def test_wealth_is_a_mean_over_fractions(values: list[float], mean: float) -> None:
    """Multiplied out by hand, as the module's docstring says it."""
    fractions = [2.0**-power for power in range(10)]
    wealth = [math.prod(1.0 - f + f * value / mean for value in values) for f in fractions]
    expected = sum(wealth) / len(wealth)
    found = math.exp(Tally.of((value, 1.0) for value in values).log_wealth(mean))
    assert found == pytest.approx(expected, rel=1e-9)


@given(st.permutations([1.0] * 6 + [0.0] * 4), st.integers(1, 10), st.floats(0.55, 0.95))
def test_without_replacement_one_bets_against_the_mean_that_the_rest_would_have(
    order: list[float], drawn: int, mean: float
) -> None:
    """Multiplied out by hand: of 10 scores, before each one the rest must make up for what came."""
    wealth = [1.0] * 10
    for place, score in enumerate(order[:drawn]):
        rest = (10 * mean - sum(order[:place])) / (10 - place)
        assume(rest > 0.0)
        wealth = [w * (1.0 - 2.0**-d + 2.0**-d * score / rest) for d, w in enumerate(wealth)]
    found = Wealth(mean, 10.0)
    for score in order[:drawn]:
        found.add(score)
    expected = math.inf if sum(order[:drawn]) > 10 * mean else math.log(sum(wealth) / 10)
    assert found.log == pytest.approx(expected, abs=1e-9)


def test_one_looks_at_every_so_many_values_and_at_the_first_end_of_a_cluster_past_them() -> None:
    assert sequential_test([1.0] * 100, ">=", 0.5, every=7).values == 14
    assert sequential_test([1.0] * 100, ">=", 0.5, every=1).values == 9
    assert sequential_test([1.0] * 99, ">=", 0.5, every=50).values == 50
    clusters = [value // 5 for value in range(300)]
    assert sequential_test([1.0] * 300, ">=", 0.5, every=7, clusters=clusters).values % 10 == 0
    assert sequential_test([1.0] * 30, ">=", 0.5, every=31).decision == "passes"


@given(st.lists(bits, min_size=1, max_size=10), st.floats(0.1, 0.9))
def test_the_expected_e_value_of_a_true_mean_is_one(prefix: list[float], mean: float) -> None:
    """One step ahead: what is won with a 1 and lost with a 0 makes up for each other, with the mixtures, too."""
    ones, count = int(sum(prefix)), len(prefix)

    def after(value: float) -> float:
        return math.exp(Tally.of((each, 1.0) for each in (*prefix, value)).log_wealth(mean))

    now = math.exp(Tally.of((each, 1.0) for each in prefix).log_wealth(mean))
    assert mean * after(1.0) + (1.0 - mean) * after(0.0) == pytest.approx(now, rel=1e-9)
    after_one, after_zero = (math.exp(log_beta_binomial(count + 1, ones + more, mean)) for more in (1, 0))
    now = math.exp(log_beta_binomial(count, ones, mean))
    assert mean * after_one + (1.0 - mean) * after_zero == pytest.approx(now, rel=1e-9)
    after_one, after_zero = (math.exp(log_normal_mixture(count + 1, ones + more, mean, 0.05)) for more in (1, 0))
    assert mean * after_one + (1.0 - mean) * after_zero <= math.exp(log_normal_mixture(count, ones, mean, 0.05)) + 1e-9


def test_a_finite_set_that_was_drawn_in_whole_is_known_at_its_lower_end() -> None:
    assert lower_end_without_replacement([(1.0, 1.0), (0.0, 1.0)] * 50, 100, 0.025) == 0.5
    assert ends(anytime_interval([1.0, 0.0, 1.0, 1.0], population=4)) == pytest.approx((0.75, 0.75))
    assert sequential_test([1.0, 0.0, 1.0, 1.0], ">=", 0.7, population=4).decision == "passes"
    assert sequential_test([1.0, 0.0, 1.0, 1.0], ">=", 0.8, population=4).decision == "fails"
    assert sequential_test([1.0, 0.0, 1.0, None], ">=", 0.7, population=4).decision == "undecided"


def test_an_unequal_cluster_weighs_what_it_holds() -> None:
    """Twenty clusters of one that score 1 and twenty of nine that score 0: the mean over values is 0.1, not 0.5."""
    values = [1.0] * 20 + [0.0] * 180
    clusters = [*range(20), *(20 + case // 9 for case in range(180))]
    low, high = ends(anytime_interval(values, clusters=clusters))
    assert low < 0.1 < high < 0.4


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: anytime_interval([0.5, 2.0]), "values[1] is 2.0; allowed: a score from 0 to 1, the score_range"),
        (lambda: anytime_interval([0.5], score_range=(0.0, math.inf)), "two finite numbers"),
        (lambda: anytime_interval([0.5], method="beta-binomial"), "method is 'beta-binomial'; allowed: 'betting'"),
        (lambda: anytime_interval([0.5], method="Betting"), "did you mean betting?"),  # type: ignore[arg-type]
        (lambda: anytime_interval([0.5], method="normal mixture", population=3), "allowed: 'betting' with these"),
        (lambda: anytime_interval([0.5], population=3, largest_cluster=2), "None where there are no clusters"),
        (lambda: anytime_interval([0.5, 0.5], population=1), "population is 1; allowed: at least the 2 values"),
        (lambda: anytime_interval([0.5, 0.5], clusters="aa", largest_cluster=1), "clusters is 'aa'"),
        (lambda: anytime_interval([0.5, 0.5], clusters=[1, 1], largest_cluster=1), "the 2 of a cluster, or more"),
        (lambda: anytime_interval([0.5, 0.5], clusters=[1]), "as many of each"),
        (lambda: anytime_paired_interval([0.5], [0.5, 0.5]), "as many of each"),
        (lambda: sequential_test([0.5], ">=", 1.0), "value is 1.0; allowed: a number between 0 and 1"),
        (lambda: sequential_test([0.5], "==", 0.5), "operator is '=='"),  # type: ignore[arg-type]
        (lambda: e_value([0.5], 2.0), "mean is 2.0"),
        (lambda: e_value([1.0], 0.5, alternative="less", method="beta-binomial"), "allowed: 'two-sided'"),
    ],
)
def test_what_is_refused(call: Callable[[], object], said: str) -> None:
    with pytest.raises(StatisticsError) as caught:
        call()
    assert said in str(caught.value)


@given(
    st.lists(st.none() | scores, max_size=20),
    st.floats(0.0, 1.0),
    st.sampled_from(("two-sided", "greater", "less")),
    st.none() | st.integers(20, 40),
)
def test_an_e_value_is_finite_or_says_why_not(
    values: list[float | None], mean: float, alternative: Any, population: int | None
) -> None:
    found = e_value(values, mean, alternative=alternative, population=population)
    assert 0.0 <= found.p_value <= 1.0
    assert (found.log_e_value is None) != (found.reason is None)
    if found.log_e_value is not None:
        assert math.isfinite(found.log_e_value)


@pytest.mark.parametrize("values", [[1.0, 0.0], [0.0, 1.0], [0.0, 1.0, 0.0]])
def test_a_mean_that_the_scores_rule_out_is_ruled_out_in_any_order(values: list[float]) -> None:
    for mean, alternative in ((0.0, "greater"), (1.0, "less")):
        found = e_value(values, mean, alternative=alternative)  # type: ignore[arg-type]  # one of the names
        assert (found.p_value, found.reason) == (0.0, "the scores rule the hypothesis out")
    assert e_value([0.0, 0.0], 0.0).p_value == 1.0


def test_nothing_is_undecided_and_has_no_interval() -> None:
    assert anytime_interval([]).reason == "no value"
    assert confidence_sequence([]) == ()
    assert sequential_test([], ">=", 0.5).decision == "undecided"


# --- simulations ------------------------------------------------------------------------------------------

RUNS = 200
"""Simulated runs; the error may exceed alpha by three standard errors of so many."""


def allowed(alpha: float) -> float:
    return alpha + 3.0 * math.sqrt(alpha * (1.0 - alpha) / RUNS)


def wrong(test: Callable[[random.Random], SequentialTest], truth: str, seed: int) -> float:
    rng = random.Random(seed)
    return sum(test(rng).decision not in (truth, "undecided") for _ in range(RUNS)) / RUNS


@pytest.mark.parametrize("share", [0.05, 0.3, 0.5, 0.8, 0.95])
@pytest.mark.parametrize("population", [None, 300])
def test_looked_at_after_every_case_the_error_is_at_most_half_of_alpha(share: float, population: int | None) -> None:
    """The worst truth is the value itself: whatever is decided about it is wrong one way."""

    def at_the_value(rng: random.Random) -> SequentialTest:
        if population is None:
            values = [float(rng.random() < share) for _ in range(300)]
        else:
            values = [float(place < share * population) for place in range(population)]
            rng.shuffle(values)
        return sequential_test(values, ">=", share, alpha=0.2, population=population)

    assert wrong(at_the_value, "fails", 1) <= allowed(0.1)
    assert wrong(at_the_value, "passes", 2) <= allowed(0.1)


def test_so_it_is_for_scores_between_and_for_clusters() -> None:
    def clustered(rng: random.Random) -> SequentialTest:
        values, clusters = [], []
        for cluster in range(60):
            size = 1 + 8 * (cluster % 10 == 0)
            share = rng.choice((0.0, 0.5, 1.0))  # the same in all of its cases, nearly
            values += [float(rng.random() < share) for _ in range(size)]
            clusters += [cluster] * size
        return sequential_test(values, ">=", 0.5, alpha=0.2, clusters=clusters)

    def graded(rng: random.Random) -> SequentialTest:
        return sequential_test([rng.betavariate(2, 1) for _ in range(200)], ">=", 2 / 3, alpha=0.2)

    for each in (clustered, graded):
        assert wrong(each, "fails", 3) <= allowed(0.1)
        assert wrong(each, "passes", 4) <= allowed(0.1)


def test_so_it_is_for_differences_of_pairs() -> None:
    def paired(rng: random.Random) -> SequentialTest:
        pairs = [rng.choices((-1.0, 0.0, 1.0), (0.12, 0.78, 0.1))[0] for _ in range(300)]
        return sequential_test(pairs, ">=", -0.02, alpha=0.2, score_range=(-1.0, 1.0))

    assert wrong(paired, "fails", 5) <= allowed(0.1)
    assert wrong(paired, "passes", 6) <= allowed(0.1)


def test_a_clear_case_takes_a_part_of_the_cases() -> None:
    rng = random.Random(7)
    found = [sequential_test([float(rng.random() < 0.9) for _ in range(1000)], ">=", 0.8, every=10) for _ in range(100)]
    assert all(each.decision == "passes" for each in found)
    assert sum(each.values for each in found) / len(found) < 300


def test_evidence_takes_units_one_by_one() -> None:
    from themis.pure.stats.sequence_units import Unit

    evidence = Evidence("<", 0.5, (0.0, 1.0), 0.05)
    assert evidence.decision() == "undecided"
    for _ in range(40):
        evidence.add(Unit(0.0, 0.0))
    assert evidence.decision() == "passes"
    assert ends(evidence.interval())[1] < 0.5
