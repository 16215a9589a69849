"""Gates decide by intervals; what is not known does not pass."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from themis.pure.errors import SpecError
from themis.pure.stats import (
    RunComparison,
    check_regression,
    check_requirement,
    estimate_mean,
    paired_compare,
    parse_regression_gate,
    parse_requirement_gate,
)


def compared(a: list[float], b: list[float]) -> RunComparison:
    rows = [[(f"c{i}", value) for i, value in enumerate(values)] for values in (a, b)]
    return RunComparison(comparisons=(paired_compare(rows[0], rows[1], metric_id="m"),))


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=2, max_size=60), st.floats(0, 1))
def test_a_regression_passes_exactly_if_the_whole_interval_is_above_the_margin(
    pairs: list[tuple[int, int]], margin: float
) -> None:
    comparison = compared([float(a) for a, _ in pairs], [float(b) for _, b in pairs])
    gate = parse_regression_gate(f"m:{margin!r}")
    low = comparison.comparisons[0].interval.low
    assert low is not None
    ties = all(a == b for a, b in pairs)
    assert check_regression(gate, comparison).passed == (low >= -margin or ties)


def test_a_run_with_the_scores_that_there_were_passes_if_no_case_is_left_out() -> None:
    rows = [(f"c{number}", float(number % 2)) for number in range(40)]
    whole = paired_compare(rows, rows, metric_id="m")
    shorter = paired_compare(rows, rows[:-1], metric_id="m")
    missing = paired_compare(rows, [*rows[:-1], ("c39", None)], metric_id="m")
    for text in ("m", "m:0.02"):
        gate = parse_regression_gate(text)
        found = check_regression(gate, RunComparison(comparisons=(whole,)))
        assert found.passed
        assert found.reason == "all 40 pairs are equal, and no case was left out"
        for left_out in (shorter, missing):
            assert not check_regression(gate, RunComparison(comparisons=(left_out,))).passed


def test_what_is_not_known_does_not_pass() -> None:
    comparison = compared([0.5], [0.9])
    assert "one pair has no spread" in check_regression(parse_regression_gate("m"), comparison).reason
    assert not check_regression(parse_regression_gate("m"), comparison).passed
    assert "not compared; compared: m" in check_regression(parse_regression_gate("x"), comparison).reason
    none = estimate_mean([None], metric_id="m")
    assert not check_requirement(parse_requirement_gate("m>=0"), {"m": none}).passed
    assert "is not in the run" in check_requirement(parse_requirement_gate("x>=0"), {"m": none}).reason


def test_a_requirement_is_on_the_interval_or_the_mean_as_told() -> None:
    estimates = {"m": estimate_mean([1.0] * 18 + [0.0] * 2 + [None], metric_id="m")}
    on_mean = check_requirement(parse_requirement_gate("m>=0.85", "mean"), estimates)
    on_interval = check_requirement(parse_requirement_gate("m>=0.85"), estimates)
    assert on_mean.passed
    assert "1 of 21 are not scored" in on_mean.reason
    assert not on_interval.passed
    assert "0.6536" in on_interval.reason
    assert "without them it is 0.699" in on_interval.reason


@pytest.mark.parametrize(
    ("text", "passes_on_mean", "passes_on_interval"),
    [
        ("m>=0.8", True, False),
        ("m>=0.6", True, True),
        ("m>0.8", False, False),
        ("m>0.5", True, True),
        ("m<=0.8", True, False),
        ("m<=0.95", True, True),
        ("m<0.8", False, False),
        ("m < 0.95", True, True),
    ],
)
def test_a_requirement_takes_four_operators(text: str, passes_on_mean: bool, passes_on_interval: bool) -> None:
    estimates = {"m": estimate_mean([1.0] * 40 + [0.0] * 10, metric_id="m")}  # 0.8, 0.67 to 0.8876
    on_mean = check_requirement(parse_requirement_gate(text, "mean"), estimates)
    on_interval = check_requirement(parse_requirement_gate(text), estimates)
    assert (on_mean.passed, on_interval.passed) == (passes_on_mean, passes_on_interval)
    assert on_interval.gate == text.replace(" ", "")
    assert ("upper end" if "<" in text else "lower end") in on_interval.reason


def test_missing_scores_count_against_the_gate_at_either_side() -> None:
    estimates = {"m": estimate_mean([0.0] * 90 + [1.0] * 5 + [None] * 5, metric_id="m")}
    at_most = check_requirement(parse_requirement_gate("m<=0.06", "mean"), estimates)
    assert not at_most.passed
    assert "mean 0.1 is above 0.06; 5 of 100 are not scored, and count as highest (without them it is 0.05263)" in (
        at_most.reason
    )
    assert check_requirement(parse_requirement_gate("m<=0.1", "mean"), estimates).passed


def test_missing_scores_of_no_known_range_pass_nothing() -> None:
    scores = [4.0, 5.0, 3.0, None]
    for basis in ("mean", "interval"):
        gate = parse_requirement_gate("m>=2", basis)
        result = check_requirement(gate, {"m": estimate_mean(scores, metric_id="m")})
        assert not result.passed
        assert "declare the metric's score_range" in result.reason
        assert check_requirement(gate, {"m": estimate_mean(scores, metric_id="m", score_range=(1.0, 5.0))}).passed == (
            basis == "mean"
        )
    a = [(f"c{i}", value) for i, value in enumerate([1.0, 2.0, 3.0])]
    for score_range, passed in ((None, False), ((1.0, 5.0), True)):
        each = paired_compare(a, [*a[:2], ("c2", None)], metric_id="m", score_range=score_range)
        result = check_regression(parse_regression_gate("m:1", "mean"), RunComparison(comparisons=(each,)))
        assert result.passed == passed
        assert ("declare the metric's score_range" in result.reason) != passed


def test_cases_added_removed_and_changed_count_as_lost() -> None:
    a = [(f"c{i}", 1.0) for i in range(20)]
    b = [(f"c{i}", 1.0) for i in range(2, 22)]
    each = paired_compare(a, b, metric_id="m", label_a="a", label_b="b", changed=["c5"])
    assert each.if_missing is None
    assert each.if_left_out is not None
    assert (each.if_left_out.pairs, each.if_left_out.lowest) == (6, -3 / 23)
    result = check_regression(parse_regression_gate("m:0.1", "mean"), RunComparison(comparisons=(each,)))
    assert not result.passed
    assert "cases that count as lost by b: 2 only in a, 2 only in b, 1 changed" in result.reason


@pytest.mark.parametrize("text", ["", ":0.1", "m:-1", "m:inf", "m:nan"])
def test_a_gate_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(SpecError, match="is no gate"):
        parse_regression_gate(text)


@pytest.mark.parametrize("text", ["m", "m>=", ">=1", "m>=x", "m=>1", "m>>1", "m==1", "m>=nan", "m>=inf"])
def test_a_requirement_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(SpecError, match="METRIC>=X"):
        parse_requirement_gate(text)
