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


def test_what_is_not_known_does_not_pass() -> None:
    comparison = compared([0.5], [0.9])
    assert "one pair has no spread" in check_regression(parse_regression_gate("m"), comparison).reason
    assert not check_regression(parse_regression_gate("m"), comparison).passed
    assert "not compared; compared: m" in check_regression(parse_regression_gate("x"), comparison).reason
    assert check_regression(parse_regression_gate("m"), compared([0.5, 0.7], [0.5, 0.7])).passed
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
    assert "0.699" in on_interval.reason


@pytest.mark.parametrize("text", ["", ":0.1", "m:-1", "m:inf", "m:nan"])
def test_a_gate_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(SpecError, match="is no gate"):
        parse_regression_gate(text)


@pytest.mark.parametrize("text", ["m", "m>=", ">=1", "m>=x", "m>1", "m>=nan"])
def test_a_requirement_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(SpecError, match="METRIC>=X"):
        parse_requirement_gate(text)
