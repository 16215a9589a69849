"""Strengths against a likelihood that is written anew, and statsmodels' logit; what has no estimate says why."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from themis.pure.errors import StatisticsError
from themis.pure.stats.bradley_terry import Judgment, PairwiseStrengths, Verdict, bradley_terry

numpy = pytest.importorskip("numpy", reason="numpy holds the design")
optimize = pytest.importorskip("scipy.optimize", reason="SciPy finds the maximum")

VERDICTS: tuple[Verdict, ...] = ("first", "second", "tie")
JUDGMENTS = st.lists(
    st.tuples(st.sampled_from("abcd"), st.sampled_from("abcd"), st.sampled_from(VERDICTS)).filter(
        lambda row: row[0] != row[1]
    ),
    max_size=40,
)


def drawn(cases: int, seed: int, *, ties: bool = True, order: float = 0.0) -> tuple[list[Judgment], list[int]]:
    rng, strengths = random.Random(seed), {"a": 0.8, "b": 0.2, "c": -0.3, "d": -0.7}
    rows: list[Judgment] = []
    keys = []
    for case in range(cases):
        own = {name: strength + rng.gauss(0, 0.4) for name, strength in strengths.items()}
        for pair in itertools.combinations(strengths, 2):
            first, second = pair if rng.random() < 0.5 else pair[::-1]
            weights = [math.exp(own[first] + order), math.exp(own[second])]
            weights.append(math.exp((own[first] + own[second] + order) / 2) if ties else 0.0)
            rows.append((first, second, rng.choices(VERDICTS, weights)[0]))
            keys.append(case)
    return rows, keys


def log_likelihood(at: Sequence[float], rows: Sequence[Judgment], names: Sequence[str]) -> float:
    """Davidson's, with an order effect; `at` holds the strengths, the tie's effect and the order's."""
    total = 0.0
    for first, second, verdict in rows:
        f, s = at[names.index(first)], at[names.index(second)]
        terms = {"first": f + at[-1], "second": s, "tie": at[-2] + (f + s + at[-1]) / 2}
        total += terms[str(verdict)] - math.log(sum(map(math.exp, terms.values())))
    return total


def test_the_estimate_is_where_the_likelihood_is_the_largest() -> None:
    rows, keys = drawn(40, 1, order=0.4)
    found = bradley_terry(rows, clusters=keys, order_effect=True)
    names = sorted(each.name for each in found.strengths)
    best = optimize.minimize(
        lambda at: -log_likelihood(at, rows, names) + sum(at[:4]) ** 2, numpy.zeros(6), options={"gtol": 1e-7}
    )
    by_name = {each.name: each.strength for each in found.strengths}
    values = [*(by_name[name] for name in names), found.tie_effect, found.order_effect]
    assert values == pytest.approx(list(best.x), abs=1e-4)
    assert found.log_likelihood == pytest.approx(-best.fun, abs=1e-6)
    assert math.fsum(each.strength or 0.0 for each in found.strengths) == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("clustered", [False, True])
def test_without_ties_it_is_a_logit_with_sandwich_errors(clustered: bool) -> None:
    api: Any = pytest.importorskip("statsmodels.api", reason="statsmodels is the oracle")
    rows, keys = drawn(50, 2, ties=False)
    design, won = numpy.zeros((len(rows), 3)), numpy.zeros(len(rows))
    for place, (first, second, verdict) in enumerate(rows):
        for name, sign in ((first, 1.0), (second, -1.0)):
            if name != "a":
                design[place, "bcd".index(name)] = sign
        won[place] = verdict == "first"
    groups = keys if clustered else list(range(len(rows)))
    oracle = api.Logit(won, design).fit(
        disp=0, cov_type="cluster", cov_kwds={"groups": numpy.array(groups), "use_correction": False}
    )
    found = bradley_terry(rows, clusters=keys if clustered else None)
    count = len(set(groups))
    for each in found.differences[:3]:
        place = "bcd".index(each.name_b)
        assert each.difference == pytest.approx(oracle.params[place], abs=1e-7)
        factor = math.sqrt(count / (count - 1))
        assert each.standard_error == pytest.approx(factor * oracle.bse[place], rel=1e-6)
    assert found.tie_effect is None
    assert found.degrees_of_freedom == count - 1


