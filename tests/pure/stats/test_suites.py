"""A suite's gate: three answers, tiers and weights."""

from __future__ import annotations

import itertools
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from themis.pure.stats import estimate_mean
from themis.pure.stats.gates import RequirementGate, check_requirement
from themis.pure.stats.groups import estimate_by_group
from themis.pure.stats.suites import (
    UNKNOWN,
    Answer,
    Requirement,
    Tier,
    all_of,
    decide,
    decide_suite,
    share_of,
    with_missing,
)

ANSWERS: tuple[Answer, ...] = get_args(Answer)
requirements = st.builds(
    Requirement,
    condition=st.just("em>=0.5"),
    reason=st.just(""),
    answer=st.sampled_from(ANSWERS),
    tier=st.sampled_from(get_args(Tier)),
    weight=st.sampled_from([0.5, 1.0, 2.0]),
)


@settings(max_examples=60)
@given(
    st.integers(0, 30),
    st.integers(0, 30),
    st.integers(0, 30),
    st.floats(0, 1).map(lambda x: round(x, 2)),
    st.sampled_from([">=", ">", "<=", "<"]),
    st.sampled_from(["interval", "mean"]),
)
def test_what_passes_or_fails_does_so_whatever_is_missing(
    right: int, wrong: int, missing: int, value: float, operator: str, basis: str
) -> None:
    """A requirement and its opposite never both pass; an answer holds for every score that missing cases could have."""
    gate = RequirementGate(metric_id="em", operator=operator, value=value, basis=basis)  # type: ignore[arg-type]
    scores: list[float | None] = [*[1.0] * right, *[0.0] * wrong]
    answer, reason = decide(gate, {"em": estimate_mean([*scores, *[None] * missing], metric_id="em")})
    assert reason
    if answer == UNKNOWN:
        return
    for filled in {0, missing // 2, missing}:
        whole = [*scores, *[1.0] * filled, *[0.0] * (missing - filled)]
        found = check_requirement(gate, {"em": estimate_mean(whole, metric_id="em")})
        assert found.passed == (answer == "pass")


@given(st.lists(requirements, max_size=6), st.sampled_from([0.0, 0.5, 2 / 3, 1.0]))
def test_a_suite_passes_or_fails_only_if_it_would_however_the_unknown_came_out(
    given_: list[Requirement], share: float
) -> None:
    """Kleene's logic, by its definition: each unknown is tried both ways."""
    decided = decide_suite("row", given_, should=share)
    unknown = [number for number, each in enumerate(given_) if each.answer == UNKNOWN and each.tier != "shown"]
    outcomes = set()
    for ways in itertools.product(("pass", "fail"), repeat=len(unknown)):
        known = list(given_)
        for number, answer in zip(unknown, ways, strict=True):
            known[number] = known[number].evolve(answer=answer)
        outcomes.add(decide_suite("row", known, should=share).answer)
    assert decided.answer == (outcomes.pop() if len(outcomes) == 1 else UNKNOWN)


def test_a_share_is_reached_to_the_last_digit() -> None:
    met = Requirement(condition="a", answer="pass", reason="")
    assert share_of([met, met, met.evolve(answer="fail")], 2 / 3) == "pass"
    assert share_of([], 1.0) == all_of([]) == "pass"


@pytest.mark.parametrize("missing", [0, 5])
def test_a_macro_average_knows_what_missing_scores_could_do(missing: int) -> None:
    values = [*[1.0] * 30, *[0.0] * 10, *[1.0] * 10, *[0.0] * 30, *[None] * missing]
    names = [*["a"] * 40, *["b"] * (40 + missing)]
    macro = with_missing(estimate_by_group(values, names).macro)
    assert macro.mean == 0.5
    assert (macro.interval_if_missing is None) == (missing == 0)
    if macro.interval_if_missing is not None:
        assert macro.interval_if_missing.low is not None
        assert macro.interval_if_missing.high is not None
        assert macro.interval.low is not None
        assert macro.interval.high is not None
        assert macro.interval_if_missing.low < macro.interval.low < macro.interval.high < macro.interval_if_missing.high
        answer, _ = decide(RequirementGate(metric_id="macro", value=macro.interval.low), {"macro": macro})
        assert answer == UNKNOWN
