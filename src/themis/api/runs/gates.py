"""Gates: read and checked before anything is paid for, decided when a run is done, written as JUnit XML for CI."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import quoteattr

from themis.api.runs.report import result_rows
from themis.api.runs.result import RunResult
from themis.pure.errors import SpecError, listed, nearest
from themis.pure.records.results import RunStatus
from themis.pure.records.snapshot import RunSnapshot
from themis.pure.stats.gates import (
    Basis,
    GateResult,
    RegressionGate,
    RequirementGate,
    check_regression,
    check_requirement,
    parse_regression_gate,
    parse_requirement_gate,
)
from themis.pure.stats.records import RunComparison


def read_gates(texts: Sequence[str], basis: Basis, metric_ids: Sequence[str]) -> tuple[RequirementGate, ...]:
    """Return a run's gates from text.

    Args:
        texts: each `METRIC>=X`; `builtin/` before the metric's name may be left out.
        basis: what must reach X: the lower end of the interval, or the mean.
        metric_ids: the run's metrics.

    Raises:
        SpecError: a text that is no gate, or a metric that the run does not have; all at once.

    >>> [str(gate) for gate in read_gates(["exact_match>=0.8"], "mean", ["builtin/exact_match"])]
    ['builtin/exact_match>=0.8']
    """
    gates, faults = [], []
    for text in texts:
        try:
            gate = parse_requirement_gate(text, basis)
            gates.append(gate.evolve(metric_id=full_name(gate.metric_id, metric_ids)))
        except SpecError as error:
            faults.append(str(error))
    if faults:
        raise SpecError(listed("a gate can't be checked", faults))
    return tuple(gates)


def read_regression_gates(texts: Sequence[str], a: RunSnapshot, b: RunSnapshot) -> tuple[RegressionGate, ...]:
    """Return the gates of a comparison from text.

    Args:
        texts: each `METRIC` or `METRIC:MARGIN`; `builtin/` before the metric's name may be left out.
        a: the first run.
        b: the second run.

    Raises:
        SpecError: a text that is no gate, or a metric that not both runs have; all at once.
    """
    in_b = {ref.component_id for ref in b.component_refs.metrics}
    shared = [ref.component_id for ref in a.component_refs.metrics if ref.component_id in in_b]
    gates, faults = [], []
    for text in texts:
        try:
            gate = parse_regression_gate(text)
            gates.append(gate.evolve(metric_id=full_name(gate.metric_id, shared)))
        except SpecError as error:
            faults.append(str(error))
    if faults:
        raise SpecError(listed("a gate can't be checked", faults))
    return tuple(gates)


def check_regressions(gates: Sequence[RegressionGate], comparison: RunComparison) -> tuple[GateResult, ...]:
    """Return what became of each gate of a comparison."""
    return tuple(check_regression(gate, comparison) for gate in gates)


def full_name(metric: str, metric_ids: Sequence[str]) -> str:
    """Return the id of the metric that is meant.

    Raises:
        SpecError: there is none; names the nearest.
    """
    for name in (metric, f"builtin/{metric}"):
        if name in metric_ids:
            return name
    raise SpecError(f"there is no metric {metric!r}; {nearest(metric, metric_ids)}")


def check_gates(gates: Sequence[RequirementGate], result: RunResult) -> tuple[GateResult, ...]:
    """Return what became of each gate."""
    if not gates:
        return ()
    estimates = {row.metric_id: row.estimate for row in result_rows(result)}
    return tuple(check_requirement(gate, estimates) for gate in gates)


# --- JUnit XML --------------------------------------------------------------------------------------------


def write_junit(path: Path, name: str, gates: Sequence[GateResult], result: RunResult | None = None) -> None:
    """Write gates as JUnit XML; a run that is not complete is an error in it. Arguments as for `junit_xml`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(junit_xml(name, gates, _incomplete(result) if result is not None else None), encoding="utf-8")


def _incomplete(result: RunResult) -> str:
    if result.status == RunStatus.COMPLETED:
        return ""
    done = result.progress
    why = f" ({result.error_message})" if result.error_message else ""
    return (
        f"{result.status.value}: {done.completed_cases} of {done.total_cases} cases done, {done.failed_cases} with "
        f"errors{why}"
    )


def junit_xml(name: str, gates: Sequence[GateResult], incomplete: str | None = None) -> str:
    """Return gates as JUnit XML, which CI systems show as tests.

    The form is that of the JUnit task of Apache Ant, whose elements all common CI systems read.

    Args:
        name: the suite's name.
        gates: what each came to.
        incomplete: adds a test that the run is complete: why it is not, or empty if it is.
    """
    tests = [] if incomplete is None else [_test(name, "the run is complete", "error", incomplete)]
    tests += [_test(name, gate.gate, "failure", "" if gate.passed else gate.reason) for gate in gates]
    counts = (
        f'tests="{len(tests)}" failures="{sum(not gate.passed for gate in gates)}" errors="{int(bool(incomplete))}"'
    )
    head = f"<testsuites {counts}>\n  <testsuite name={_attribute(name)} {counts}>"
    body = "".join(f"\n{test}" for test in tests)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{head}{body}\n  </testsuite>\n</testsuites>\n'


def _test(suite: str, name: str, kind: str, problem: str) -> str:
    opening = f"    <testcase classname={_attribute(suite)} name={_attribute(name)}"
    if not problem:
        return f"{opening}/>"
    return f"{opening}>\n      <{kind} message={_attribute(problem)}/>\n    </testcase>"


def _attribute(text: str) -> str:
    """Quote text for XML 1.0, which can't hold most control characters at all."""
    return quoteattr("".join(c if c >= " " and c not in "\ufffe\uffff" else " " for c in text))
