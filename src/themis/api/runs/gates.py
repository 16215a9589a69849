"""Gates: read and checked before anything is paid for, decided when a run is done, written as JUnit XML for CI."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeVar
from xml.etree import ElementTree

from themis.api.runs.compare import shared_answers
from themis.api.runs.report import read_report
from themis.api.runs.result import RunResult
from themis.pure.compilation import whole_name
from themis.pure.errors import SpecError, listed
from themis.pure.records.results import RunStatus
from themis.pure.records.snapshot import RunSnapshot
from themis.pure.report.comparison import incomplete_runs
from themis.pure.report.stopped import NOT_COVERED
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
from themis.pure.stats.records import Estimate, Interval, RunComparison
from themis.pure.stats.several import FIGURES
from themis.pure.text import one_line

G = TypeVar("G", RequirementGate, RegressionGate)


def read_gates(
    texts: Sequence[str], basis: Basis, metric_ids: Sequence[str], answers: int = 1
) -> tuple[RequirementGate, ...]:
    """Return a run's gates from text.

    Args:
        texts: each `METRIC>=X` (or `>`, `<=`, `<`); `builtin/` before the metric's name may be left out. Where a case
            has several answers, the metric may be followed by a figure of theirs: `METRIC:pass@5>=X`,
            `METRIC:pass^5>=X`, `METRIC:maj@5>=X`.
        basis: what must be at or beyond X: the interval in whole, or the mean.
        metric_ids: the run's metrics.
        answers: how many answers each case has.

    Raises:
        SpecError: a text that is no gate, or a metric that the run does not have; all at once.

    >>> [str(gate) for gate in read_gates(["exact_match>=0.8"], "mean", ["builtin/exact_match"])]
    ['builtin/exact_match>=0.8']
    """
    names = [*metric_ids, *_figures(metric_ids, answers)]
    return _read(texts, lambda text: parse_requirement_gate(text, basis), names)


def _figures(metric_ids: Sequence[str], answers: int) -> list[str]:
    ks = range(1, answers + 1) if answers > 1 else ()
    return [f"{metric}:{figure}{k}" for metric in metric_ids for figure in FIGURES for k in ks]


def read_regression_gates(
    texts: Sequence[str], a: RunSnapshot, b: RunSnapshot, basis: Basis = "interval"
) -> tuple[RegressionGate, ...]:
    """Return the gates of a comparison from text.

    Args:
        texts: each `METRIC` or `METRIC:MARGIN`; `builtin/` before the metric's name may be left out. Where both runs
            have several answers a case, `METRIC` may be a figure of theirs, as in `METRIC:pass@5:MARGIN`.
        a: the first run.
        b: the second run.
        basis: what must not be below minus the margin: the lower end of the difference's interval, or the difference.

    Raises:
        SpecError: a text that is no gate, or a metric that not both runs have; all at once.
    """
    in_b = {ref.component_id for ref in b.component_refs.metrics}
    shared = [ref.component_id for ref in a.component_refs.metrics if ref.component_id in in_b]
    names = [*shared, *_figures(shared, shared_answers(a, b))]
    return _read(texts, lambda text: parse_regression_gate(text, basis), names)


def _read(texts: Sequence[str], parse: Callable[[str], G], metric_ids: Sequence[str]) -> tuple[G, ...]:
    gates, faults = [], []
    for text in texts:
        try:
            gate = parse(text)
            gates.append(gate.evolve(metric_id=whole_name(gate.metric_id, metric_ids)))
        except SpecError as error:
            faults.append(str(error))
    if faults:
        raise SpecError(listed("a gate can't be checked", faults))
    return tuple(gates)


def check_regressions(gates: Sequence[RegressionGate], comparison: RunComparison) -> tuple[GateResult, ...]:
    return tuple(check_regression(gate, comparison) for gate in gates)


def check_gates(gates: Sequence[RequirementGate], result: RunResult) -> tuple[GateResult, ...]:
    """Return whether each gate holds."""
    if not gates:
        return ()
    estimates = gated_estimates(gates, result)
    return tuple(check_requirement(gate, estimates) for gate in gates)


def gated_estimates(gates: Sequence[RequirementGate], result: RunResult) -> Mapping[str, Estimate]:
    """Return what gates on a run may decide on, by the names that they use."""
    overview = read_report(result.view, at=ks_of(gates) or None, with_digest=False).overview
    estimates = {row.metric_id: gated(row.estimate) for row in overview.metrics}
    for several in overview.several:
        for estimate in (*several.pass_at, *several.pass_all, *several.majority):
            estimates[f"{several.metric_id}:{estimate.metric_id}"] = gated(estimate)
    return estimates


def gated(estimate: Estimate) -> Estimate:
    """Return what a gate may decide on: an interval that does not cover the stop of a run is none."""
    if NOT_COVERED not in estimate.warnings:
        return estimate
    interval = estimate.interval
    none = Interval(level=interval.level, method=interval.method, reason=NOT_COVERED)
    return estimate.evolve(interval=none, interval_if_missing=none if estimate.missing else None)


def ks_of(gates: Sequence[RequirementGate | RegressionGate]) -> tuple[int, ...]:
    """Return the k of the figures that gates name."""
    return tuple(sorted({int(found[2]) for gate in gates if (found := _FIGURE.search(gate.metric_id))}))


_FIGURE: Final = re.compile(rf":({'|'.join(map(re.escape, FIGURES))})(\d+)$")


def metric_of(gate: RequirementGate) -> str:
    """Return the metric that a gate is about, be it its mean or a figure of several answers."""
    return _FIGURE.sub("", gate.metric_id)


# --- JUnit XML --------------------------------------------------------------------------------------------


def write_junit(
    path: Path,
    name: str,
    gates: Sequence[GateResult],
    result: RunResult | None = None,
    comparison: RunComparison | None = None,
) -> None:
    """Write gates as JUnit XML, which CI systems show as tests.

    The form is that of the JUnit task of Apache Ant, whose elements all common CI systems read.

    Args:
        path: the file to write; its folder is made.
        name: the suite's name.
        gates: the result of each.
        result: adds a test that the run is complete; a run that is not is an error in it.
        comparison: adds the same for both runs.
    """
    incomplete = "" if result is None else _incomplete(result)
    if comparison is not None:
        incomplete = "; ".join(f"{label}: {status}" for label, status in incomplete_runs(comparison))
    title = "the run is complete" if comparison is None else "both runs are complete"
    tests = [] if result is None and comparison is None else [(title, "error", incomplete)]
    tests += [(gate.gate, "failure", "" if gate.passed else gate.reason) for gate in gates]
    failures = sum(not gate.passed for gate in gates)
    counts = {"tests": str(len(tests)), "failures": str(failures), "errors": str(int(bool(incomplete)))}
    root = ElementTree.Element("testsuites", counts)
    suite = ElementTree.SubElement(root, "testsuite", {"name": _allowed(name), **counts})
    for title, kind, problem in tests:
        test = ElementTree.SubElement(suite, "testcase", classname=_allowed(name), name=_allowed(title))
        if problem:
            ElementTree.SubElement(test, kind, message=_allowed(problem))
    ElementTree.indent(root)
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _incomplete(result: RunResult) -> str:
    if result.status == RunStatus.COMPLETED:
        return ""
    done = result.progress
    why = f" ({result.error_message})" if result.error_message else ""
    return (
        f"{result.status.value}: {done.completed_cases} of {done.total_cases} cases done, {done.failed_cases} with "
        f"errors{why}"
    )


def _allowed(text: str) -> str:
    """Return text on one line, without what XML 1.0 can't hold: controls and lone surrogates are written out."""
    return re.sub("[\ufffe\uffff]", " ", one_line(text))
