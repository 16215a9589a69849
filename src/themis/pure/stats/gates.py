"""Gates: conditions on a run or a comparison that let a pipeline stop.

The rule of the room: what is not known does not pass. Where scores are missing, the figure that decides is the worst
that they could make of it, so that a gate that passes passes however they turn out; a metric without scores, a figure
that is not defined and a metric that is not there fail their gate, and say why.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from typing import Final, Literal, TypeAlias

import attrs

from themis.pure.errors import StatisticsError
from themis.pure.records.base import HashableModel
from themis.pure.records.stopping import Operator as Operator
from themis.pure.records.stopping import read_condition
from themis.pure.stats.arguments import Size, check_fields, checked_arguments
from themis.pure.stats.records import Estimate, Interval, MissingPairs, PairedComparison, RunComparison
from themis.pure.stats.wording import interval_text, number

Basis: TypeAlias = Literal["interval", "mean"]

_HOLDS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    ">=": operator.ge,
    ">": operator.gt,
    "<=": operator.le,
    "<": operator.lt,
}


@attrs.frozen(kw_only=True)
class RegressionGate(HashableModel):
    """The second run may not score lower than the first by more than `margin`, in score units, 0 or more.

    What decides is the lower end of the interval of the difference; or the difference of the means, which a worse run
    passes half of the time where its true loss is the margin.
    """

    metric_id: str
    margin: Size = 0.0
    basis: Basis = "interval"

    def __attrs_post_init__(self) -> None:
        check_fields(self)

    def __str__(self) -> str:
        return f"{self.metric_id}:{self.margin:g}" if self.margin else self.metric_id


@attrs.frozen(kw_only=True)
class RequirementGate(HashableModel):
    """A metric's interval in whole, or its mean, must be at or above `value`, above it, at or below it, or below it."""

    metric_id: str
    operator: Operator = ">="
    value: float
    basis: Basis = "interval"

    def __attrs_post_init__(self) -> None:
        check_fields(self)

    def __str__(self) -> str:
        return f"{self.metric_id}{self.operator}{self.value:g}"


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


@checked_arguments
def parse_regression_gate(text: str, basis: Basis = "interval") -> RegressionGate:
    """Read `METRIC` or `METRIC:MARGIN`.

    Args:
        text: the condition.
        basis: what must not be below minus the margin: the lower end of the difference's interval, or the difference.

    Raises:
        StatisticsError: no metric, or a margin that is negative or not finite.

    >>> parse_regression_gate("builtin/exact_match:0.02").margin
    0.02
    >>> parse_regression_gate("my.module:metric").metric_id
    'my.module:metric'
    """
    metric, colon, tail = text.rpartition(":")
    margin = _number(tail) if colon else None
    if margin is None:
        metric, margin = text, 0.0
    if not metric.strip() or not margin >= 0.0 or math.isinf(margin):
        raise StatisticsError(
            f"{text!r} is no gate: METRIC or METRIC:MARGIN expected, with a margin of 0 or more in score units, "
            "as in builtin/exact_match:0.02"
        )
    return RegressionGate(metric_id=metric.strip(), margin=margin, basis=basis)


@checked_arguments
def parse_requirement_gate(text: str, basis: Basis = "interval") -> RequirementGate:
    """Read `METRIC>=X`, or the same with `>`, `<=` or `<`.

    Args:
        text: the condition.
        basis: what must be at or beyond X: the interval in whole, or the mean.

    Raises:
        StatisticsError: it is not of that form.

    >>> gate = parse_requirement_gate("builtin/exact_match>=0.8", "mean")
    >>> gate.metric_id, gate.operator, gate.value, gate.basis
    ('builtin/exact_match', '>=', 0.8, 'mean')
    """
    found = read_condition(text)
    if found is None:
        raise StatisticsError(
            f"{text!r} is no requirement: METRIC>=X (or >, <=, <) expected, as in 'builtin/exact_match>=0.8'"
        )
    metric, relation, value = found
    return RequirementGate(metric_id=metric, operator=relation, value=value, basis=basis)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


# --- one run ----------------------------------------------------------------------------------------------


@checked_arguments
def check_requirement(gate: RequirementGate, estimates: Mapping[str, Estimate]) -> GateResult:
    """Tell whether a metric is where it must be, whatever its missing scores are.

    For `>=` and `>` the lower end of the interval decides, for `<=` and `<` the upper one; or the mean. Missing scores
    count as what is worst for the gate: of all intervals that they could make, the one with the worst end decides.
    """
    estimate = estimates.get(gate.metric_id)
    if estimate is None:
        return _result(
            gate, f"{gate.metric_id} is not in the run; it has {', '.join(sorted(estimates)) or 'no metric'}"
        )
    upward = gate.operator.startswith(">")
    interval = estimate.interval
    if estimate.missing or estimate.interval_if_missing is not None:
        interval = estimate.interval_if_missing or Interval(level=interval.level, method=interval.method)
    if gate.basis == "mean":
        found = estimate.if_missing_wrong if upward else estimate.if_missing_right
        reason = estimate.undefined.get("if_missing_wrong" if upward else "if_missing_right")
    else:
        found = interval.low if upward else interval.high
        reason = interval.reason
    if estimate.mean is None:
        found, reason = None, estimate.undefined.get("mean")
    missing = _missing_text(estimate, gate, upward=upward)
    if found is None:
        return _result(gate, f"no {gate.basis}: {reason or 'not defined'}{missing}")
    passed = _HOLDS[gate.operator](found, gate.value)
    end = f"{'lower' if upward else 'upper'} end of the {interval_text(interval)}"
    figure = f"mean {number(found)}" if gate.basis == "mean" else end
    return _result(gate, f"{figure} {_phrase(gate, passed=passed)} {gate.value:g}{missing}", passed=passed)


