"""The gate of a suite: read and checked before anything is paid for, decided from what is stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import attrs

from themis.api.config.study import BenchmarkConfig, GateConfig, StudyConfig
from themis.api.runs.gates import gated, gated_estimates, read_gates
from themis.api.runs.result import RunResult
from themis.api.studies.cells import CellExperiment, benchmarks_of
from themis.pure.compilation import whole_name
from themis.pure.errors import SpecError, listed
from themis.pure.report.stopped import NOT_COVERED
from themis.pure.stats.engine import score_of
from themis.pure.stats.estimates import observed_clusters
from themis.pure.stats.gates import RequirementGate, parse_requirement_gate
from themis.pure.stats.groups import estimate_by_group
from themis.pure.stats.records import Estimate
from themis.pure.stats.suites import UNKNOWN, Requirement, SuiteDecision, decide, decide_suite, with_missing

AVERAGES: Final = ("macro", "micro")


@attrs.frozen(kw_only=True)
class SuiteBenchmark:
    """What a suite knows of one of its benchmarks.

    Attributes:
        config: as it was written.
        metric_id: the metric that counts for averages.
        score_range: of that metric, if it states one.
        requirements: its conditions.
    """

    config: BenchmarkConfig
    metric_id: str
    score_range: tuple[float, float] | None
    requirements: tuple[RequirementGate, ...]


@attrs.frozen(kw_only=True)
class SuiteGate:
    """What several benchmarks together have to reach.

    Attributes:
        benchmarks: by name.
        config: what is asked of them together.
        averages: conditions on `macro` and `micro`.
    """

    benchmarks: Mapping[str, SuiteBenchmark]
    config: GateConfig
    averages: tuple[RequirementGate, ...] = ()

    @property
    def decides(self) -> bool:
        """Whether anything is required."""
        return bool(self.averages) or any(each.requirements for each in self.benchmarks.values())


def read_suite_gate(study: StudyConfig, cells: Sequence[CellExperiment]) -> SuiteGate | None:
    """Return the gate of a study's benchmarks; `None` if it has none of them.

    Raises:
        SpecError: a condition is none, or is about a metric that its benchmark does not have; all at once.
    """
    benchmarks = benchmarks_of(study)
    config = study.gate or GateConfig()
    faults, found, averages = list[str](), dict[str, SuiteBenchmark](), list[RequirementGate]()
    for name, given in benchmarks.items():
        cell = next((cell for cell in cells if cell.cell.at.get("benchmark") == name), None)
        if cell is None:
            continue  # all of its cells are excluded
        metrics = {each.component_id: each for each in cell.experiment.components().metrics}
        try:
            main = whole_name(given.metric, [*metrics]) if given.metric is not None else next(iter(metrics))
            gates = read_gates(given.require, config.basis, [*metrics], cell.experiment.generation.answers_per_case)
        except SpecError as error:
            faults.append(f"benchmarks.{name}: {error}")
            continue
        found[name] = SuiteBenchmark(
            config=given, metric_id=main, score_range=metrics[main].score_range, requirements=gates
        )
    for average in AVERAGES:
        text = getattr(config, average)
        if text is None:
            continue
        try:
            averages.append(parse_requirement_gate(f"{average}{text}", config.basis))
        except SpecError:
            faults.append(f"gate.{average}: a condition such as '>=0.6' expected, found {text!r}")
    if not 0.0 <= config.should <= 1.0:
        faults.append(f"gate.should: a share from 0 to 1 expected, found {config.should:g}")
    if study.gate is not None and not benchmarks:
        faults.append("gate: it is about benchmarks, and the study has none")
    if faults:
        raise SpecError(listed("the study's gate", faults))
    return SuiteGate(benchmarks=found, config=config, averages=tuple(averages)) if found else None


def decide_row(gate: SuiteGate, row: str, runs: Mapping[str, RunResult | None]) -> SuiteDecision:
    """Say what a gate says of one row.

    Args:
        gate: the gate.
        row: what it is called.
        runs: by benchmark; what is not stored is not known.
    """
    requirements = [*_of_benchmarks(gate, runs)]
    macro, micro = _averages(gate, runs)
    for condition in gate.averages:
        estimates = {name: each for name, each in zip(AVERAGES, (macro, micro), strict=True) if each is not None}
        answer, reason = (
            decide(condition, estimates) if estimates else (UNKNOWN, "a benchmark of the suite has no score yet")
        )
        requirements.append(Requirement(condition=str(condition), answer=answer, reason=reason))
    return decide_suite(row, requirements, should=gate.config.should, macro=macro, micro=micro)


def _of_benchmarks(gate: SuiteGate, runs: Mapping[str, RunResult | None]) -> Iterator[Requirement]:
    for name, benchmark in gate.benchmarks.items():
        run, config = runs.get(name), benchmark.config
        estimates = {} if run is None or not benchmark.requirements else gated_estimates(benchmark.requirements, run)
        for condition in benchmark.requirements:
            answer, reason = decide(condition, estimates) if run is not None else (UNKNOWN, "nothing of it is stored")
            yield Requirement(
                benchmark=name,
                condition=str(condition),
                tier=config.tier,
                weight=config.weight,
                answer=answer,
                reason=reason,
            )


def _averages(gate: SuiteGate, runs: Mapping[str, RunResult | None]) -> tuple[Estimate | None, Estimate | None]:
    """Return the macro and the micro average; none where a benchmark has no run: half of a suite is another one."""
    values, categories = list[float | None](), list[str | None]()
    names, keys, is_covered = list[str](), list[str](), True
    for name, benchmark in gate.benchmarks.items():
        run = runs.get(name)
        if run is None:
            return None, None
        is_covered = is_covered and run.snapshot.identity.until is None
        for case in run.view.scored():
            for row in case.rows:
                if row.metric_id == benchmark.metric_id:
                    values.append(score_of(row))
                    names.append(name)
                    keys.append(f"{name}\n{row.case_key}")
                    categories.append(row.error_category)
    ranges = {benchmark.score_range for benchmark in gate.benchmarks.values()}
    found = estimate_by_group(
        values,
        names,
        by="benchmark",
        unit="case" if len(set(keys)) == len(keys) else "answer",
        clusters=observed_clusters(keys, None),
        categories=categories,
        score_range=ranges.pop() if len(ranges) == 1 else None,
        weights={name: benchmark.config.weight for name, benchmark in gate.benchmarks.items()},
    )
    macro, micro = (
        with_missing(found.macro.evolve(unit="benchmark", metric_id="macro")),
        found.micro.evolve(metric_id="micro"),
    )
    return (macro, micro) if is_covered else (_not_covered(macro), _not_covered(micro))


def _not_covered(estimate: Estimate) -> Estimate:
    return gated(estimate.evolve(warnings=[*estimate.warnings, NOT_COVERED]))
