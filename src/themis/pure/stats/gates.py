"""Gates: conditions on a run or a comparison that let a pipeline stop, decided by intervals.

The rule of the room: what is not known does not pass. A metric without scores, a comparison without an interval
and a metric that is not there fail their gate, and say why.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal, TypeAlias

import attrs

from themis.pure.errors import SpecError
from themis.pure.records.base import HashableModel
from themis.pure.stats.records import Estimate, RunComparison
from themis.pure.stats.wording import interval_text, number

Basis: TypeAlias = Literal["interval", "mean"]


@attrs.frozen(kw_only=True)
class RegressionGate(HashableModel):
    """The second run may not score lower than the first by more than `margin`, in score units, 0 or more."""

    metric_id: str
    margin: float = 0.0

    def __str__(self) -> str:
        return f"{self.metric_id}:{self.margin:g}" if self.margin else self.metric_id


@attrs.frozen(kw_only=True)
class RequirementGate(HashableModel):
    """A metric's value must be `at_least`: the lower end of its interval, or its mean."""

    metric_id: str
    at_least: float
    basis: Basis = "interval"

    def __str__(self) -> str:
        return f"{self.metric_id}>={self.at_least:g}"


@attrs.frozen(kw_only=True)
class GateResult(HashableModel):
    """What a gate came to.

    Attributes:
        gate: the condition as it was written.
        passed: whether the run may go on.
        reason: one sentence with the figures that decided.
    """

    gate: str
    passed: bool
    reason: str


def parse_regression_gate(text: str) -> RegressionGate:
    """Read `METRIC` or `METRIC:MARGIN`.

    Raises:
        SpecError: no metric, or a margin that is negative or not finite.

    >>> parse_regression_gate("builtin/exact_match:0.02")
    RegressionGate(metric_id='builtin/exact_match', margin=0.02)
    >>> parse_regression_gate("my.module:metric").metric_id
    'my.module:metric'
    """
    metric, colon, tail = text.rpartition(":")
    margin = _number(tail) if colon else None
    if margin is None:
        metric, margin = text, 0.0
    if not metric.strip() or not margin >= 0.0 or math.isinf(margin):
        raise SpecError(
            f"{text!r} is no gate: METRIC or METRIC:MARGIN expected, with a margin of 0 or more in score units, "
            "as in builtin/exact_match:0.02"
        )
    return RegressionGate(metric_id=metric.strip(), margin=margin)


def parse_requirement_gate(text: str, basis: Basis = "interval") -> RequirementGate:
    """Read `METRIC>=X`.

    Args:
        text: the condition.
        basis: what must reach X: the lower end of the interval, or the mean.

    Raises:
        SpecError: it is not of that form.

    >>> parse_requirement_gate("builtin/exact_match>=0.8", "mean")
    RequirementGate(metric_id='builtin/exact_match', at_least=0.8, basis='mean')
    """
    metric, sign, tail = text.rpartition(">=")
    value = _number(tail)
    if not sign or not metric.strip() or value is None or not math.isfinite(value):
        raise SpecError(f"{text!r} is no requirement: METRIC>=X expected, as in 'builtin/exact_match>=0.8'")
    return RequirementGate(metric_id=metric.strip(), at_least=value, basis=basis)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def check_regression(gate: RegressionGate, comparison: RunComparison) -> GateResult:
    """Tell whether the second run may have lost more than the margin.

    It passes if the whole paired interval of the difference (second minus first) lies at or above minus the
    margin: a run that was too small to tell does not pass. That is a non-inferiority test at half of
    1 - level (Schuirmann 1987).
    """
    compared = next((each for each in comparison.comparisons if each.metric_id == gate.metric_id), None)
    if compared is None:
        known = ", ".join(each.metric_id for each in comparison.comparisons) or "none"
        return _result(gate, f"{gate.metric_id} is not compared; compared: {known}")
    interval, difference = compared.interval, compared.difference
    if difference is not None and compared.pairs > 1 and not (compared.wins or compared.losses):
        # Every pair is a tie: a score that has no variation has no t interval, and lost nothing either.
        return _result(gate, f"all {compared.pairs} pairs are equal", passed=True)
    if interval.low is None or difference is None:
        return _result(gate, f"no interval of the difference: {interval.reason}")
    passed = interval.low >= -gate.margin
    phrase = "is not below" if passed else "is below"
    return _result(
        gate,
        f"{compared.label_b} - {compared.label_a} = {difference:+.4g}, {interval_text(interval)}: the lower end "
        f"{phrase} {number(-gate.margin)}",
        passed=passed,
    )


def check_requirement(gate: RequirementGate, estimates: Mapping[str, Estimate]) -> GateResult:
    """Tell whether a metric reaches its value; missing scores are named in the reason."""
    estimate = estimates.get(gate.metric_id)
    if estimate is None:
        return _result(
            gate, f"{gate.metric_id} is not in the run; it has {', '.join(sorted(estimates)) or 'no metric'}"
        )
    found = estimate.mean if gate.basis == "mean" else estimate.interval.low
    if found is None:
        reason = estimate.undefined.get("mean") if gate.basis == "mean" else estimate.interval.reason
        return _result(gate, f"no {gate.basis}: {reason or 'not defined'}")
    passed = found >= gate.at_least
    figure = f"mean {number(found)}" if gate.basis == "mean" else f"lower end of the {interval_text(estimate.interval)}"
    missing = f"; {estimate.missing} of {estimate.planned} are not scored" if estimate.missing else ""
    return _result(gate, f"{figure} {'reaches' if passed else 'is below'} {gate.at_least:g}{missing}", passed=passed)


def _result(gate: RegressionGate | RequirementGate, reason: str, *, passed: bool = False) -> GateResult:
    return GateResult(gate=str(gate), passed=passed, reason=reason)
