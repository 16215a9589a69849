"""`themis study`: a matrix of runs, planned, run and read as one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias

from cyclopts import App, Parameter

from themis._stages import UntilStage
from themis.api.cli import DONE, GATE_FAILED, INCOMPLETE
from themis.api.cli.leaderboard import Kind as BoardKind
from themis.api.cli.options import (
    DEFAULT_STORE,
    ONE_PROCESS,
    ByMany,
    ClusterBy,
    Json,
    Overrides,
    Words,
    closed_at_the_end,
    storage_of,
)
from themis.api.cli.output import say, show, write, write_document
from themis.api.runs.gates import write_junit
from themis.pure.json import EMPTY
from themis.pure.stats.gates import GateResult
from themis.pure.stats.suites import Requirement, SuiteDecision
from themis.pure.stats.wording import interval_text, number
from themis.pure.text import one_line

if TYPE_CHECKING:
    from themis.api.studies.cells import CellExperiment
    from themis.api.studies.result import StudyResult
    from themis.api.studies.run import StudySettings
    from themis.api.studies.study import Study
    from themis.pure.stats.gates import RequirementGate
    from themis.pure.usage import Prices

app: App = App(name="study", help="Run a matrix of models, prompts, data and options as one, and report on it.")

StudyFile: TypeAlias = Annotated[
    Path, Parameter(name="STUDY", env_var=(), help="A YAML, TOML or JSON file that describes the study.")
]
StudyStore: TypeAlias = Annotated[
    str | None,
    Parameter(
        name="--store",
        help=f"Keep the runs here: a SQLite file, or kind:place; {DEFAULT_STORE} if the study says nothing.",
    ),
]


def load(file: Path, overrides: tuple[str, ...], store: str | None) -> Study:
    """Return the study of a file; without a storage it is kept where runs are."""
    from themis.api.studies.study import Study

    study = Study.read(file, overrides, storage_of(DEFAULT_STORE))
    return study if store is None else study.evolve(storage=storage_of(store))


@app.command
def plan(file: StudyFile, /, *overrides: Overrides, store: StudyStore = None, json_output: Json = False) -> None:
    """Say what a study would ask for and cost, cell by cell, without doing it.

    For example:
      themis study plan study.yaml
      themis study plan study.yaml generation.candidate_policy.num_samples=8
    """
    planned = load(file, overrides, store).plan()
    for problem in planned.problems:
        say(f"themis: warning: the study can't start: {problem}")
    show({**planned.to_dict(), "us_dollars": planned.us_dollars}, lambda: _plan_text(planned), as_json=json_output)


def _plan_text(planned: Any) -> str:
    from themis.pure.report.terminal import plain_table

    rows = [
        (
            cell.name,
            cell.run_id[:12],
            f"{cell.cases:,}",
            f"{cell.answers:,}",
            f"{cell.to_ask:,}",
            _dollars(cell.us_dollars),
        )
        for cell in planned.cells
    ]
    to_ask = sum(cell.to_ask for cell in planned.cells)
    table = plain_table(("cell", "run", "cases", "answers", "to ask", "whole cost"), rows)
    unknown = dict.fromkeys(text for cell in planned.cells for text in cell.unknown)
    lines = [
        table,
        "",
        f"study {planned.study_id}",
        f"{len(planned.cells)} cells, {to_ask:,} answers to ask for, about {_dollars(planned.us_dollars)} in all",
    ]
    return "\n".join([*lines, *map(one_line, unknown)])


@app.command
def run(
    file: StudyFile,
    /,
    *overrides: Overrides,
    store: StudyStore = None,
    until: UntilStage = "judge",
    junit: Path | None = None,
    many: ByMany = ONE_PROCESS,
    json_output: Json = False,
) -> int:
    """Run a study, or what is left of it.

    Several cells are under way at once, within one set of limits and one budget.
    Cells that are complete are left as they are: run the same command again after
    an interruption, or with more cells, and only what is missing is done. A cell
    that fails leaves the others; the exit code is then 3.

    For example:
      themis study run study.yaml
      themis study run study.yaml runtime.max_cost=20 cells_at_once=4
      themis study run study.yaml --store postgresql://db/evals --engine dask --workers 4

    Args:
        until: The last stage.
        junit: Write the suite's gate as JUnit XML to this file.
    """
    import attrs

    from themis.api.stores import make_store
    from themis.effects.host import run_sync

    study, engine = load(file, overrides, store), many.chosen()
    kept = closed_at_the_end(make_store(study.storage))
    settings = study.settings(until, None, kept, None, engine, many.segment_size, file.parent)
    settings = attrs.evolve(settings, storage=study.storage)
    result = run_sync(lambda: study.run_as(settings), "run")
    return show_study(result, as_json=json_output, prices=study.runtime.prices, junit=junit)


@app.command
def status(file: StudyFile, /, *overrides: Overrides, store: StudyStore = None, json_output: Json = False) -> int:
    """Show where a study stands by what is stored; nothing is run.

    Exit code 3 if a cell is not complete.

    For example:
      themis study status study.yaml
      themis study status study.yaml --json
    """
    study = load(file, overrides, store)
    result = study.status()
    closed_at_the_end(result.store)
    return show_study(result, as_json=json_output, prices=study.runtime.prices)


@app.command
def report(
    file: StudyFile,
    /,
    *overrides: Overrides,
    metric: Words = None,
    baseline: str | None = None,
    cluster_by: ClusterBy = None,
    kind: Annotated[BoardKind | None, Parameter(name=["--format", "-f"])] = None,
    output: Annotated[Path | None, Parameter(name=["--output", "--out", "-o"])] = None,
    store: StudyStore = None,
    json_output: Annotated[bool, Parameter(name="--json", negative="", help="As --format json.")] = False,
) -> None:
    """Show a study as a leaderboard: a row for each model, prompt and option, a column for each benchmark.

    Every two rows of a column are compared, case by case: rows that share a letter
    are not told apart. Of a suite, averages and its gate follow as text.

    For example:
      themis study report study.yaml
      themis study report study.yaml --baseline small,plain
      themis study report study.yaml --output board.html
      themis study report study.yaml --format latex > table.tex

    Args:
        metric: These metrics alone, in this order.
        baseline: Compare each row with this one, and not every two.
        kind: By the ending of --output, or `text`, if not given.
        output: Write it to this file; to stdout if not given.
    """
    from themis.api.runs.leaderboard import board_text, format_of, write_board

    study = load(file, overrides, store)
    result = study.status()
    closed_at_the_end(result.store)
    chosen = "json" if json_output else kind or ("text" if output is None else format_of(output))
    board = result.leaderboard(metrics=metric, baseline=baseline, cluster_by=cluster_by, prices=study.runtime.prices)
    if output is not None:
        write_board(board, output, chosen)
        say(f"wrote {output}")
        return
    text = board_text(board, chosen)
    if chosen == "text":
        write("\n".join([text.rstrip("\n"), *_suite_text(result.suite)]))
    else:
        write_document(text, chosen)


@app.command
def suites(*, json_output: Json = False) -> None:
    """List the suites of benchmarks that come with Themis.

    For example:
      themis study suites
    """
    from themis.pure.benchmarks.suites import suites as all_suites

    found = list(all_suites().values())
    show(
        [suite.to_dict() for suite in found],
        lambda: "\n".join(
            f"{suite.suite_id}: {suite.measures}\n    {', '.join(suite.benchmarks)}\n    ({suite.source})"
            for suite in found
        ),
        as_json=json_output,
    )


# --- running and showing, also for `themis run --grid` ----------------------------------------------------


def run_cells(cells: Sequence[CellExperiment], settings: StudySettings) -> StudyResult:
    """Run the cells of a study."""
    from themis.api.studies.run import run_study
    from themis.effects.host import run_sync

    return run_sync(lambda: run_study(cells, settings), "run")


def show_study(
    result: StudyResult,
    *,
    as_json: bool,
    prices: Prices = EMPTY,
    gates: Sequence[RequirementGate] = (),
    junit: Path | None = None,
) -> int:
    """Print where a study's cells stand, its gates if there are any, and return the exit code.

    Args:
        result: what came of the study.
        as_json: print JSON, for programs.
        prices: of models.
        gates: conditions on each cell.
        junit: where the suite's gate is written to as JUnit XML.
    """
    statuses, suite = result.statuses(prices), result.suite
    decided = _decided(result, gates)
    decides = result.gate is not None and result.gate.decides
    if junit is not None:
        write_junit(junit, f"themis study {result.name}", [*_as_tests(suite)])
    data = {
        "name": result.name,
        "study_id": result.study_id,
        "digest": result.digest,
        "status": result.status,
        "cells": [each.to_dict() for each in statuses],
        **({"gates": [{"cell": cell, **gate.to_dict()} for cell, gate in decided]} if decided else {}),
        **({"suite": [each.to_dict() for each in suite]} if suite else {}),
    }
    show(data, lambda: "\n".join([_status_text(result, statuses, decided), *_suite_text(suite)]), as_json=as_json)
    if not result.is_complete:
        return INCOMPLETE  # before a failed gate, as numbers may still change
    has_passed = all(gate.passed for _, gate in decided) and (
        not decides or all(each.answer == "pass" for each in suite)
    )
    return DONE if has_passed else GATE_FAILED


def _decided(result: StudyResult, gates: Sequence[RequirementGate]) -> list[tuple[str, Any]]:
    from themis.api.runs.gates import check_gates

    return [(cell.name, gate) for cell in result if cell.result is not None for gate in check_gates(gates, cell.result)]


def _status_text(result: StudyResult, statuses: Sequence[Any], decided: Sequence[tuple[str, Any]]) -> str:
    from themis.pure.report.terminal import plain_table

    rows = [
        (
            each.name,
            each.run_id[:12],
            each.status,
            f"{each.done:,}/{each.cases:,}" if each.cases else "-",
            f"{each.errors:,}",
            _means(each.means),
            _dollars(each.cost),
        )
        for each in statuses
    ]
    complete = sum(cell.is_complete for cell in result)
    lines = [
        plain_table(("cell", "run", "status", "done", "errors", "score", "cost"), rows),
        "",
        f"study {result.study_id}",
        f"digest {result.digest}",
        f"{complete} of {len(result)} cells complete; stored in {result.store.location.removeprefix('sqlite:')}",
    ]
    lines += [f"{each.name}: {each.problem}" for each in statuses if each.problem]
    lines += [f"{'passed' if gate.passed else 'FAILED'}: {cell}: {gate.gate}: {gate.reason}" for cell, gate in decided]
    return "\n".join([lines[0], *map(one_line, lines[1:])])


def _suite_text(suite: Sequence[SuiteDecision]) -> Iterator[str]:
    """Yield the averages of each row, and what its gate says, with the reasons."""
    if suite:
        yield ""
    for decision in suite:
        figures = [
            f"{name} {number(each.mean)}, {interval_text(each.interval)}"
            for name, each in (("macro", decision.macro), ("micro", decision.micro))
            if each is not None and each.mean is not None
        ]
        yield one_line(f"{decision.row}: {'; '.join(figures) or 'no averages: a benchmark has no run'}")
        for each in decision.requirements:
            yield f"  {one_line(f'{_SHOWN[each.answer]}: {_condition(each)}: {each.reason}')}"
        if decision.requirements:
            yield f"  the suite: {_SHOWN[decision.answer]}"


_SHOWN: Final[Mapping[str, str]] = {
    "pass": "passed",
    "fail": "FAILED",
    "not enough evidence": "NOT ENOUGH EVIDENCE",
}


def _condition(requirement: Requirement) -> str:
    weight = f", weight {requirement.weight:g}" if requirement.tier == "should" else ""
    where = f"{requirement.benchmark} " if requirement.benchmark is not None else ""
    return f"{where}{requirement.condition} ({requirement.tier}{weight})"


def _as_tests(suite: Sequence[SuiteDecision]) -> Iterator[GateResult]:
    for decision in suite:
        for each in decision.requirements:
            yield GateResult(
                gate=f"{decision.row}: {_condition(each)}",
                passed=each.answer == "pass" or each.tier == "shown",
                reason=f"{each.answer}: {each.reason}",
            )
        yield GateResult(gate=f"{decision.row}: the suite", passed=decision.answer == "pass", reason=decision.answer)


def _means(means: Any) -> str:
    shown = [
        f"{metric.removeprefix('builtin/')} {mean:.3f}" for metric, mean in means.items() if isinstance(mean, float)
    ]
    return ", ".join(shown[:2]) or "-"


def _dollars(cost: float | None) -> str:
    return "-" if cost is None else f"${cost:.4f}"
