"""Law 11, second half: missing never flatters, and a decision that missing scores could overturn does not pass.

Scores are taken out of score tables, and every completion of them is tried: for 0/1 scores all, for graded ones both
ends of the range and values within. What was decided without them must hold with each.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, TypeVar

from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

from themis.pure.stats import (
    Estimate,
    PairedMethod,
    RegressionGate,
    RequirementGate,
    RunComparison,
    check_regression,
    check_requirement,
    equivalence,
    estimate_mean,
    estimate_pass_at_k,
    paired_compare,
)
from themis.pure.stats.pairs import CaseScores, compare_cases
from themis.pure.stats.records import Interval
from themis.pure.stats.several import Ballots, describe_several, figures_by_case

T = TypeVar("T")
Table = list[tuple[str, float | None]]
"""Rows of a run: case key and score."""

BINARY = (0.0, 1.0)
GRADED = (0.0, 0.3, 0.5, 1.0)
BASES = st.sampled_from(["interval", "mean"])
CORRECTIONS = st.sampled_from(["CR1", "CR2"])
MARGINS = st.sampled_from([0.0, 0.05, 0.2, 0.4, 0.6, 0.9, 1.2])


def completions(values: Sequence[float | None], choices: Sequence[float]) -> Iterator[list[float]]:
    holes = [place for place, value in enumerate(values) if value is None]
    for fill in itertools.product(choices, repeat=len(holes)):
        found = dict(zip(holes, fill, strict=True))
        yield [found[place] if value is None else value for place, value in enumerate(values)]


@st.composite
def with_holes(draw: st.DrawFn, values: Sequence[float], most: int = 4) -> list[float | None]:
    holes = draw(st.sets(st.integers(0, len(values) - 1), min_size=1, max_size=min(most, len(values) - 1)))
    return [None if place in holes else value for place, value in enumerate(values)]


@st.composite
def columns(draw: st.DrawFn) -> tuple[list[float | None], Sequence[float], list[int] | None]:
    """Scores with holes, what a hole could be, and clusters."""
    choices = draw(st.sampled_from([BINARY, GRADED]))
    mostly = draw(st.sampled_from(choices))
    values = draw(st.lists(st.sampled_from(choices) | st.just(mostly), min_size=2, max_size=12))
    clusters = draw(st.none() | st.lists(st.integers(0, 4), min_size=len(values), max_size=len(values)))
    holed = draw(with_holes(values))
    known = [value for value in holed if value is not None]
    # Of scores that are all 0 or 1, a missing one is taken to be so, too.
    return holed, BINARY if all(value in BINARY for value in known) else GRADED, clusters


def assert_encloses(bound: Interval | None, found: Interval) -> None:
    """What is bounded is defined, and lies within."""
    if bound is not None and bound.low is not None and bound.high is not None:
        assert found.low is not None, (bound, found)
        assert found.high is not None
        assert bound.low <= found.low
        assert found.high <= bound.high


@settings(max_examples=150, deadline=None)
@given(
    columns(), CORRECTIONS, BASES, st.sampled_from([">=", ">", "<=", "<"]), st.sampled_from([i / 20 for i in range(21)])
)
def test_a_requirement_that_passes_passes_whatever_is_missing(
    column: tuple[list[float | None], Sequence[float], list[int] | None],
    correction: Any,
    basis: Any,
    operator: Any,
    value: float,
) -> None:
    values, choices, clusters = column
    estimate = estimate_mean(values, metric_id="m", clusters=clusters, correction=correction)
    gate = RequirementGate(metric_id="m", operator=operator, value=value, basis=basis)
    result = check_requirement(gate, {"m": estimate})
    event(f"passed: {result.passed}, {basis}")
    assert "are not scored" in result.reason
    for whole in completions(values, choices):
        complete = estimate_mean(whole, metric_id="m", clusters=clusters, correction=correction)
        assert_encloses(estimate.interval_if_missing, complete.interval)
        assert estimate.if_missing_wrong is not None
        assert estimate.if_missing_right is not None
        assert complete.mean is not None
        assert estimate.if_missing_wrong - 1e-12 <= complete.mean <= estimate.if_missing_right + 1e-12
        if result.passed:
            assert check_requirement(gate, {"m": complete}).passed


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from(BINARY), min_size=3, max_size=3), min_size=2, max_size=5).flatmap(
        lambda cases: with_holes([value for case in cases for value in case])
    ),
    st.integers(1, 3),
    st.booleans(),
    st.none() | st.just("halves"),
)
def test_no_missing_answer_moves_pass_at_k_or_maj_at_k_past_its_bounds(
    values: list[float | None], k: int, every: bool, clustered: str | None
) -> None:
    count = len(values) // 3
    clusters = [case % 2 for case in range(count)] if clustered else None

    def passed(scores: Sequence[float | None]) -> Estimate:
        kept = [[v for v in scores[3 * case : 3 * case + 3] if v is not None] for case in range(count)]
        problems = [(len(each), int(sum(each))) for each in kept]
        return estimate_pass_at_k(problems, k, every=every, planned=[3] * count, clusters=clusters)

    def majority(scores: Sequence[float | None]) -> Estimate:
        # Answers are told apart by their score; what is missing could be a third answer, which is wrong.
        ballots = Ballots(3, (k,))
        for case in range(count):
            part = scores[3 * case : 3 * case + 3]
            ballots.add([None if v is None else str(v).encode() for v in part], [v is None for v in part])
        return describe_several(scores, ballots, clusters=clusters).majority[0]

    for figure in (passed, majority):
        estimate = figure(values)
        for whole in completions(values, BINARY):
            complete = figure(whole)
            assert_encloses(estimate.interval_if_missing, complete.interval)
            if estimate.if_missing_wrong is not None and estimate.if_missing_right is not None:
                assert complete.mean is not None
                assert estimate.if_missing_wrong - 1e-12 <= complete.mean <= estimate.if_missing_right + 1e-12


@st.composite
def runs(draw: st.DrawFn) -> tuple[list[float], list[float], Sequence[float], int]:
    """Two runs' scores, what a score could be, and the answers of a case."""
    choices = draw(st.sampled_from([BINARY, GRADED]))
    if draw(st.booleans()):  # far enough apart for a decision
        size = draw(st.integers(9, 12))
        near = [
            draw(st.lists(st.sampled_from([mostly] * 9 + [*choices]), min_size=size, max_size=size))
            for mostly in BINARY
        ]
        return near[0], near[1], choices, 1
    answers = draw(st.sampled_from([1, 1, 1, 2]))
    a = draw(st.lists(st.sampled_from(choices), min_size=4 * answers, max_size=8 * answers))
    a = a[: len(a) // answers * answers]
    b = draw(
        st.just(a) | st.just([1.0] * len(a)) | st.lists(st.sampled_from(choices), min_size=len(a), max_size=len(a))
    )
    return a, b, choices, answers


@settings(max_examples=120, deadline=None)
@given(runs(), st.data(), CORRECTIONS, BASES, MARGINS)
def test_a_comparison_that_passes_passes_whatever_is_missing(
    both: tuple[list[float], list[float], Sequence[float], int],
    data: st.DataObject,
    correction: Any,
    basis: Literal["interval", "mean"],
    margin: float,
) -> None:
    a, b, _, answers = both
    holed = data.draw(with_holes([*a, *b], most=3))
    cases = len(a) // answers
    removed, added = (data.draw(st.none() | st.integers(0, cases - 1)) for _ in range(2))
    assume(removed is None or removed != added)
    clusters = data.draw(st.none() | st.just({f"c{case}": f"g{case % 3}" for case in range(cases)}))
    method = PairedMethod(correction=correction)
    places = [(run, case) for run in ("a", "b") for case in range(cases) for _ in range(answers)]
    gone = {("b", removed), ("a", added)}
    known = [None if place in gone else value for place, value in zip(places, holed, strict=True)]
    assume(sum(value is None for value in known) <= 4 and any(value is not None for value in known))
    choices = BINARY if all(value in BINARY for value in known if value is not None) else (0.0, 0.5, 1.0)

    def tables(values: Sequence[float | None], without: set[tuple[str, int | None]]) -> tuple[Table, Table]:
        rows: dict[str, Table] = {"a": [], "b": []}
        for (run, case), value in zip(places, values, strict=True):
            if (run, case) not in without:
                rows[run].append((f"c{case}", value))
        return rows["a"], rows["b"]

    found = paired_compare(*tables(known, gone), metric_id="m", clusters=clusters, method=method)
    left_out = found.if_left_out or found.if_missing
    assume(found.difference is not None and left_out is not None)
    gate = RegressionGate(metric_id="m", margin=margin, basis=basis)
    passed = check_regression(gate, RunComparison(comparisons=(found,))).passed
    unmatched = removed is not None or added is not None
    same = equivalence(found, margin=margin).equivalent if margin and not unmatched else None
    decided = found.if_missing is not None and found.if_missing.holds and not unmatched
    event(f"gate {passed}, equivalent {same}, significant {found.significant}, holds {decided}")
    for whole in completions(known, choices):
        complete = paired_compare(*tables(whole, set()), metric_id="m", clusters=clusters, method=method)
        assert left_out is not None
        assert_encloses(left_out.interval, complete.interval)
        assert complete.difference is not None
        if left_out.lowest is not None and left_out.highest is not None:
            assert left_out.lowest - 1e-12 <= complete.difference <= left_out.highest + 1e-12
        if passed:
            assert check_regression(gate, RunComparison(comparisons=(complete,))).passed
        if same:
            assert equivalence(complete, margin=margin).equivalent
        if decided:
            assert found.difference is not None
            assert complete.significant
            assert complete.difference * found.difference > 0.0


@settings(max_examples=60, deadline=None)
@given(st.integers(12, 40), st.sampled_from([BINARY, GRADED]), st.data(), st.sampled_from([0.05, 0.1, 0.15, 0.2, 0.3]))
def test_runs_that_are_equivalent_are_so_whatever_is_missing(
    size: int, choices: Sequence[float], data: st.DataObject, margin: float
) -> None:
    a = [choices[case % len(choices)] for case in range(size)]
    moved = data.draw(st.sets(st.integers(0, size - 1), max_size=2))
    b = data.draw(with_holes([choices[0] if case in moved else value for case, value in enumerate(a)], most=3))

    def compared(values: Sequence[float | None]) -> Any:
        rows = [[(f"c{case}", value) for case, value in enumerate(run)] for run in (a, values)]
        return equivalence(paired_compare(rows[0], rows[1]), margin=margin)

    found = compared(b)
    overturned = False
    for whole in completions(b, choices):
        complete = compared(whole)
        assert_encloses(found.interval_if_missing, complete.interval)
        overturned |= not complete.equivalent
    event(f"equivalent: {found.equivalent}, without the missing ones {(found.p_value or 1.0) <= 0.05}")
    assert not (found.equivalent and overturned)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(3, 4).flatmap(
        lambda cases: st.lists(st.sampled_from(BINARY), min_size=4 * cases, max_size=4 * cases).flatmap(
            lambda values: with_holes(values, most=4)
        )
    ),
    st.integers(1, 2),
)
def test_a_paired_figure_of_several_answers_is_bounded_too(values: list[float | None], k: int) -> None:
    cases = len(values) // 4
    keys = [f"c{case}" for case in range(cases)]

    def figures(scores: Sequence[float | None], run: int) -> Mapping[str, CaseScores]:
        part = [scores[4 * case + 2 * run + answer] for case in range(cases) for answer in range(2)]
        ballots = Ballots(2, (k,))
        for case in range(cases):
            pair = part[2 * case : 2 * case + 2]
            ballots.add([None if v is None else str(v).encode() for v in pair], [v is None for v in pair])
        return figures_by_case(part, ballots, keys)

    a, b = figures(values, 0), figures(values, 1)
    found = {name: compare_cases(a[name], b[name], metric_id=name, label_a="a", label_b="b") for name in a}
    for whole in completions(values, BINARY):
        a, b = figures(whole, 0), figures(whole, 1)
        for name, each in found.items():
            complete = compare_cases(a[name], b[name], metric_id=name, label_a="a", label_b="b")
            if each.if_missing is None:
                continue
            if each.difference is not None:
                assert_encloses(each.if_missing.interval, complete.interval)
            if each.if_missing.lowest is not None and each.if_missing.highest is not None:
                assert complete.difference is not None
                assert each.if_missing.lowest - 1e-12 <= complete.difference <= each.if_missing.highest + 1e-12


