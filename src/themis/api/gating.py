"""Gates: what a run must reach for CI to pass, as text such as `builtin/exact_match>=0.8`, and as JUnit XML.

A gate on the `interval` asks that the whole 95% interval lies on the right side, so that luck does not pass it; one on
the `mean` asks it of the mean alone. A gate whose figure is not known does not pass.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal
from xml.sax.saxutils import quoteattr

import attrs

from themis.api.reporting import result_rows
from themis.api.results import RunResult
from themis.pure.errors import SpecError, listed, nearest
from themis.pure.records.base import HashableModel
from themis.pure.records.results import RunStatus
from themis.pure.stats.records import Estimate

Basis = Literal["interval", "mean"]

_GATE: Final = re.compile(r"^\s*(?P<metric>\S+?)\s*(?P<sign>>=|<=|>|<)\s*(?P<bound>[-+]?[0-9.]+(?:[eE][-+]?\d+)?)\s*$")
_SIGNS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}


@attrs.frozen(kw_only=True)
class Gate(HashableModel):
    """What one metric must reach.

    Attributes:
        metric_id: the metric.
        sign: `>=`, `>`, `<=` or `<`.
        bound: the figure to reach.
        on: what has to reach it: the whole `interval`, or the `mean`.
    """

    metric_id: str
    sign: str
    bound: float
    on: Basis = "interval"

    def __str__(self) -> str:
        return f"{self.metric_id} {self.sign} {self.bound:g} ({self.on})"


@attrs.frozen(kw_only=True)
class GateOutcome(HashableModel):
    """What became of a gate.

    Attributes:
        gate: the gate as text.
        passed: whether it was passed.
        found: what was found, in words.
    """

    gate: str
    passed: bool
    found: str

    def __str__(self) -> str:
        return f"{'PASSED' if self.passed else 'FAILED'} {self.gate}: {self.found}"


def read_gates(texts: Sequence[str], on: Basis, metric_ids: Sequence[str]) -> tuple[Gate, ...]:
    """Return gates from text.

    Args:
        texts: each `METRIC>=X`; `builtin/` before the metric's name may be left out.
        on: what has to reach X.
        metric_ids: the run's metrics.

    Raises:
        SpecError: a text that is no gate, or a metric that the run does not have; all at once.

    >>> [str(gate) for gate in read_gates(["exact_match>=0.8"], "mean", ["builtin/exact_match"])]
    ['builtin/exact_match >= 0.8 (mean)']
    """
    gates, faults = [], []
    for text in texts:
        found = _GATE.match(text)
        if found is None:
            faults.append(f"{text!r}: METRIC>=X expected, such as builtin/exact_match>=0.8")
            continue
        name = found["metric"]
        metric_id = name if name in metric_ids else f"builtin/{name}"
        if metric_id not in metric_ids:
            faults.append(f"{text!r}: the run has no metric {name!r}; {nearest(name, metric_ids)}")
            continue
        gates.append(Gate(metric_id=metric_id, sign=found["sign"], bound=float(found["bound"]), on=on))
    if faults:
        raise SpecError(listed("a gate can't be checked", faults))
    return tuple(gates)


def check_gates(gates: Sequence[Gate], result: RunResult) -> tuple[GateOutcome, ...]:
    """Return what became of each gate."""
    if not gates:
        return ()
    estimates = {row.metric_id: row.estimate for row in result_rows(result)}
    return tuple(check_gate(gate, estimates[gate.metric_id]) for gate in gates)


def check_gate(gate: Gate, estimate: Estimate) -> GateOutcome:
    """Return what became of a gate, given the metric's estimate."""
    low, high = estimate.interval.low, estimate.interval.high
    if estimate.mean is None:
        return GateOutcome(gate=str(gate), passed=False, found=f"none of {estimate.planned} cases was scored")
    mean = f"mean {estimate.mean:.4f} over {estimate.scored} of {estimate.planned} cases"
    reached = _SIGNS[gate.sign]
    if gate.on == "mean":
        return GateOutcome(gate=str(gate), passed=reached(estimate.mean, gate.bound), found=mean)
    if low is None or high is None:
        why = estimate.interval.reason or "it is not defined"
        return GateOutcome(gate=str(gate), passed=False, found=f"{mean}; no interval: {why}")
    nearer = low if gate.sign.startswith(">") else high
    found = f"{estimate.interval.level:.0%} interval {low:.4f} to {high:.4f}, {mean}"
    return GateOutcome(gate=str(gate), passed=reached(nearer, gate.bound), found=found)


def junit_xml(name: str, gates: Sequence[GateOutcome], result: RunResult | None = None) -> str:
    """Return gates as JUnit XML, which CI systems show as tests; a run that is incomplete is an error in it.

    The form is that of the JUnit task of Apache Ant, whose elements all common CI systems read.
    """
    tests = [_test(name, gate.gate, None if gate.passed else ("failure", gate.found)) for gate in gates]
    errors = 0
    if result is not None:
        complete = result.status == RunStatus.COMPLETED
        errors = int(not complete)
        progress = result.progress
        said = f"{result.status.value}: {progress.completed_cases} of {progress.total_cases} cases done, "
        said += f"{progress.failed_cases} failed"
        tests.insert(0, _test(name, "the run is complete", None if complete else ("error", said)))
    failures = sum(not gate.passed for gate in gates)
    counts = f'tests="{len(tests)}" failures="{failures}" errors="{errors}"'
    head = f"<testsuites {counts}>\n  <testsuite name={_attribute(name)} {counts}>"
    body = "\n".join(tests)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{head}\n{body}\n  </testsuite>\n</testsuites>\n'


def _test(suite: str, name: str, problem: tuple[str, str] | None) -> str:
    opening = f"    <testcase classname={_attribute(suite)} name={_attribute(name)}"
    if problem is None:
        return f"{opening}/>"
    kind, message = problem
    return f"{opening}>\n      <{kind} message={_attribute(message)}/>\n    </testcase>"


def _attribute(text: str) -> str:
    """Quote text for XML 1.0, which can't hold most control characters at all."""
    return quoteattr("".join(c if c >= " " and c not in "\ufffe\uffff" else " " for c in text))
