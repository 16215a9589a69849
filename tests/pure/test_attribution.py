"""Shapley values over drawn cases: what makes them fair, and that cases' parts add up."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from themis.pure.attribution import EXACT, Attribution, SwappedCase, attribute
from themis.pure.errors import DataError

NAMES = ("cases", "prompt", "parser", "metric")


@st.composite
def swapped_cases(draw: st.DrawFn, names: tuple[str, ...] = NAMES) -> SwappedCase:
    factors = tuple(draw(st.lists(st.sampled_from(names), unique=True, max_size=3)))
    count = 1 << len(factors)
    scored = draw(st.lists(st.integers(0, 2), min_size=count, max_size=count))
    scores = draw(st.lists(st.floats(-4, 4), min_size=count, max_size=count))
    return SwappedCase(factors, tuple(score * n for score, n in zip(scores, scored, strict=True)), tuple(scored))


games = st.lists(swapped_cases(), max_size=8).map(lambda cases: [*cases, SwappedCase((), (0.5,), (1,))])


def close(value: float) -> object:
    return pytest.approx(value, abs=1e-9)


@given(games)
def test_shares_sum_to_the_difference(cases: list[SwappedCase]) -> None:
    found = attribute(cases)
    assert sum(found.shares.values()) == close(found.mean_b - found.mean_a)


@given(games)
def test_a_factor_has_as_much_as_its_cases(cases: list[SwappedCase]) -> None:
    found = attribute(cases)
    for factor, share in found.shares.items():
        parts = (
            of_case[case.factors.index(factor)]
            for case, of_case in zip(cases, found.cases, strict=True)
            if factor in case.factors
        )
        assert math.fsum(parts) == close(share)


@given(games, swapped_cases(("prompt",)))
def test_a_factor_that_changes_nothing_has_nothing(cases: list[SwappedCase], last: SwappedCase) -> None:
    idle = SwappedCase(
        ("idle", *last.factors),
        tuple(each for t in last.totals for each in (t, t)),
        tuple(each for n in last.counts for each in (n, n)),
    )
    found = attribute([*cases, idle])
    assert found.shares["idle"] == close(0)
    without = attribute([*cases, last])
    assert {name: found.shares[name] for name in without.shares} == close_to(without)


@given(games)
def test_factors_that_always_do_the_same_have_the_same(cases: list[SwappedCase]) -> None:
    twins = SwappedCase(("left", "right"), (0.0, 1.0, 1.0, 3.0), (1, 1, 1, 2))
    found = attribute([*cases, twins])
    assert found.shares["left"] == close(found.shares["right"])


@given(games)
def test_a_share_is_the_mean_over_all_orders(cases: list[SwappedCase]) -> None:
    found = attribute(cases)
    names = list(found.shares)
    sums = dict.fromkeys(names, 0.0)
    for order in itertools.permutations(names):
        swapped: set[str] = set()
        before = mean_of(cases, swapped, found)
        for name in order:
            swapped.add(name)
            after = mean_of(cases, swapped, found)
            sums[name] += after - before
            before = after
    assert dict(found.shares) == {name: close(each / math.factorial(len(names))) for name, each in sums.items()}


@given(games)
def test_the_other_way_round_shares_are_the_same_with_the_other_sign(cases: list[SwappedCase]) -> None:
    back = [SwappedCase(case.factors, case.totals[::-1], case.counts[::-1]) for case in cases]
    found, reverse = attribute(cases), attribute(back)
    assert {name: -share for name, share in reverse.shares.items()} == close_to(found)


@settings(max_examples=1)
@given(st.just(EXACT + 1))
def test_of_very_many_factors_orders_are_drawn(count: int) -> None:
    cases = [SwappedCase((f"f{n}",), (0.0, float(n)), (1, 1)) for n in range(count)]
    found = attribute(cases)
    assert not found.is_exact
    assert found.shares == {f"f{n}": close(n / count) for n in range(count)}
    assert found == attribute(cases)


def test_a_mean_of_nothing_is_refused() -> None:
    with pytest.raises(DataError, match="a mean of no scores"):
        attribute([SwappedCase(("cases",), (0.0, 1.0), (0, 1))])


def close_to(found: Attribution) -> dict[str, object]:
    return {name: close(share) for name, share in found.shares.items()}


def mean_of(cases: list[SwappedCase], swapped: set[str], found: Attribution) -> float:
    places = [sum(1 << number for number, name in enumerate(case.factors) if name in swapped) for case in cases]
    totals = math.fsum(case.totals[place] for case, place in zip(cases, places, strict=True))
    return totals / sum(case.counts[place] for case, place in zip(cases, places, strict=True))