def is_separated(rows: Sequence[Judgment], *, order_effect: bool) -> bool:
    """Whether parameters exist that give every judgment's own verdict the most, and in one of them more than another.

    Then their multiples make the likelihood grow without end (Albert and Anderson 1984, Biometrika 71, 1-10).
    """
    names = sorted({name for row in rows for name in row[:2]})
    count = len(names)
    ties = any(verdict == "tie" for _, _, verdict in rows)
    seen = [verdict for verdict in VERDICTS if ties or verdict != "tie"]

    def features(first: str, second: str, verdict: str) -> Any:
        row = numpy.zeros(count + 2)
        if verdict == "tie":
            row[names.index(first)] = row[names.index(second)] = 0.5
            row[count], row[count + 1] = 1.0, 0.5
        else:
            row[names.index(first if verdict == "first" else second)] = 1.0
            row[count + 1] = verdict == "first"
        if not order_effect:
            row[count + 1] = 0.0
        return row

    gains = [
        features(first, second, str(verdict)) - features(first, second, other)
        for first, second, verdict in rows
        for other in seen
        if other != verdict
    ]
    if numpy.linalg.matrix_rank(numpy.array(gains)) < count - 1 + ties + order_effect:
        return True  # some parameters can't be told apart
    found = optimize.linprog(
        -sum(gains), A_ub=-numpy.array(gains), b_ub=numpy.zeros(len(gains)), bounds=[(-1, 1)] * (count + 2)
    )
    return bool(-found.fun > 1e-7)


@settings(max_examples=200)
@given(JUDGMENTS, st.booleans())
def test_there_is_an_estimate_exactly_where_no_parameters_separate_the_verdicts(
    rows: list[Judgment], order_effect: bool
) -> None:
    found = bradley_terry(rows, order_effect=order_effect)
    if found.reason is not None:
        assert all(each.strength is None and each.interval.reason == found.reason for each in found.strengths)
        assert found.differences == ()
    if not rows or all(verdict == "tie" for _, _, verdict in rows):
        assert found.reason is not None
        return
    names = {name for row in rows for name in row[:2]}
    reached = {rows[0][0]}
    for _ in names:
        reached |= {x for row in rows if reached & set(row[:2]) for x in row[:2]}
    assert (found.reason is not None) == (reached != names or is_separated(rows, order_effect=order_effect))


@given(JUDGMENTS, st.randoms(use_true_random=False))
def test_order_and_names_do_not_matter(rows: list[Judgment], order: random.Random) -> None:
    other = {"a": "z", "b": "y", "c": "x", "d": "w"}
    renamed: list[Judgment] = [(other[first], other[second], verdict) for first, second, verdict in rows]
    order.shuffle(renamed)
    found, again = bradley_terry(rows), bradley_terry(renamed)
    assert (found.reason is None) == (again.reason is None)
    strengths = {each.name: each for each in again.strengths}
    for each in found.strengths:
        same = strengths[other[each.name]]
        assert (same.wins, same.losses, same.ties) == (each.wins, each.losses, each.ties)
        if each.strength is not None:
            assert same.strength == pytest.approx(each.strength, abs=1e-6)
            assert same.standard_error == pytest.approx(each.standard_error, abs=1e-6)


@given(JUDGMENTS)
def test_whoever_is_shown_first_the_strengths_are_the_same(rows: list[Judgment]) -> None:
    turned: dict[Verdict, Verdict] = {"first": "second", "second": "first", "tie": "tie"}
    swapped: list[Judgment] = [(second, first, turned[v]) for first, second, v in rows if v is not None]
    found, again = bradley_terry(rows), bradley_terry(swapped)
    assert found.reason == again.reason
    for each, same in zip(found.differences, again.differences, strict=True):
        assert same.difference == pytest.approx(each.difference, abs=1e-7)


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([], "0 models with 0 verdicts"),
        ([("a", "b", "tie")] * 3, "every judgment is a tie"),
        ([("a", "b", "first"), ("a", "b", "second"), ("c", "d", "tie"), ("c", "d", "first")], "a, b were never judged"),
        ([("a", "b", "first"), ("a", "b", "tie")], "strengths in equal steps"),
        ([("a", "b", "first")] * 9, "a won every judgment against b"),
        ([("a", "b", "first"), ("b", "a", "first"), ("c", "a", "first")], "c won every judgment against a, b"),
    ],
)
def test_what_has_no_estimate_names_the_models(rows: list[Judgment], reason: str) -> None:
    found = bradley_terry(rows)
    assert reason in str(found.reason)
    assert PairwiseStrengths.from_dict(found.to_dict()) == found


def test_a_place_that_always_wins_has_no_effect() -> None:
    found = bradley_terry([("a", "b", "first"), ("b", "a", "first")] * 10, order_effect=True)
    assert "grows without end" in str(found.reason)


def test_judgments_without_a_verdict_are_counted_and_a_model_is_not_its_own_opponent() -> None:
    found = bradley_terry([("a", "b", "first"), ("b", "a", "first"), ("a", "b", None)])
    assert (found.judgments, found.left_out) == (2, 1)
    assert "1 judgments have no verdict" in found.warnings[0]
    with pytest.raises(StatisticsError, match="another one than its first"):
        bradley_terry([("a", "a", "tie")])
    with pytest.raises(StatisticsError, match="2 of them"):
        bradley_terry([("a", "b", "tie"), ("a", "b", "first")], clusters=[1])
    with pytest.raises(StatisticsError, match="'first' or 'second' or 'tie'"):
        bradley_terry([("a", "b", "a")])  # type: ignore[list-item]  # what is tested