def _phrase(gate: RequirementGate, *, passed: bool) -> str:
    if gate.operator == ">=":
        return "reaches" if passed else "is below"
    if gate.operator == "<=":
        return "is not above" if passed else "is above"
    return f"is {'' if passed else 'not '}{'above' if gate.operator == '>' else 'below'}"


def _missing_text(estimate: Estimate, gate: RequirementGate, *, upward: bool) -> str:
    if not estimate.missing and estimate.interval_if_missing is None:
        return ""
    named = f"{estimate.missing} of {estimate.planned} are not scored" if estimate.missing else "some are not scored"
    if estimate.mean is None:
        return f"; {named}"
    if estimate.if_missing_wrong is None:
        return f"; {named}, and what they could be is not known, as {_DECLARE_RANGE}"
    seen = estimate.interval.low if upward else estimate.interval.high
    figure = estimate.mean if gate.basis == "mean" else seen
    without = "" if figure is None else f" (without them it is {number(figure)})"
    return f"; {named}, and count as {'lowest' if upward else 'highest'}{without}"


_DECLARE_RANGE: Final = "some scores lie outside 0 to 1: declare the metric's score_range, as in score_range = (1, 5)"


# --- two runs ---------------------------------------------------------------------------------------------


@checked_arguments
def check_regression(gate: RegressionGate, comparison: RunComparison) -> GateResult:
    """Tell whether the second run may have lost more than the margin.

    It passes if the whole paired interval of the difference (second minus first) lies at or above minus the
    margin: a run that was too small to tell does not pass. That is a non-inferiority test at half of
    1 - level (Schuirmann 1987). Every pair that was left out counts as what is worst for the gate: a case without a
    score in one of the runs, one that only one of them has, and one whose content differs between them. If none was
    and no score differs, nothing was lost, and it passes.
    """
    compared = next((each for each in comparison.comparisons if each.metric_id == gate.metric_id), None)
    if compared is None:
        known = ", ".join(each.metric_id for each in comparison.comparisons) or "none"
        return _result(gate, f"{gate.metric_id} is not compared; compared: {known}")
    left_out = compared.if_left_out or compared.if_missing
    interval = compared.interval if left_out is None else left_out.interval
    if compared.difference is None:
        return _result(gate, f"no difference: {compared.undefined.get('difference', 'not defined')}")
    if left_out is None and compared.pairs > 1 and compared.ties == compared.pairs:
        return _result(gate, f"all {compared.pairs} pairs are equal, and no case was left out", passed=True)
    found = interval.low
    if gate.basis == "mean":
        found = compared.difference if left_out is None else left_out.lowest
    missing = _left_out_text(compared, left_out, gate)
    if found is None:
        kind = "interval of the difference" if gate.basis == "interval" else "difference"
        return _result(gate, f"no {kind}: {interval.reason or 'not defined'}{missing}")
    passed = found >= -gate.margin
    phrase = "is not below" if passed else "is below"
    observed = f"{compared.label_b} - {compared.label_a} = {compared.difference:+.4g}"
    if gate.basis == "mean":
        figure = observed if left_out is None else f"{observed}, at the lowest {found:+.4g}"
        return _result(gate, f"{figure}: it {phrase} {number(0.0 - gate.margin)}{missing}", passed=passed)
    return _result(
        gate,
        f"{observed}, {interval_text(interval)}: the lower end {phrase} {number(0.0 - gate.margin)}{missing}",
        passed=passed,
    )


def _left_out_text(compared: PairedComparison, left_out: MissingPairs | None, gate: RegressionGate) -> str:
    if left_out is None:
        return ""
    reasons = {
        "not scored in both runs": left_out.pairs - compared.unmatched_a - compared.unmatched_b - 2 * compared.changed,
        f"only in {compared.label_a}": compared.unmatched_a,
        f"only in {compared.label_b}": compared.unmatched_b,
        "changed": compared.changed,
    }
    named = ", ".join(f"{count} {reason}" for reason, count in reasons.items() if count)
    if left_out.lowest is None:
        return f"; cases left out: {named}; what they could be is not known, as {_DECLARE_RANGE}"
    without = "" if gate.basis == "mean" else f" (without them {interval_text(compared.interval)})"
    return f"; cases that count as lost by {compared.label_b}: {named}{without}"


def _result(gate: RegressionGate | RequirementGate, reason: str, *, passed: bool = False) -> GateResult:
    return GateResult(gate=str(gate), passed=passed, reason=reason)