def test_a_run_that_failed_on_the_cases_that_it_would_lose_does_not_pass() -> None:
    base = [(f"c{i}", float(i < 180)) for i in range(200)]
    new = [(f"c{i}", 1.0 if i < 100 else None) for i in range(200)]
    compared = RunComparison(comparisons=(paired_compare(base, new, metric_id="m", label_a="base", label_b="new"),))
    for basis in ("interval", "mean"):
        result = check_regression(RegressionGate(metric_id="m", margin=0.02, basis=basis), compared)
        assert not result.passed
        assert "100 not scored in both runs" in result.reason
    (each,) = compared.comparisons
    assert each.if_missing is not None
    assert (each.if_missing.lowest, each.if_missing.highest) == (-0.4, 0.1)


def test_a_conclusion_that_missing_scores_could_turn_round_does_not_hold() -> None:
    a = [(f"c{i}", float(i >= 8)) for i in range(48)]
    b = [(f"c{i}", 1.0 if i < 8 else None) for i in range(48)]
    compared = paired_compare(a, b)
    assert compared.significant
    assert compared.if_missing is not None
    assert compared.if_missing.lowest == -32 / 48
    assert compared.if_missing.test.p_value is not None
    assert compared.if_missing.test.p_value < 0.05
    assert compared.if_missing.holds is False
